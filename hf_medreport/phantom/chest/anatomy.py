"""One phantom patient: the body's measures, how a visit poses and exposes it, and the style of the films.

Lengths are in film sides; a film shows `FILM_MM` millimeters. Pairs of numbers are (patient's right, patient's left).
A patient is a whole number: anatomy and places follow from it alone, pose and exposure from it and the visit.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from hf_medreport.phantom.chest.findings import SIDES, Fact
from hf_medreport.processing.input_error import InputError

__all__ = [
    "FILM_MM",
    "STYLES",
    "Anatomy",
    "Style",
    "View",
    "bump",
    "chance",
    "draw_anatomy",
    "draw_view",
    "smooth_noise",
]
__all__ += ["soft", "style_named"]

FILM_MM = 400  # what a film's side measures in the patient


@dataclass(frozen=True)
class Style:
    """How films are taken and of whom: each pair is a range from which a patient's or a visit's value is drawn."""

    contrast: tuple[float, float]
    exposure: tuple[float, float]
    noise: tuple[float, float]
    grain: float  # blur of the noise, pixels
    rib_spacing: tuple[float, float]
    rib_slope: tuple[float, float]
    half_width: tuple[float, float]  # of the chest inside the ribs
    flank: tuple[float, float]  # soft tissue outside the ribs
    marker: str  # side marker at its side of the film
    scatter: float  # fog from the bottom of the film


STYLES = {
    "standard": Style(
        contrast=(3.2, 4.2),
        exposure=(0.50, 0.64),
        noise=(0.008, 0.020),
        grain=0.5,
        rib_spacing=(0.064, 0.074),
        rib_slope=(0.07, 0.12),
        half_width=(0.355, 0.405),
        flank=(0.040, 0.080),
        marker="L",
        scatter=0.0,
    ),
    "held_back": Style(
        contrast=(2.0, 2.7),
        exposure=(0.50, 0.66),
        noise=(0.025, 0.040),
        grain=0.9,
        rib_spacing=(0.082, 0.094),
        rib_slope=(0.15, 0.20),
        half_width=(0.315, 0.345),
        flank=(0.085, 0.125),
        marker="R",
        scatter=0.25,
    ),
}

ANATOMY_RANGES = {
    "apex": (0.09, 0.15),
    "dome_right": (0.65, 0.73),
    "dome_drop_left": (0.01, 0.03),  # the left dome stands lower
    "angle_depth": (0.10, 0.14),  # of the costophrenic angle below the dome
    "mediastinum": (0.058, 0.072),
    "heart_top": (0.39, 0.43),
    "heart_share_left": (0.63, 0.68),
    "knob": (0.080, 0.092),  # how far the aortic arch reaches to the left
    "spine": (0.034, 0.042),
    "trachea": (0.016, 0.021),
    "rib_phase": (0.0, 1.0),
    "clavicle_rise": (0.04, 0.09),
    "shoulder": (-0.07, 0.0),  # height at which the shoulders leave the neck
    "breast": (-0.12, 0.12),
    "gas": (-0.02, 0.045),
    "bone": (0.8, 1.15),
    "depth": (0.27, 0.33),  # half of the chest from front to back, for the lateral film
}

VIEW_RANGES = {
    "tilt": (-0.045, 0.045),  # radians, about the middle of the film
    "midline": (0.48, 0.52),
    "twist": (-0.012, 0.012),  # rotation: shifts the front of the chest against the spine
}

RAISED_DOME = (0.105, 0.130)
LOWERED_DOME = (0.070, 0.090)
HEART_DIPS = 0.07  # below the lower dome
FLAT_ANGLE = 0.35  # of the costophrenic angle's depth, in overexpanded lungs


@dataclass(frozen=True)
class Anatomy:
    """One patient's chest, see `ANATOMY_RANGES` and `Style`; `domes` are the heights of the diaphragm's summits."""

    apex: float
    domes: tuple[float, float]
    angle_depth: float
    mediastinum: float
    heart_top: float
    heart_floor: float
    heart_share_left: float
    knob: float
    spine: float
    trachea: float
    rib_phase: float
    clavicle_rise: float
    shoulder: float
    breast: float
    gas: float
    bone: float
    depth: float
    rib_spacing: float
    rib_slope: float
    half_width: float
    flank: float


@dataclass(frozen=True)
class View:
    """How a visit's film was taken, see `VIEW_RANGES` and `Style`."""

    tilt: float
    midline: float
    twist: float
    contrast: float
    exposure: float
    noise: float


def style_named(name: str) -> Style:
    """The style; raises InputError for an unknown name."""
    if name not in STYLES:
        raise InputError("style", repr(name), " or ".join(STYLES), "name one of the two")
    return STYLES[name]


def chance(*names: int | str) -> np.random.Generator:
    """A source of chance of its own for each sequence of numbers and words."""
    return np.random.default_rng([int.from_bytes(n.encode(), "big") if isinstance(n, str) else n for n in names])


def draw_anatomy(patient: int, style: Style, facts: tuple[Fact, ...] = ()) -> Anatomy:
    """The patient's chest, with the diaphragm where overexpanded lungs or an elevation put it."""
    ranges = ANATOMY_RANGES | {
        name: getattr(style, name) for name in ("rib_spacing", "rib_slope", "half_width", "flank")
    }
    rng = chance(patient, "anatomy")
    measures = {name: float(rng.uniform(*bounds)) for name, bounds in ranges.items()}
    domes = np.array([0.0, measures.pop("dome_drop_left")]) + measures.pop("dome_right")
    rise, fall = rng.uniform(*RAISED_DOME), rng.uniform(*LOWERED_DOME)
    raised = {fact.side for fact in facts if fact.kind == "elevated_diaphragm"}
    if any(fact.kind == "hyperinflation" for fact in facts):
        domes += fall
        measures["angle_depth"] *= FLAT_ANGLE
    heart_floor = float(domes.max()) + HEART_DIPS  # one raised dome does not lift the heart
    right, left = (float(dome) - (rise if side in raised else 0.0) for side, dome in zip(SIDES, domes, strict=True))
    return Anatomy(domes=(right, left), heart_floor=heart_floor, **measures)


def draw_view(patient: int, visit: int, style: Style) -> View:
    """Pose and exposure of one visit."""
    ranges = VIEW_RANGES | {name: getattr(style, name) for name in ("contrast", "exposure", "noise")}
    rng = chance(patient, "view", visit)
    return View(**{name: float(rng.uniform(*bounds)) for name, bounds in ranges.items()})


def soft(distance: np.ndarray, width: float) -> np.ndarray:
    """A ramp from 0 to 1 of the given width, centered on distance 0."""
    return np.clip(distance / width + 0.5, 0.0, 1.0)


def bump(distance: np.ndarray, width: float) -> np.ndarray:
    """A Gaussian bell, 1 at distance 0, 1/e at the width."""
    return np.exp(-np.square(distance / width))


def smooth_noise(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """Clouds with about `cells` lumps across, mean 0, standard deviation near 1, the same at every size."""
    coarse = Image.fromarray(rng.standard_normal((cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))
