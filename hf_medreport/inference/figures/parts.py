"""What pictures of reports share: one screen, its head, its words, its legend; a film in gray and evidence over it.

All places are inches from the upper left corner. The background is opaque and light, so that a picture reads the same
on a light page and on a dark one.
"""

import re
import textwrap

import numpy as np
from matplotlib import patheffects
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from PIL import Image

# Inches: a screen, what lies between its parts, its head and foot, a panel's title, a line. At DPI it is 1,300 px wide.
WIDTH, LOWEST, GAP, HEADER, FOOTER, TITLE, LINE = 13.0, 7.2, 0.15, 0.45, 0.75, 0.48, 0.165
DPI = 100
LETTERS_AN_INCH = 15.0  # of 7.5 points
SCORE_LETTERS = 10  # that a panel has room for beside a full line
HEADER_LINE, HEADER_LETTERS = 0.18, 150  # inches of a line of labels or notes under the names, and its letters
LARGEST = 3.3  # a panel
INK, PALE, NOTE = "#111111", "#555555", "#8a5200"
MARKS = {"correct": ("\N{CHECK MARK}", "#1a7f37"), "wrong": ("\N{BALLOT X}", "#c62828"), "missed": ("?", "#b26a00")}
HALF, PEAKED = 0.5, 0.08  # of its maximum; of the film: a map is peaked whose upper half covers no more than that
NORMAL = re.compile(r"\b(no|not|without|normal|clear|unremarkable|intact|negative)\b", re.IGNORECASE)
CONFIDENCE = "[-0.10]: how sure the model was, the mean log-probability of the sentence's tokens; 0 is certain"
EVIDENCE = "evidence, from none to the sentence's strongest patch; a white line surrounds half of that and more"


def screen(bottom: float = 0.0) -> Figure:
    """An empty screen; a longer one where that is wanted for what ends `bottom` inches below its upper edge."""
    figure = Figure(figsize=(WIDTH, max(LOWEST, bottom + FOOTER)), dpi=DPI, layout="none", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def panel(figure: Figure, left: float, top: float, side: float):
    """Square axes beneath a title that begins `top` inches below the upper edge."""
    height = figure.get_figheight()
    box = (left / WIDTH, 1 - (top + TITLE + side) / height, side / WIDTH, side / height)
    return figure.add_axes(box, xticks=[], yticks=[])


def arrange(count: int, width: float, height: float, smallest: float, views: int = 1) -> tuple[int, float, int]:
    """How many of so many findings have room in a field, the side of their panels, and in how many columns.

    Args:
        count: of findings.
        width, height: of the field.
        smallest: the side below which a finding goes without a panel.
        views: panels side by side that a finding has.
    """
    best = (0.0, 1)
    for columns in range(1, int(width / (views * smallest)) + 1):
        rows = max(1, -(-count // columns))
        best = max(best, (min((width / columns - GAP) / views, height / rows - TITLE), columns))
    side, columns = best
    if side < smallest:
        side, columns = smallest, int((width + 1e-6) / (views * smallest + GAP))
    rows = int(height / (side + TITLE) + 1e-6)
    return rows * columns, min(side, LARGEST), columns


def header_lines(lines: list[str], color: str = INK) -> list[tuple[str, str]]:
    """(words, color) of the lines under a picture's names, none longer than there is room for."""
    return [(part, color) for line in lines for part in textwrap.wrap(line, HEADER_LETTERS)]


def header_inches(lines: list[tuple[str, str]]) -> float:
    """The height of names and lines."""
    return HEADER + HEADER_LINE * len(lines)


def write_header(figure: Figure, names: str, lines: list[tuple[str, str]]) -> None:
    """Names, and beneath them the lines of `header_lines`."""
    write(figure, GAP, 0.1, names, fontsize=10)
    for number, (words, color) in enumerate(lines):
        write(figure, GAP, 0.33 + HEADER_LINE * number, words, color, fontsize=8.5)


def write(figure: Figure, left: float, top: float, words: str, color: str = INK, fontsize: float = 7.5, **style):
    """A line; names and reports are text: a dollar sign in them opens no formula."""
    place = (left / WIDTH, 1 - top / figure.get_figheight())
    style = {"va": "top", "family": "DejaVu Sans", "parse_math": False} | style
    figure.text(*place, words, color=color, fontsize=fontsize, **style)


def word_lines(parts: dict[str, list], facts: list[tuple[str, str]] | None, width: float) -> list[tuple[str, str, str]]:
    """(words, color, style) of a column of words.

    Args:
        parts: headings and the sentences under each; one without sentences is left out.
        facts: (`"correct"`, `"wrong"` or `"missed"`, words) a fact, of what was held against the truth.
        width: of the column.
    """
    letters, lines = int(width * LETTERS_AN_INCH), []
    for heading, sentences in parts.items():
        lines += [(heading, PALE, "italic")] if sentences else []
        for sentence in sentences:
            told = textwrap.wrap(f"{sentence.text}  [{sentence.mean_logprob:.2f}]", letters, subsequent_indent="   ")
            lines += [(line, INK, "normal") for line in told]
    lines += [("held against the truth", PALE, "italic")] if facts else []
    for state, fact in facts or ():
        mark, color = MARKS[state]
        told = textwrap.wrap(f"{mark} {fact} ({state})", letters, subsequent_indent="   ")
        lines += [(line, color, "normal") for line in told]
    return lines


def write_words(figure: Figure, left: float, top: float, lines: list[tuple[str, str, str]]) -> None:
    """The lines of `word_lines`."""
    for number, (words, color, style) in enumerate(lines):
        write(figure, left, top + LINE * number, words, color, fontstyle=style)


def write_legend(figure: Figure, left: float, statement: str, evidence: str = "", colors="inferno") -> None:
    """The foot: the model's statement, and where evidence is shown, what its colors and the sentences' numbers say."""
    height = figure.get_figheight()
    if statement:
        write(figure, GAP, height - 0.12, statement, PALE, fontsize=8.5, va="bottom")
    if not evidence:
        return
    bar = figure.add_axes((left / WIDTH, 0.52 / height, 1.6 / WIDTH, 0.1 / height))
    figure.colorbar(ScalarMappable(cmap=colors), cax=bar, orientation="horizontal", ticks=[])
    for number, words in enumerate((evidence, CONFIDENCE)):
        write(figure, left + 1.7, height - 0.64 + LINE * number, words, PALE, fontsize=7)


def gray(film: np.ndarray) -> np.ndarray:
    """A film (height, width) as it is, one of three channels as their mean."""
    return film if film.ndim == 2 else film.mean(axis=-1)


def write_title(axes, words: str, score: str = "", letters: int = 40) -> None:
    """Up to three lines of so many letters above a panel, and a score that is never cut."""
    lines = textwrap.wrap(words, letters, max_lines=3, placeholder=" \N{HORIZONTAL ELLIPSIS}")
    if score and len(lines[-1]) + len(score) > letters + SCORE_LETTERS:
        score = "\n" + score.strip()
    axes.set_title("\n".join(lines) + score, fontsize=7.5, loc="left", va="bottom", pad=3, parse_math=False)


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
