"""Draws an OCT B-scan of the macula with one finding."""

from dataclasses import dataclass

import numpy as np

from hf_medreport.phantom.picture.canvas import Canvas, Picture, bump, chance, check_style, soft

__all__ = ["draw_oct"]

FLUID = 0.04
PIGMENT = 0.035  # half the thickness of the pigment epithelium
NOSE = {"right": 1, "left": -1}  # where it is on the picture
DRUSEN = {"mild": (2, 0.07), "moderate": (4, 0.10), "severe": (7, 0.13)}  # how many, how high
SWELLING = {"mild": (2, 0.05), "moderate": (5, 0.14), "severe": (10, 0.25)}  # cysts, how much thicker
DETACHMENT = {"mild": (0.32, 0.12), "moderate": (0.48, 0.22), "severe": (0.66, 0.34)}  # half its width, its height
# speckle, noise, how far the retina bends
LOOKS = {"standard": (0.18, 0.03, (-0.02, 0.15)), "held_back": (0.34, 0.06, (-0.22, -0.10))}


@dataclass(frozen=True)
class Retina:
    """The surfaces of one retina, heights y over the picture's x: its top, its bottom, the pigment epithelium and what
    lies under it. `center` is the fovea's x."""

    top: np.ndarray
    bottom: np.ndarray
    pigment: np.ndarray
    floor: np.ndarray
    center: float

    @property
    def depth(self) -> np.ndarray:
        return np.maximum(self.bottom - self.top, 0.05)


def draw_oct(fact, patient: int, size: int, style: str = "standard") -> Picture:
    """Draw a patient's scan with this `PictureFact`: gray.

    Args:
        fact, patient, size: as of `draw_ct`.
        style: "standard", or "held_back": a retina that bends the other way, more speckle and noise.

    Raises:
        InputError: size out of range, or unknown style.
    """
    check_style(style)
    speckle, noise, bend = LOOKS[style]
    canvas = Canvas(patient, size, turn=0.04, shift=0.02)
    retina = _lay_out(canvas, fact, bend)
    nasal = canvas.x * NOSE[fact.side]
    inside = _draw_layers(canvas, retina, nasal)
    _draw_finding(canvas, fact, retina, inside)
    _draw_below(canvas, retina)
    canvas.values *= 1 - speckle + speckle * chance(patient, "speckle").rayleigh(0.8, canvas.values.shape)
    return canvas.picture(noise)


def _lay_out(canvas: Canvas, fact, bend) -> Retina:
    """Where the surfaces are, moved by what the finding lifts."""
    rng, x = chance(canvas.patient, "anatomy"), canvas.x
    nasal = x * NOSE[fact.side]
    floor = 0.26 + rng.uniform(-0.08, 0.08) + rng.uniform(*bend) * x**2
    thick = 0.52 + 0.08 * np.clip(nasal, -1, 1) + 0.20 * np.clip(nasal - 0.3, 0, 1)
    pit = 0.26 * bump(x, 0.22)
    center = float(rng.uniform(-0.06, 0.06))
    lift, pigment = np.zeros_like(x), floor.copy()
    match fact.finding:
        case "cystoid edema":
            _, more = SWELLING[fact.grade]
            thick = thick + more * bump(x - center, 0.45)
            pit = pit * (1 - more / 0.25)
        case "subretinal fluid":
            half, height = DETACHMENT[fact.grade]
            lift = height * np.clip(1 - ((x - center) / half) ** 2, 0, 1)
        case "epiretinal membrane":
            pit = 0.3 * pit + 0.025 * np.sin(26 * x + rng.uniform(0, 6))
        case "drusen":
            number, height = DRUSEN[fact.grade]
            for place in np.linspace(-0.75, 0.75, number) + rng.uniform(-0.09, 0.09, number):
                pigment = pigment - height * rng.uniform(0.8, 1.1) * bump(x - place, rng.uniform(0.06, 0.09))
    return Retina(floor - thick + pit - lift, floor - lift, pigment, floor, center)


def _draw_layers(canvas: Canvas, retina: Retina, nasal: np.ndarray) -> np.ndarray:
    """The layers between the surfaces; returns where the retina is, 0 to 1."""
    below = canvas.y - retina.top
    inside = soft(below, canvas.pixel) * soft(np.minimum(retina.bottom, retina.pigment) - canvas.y, canvas.pixel)
    depth = below / retina.depth
    layers = 0.38 + 0.22 * bump(depth - 0.45, 0.09) - 0.14 * bump(depth - 0.75, 0.10) - 0.12 * bump(depth - 0.28, 0.06)
    fibers = np.exp(-np.clip(below, 0, 1) / (0.02 + 0.06 * np.clip(nasal + 0.3, 0, 1.3)))
    canvas.paint(inside, layers + 0.38 * fibers)
    return inside


def _draw_finding(canvas: Canvas, fact, retina: Retina, inside: np.ndarray) -> None:
    rng, x, y, edge = chance(canvas.patient, "place"), canvas.x, canvas.y, canvas.pixel
    match fact.finding:
        case "drusen":
            canvas.mask = soft(y - retina.pigment, edge) * soft(retina.floor - y - 0.02, edge)
        case "cystoid edema":
            number, _ = SWELLING[fact.grade]
            middle = float(np.mean(retina.floor))
            for _ in range(number):
                place = retina.center + rng.normal(0, 0.18), middle - rng.uniform(0.12, 0.34)
                cyst = canvas.inside(*place, rng.uniform(0.06, 0.11), rng.uniform(0.045, 0.08))
                canvas.paint(soft(cyst, edge) * inside, FLUID, mask=True)
        case "subretinal fluid":
            canvas.paint(soft(y - retina.bottom, edge) * soft(retina.pigment - PIGMENT - y, edge), FLUID, mask=True)
        case "epiretinal membrane":
            canvas.paint(bump(y - retina.top + 0.015, 0.028), 0.95, mask=True)
        case "macular hole":
            half = 0.11 + 0.06 * np.abs((y - retina.top) / retina.depth - 0.5)
            gap = soft(half - np.abs(x - retina.center), edge) * soft(y - retina.top + 0.1, edge)
            canvas.paint(gap * soft(retina.pigment - y, edge), 0.03, mask=True)


def _draw_below(canvas: Canvas, retina: Retina) -> None:
    """Pigment epithelium, and the choroid that fades below it."""
    deep = canvas.y - retina.floor
    choroid = 0.42 * np.exp(-np.clip(deep, 0, 2) / 0.22) * (0.85 + 0.25 * canvas.clouds("choroid", 24))
    canvas.paint(soft(deep - 0.03, canvas.pixel), choroid)
    canvas.paint(bump(canvas.y - retina.pigment, PIGMENT), 0.95)
