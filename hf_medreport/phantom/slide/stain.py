"""From the amount of stain to the color that a scanner sees: Beer-Lambert, as in Ruifrok and Johnston (2001).

A `Look` is what differs from slide to slide: the stains' absorption, the thickness of the section, the scanner.
"""

from dataclasses import dataclass

import numpy as np

from hf_medreport.phantom.slide.chance import numbers
from hf_medreport.processing.input_error import InputError

__all__ = ["INKS", "PENS", "STYLES", "Look", "colors_of", "look_of"]


@dataclass(frozen=True)
class Look:
    """Optical density of (red, green, blue) at full stain, and the scanner: glass, blur in px, noise in gray levels."""

    haematoxylin: tuple[float, float, float]
    eosin: tuple[float, float, float]
    glass: tuple[float, float, float] = (243, 243, 244)
    blur: float = 0.6
    noise: float = 1.2


STYLES = {
    "standard": Look((1.45, 1.65, 0.78), (0.13, 1.0, 0.52)),
    "held_back": Look((1.9, 1.75, 0.72), (0.16, 1.05, 1.02), (236, 238, 231), 1.0, 5.0),
}
# What ink on the tissue's edge and pen strokes on the glass let through of (red, green, blue).
INKS = np.array([(0.12, 0.17, 0.42), (0.1, 0.1, 0.11)])
PENS = np.array([(0.08, 0.6, 0.48), (0.16, 0.3, 0.75), (0.12, 0.12, 0.14)])


def look_of(style: str, seed: int) -> Look:
    """The look of one patient's slide: no two baths of stain are equal.

    Raises:
        InputError: unknown style.
    """
    if style not in STYLES:
        raise InputError("style", repr(style), "one of " + ", ".join(STYLES), "name a known style")
    base, chance = STYLES[style], numbers(seed, 5, 5, 8)
    more = 0.86 + 0.28 * chance[:2]
    shade = 1 + 0.12 * (chance[2:8].reshape(2, 3) - 0.5)
    stains = np.array([base.haematoxylin, base.eosin]) * shade * more[:, None]
    return Look(tuple(stains[0]), tuple(stains[1]), base.glass, base.blur, base.noise)


def colors_of(look: Look) -> np.ndarray:
    """Colors uint8 (65,536, 3) by 256 x eosin + haematoxylin."""
    amount = np.arange(256) / 255
    eosin, haematoxylin = np.meshgrid(amount, amount, indexing="ij")
    density = haematoxylin[..., None] * look.haematoxylin + eosin[..., None] * look.eosin
    return np.round(look.glass * np.exp(-density)).astype(np.uint8).reshape(-1, 3)
