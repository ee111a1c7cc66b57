"""A report as a piece of a page: its pictures, its sentences as buttons, and the evidence of the chosen one laid over.

All of it is in the HTML, so that a click asks no server: `STYLE` is that of all pages, `SCRIPT` makes the buttons, the
slider and the boxes work. Every word of a file or a model is escaped.
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from io import BytesIO
from itertools import groupby

import numpy as np
from matplotlib import colormaps
from PIL import Image

from hf_medreport.inference.figures.film import gray
from hf_medreport.inference.report import Report
from hf_medreport.inference.report_pairs import PairReport

__all__ = ["SCRIPT", "STYLE", "Enlarged", "Shown", "film_shown", "pair_shown", "report_view", "waiting"]

LAYER_PX, JPEG_QUALITY = 256, 90
OPACITY = 75  # percent, at first
PRIOR_COLOR = (53, 208, 255)
PAGE = files("hf_medreport.demo") / "page"
SCRIPT, STYLE = ((PAGE / name).read_text("utf-8") for name in ("script.txt", "style.txt"))
MARKS = {"correct": "\N{CHECK MARK}", "wrong": "\N{BALLOT X}", "missed": "?"}
PRIOR = "prior"


@dataclass(frozen=True)
class Enlarged:
    """A tile that spoke for a sentence: uint8 (side, side, 3), and what is said of it."""

    picture: np.ndarray
    words: str


@dataclass(frozen=True)
class Shown:
    """A picture of a report.

    Attributes:
        title: what it is.
        picture: gray values or color, uint8 or in [0, 1].
        layers: what may lie over it, of the same proportions: uint8 (rows, columns, 3 or 4), by the number of the
            sentence, or "prior".
    """

    title: str
    picture: np.ndarray
    layers: dict[int | str, np.ndarray] = field(default_factory=dict)


def film_shown(report: Report) -> list[Shown]:
    """The film with the evidence of each sentence, and the anatomical prior where the model has one."""
    layers = {number: heat(sentence.evidence) for number, sentence in enumerate(report.sentences)}
    if report.prior is not None:
        layers[PRIOR] = tinted(np.asarray(report.prior, np.float32) > 0.5)
    return [Shown(report.film, report.image, layers)]


def pair_shown(report: PairReport) -> list[Shown]:
    """Of each view that was there: what the encoder saw with the evidence, its reconstruction, and the film itself."""
    pictures = []
    for side, view in enumerate(("frontal", "lateral")):
        if view not in report.views:
            continue
        layers = {}
        for number, sentence in enumerate(report.sentences):
            most = float(sentence.evidence.max())  # of both views: one scale for the two
            layers[number] = heat(np.split(sentence.evidence, 2, axis=1)[side], most)
        seen = report.reconstructions[view]
        film = report.image if view == "frontal" else report.lateral_image
        pictures.append(Shown(f"{view} view, as the encoder saw it", seen.seen, layers))
        pictures.append(Shown(f"its reconstruction, SSIM {report.ssim[view]:.3f}", seen.drawn))
        pictures.append(Shown(f"the {view} film", film))
    return pictures


def heat(evidence: np.ndarray, most: float | None = None) -> np.ndarray:
    """A map (rows, columns) of at least 0 as colors, uint8 (rows, columns, 4): the stronger, the more opaque."""
    most = float(evidence.max()) if most is None else most
    strength = np.clip(np.asarray(evidence, np.float32) / max(most, 1e-12), 0, 1)
    small = Image.fromarray(strength).resize((LAYER_PX, LAYER_PX), Image.Resampling.BILINEAR)
    strength = np.asarray(small)
    colors = colormaps["inferno"](strength)
    colors[..., 3] = strength
    return np.rint(colors * 255).astype(np.uint8)


def tinted(mask: np.ndarray) -> np.ndarray:
    """A mask as a color, uint8 (rows, columns, 4), a third opaque."""
    layer = np.zeros((*mask.shape, 4), np.uint8)
    layer[mask] = (*PRIOR_COLOR, 90)
    return layer


def report_view(
    report: Report,
    shown: list[Shown],
    facts: Iterable[tuple[str, str]] | None = None,
    enlarged: dict[int | None, list[Enlarged]] | None = None,
) -> str:
    """The HTML of a report.

    Args:
        report: of any kind.
        shown: its pictures.
        facts: for drawn images, ("correct", "wrong" or "missed", words) a fact.
        enlarged: tiles by the number of the sentence that they spoke for; None as number: for the whole report.
    """
    said, name = [report.label_words, *report.note_lines], report.film
    if isinstance(report, PairReport):
        said, name = [report.classification_words, report.note, *said], report.films
    notes = "".join(f'<p class="mr-note">{escape(line)}</p>' for line in said if line)
    name = escape(name)
    return (
        f'<section class="mr-view" aria-label="Report of {name}" style="--mr-opacity: {OPACITY / 100}">'
        f'<p class="mr-who"><strong>{name}</strong>, reported by <strong>{escape(report.model)}</strong> '
        f"(weights {escape(report.revision)})</p>{notes}"
        f'<div class="mr-columns"><div class="mr-pictures">{_pictures(shown)}{_controls(shown)}</div>'
        f'<div class="mr-words">{_sentences(report)}{_facts(facts)}</div></div>'
        f"{_tiles(enlarged or {})}"
        f'<p class="mr-statement">{escape(report.statement)}</p></section>'
    )


def waiting(words: str, seconds: int) -> str:
    """What stands in a report's place while it is made."""
    return f'<p class="mr-waiting" role="status">{escape(words)} ({seconds} s)</p>'


