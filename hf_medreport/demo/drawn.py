"""Drawn images for the pages: the examples that work at once."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from PIL import Image

from hf_medreport.data.drawn.dicom import film_bytes
from hf_medreport.files.writing import write_whole
from hf_medreport.phantom.chest.findings import Fact
from hf_medreport.phantom.chest.frontal import draw_frontal
from hf_medreport.phantom.chest.lateral import draw_lateral
from hf_medreport.phantom.slide.corpus import SlideCorpus
from hf_medreport.registry import default_model

__all__ = ["Examples", "png_bytes", "write_examples"]

FILM_PX = 512
SLIDE_PX, SLIDE_MPP = 2048, 1.0  # what the shipped model of slides learned from
EXAMPLE_PX, SLIDE_SEEDS = 1024, (3, 5)  # smaller: they are drawn before the page is there
EFFUSION = (Fact("pleural_effusion", "left", severity="moderate"), Fact("pacemaker", "right"))
LARGE_HEART = (Fact("cardiomegaly", severity="severe"), Fact("nodule", "right", "upper", size_mm=30))


@dataclass
class Examples:
    """The first inputs of each tab, an example a row."""

    films: list[list] = field(default_factory=list)
    slides: list[list] = field(default_factory=list)


def write_examples(folder: Path) -> Examples:
    """Draw the examples into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    frontal = draw_frontal(EFFUSION, patient=11, size=FILM_PX)
    films = [_written(folder / "drawn_film.png", png_bytes(frontal.image))]
    pair = [draw(LARGE_HEART, patient=12, size=FILM_PX).image for draw in (draw_frontal, draw_lateral)]
    for pixels, view in zip(pair, ("frontal", "lateral"), strict=True):
        if find_spec("pydicom"):
            content = film_bytes(pixels, "drawn", view, earlier=False, inverted=False, identity="demo")
            films.append(_written(folder / f"drawn_{view}.dcm", content))
        else:
            films.append(_written(folder / f"drawn_{view}.png", png_bytes(pixels)))
    seeds = SLIDE_SEEDS if find_spec("cv2") else ()
    slides = [_written(folder / f"drawn_slide_{seed}.png", _slide(seed)) for seed in seeds]
    return Examples(
        films=[[films[0], None, default_model("film")], [films[1], films[2], default_model("pair")]],
        slides=[[slide, SLIDE_MPP] for slide in slides],
    )


def _slide(seed: int) -> bytes:
    drawing = SlideCorpus(1, seed, EXAMPLE_PX, SLIDE_MPP, "test")[0].drawing
    return png_bytes(drawing.region(0, 0, EXAMPLE_PX, EXAMPLE_PX))


def png_bytes(pixels) -> bytes:
    """A PNG of uint8 pixels."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def _written(path: Path, content: bytes) -> str:
    return str(write_whole(path, lambda part: part.write_bytes(content)))
