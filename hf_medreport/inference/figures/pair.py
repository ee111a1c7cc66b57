"""Two views, what the encoder saw of them, what the decoders made of that, and where each finding came from: a screen.

The findings stand first, each over the views that were there; what is said to be normal shares one column of text.
"""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hf_medreport.inference.figures.film import PRIOR, parted
from hf_medreport.inference.figures.parts import (
    EVIDENCE,
    FOOTER,
    GAP,
    LETTERS_AN_INCH,
    LINE,
    LOWEST,
    NOTE,
    TITLE,
    WIDTH,
    arrange,
    gray,
    header_inches,
    header_lines,
    lay_over,
    panel,
    screen,
    word_lines,
    write,
    write_header,
    write_legend,
    write_title,
    write_words,
)
from hf_medreport.inference.read_pairs import VIEWS

# Inches: a picture of a view's row, what lies between two of them, the row's width, the line of a view that is missing.
SMALL, NARROW, NOTE_LINE = 1.3, 0.08, 0.3
SIDE = 4 * SMALL + 3 * NARROW
SMALLEST = 1.1  # a finding's panel; what has no room is told by its words alone
COLORS = {"abnormal": "#b3261e", "normal": "#1a7f37", None: "#555555"}
SMALLEST_SCALE = 0.05  # of the colors of a difference: a perfect reconstruction is not blown up to noise


def pair_figure(report, facts: list[tuple[str, str]] | None = None) -> Figure:
    """Draw one report of two views.

    Args:
        report: a `PairReport` with its pixels.
        facts: for drawn films, (`"correct"`, `"wrong"` or `"missed"`, words) a fact, listed under the films.

    Returns:
        A figure: at the left a row a view with the film (the crop's box on the frontal one), what the encoder saw, what
        its decoder made of it and the difference, and what is said to be normal; beside it each finding with its
        evidence over the views that were there; a legend.
    """
    told = [(report.classification_words, COLORS[report.classification]), *header_lines(report.note_lines, NOTE)]
    header, views = header_inches(told), len(report.views)
    heights = [TITLE + SMALL if view in report.views else NOTE_LINE for view in VIEWS]
    findings, normal = parted(report.sentences)
    field = (WIDTH - SIDE - 3 * GAP, LOWEST - header - FOOTER)
    room, side, columns = arrange(len(findings), *field, SMALLEST, views)
    parts = {"findings without room for a picture": findings[room:], "said to be normal": normal}
    lines = word_lines(parts, facts, SIDE)
    below = header + sum(heights) + GAP
    figure = screen(below + LINE * len(lines))
    write_header(figure, f"{report.films} \N{MIDDLE DOT} {report.model}", told)
    top, scale = header, _difference_scale(report)
    for view, height in zip(VIEWS, heights, strict=True):
        if view in report.views:
            _draw_view(figure, report, view, top, scale)
        else:
            write(figure, GAP, top + height / 2, report.note, NOTE, fontsize=8.5, va="center")
        top += height
    write_words(figure, GAP, below, lines)
    for index, sentence in enumerate(findings[:room]):
        row, column = divmod(index, columns)
        left = 2 * GAP + SIDE + column * (views * side + GAP)
        _draw_finding(figure, report, sentence, left, header + row * (side + TITLE), side)
    write_legend(figure, 2 * GAP + SIDE, report.statement, EVIDENCE if findings else "")
    return figure


def _draw_view(figure: Figure, report, view: str, top: float, scale: float) -> None:
    """One row: film, what the encoder saw, reconstruction, difference."""
    film, letters = gray(report.image if view == "frontal" else report.lateral_image), int(SMALL * LETTERS_AN_INCH)
    pair, cut = report.reconstructions[view], view == "frontal" and report.box != (0, 0, 1, 1)
    title = "frontal film and what is cut out" if cut else f"{view} film"
    pictures = {title: film, "what the encoder saw": pair.seen, "reconstruction": pair.drawn}
    panels = [panel(figure, GAP + column * (SMALL + NARROW), top, SMALL) for column in range(4)]
    for axes, (title, picture) in zip(panels, pictures.items(), strict=False):
        axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
        write_title(axes, title, letters=letters)
    if cut:
        _draw_box(panels[0], report.box, film.shape)
    shown = panels[-1].imshow(pair.drawn - pair.seen, cmap="RdBu_r", vmin=-scale, vmax=scale)
    write_title(panels[-1], f"reconstruction \N{MINUS SIGN} seen, SSIM {report.ssim[view]:.3f}", letters=letters)
    bar = figure.colorbar(shown, cax=panels[-1].inset_axes((0.15, 0.13, 0.7, 0.04)), orientation="horizontal")
    bar.set_ticks([-scale, 0, scale], labels=[f"\N{MINUS SIGN}{scale:.2f}", "0", f"+{scale:.2f}"], fontsize=6)


def _draw_box(axes, box: tuple[float, float, float, float], shape: tuple[int, int]) -> None:
    left, top, right, bottom = np.array(box) * (shape[1], shape[0], shape[1], shape[0]) - 0.5  # imshow's pixel edges
    axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=PRIOR, linewidth=1.2))


def _difference_scale(report) -> float:
    """The largest difference of any view, so that the colors of both rows mean the same."""
    return max(SMALLEST_SCALE, *(float(np.abs(r.drawn - r.seen).max()) for r in report.reconstructions.values()))


def _draw_finding(figure: Figure, report, sentence, left: float, top: float, side: float) -> None:
    """A sentence over the views that were there, side by side; one scale of evidence for both."""
    halves = dict(zip(VIEWS, np.split(sentence.evidence, 2, axis=1), strict=True))
    most, total = float(sentence.evidence.max()), float(sentence.evidence.sum())
    score = f"  [{sentence.mean_logprob:.2f}]"
    if not total:
        score += "  no evidence"
    elif len(report.views) == 2:
        score += f"  frontal {halves['frontal'].sum() / total:.0%}, lateral {halves['lateral'].sum() / total:.0%}"
    for offset, view in enumerate(report.views):
        axes = panel(figure, left + offset * side, top, side)
        seen = report.reconstructions[view].seen
        axes.imshow(seen, cmap="gray", vmin=0, vmax=1)
        lay_over(axes, halves[view], seen.shape, most)
        if offset == 0:
            write_title(axes, sentence.text, score, int(side * len(report.views) * LETTERS_AN_INCH))
