"""What pictures of reports share: a film in gray, evidence over it, titles, the lines at head and foot."""

import textwrap

import numpy as np
from matplotlib import patheffects
from matplotlib.figure import Figure
from PIL import Image

COLUMNS = 4
SCORE_LETTERS = 10  # that a panel has room for beside a full line
PANEL, TITLE = 2.6, 0.5  # inches
LABEL_LINE, LABEL_LETTERS = 0.18, 150  # inches of a line of labels under the header, and what it has room for
MARKS = {"correct": ("\N{CHECK MARK}", "#1a7f37"), "wrong": ("\N{BALLOT X}", "#c62828"), "missed": ("?", "#b26a00")}
HALF, PEAKED = 0.5, 0.08  # of its maximum; of the film: a map is peaked whose upper half covers no more than that


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


def fact_lines(facts: list[tuple[str, str]] | None) -> list[tuple[str, str]]:
    """(words, color) of facts that were held against the truth."""
    return [(f"{MARKS[state][0]} {words} ({state})", MARKS[state][1]) for state, words in facts or ()]


def write_footer(figure: Figure, report, facts: list[tuple[str, str]] | None) -> None:
    """Write facts and the model's statement at the foot of a picture."""
    height, lines = figure.get_figheight(), fact_lines(facts)
    if report.statement:
        lines.append((report.statement, "#555555"))
    style = {"fontsize": 8.5, "family": "DejaVu Sans", "parse_math": False}
    for number, (words, color) in enumerate(reversed(lines)):
        figure.text(0.01, (0.1 + 0.2 * number) / height, words, color=color, **style)


def lay_over(axes, evidence: np.ndarray, shape: tuple[int, int], most: float | None = None) -> None:
    """Lay an evidence map over a film: the stronger, the more opaque; `most`, by default its maximum, is opaquest.

    Where the map is peaked, what has half of its maximum or more is outlined.
    """
    most = float(evidence.max()) if most is None else most
    strength = resized(evidence / max(most, 1e-12), shape).clip(0, 1)
    axes.imshow(strength, cmap="inferno", alpha=0.75 * strength, vmin=0, vmax=1)
    if 0 < (strength >= HALF).mean() <= PEAKED:
        outline = axes.contour(strength, levels=[HALF], colors="white", linewidths=1.2)
        outline.set_path_effects([patheffects.withStroke(linewidth=2.6, foreground="black")])


def resized(plane: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A plane at another size (height, width)."""
    height, width = shape
    return np.asarray(Image.fromarray(plane.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR))
