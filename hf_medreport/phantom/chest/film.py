"""A drawn film and its development: from attenuation to gray values, with noise and a side marker."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from hf_medreport.phantom.chest.anatomy import Style, View, style_named
from hf_medreport.phantom.chest.findings import Fact, check_facts
from hf_medreport.processing.input_error import InputError

__all__ = ["Film", "check_bits", "check_size", "develop", "prepare"]

MIN_SIZE, MAX_SIZE = 32, 4096


@dataclass(frozen=True)
class Film:
    """A film: gray values uint8 or uint16 (size, size), and masks bool (size, size).

    Attributes:
        image: gray values over the whole range of their type, dense tissue bright.
        lungs: the lung fields: what is seen of the pleural cavities beside the heart and above the diaphragm, diseased
            or not.
        heart: the heart's shadow.
        findings: where each fact shows.
    """

    image: np.ndarray
    lungs: np.ndarray
    heart: np.ndarray
    findings: dict[Fact, np.ndarray] = field(default_factory=dict)


def prepare(facts: Iterable[Fact], size: int, style: str, bits: int) -> tuple[tuple[Fact, ...], Style]:
    """The facts and the style, checked with all else that a film is asked to be.

    Raises:
        InputError: size or bits out of range, unknown style, or facts that one film cannot show together.
    """
    check_size(size)
    check_bits(bits)
    facts = tuple(facts)
    check_facts(facts)
    return facts, style_named(style)


def check_size(size: int) -> None:
    """Raise InputError unless a film of this side can be drawn."""
    if not isinstance(size, int | np.integer) or not MIN_SIZE <= size <= MAX_SIZE:
        raise InputError("size", f"{size} px", f"{MIN_SIZE} to {MAX_SIZE} px", "choose a side in that range")


def check_bits(bits: int) -> None:
    """Raise InputError unless gray values can have so many bits."""
    if bits not in (8, 16):
        raise InputError("bits", str(bits), "8 or 16", "choose one of the two")


def develop(attenuation: np.ndarray, view: View, style: Style, rng: np.random.Generator, bits: int) -> np.ndarray:
    """Attenuation (size, size) to gray values: film curve, fog, noise and the side marker.

    Returns:
        uint8 (size, size) for 8 bits, uint16 for 16.
    """
    size = len(attenuation)
    place = (np.arange(size, dtype=np.float32) + 0.5) / size
    fog = style.scatter * place[:, None] + np.float32(rng.uniform(-0.08, 0.08)) * (place[None, :] - 0.5)
    film = 1.0 / (1.0 + np.exp(-view.contrast * (attenuation + fog - view.exposure)))
    noise = gaussian_filter(rng.standard_normal((size, size), dtype=np.float32), style.grain)
    film = film + view.noise * (1.0 + style.grain) * noise
    film = np.maximum(film, _marker(size, style.marker, top=rng.uniform(0.03, 0.08)))
    return (np.clip(film, 0.0, 1.0) * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)


def _marker(size: int, letter: str, top: float) -> np.ndarray:
    """The letter in lead, at its side of the patient: L stands on the image's right."""
    canvas = Image.new("L", (size, size))
    font = ImageFont.load_default(max(6, round(0.07 * size)))
    left = 0.89 if letter == "L" else 0.06
    ImageDraw.Draw(canvas).text((round(left * size), round(top * size)), letter, fill=245, font=font)
    return np.asarray(canvas, dtype=np.float32) / 255.0
