"""Draws an axial brain MRI slice with one finding."""

import numpy as np

from hf_medreport.phantom.picture.canvas import Canvas, Picture, bump, chance, check_style, soft

__all__ = ["draw_mri"]

FLUID, WHITE_MATTER, CORTEX, SCALP, LESION = 0.05, 0.36, 0.52, 0.80, 0.95
PLACE = {"right": -1, "left": 1, None: 0}
LOBE = {"frontal": (0.28, -0.48), "parietal": (0.40, 0.02), "occipital": (0.28, 0.48)}
MASS = {"mild": 0.11, "moderate": 0.17, "severe": 0.25}  # radius
LESIONS = {"mild": 3, "moderate": 8, "severe": 18}
WIDENED = {"mild": 1.5, "moderate": 2.1, "severe": 2.9}  # the ventricles, normal is 1
CLOT = {"mild": 0.07, "moderate": 0.14, "severe": 0.23}  # thickness
# noise, contrast, thickness of the scalp, strength of the coil's shading
LOOKS = {"standard": (0.020, 1.0, 0.06, 0.0), "held_back": (0.050, 0.72, 0.11, 0.22)}


def draw_mri(fact, patient: int, size: int, style: str = "standard") -> Picture:
    """Draw a patient's slice with this `PictureFact`: gray.

    Args:
        fact, patient, size: as of `draw_ct`.
        style: "standard", or "held_back": a thicker scalp, less contrast, more noise, brighter to one side.

    Raises:
        InputError: size out of range, or unknown style.
    """
    check_style(style)
    noise, gain, scalp, shading = LOOKS[style]
    canvas = Canvas(patient, size, turn=0.06, shift=0.02)
    rng = chance(patient, "anatomy")
    half = (rng.uniform(0.72, 0.80), rng.uniform(0.90, 0.96))
    surface = _draw_head(canvas, half, scalp)
    brain = soft(surface, canvas.pixel)
    wide = WIDENED[fact.grade] if fact.finding == "hydrocephalus" else rng.uniform(0.85, 1.1)
    _draw_ventricles(canvas, brain, wide, mask=fact.finding == "hydrocephalus")
    _draw_finding(canvas, fact, brain, surface)
    canvas.values *= 1 + shading * canvas.x
    return canvas.picture(noise, gain)


def _draw_head(canvas: Canvas, half, scalp: float) -> np.ndarray:
    """Scalp, skull, brain and the gap between its halves; returns the brain's surface."""
    head = canvas.inside(0, 0, *half)
    canvas.paint(soft(head, canvas.pixel) * soft(scalp - head, canvas.pixel), SCALP)
    surface = canvas.inside(0, 0, half[0] - scalp - 0.05, half[1] - scalp - 0.05)
    brain = soft(surface, canvas.pixel)
    folds = 0.05 * canvas.clouds("folds", 18)
    canvas.paint(brain, WHITE_MATTER + (CORTEX - WHITE_MATTER) * soft(0.13 - surface + folds, 0.08))
    canvas.paint(0.35 * brain * soft(canvas.clouds("sulci", 24) - 1.2, 0.5) * soft(0.2 - surface, 0.1), FLUID)
    canvas.paint(0.6 * brain * bump(canvas.x, 0.02) * soft(np.abs(canvas.y) - 0.34, 0.1), FLUID)
    return surface


def _draw_ventricles(canvas: Canvas, brain: np.ndarray, wide: float, mask: bool) -> None:
    """The lateral ventricles: two horns each, black."""
    spread = wide**0.5
    for side in (-1, 1):
        front = canvas.inside(side * 0.10 * spread, -0.15, 0.065 * wide, 0.19 * spread, side * 0.35)
        back = canvas.inside(side * 0.12 * spread, 0.17, 0.060 * wide, 0.17 * spread, -side * 0.45)
        canvas.paint(soft(np.maximum(front, back), canvas.pixel) * brain, FLUID, mask=mask)


def _draw_finding(canvas: Canvas, fact, brain: np.ndarray, surface: np.ndarray) -> None:
    rng = chance(canvas.patient, "place")
    right, down = rng.uniform(-0.04, 0.04, 2)
    side = PLACE[fact.side]
    beside = canvas.x * side  # from the midline towards the finding's side
    match fact.finding:
        case "mass":
            away, height = LOBE[fact.zone]
            x, y, radius = side * away + right, height + down, MASS[fact.grade]
            edema = canvas.inside(x, y, 1.6 * radius, 1.5 * radius) + 0.2 * radius * canvas.clouds("edema", 10)
            canvas.paint(0.7 * soft(edema, 0.1) * brain, 0.66)
            rim = canvas.inside(x, y, radius, radius)
            canvas.paint(soft(rim, canvas.pixel) * brain, LESION, mask=True)
            canvas.paint(soft(rim - 0.45 * radius, canvas.pixel) * brain, 0.30)
        case "infarct":
            angle = np.arctan2(canvas.y - 0.05, beside)
            wedge = soft(0.55 - np.abs(angle + 4 * right), 0.12) * soft(beside - 0.18, 0.06)
            canvas.paint(wedge * brain, 0.80 + 0.04 * canvas.clouds("wedge", 20), mask=True)
        case "white matter lesions":
            for _ in range(LESIONS[fact.grade]):
                x, y = rng.choice([-1, 1]) * rng.uniform(0.20, 0.40), rng.uniform(-0.45, 0.45)
                spot = canvas.inside(x, y, *rng.uniform(0.045, 0.07, 2))
                canvas.paint(soft(spot, canvas.pixel) * brain, LESION - 0.04, mask=True)
        case "subdural hematoma":
            crescent = soft(CLOT[fact.grade] - surface, canvas.pixel) * soft(0.62 - np.abs(canvas.y + down), 0.15)
            canvas.paint(crescent * soft(beside - 0.15, 0.08) * brain, LESION, mask=True)
