"""Drawn images for the pages: the examples that work at once, and the truth beside what was said of it.

A fact is ticked as ("correct", "wrong" or "missed", words).
"""

from collections.abc import Iterable
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
from hf_medreport.phantom.chest.parser import Mention, parse_report
from hf_medreport.phantom.picture.facts import PictureFact
from hf_medreport.phantom.slide.corpus import SlideCorpus
from hf_medreport.phantom.slide.findings import SlideFacts
from hf_medreport.phantom.slide.parser import parse_slide_report
from hf_medreport.registry import default_model

__all__ = ["Examples", "Ticked", "png_bytes", "ticked_film", "ticked_picture", "ticked_slide", "write_examples"]

Ticked = list[tuple[str, str]]
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


def ticked_film(text: str, truth: Iterable[Fact]) -> Ticked:
    """What a report states of a drawn film; compared by kind, side, zone and severity."""
    stated, true = ({one.key: _words(one) for one in facts} for facts in (parse_report(text), truth))
    said = [("correct" if key in true else "wrong", words) for key, words in stated.items()]
    return sorted(said) + [("missed", words) for key, words in true.items() if key not in stated]


def _words(fact: Fact | Mention) -> str:
    return " ".join(part.replace("_", " ") for part in (fact.severity, fact.side, fact.zone, fact.kind) if part)


def ticked_slide(text: str, truth: SlideFacts) -> Ticked:
    """What a report states of a drawn slide, field by field; missed is a field that it does not speak of."""
    stated = parse_slide_report(text)
    said = sorted(("correct" if pair in truth.facts else "wrong", _pair_words(pair)) for pair in stated)
    unsaid = [pair for pair in truth.facts if pair[0] not in dict(stated)]
    return said + sorted(("missed", _pair_words(pair)) for pair in unsaid)


def _pair_words(pair: tuple[str, object]) -> str:
    field, value = pair
    return f"{field.replace('_', ' ')}: {'/'.join(map(str, value)) if field == 'nodes' else value}"


def ticked_picture(truth: PictureFact, seen: dict[str, str]) -> Ticked:
    """What a judge sees of what was asked for."""
    asked = {name: value for name, value in vars(truth).items() if value is not None}
    return [
        ("correct", f"{name}: {value}") if seen[name] == value else ("wrong", f"{name}: {seen[name]}, not {value}")
        for name, value in asked.items()
    ]
