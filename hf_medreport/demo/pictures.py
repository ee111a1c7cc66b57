"""Pictures of a generator as a piece of a page: each marked as synthetic, and what a judge sees on it."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from hf_medreport.demo.drawn import Ticked
from hf_medreport.demo.models import Models
from hf_medreport.demo.view import MARKS, image_tag
from hf_medreport.inference.asked_pictures import AskedPicture
from hf_medreport.inference.figures.synthetic import marked
from hf_medreport.inference.report import Failure
from hf_medreport.inference.synthesize import STATEMENT, synthesize
from hf_medreport.processing.input_error import InputError

__all__ = ["Drawn", "draw_asked", "grid", "judged", "shown_marked"]

LARGE_ENOUGH_PX = 256  # a smaller picture is enlarged by a whole number before the mark is written into it


def draw_asked(models: Models, model: str, asked: list[AskedPicture], **options) -> list[Image.Image]:
    """Draw pictures.

    Args:
        model: a generator's name.
        options: of the generator's call, such as `guidance_scale`.

    Raises:
        InputError: no such generator, or one of the pictures cannot be drawn.
    """
    if model not in models.of("prompt"):
        raise InputError("model", f"'{model}'", ", ".join(models.of("prompt")), "choose one of these")
    pipe, _ = models.generator(model)
    drawn = list(synthesize(asked, pipe, **options))
    for each in drawn:
        if isinstance(each, Failure):
            raise InputError("prompt", each.message, "a prompt that the model can draw", "correct it")
    return drawn


def judged(models: Models, pictures: Iterable[Image.Image]) -> list[dict[str, str]]:
    """What the judge sees on each: {"modality", "finding", "side", "zone", "grade"}."""
    size = models.judge.size
    fitted = [each.convert("RGB").resize((size, size), Image.Resampling.BOX) for each in pictures]
    return models.judge.look(np.stack([np.asarray(each) for each in fitted])).answers


def shown_marked(picture: Image.Image) -> Image.Image:
    """A picture large enough to be looked at, with the word SYNTHETIC in its corner."""
    times = max(1, -(-LARGE_ENOUGH_PX // max(picture.size)))
    size = [side * times for side in picture.size]
    return marked(picture.convert("RGB").resize(size, Image.Resampling.NEAREST))


@dataclass(frozen=True)
class Drawn:
    """A picture of a grid.

    Attributes:
        pixels: as it is shown.
        title: what it is.
        lines: what stands below it, words or facts with their ticks.
        file: the PNG to download; None: there is no link.
    """

    pixels: np.ndarray
    title: str
    lines: list[str] | Ticked
    file: Path | None = None


def grid(drawn: Iterable[Drawn]) -> str:
    """The HTML of pictures; a file to download lies in its link."""
    figures = []
    for each in drawn:
        listed, link = "".join(map(_line, each.lines)), ""
        if each.file is not None:
            content = base64.b64encode(each.file.read_bytes()).decode()
            name = escape(each.file.name)
            link = f'<a download="{name}" href="data:image/png;base64,{content}">Download {name}</a>'
        figures.append(
            f"<figure>{image_tag(each.pixels, each.title, lossless=True)}"
            f'<figcaption><strong>{escape(each.title)}</strong><ul class="mr-facts">{listed}</ul>{link}</figcaption>'
            "</figure>"
        )
    return (
        f'<section class="mr-view" aria-label="Pictures"><div class="mr-synthetic">{"".join(figures)}</div>'
        f'<p class="mr-statement">{escape(STATEMENT)}. The judge learned from drawn pictures alone.</p></section>'
    )


def _line(line: str | tuple[str, str]) -> str:
    if isinstance(line, str):
        return f"<li>{escape(line)}</li>"
    state, words = line
    return f'<li class="mr-{state}">{MARKS[state]} {escape(words)} ({state})</li>'