def image_tag(picture: np.ndarray, alt: str, more: str = "", lossless: bool = False) -> str:
    """An `img` that carries its pixels: JPEG, or PNG for what has an alpha channel or must be kept."""
    if picture.dtype != np.uint8:
        values = np.asarray(picture, np.float32)
        most = float(np.iinfo(picture.dtype).max) if picture.dtype.kind == "u" else 1.0
        picture = np.rint(np.clip(values / most, 0, 1) * 255).astype(np.uint8)
    lossless = lossless or picture.shape[-1] == 4 and picture.ndim == 3
    buffer, kind = BytesIO(), "png" if lossless else "jpeg"
    Image.fromarray(picture).save(buffer, kind, **({} if lossless else {"quality": JPEG_QUALITY}))
    return (
        f'<img src="data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}" alt="{escape(alt)}"{more}>'
    )


def _pictures(shown: list[Shown]) -> str:
    figures = []
    for each in shown:
        base = image_tag(each.picture if each.picture.dtype == np.uint8 else gray(each.picture), each.title)
        layers = [
            image_tag(layer, "", f' class="mr-layer" data-of="{key}"' + " hidden" * (key != 0))
            for key, layer in each.layers.items()
        ]
        stack = "mr-stack" if each.layers else "mr-stack mr-aside"
        figures.append(
            f'<figure class="{stack}"><div class="mr-film">{base}{"".join(layers)}</div>'
            f"<figcaption>{escape(each.title)}</figcaption></figure>"
        )
    return f'<div class="mr-figures">{"".join(figures)}</div>'


def _controls(shown: list[Shown]) -> str:
    prior = any(PRIOR in each.layers for each in shown)
    box = '<label><input type="checkbox" data-shows="prior"> Anatomical prior</label>' if prior else ""
    return (
        '<div class="mr-controls"><label><input type="checkbox" data-shows="evidence" checked> Evidence</label>'
        f'<label>Opacity <input type="range" min="0" max="100" value="{OPACITY}"></label>{box}</div>'
    )


def _sentences(report: Report) -> str:
    """The sections, each sentence a button; how sure the model was of its words stands behind it."""
    if not report.sentences:
        return f'<p class="mr-note">The model wrote: {escape(report.text) or "nothing"}</p>'
    parts = []
    numbered = enumerate(report.sentences)
    for section, sentences in groupby(numbered, key=lambda pair: pair[1].section):
        parts.append(f"<h2>{escape(section.replace('_', ' ').capitalize() or 'Report')}</h2>")
        for number, sentence in sentences:
            pressed = "true" if number == 0 else "false"
            parts.append(
                f'<button type="button" class="mr-sentence" data-sentence="{number}" aria-pressed="{pressed}">'
                f"{escape(sentence.text)} "
                f'<span class="mr-score" title="mean log-probability of its words">'
                f"[{sentence.mean_logprob:.2f}]</span></button>"
            )
    return "".join(parts)


def _facts(facts: Iterable[tuple[str, str]] | None) -> str:
    if facts is None:
        return ""
    rows = [f'<li class="mr-{state}">{MARKS[state]} {escape(words)} ({state})</li>' for state, words in facts]
    listed = f'<ul class="mr-facts">{"".join(rows)}</ul>' if rows else "<p>nothing drawn, nothing stated</p>"
    return f"<h2>Against what was drawn</h2>{listed}"


def _tiles(enlarged: dict[int | None, list[Enlarged]]) -> str:
    parts = []
    for number, tiles in enlarged.items():
        if not tiles:
            continue
        whose = "the report" if number is None else "the chosen sentence"
        figures = "".join(
            f"<figure>{image_tag(tile.picture, tile.words)}<figcaption>{escape(tile.words)}</figcaption></figure>"
            for tile in tiles
        )
        shows = "" if number is None else f' data-tiles-of="{number}"' + " hidden" * (number != 0)
        parts.append(
            f'<div class="mr-tiles"{shows}><h2>Tiles that spoke most for {whose}</h2><div>{figures}</div></div>'
        )
    return "".join(parts)
