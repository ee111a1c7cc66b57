"""Two views, what the encoder saw of them, what the decoders made of that, and where each sentence came from."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from hf_medreport.inference.figures.parts import (
    COLUMNS,
    LABEL_LINE,
    PANEL,
    TITLE,
    add_panel,
    footer_inches,
    gray,
    lay_over,
    wrapped,
    write_footer,
    write_title,
)
from hf_medreport.inference.read_pairs import VIEWS

HEADER, NOTE = 0.55, 0.3  # inches
NOTE_COLOR = "#b26a00"
COLORS = {"abnormal": "#b3261e", "normal": "#1a7f37", None: "#555555"}
SMALLEST_SCALE = 0.05  # of the colors of a difference: a perfect reconstruction is not blown up to noise


def pair_figure(report, facts: list[tuple[str, str]] | None = None) -> Figure:
    """Draw one report of two views.

    Args:
        report: a `PairReport` with its pixels.
        facts: for drawn films, (`"correct"`, `"wrong"` or `"missed"`, words) a fact, listed at the foot.

    Returns:
        A figure: a row a view with the film (the crop's box on the frontal one), what the encoder saw, what its
        decoder made of it and the difference; then each sentence with its evidence over the views that were there.
    """
    row = PANEL + TITLE
    views, wide = len(report.views), COLUMNS // len(report.views)  # sentences a row
    heights = [row if view in report.views else NOTE for view in VIEWS]
    notes = wrapped(report.note_lines)
    header = HEADER + LABEL_LINE * len(notes)
    total = header + sum(heights) + -(-len(report.sentences) // wide) * row + footer_inches(facts)
    figure = Figure(figsize=(COLUMNS * PANEL, total), dpi=110, layout="none")
    FigureCanvasAgg(figure)
    _write_header(figure, report, notes)
    top, scale = header, _difference_scale(report)
    for view, height in zip(VIEWS, heights, strict=True):
        if view in report.views:
            _draw_view(figure, report, view, top, scale)
        else:
            place = (0.01, 1 - (top + 0.6 * height) / total)
            figure.text(*place, report.note, fontsize=8.5, color=NOTE_COLOR, va="center")
        top += height
    for index, sentence in enumerate(report.sentences):
        down, across = divmod(index, wide)
        _draw_sentence(figure, report, sentence, across * views, top + down * row)
    write_footer(figure, report, facts)
    return figure


def _write_header(figure: Figure, report, notes: list[str]) -> None:
    """Names in one line, the classification in the next, then the notes."""
    height = figure.get_figheight()
    place = {"ha": "left", "va": "top", "parse_math": False}  # a dollar sign in a name opens no formula
    figure.suptitle(f"{report.films} \N{MIDDLE DOT} {report.model}", x=0.01, y=1 - 0.1 / height, fontsize=10, **place)
    words, color = report.classification_words, COLORS[report.classification]
    figure.text(0.01, 1 - 0.33 / height, words, fontsize=9.5, color=color, weight="bold", **place)
    if notes:
        figure.text(0.01, 1 - HEADER / height, "\n".join(notes), fontsize=8.5, color=NOTE_COLOR, **place)


def _draw_view(figure: Figure, report, view: str, top: float, scale: float) -> None:
    """One row: film, what the encoder saw, reconstruction, difference."""
    film = gray(report.image if view == "frontal" else report.lateral_image)
    pair = report.reconstructions[view]
    pictures = {f"{view} film": film, "what the encoder saw": pair.seen, "reconstruction": pair.drawn}
    panels = [add_panel(figure, column, top) for column in range(COLUMNS)]
    for axes, (title, picture) in zip(panels, pictures.items(), strict=False):
        axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
        write_title(axes, title)
    if view == "frontal" and report.box != (0, 0, 1, 1):
        _draw_box(panels[0], report.box, film.shape)
        write_title(panels[0], "frontal film and what is cut out of it")
    shown = panels[-1].imshow(pair.drawn - pair.seen, cmap="RdBu_r", vmin=-scale, vmax=scale)
    write_title(panels[-1], f"reconstruction \N{MINUS SIGN} seen, SSIM {report.ssim[view]:.3f}")
    bar = figure.colorbar(shown, cax=panels[-1].inset_axes((0.1, 0.075, 0.5, 0.03)), orientation="horizontal")
    bar.set_ticks([-scale, 0, scale], labels=[f"\N{MINUS SIGN}{scale:.2f}", "0", f"+{scale:.2f}"], fontsize=6.5)


def _draw_box(axes, box: tuple[float, float, float, float], shape: tuple[int, int]) -> None:
    left, top, right, bottom = np.array(box) * (shape[1], shape[0], shape[1], shape[0]) - 0.5  # imshow's pixel edges
    axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor="#35d0ff", linewidth=1.2))


def _difference_scale(report) -> float:
    """The largest difference of any view, so that the colors of both rows mean the same."""
    return max(SMALLEST_SCALE, *(float(np.abs(r.drawn - r.seen).max()) for r in report.reconstructions.values()))


def _draw_sentence(figure: Figure, report, sentence, column: int, top: float) -> None:
    """A sentence over the views that were there, side by side; one scale of evidence for both."""
    halves = dict(zip(VIEWS, np.split(sentence.evidence, 2, axis=1), strict=True))
    most, total = float(sentence.evidence.max()), float(sentence.evidence.sum())
    score = f"  [{sentence.mean_logprob:.2f}]"
    if not total:
        score += "  no part of a film spoke for it"
    elif len(report.views) == 2:
        score += f"  frontal {halves['frontal'].sum() / total:.0%}, lateral {halves['lateral'].sum() / total:.0%}"
    for offset, view in enumerate(report.views):
        axes = add_panel(figure, column + offset, top)
        seen = report.reconstructions[view].seen
        axes.imshow(seen, cmap="gray", vmin=0, vmax=1)
        lay_over(axes, halves[view], seen.shape, most)
        if offset == 0:
            write_title(axes, sentence.text, score, 40 * len(report.views))
