"""A film, the anatomical prior and where each finding came from, as one picture of one screen.

The findings stand first, each with its evidence; the sentences that say what is normal share one column of text. The
background is opaque and light, so that the picture reads the same on a light page and on a dark one.
"""

import re
import textwrap

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from scipy import ndimage

from hf_medreport.inference.figures.parts import LABEL_LINE, fact_lines, gray, lay_over, resized, wrapped, write_title
from hf_medreport.phantom.chest.parser import parse_report

# Inches: the figure, its left column with film and words, and what lies between. At DPI it is 1,300 px wide.
WIDTH, LOWEST, SIDE, GAP, HEADER, FOOTER, TITLE, LINE = 13.0, 7.2, 3.3, 0.15, 0.45, 0.75, 0.48, 0.165
DPI = 100
LETTERS_AN_INCH = 15.0  # of 7.5 points
SMALLEST = 1.3  # a finding's panel; what has no room is told by its words alone
NORMAL = re.compile(r"\b(no|not|without|normal|clear|unremarkable|intact|negative)\b", re.IGNORECASE)
INK, PALE, PRIOR = "#111111", "#555555", "#35d0ff"
ISLAND = 0.05  # of the largest part of lungs and heart: what is smaller is no part of them
LEGEND = (
    "evidence, from none to the sentence's strongest patch; a white line is drawn around what has half of that or more",
    "[-0.10]: how sure the model was, the mean log-probability of the sentence's tokens; 0 is certain",
)


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
    labels = wrapped([report.label_words, *report.note_lines])
    header = HEADER + LABEL_LINE * len(labels)
    film = gray(report.image)
    prior, islands = _without_islands(report.prior)
    findings = sorted((each for each in report.sentences if not is_normal(each.text)), key=_is_of_unknown_kind)
    shown, side, columns = _grid(findings, LOWEST - header - FOOTER)
    lines = _words(report, findings[len(shown) :], facts, islands)
    height = max(LOWEST, header + TITLE + SIDE + GAP + LINE * len(lines) + FOOTER)
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="none", facecolor="white")
    FigureCanvasAgg(figure)
    _write_header(figure, report, labels)
    axes = _panel(figure, GAP, header, SIDE)
    axes.imshow(film, cmap="gray", vmin=0, vmax=1)
    write_title(axes, "film" if prior is None else "film, and the anatomical prior outlined")
    if prior is not None:
        axes.contour(resized(prior, film.shape), levels=[0.5], colors=PRIOR, linewidths=1.2)
    for number, (words, color, style) in enumerate(lines):
        y = 1 - (header + TITLE + SIDE + GAP + LINE * number) / height
        _write(figure, GAP / WIDTH, y, words, color, fontstyle=style, va="top")
    for index, sentence in enumerate(shown):
        row, column = divmod(index, columns)
        left, top = 2 * GAP + SIDE + column * (side + GAP), header + row * (side + TITLE)
        axes = _panel(figure, left, top, side)
        axes.imshow(film, cmap="gray", vmin=0, vmax=1)
        lay_over(axes, sentence.evidence, film.shape)
        write_title(axes, sentence.text, f"  [{sentence.mean_logprob:.2f}]", int(side * LETTERS_AN_INCH))
    _write_legend(figure, report, bool(shown))
    return figure


def is_normal(sentence: str) -> bool:
    """Whether a sentence says that something is normal or not there, and nothing else that we know."""
    return not parse_report(sentence) and NORMAL.search(sentence) is not None


def _is_of_unknown_kind(sentence) -> bool:
    """Sentences that our vocabulary reads come before those that it does not."""
    return not parse_report(sentence.text)


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


def _grid(findings: list, height: float) -> tuple[list, float, int]:
    """Which findings have room in a field of `height` inches, the side of their panels, and in how many columns."""
    width, best = WIDTH - SIDE - 3 * GAP, (0.0, 1, 1)
    for columns in range(1, max(2, int(width / SMALLEST))):
        rows = max(1, -(-len(findings) // columns))
        best = max(best, (min(width / columns - GAP, height / rows - TITLE), columns, rows))
    side, columns, _ = best
    if side < SMALLEST:
        side, columns = SMALLEST, int(width / (SMALLEST + GAP))
    rows = int(height / (side + TITLE) + 1e-6)
    return findings[: rows * columns], min(side, SIDE), columns


def _words(report, left_over: list, facts, islands: int) -> list[tuple[str, str, str]]:
    """(words, color, style) of the lines under the film."""
    letters, lines = int(SIDE * LETTERS_AN_INCH), []
    if islands:
        lines += [(f"(not outlined: {islands} small island{'s' * (islands > 1)} of the prior)", PALE, "normal")]
    for heading, sentences in (
        ("findings without room for a picture", left_over),
        ("said to be normal", [each for each in report.sentences if is_normal(each.text)]),
    ):
        lines += [(heading, PALE, "italic")] if sentences else []
        for sentence in sentences:
            words = textwrap.wrap(f"{sentence.text}  [{sentence.mean_logprob:.2f}]", letters)
            lines += [(line, INK, "normal") for line in words]
    held = fact_lines(facts)
    lines += [("held against the truth", PALE, "italic")] if held else []
    for words, color in held:
        lines += [(line, color, "normal") for line in textwrap.wrap(words, letters, subsequent_indent="   ")]
    return lines


def _panel(figure: Figure, left: float, top: float, side: float):
    """Square axes whose title begins `top` inches below the figure's upper edge."""
    height = figure.get_figheight()
    box = (left / WIDTH, 1 - (top + TITLE + side) / height, side / WIDTH, side / height)
    return figure.add_axes(box, xticks=[], yticks=[])


def _write(figure: Figure, x: float, y: float, words: str, color: str = INK, fontsize: float = 7.5, **style) -> None:
    """A line; names and reports are text: a dollar sign in them opens no formula."""
    figure.text(x, y, words, color=color, fontsize=fontsize, family="DejaVu Sans", parse_math=False, **style)


def _write_header(figure: Figure, report, labels: list[str]) -> None:
    height = figure.get_figheight()
    title = f"{report.film} \N{MIDDLE DOT} {report.model}"
    _write(figure, GAP / WIDTH, 1 - 0.1 / height, title, fontsize=10, va="top")
    if labels:
        _write(figure, GAP / WIDTH, 1 - 0.33 / height, "\n".join(labels), fontsize=8.5, va="top")


def _write_legend(figure: Figure, report, evidence: bool) -> None:
    """What the colors, the line and the numbers say; the model's statement."""
    height, left = figure.get_figheight(), 2 * GAP + SIDE
    if report.statement:
        _write(figure, GAP / WIDTH, 0.12 / height, report.statement, PALE, fontsize=8.5)
    if not evidence:
        return
    bar = figure.add_axes((left / WIDTH, 0.52 / height, 1.6 / WIDTH, 0.1 / height))
    figure.colorbar(ScalarMappable(cmap="inferno"), cax=bar, orientation="horizontal", ticks=[])
    for line, words in enumerate(LEGEND):
        _write(figure, (left + 1.7) / WIDTH, (0.53 - LINE * line) / height, words, PALE, fontsize=7)
