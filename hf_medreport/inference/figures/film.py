"""A film, the anatomical prior and where each sentence came from, as one picture."""

import textwrap

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

COLUMNS = 4
SCORE_LETTERS = 10  # that a panel has room for beside a full line
PANEL, TITLE, HEADER = 2.6, 0.5, 0.3  # inches
LABEL_LINE, LABEL_LETTERS = 0.18, 150  # inches of a line of labels under the header, and what it has room for
MARKS = {"correct": ("\N{CHECK MARK}", "#1a7f37"), "wrong": ("\N{BALLOT X}", "#c62828"), "missed": ("?", "#b26a00")}


def report_figure(report, facts: list[tuple[str, str]] | None = None) -> Figure:
    """Draw one report.

    Args:
        report: a `Report` with its `image`; its `prior`, if it has one, is outlined on the film.
        facts: for a phantom film, (`"correct"`, `"wrong"` or `"missed"`, words) a fact, listed under the film.

    Returns:
        A figure: the labels that the model was given, where it is given any, and the notes; the film, the film with
        the prior, and one panel a sentence with its evidence laid over the film.
    """
    panels = [("film", None)] + ([("anatomical prior", None)] if report.prior is not None else [])
    panels += [(sentence.text, sentence) for sentence in report.sentences]
    rows = -(-len(panels) // COLUMNS)
    footer, labels = footer_inches(facts), wrapped([report.label_words, *report.note_lines])
    header = HEADER + LABEL_LINE * len(labels)
    figure = Figure(figsize=(COLUMNS * PANEL, rows * (PANEL + TITLE) + footer + header), dpi=110, layout="none")
    FigureCanvasAgg(figure)
    height = figure.get_figheight()
    title = f"{report.film} \N{MIDDLE DOT} {report.model}"
    # Names and reports are text: a dollar sign in them opens no formula.
    figure.suptitle(title, x=0.01, y=1 - 0.1 / height, ha="left", va="top", fontsize=10, parse_math=False)
    if labels:
        figure.text(0.01, 1 - HEADER / height, "\n".join(labels), va="top", fontsize=8.5, parse_math=False)
    film = gray(report.image)
    for index, (title, sentence) in enumerate(panels):
        row, column = divmod(index, COLUMNS)
        axes = add_panel(figure, column, header + row * (PANEL + TITLE))
        axes.imshow(film, cmap="gray", vmin=0, vmax=1)
        if sentence is not None:
            lay_over(axes, sentence.evidence, film.shape)
        elif index == 1:
            mask = _resized(report.prior, film.shape)
            axes.imshow(np.where(mask > 0.5, 0.25, 0.0), cmap="winter", alpha=(mask > 0.5) * 0.25, vmin=0, vmax=1)
            axes.contour(mask, levels=[0.5], colors="#35d0ff", linewidths=1)
        write_title(axes, title, "" if sentence is None else f"  [{sentence.mean_logprob:.2f}]")
    write_footer(figure, report, facts)
    return figure


def wrapped(lines: list[str]) -> list[str]:
    """Lines of a header, each as many as it has room for."""
    return [part for line in lines for part in textwrap.wrap(line, LABEL_LETTERS)]


def gray(film: np.ndarray) -> np.ndarray:
    """A film (height, width) as it is, one of three channels as their mean."""
    return film if film.ndim == 2 else film.mean(axis=-1)


def add_panel(figure: Figure, column: int, top: float):
    """Axes in one of COLUMNS columns, its title `top` inches below the figure's upper edge."""
    height = figure.get_figheight()
    box = (column / COLUMNS + 0.004, 1 - (top + TITLE + PANEL) / height, 1 / COLUMNS - 0.008, PANEL / height)
    return figure.add_axes(box, xticks=[], yticks=[])


def write_title(axes, words: str, score: str = "", letters: int = 40) -> None:
    """Up to three lines of so many letters above a panel, and a score that is never cut."""
    lines = textwrap.wrap(words, letters, max_lines=3, placeholder=" \N{HORIZONTAL ELLIPSIS}")
    if score and len(lines[-1]) + len(score) > letters + SCORE_LETTERS:
        score = "\n" + score.strip()
    axes.set_title("\n".join(lines) + score, fontsize=7.5, loc="left", va="bottom", pad=3, parse_math=False)


def footer_inches(facts: list[tuple[str, str]] | None) -> float:
    """The height that `write_footer` needs."""
    return 0.35 + 0.2 * len(facts or ())


def write_footer(figure: Figure, report, facts: list[tuple[str, str]] | None) -> None:
    """Write facts and the model's statement at the foot of a picture."""
    height = figure.get_figheight()
    lines = [(f"{MARKS[state][0]} {words} ({state})", MARKS[state][1]) for state, words in facts or ()]
    if report.statement:
        lines.append((report.statement, "#555555"))
    for number, (words, color) in enumerate(reversed(lines)):
        figure.text(
            0.01,
            (0.1 + 0.2 * number) / height,
            words,
            color=color,
            fontsize=8.5,
            family="DejaVu Sans",
            parse_math=False,
        )


def lay_over(axes, evidence: np.ndarray, shape: tuple[int, int], most: float | None = None) -> None:
    """Lay an evidence map over a film: the stronger, the more opaque; `most`, by default its maximum, is opaquest."""
    most = float(evidence.max()) if most is None else most
    strength = _resized(evidence / max(most, 1e-12), shape).clip(0, 1)
    axes.imshow(strength, cmap="inferno", alpha=0.75 * strength, vmin=0, vmax=1)


def _resized(plane: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    height, width = shape
    return np.asarray(Image.fromarray(plane.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR))
