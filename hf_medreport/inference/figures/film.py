"""A film, the anatomical prior and where each finding came from, as one picture of one screen.

The findings stand first, each with its evidence; the sentences that say what is normal share one column of text.
"""

import numpy as np
from matplotlib.figure import Figure
from scipy import ndimage

from hf_medreport.inference.figures.parts import (
    EVIDENCE,
    FOOTER,
    GAP,
    LETTERS_AN_INCH,
    LINE,
    LOWEST,
    NORMAL,
    PALE,
    TITLE,
    WIDTH,
    arrange,
    gray,
    header_inches,
    header_lines,
    lay_over,
    panel,
    resized,
    screen,
    word_lines,
    write_header,
    write_legend,
    write_title,
    write_words,
)
from hf_medreport.phantom.chest.parser import parse_report

SIDE = 3.3  # inches: the left column with film and words
SMALLEST = 1.3  # a finding's panel; what has no room is told by its words alone
PRIOR = "#35d0ff"
ISLAND = 0.05  # of the largest part of lungs and heart: what is smaller is no part of them


def report_figure(report, facts: list[tuple[str, str]] | None = None) -> Figure:
    """Draw one report.

    Args:
        report: a `Report` with its `image`; its `prior`, if it has one, is outlined on the film, but for stray islands,
            which are counted.
        facts: for a phantom film, (`"correct"`, `"wrong"` or `"missed"`, words) a fact, listed under the film.

    Returns:
        A figure: the labels that the model was given, where it is given any, and the notes; at the left the film and
        what is said to be normal; beside it one panel a finding with its evidence laid over the film; a legend.
    """
    told = header_lines([report.label_words, *report.note_lines])
    header, film = header_inches(told), gray(report.image)
    prior, islands = _without_islands(report.prior)
    findings, normal = parted(report.sentences)
    room, side, columns = arrange(len(findings), WIDTH - SIDE - 3 * GAP, LOWEST - header - FOOTER, SMALLEST)
    parts = {"findings without room for a picture": findings[room:], "said to be normal": normal}
    lines = _of_islands(islands) + word_lines(parts, facts, SIDE)
    below = header + TITLE + SIDE + GAP
    figure = screen(below + LINE * len(lines))
    write_header(figure, f"{report.film} \N{MIDDLE DOT} {report.model}", told)
    axes = panel(figure, GAP, header, SIDE)
    axes.imshow(film, cmap="gray", vmin=0, vmax=1)
    write_title(axes, "film" if prior is None else "film, and the anatomical prior outlined")
    if prior is not None:
        axes.contour(resized(prior, film.shape), levels=[0.5], colors=PRIOR, linewidths=1.2)
    write_words(figure, GAP, below, lines)
    for index, sentence in enumerate(findings[:room]):
        row, column = divmod(index, columns)
        axes = panel(figure, 2 * GAP + SIDE + column * (side + GAP), header + row * (side + TITLE), side)
        axes.imshow(film, cmap="gray", vmin=0, vmax=1)
        lay_over(axes, sentence.evidence, film.shape)
        write_title(axes, sentence.text, f"  [{sentence.mean_logprob:.2f}]", int(side * LETTERS_AN_INCH))
    write_legend(figure, 2 * GAP + SIDE, report.statement, EVIDENCE if findings else "")
    return figure


def parted(sentences: list) -> tuple[list, list]:
    """The findings, those first that our vocabulary reads, and what is said to be normal."""
    findings = [sentence for sentence in sentences if not is_normal(sentence.text)]
    findings.sort(key=lambda sentence: not parse_report(sentence.text))
    return findings, [sentence for sentence in sentences if is_normal(sentence.text)]


def is_normal(sentence: str) -> bool:
    """Whether a sentence says that something is normal or not there, and nothing else that we know."""
    return not parse_report(sentence) and NORMAL.search(sentence) is not None


def _of_islands(count: int) -> list[tuple[str, str, str]]:
    """What is said of the prior's stray islands."""
    words = f"(not outlined: {count} small island{'s' * (count > 1)} of the prior)"
    return [(words, PALE, "normal")] if count else []


def _without_islands(prior: np.ndarray | None) -> tuple[np.ndarray | None, int]:
    """The prior without its small parts and holes, and how many parts these are."""
    if prior is None or not (prior > 0.5).any():
        return prior, 0
    inside = prior > 0.5
    parts, _ = ndimage.label(inside)
    smallest = ISLAND * np.bincount(parts[inside]).max()
    islands, count = _smaller(inside, smallest)
    holes, _ = _smaller(~inside, smallest)
    return (inside & ~islands | holes).astype(np.float32), count


def _smaller(mask: np.ndarray, size: float) -> tuple[np.ndarray, int]:
    """The parts of a mask that are smaller than so many px, and how many there are."""
    parts, _ = ndimage.label(mask)
    sizes = np.bincount(parts.ravel())
    small = [number for number in range(1, len(sizes)) if sizes[number] < size]
    return np.isin(parts, small), len(small)
