"""Draws a fundus photograph with one finding."""

import numpy as np

from hf_medreport.phantom.picture.canvas import Canvas, Picture, bump, chance, check_style, soft

__all__ = ["draw_fundus"]

VESSEL, DISC, CUP = (0.50, 0.10, 0.09), (0.98, 0.82, 0.50), (1.0, 0.97, 0.86)
NOSE = {"right": 1, "left": -1}  # where it is on the picture
HALF = {"superior": -1, "inferior": 1}
CUPPING = {"mild": 0.080, "moderate": 0.125, "severe": 0.175}  # radius of the cup; the disc's is 0.19
# finding: how many by grade, radius, color, softness of the edge, (height, spread across, spread down) of the places
SPOTS = {
    "hemorrhages": ((3, 8, 18), 0.058, (0.38, 0.04, 0.05), None, (0.42, 0.50, 0.24)),
    "hard exudates": ((4, 11, 26), 0.042, (0.99, 0.92, 0.42), None, (0.32, 0.40, 0.18)),
    "cotton wool spots": ((4, 4, 4), 0.100, (0.97, 0.90, 0.82), 0.12, (0.42, 0.42, 0.18)),
    "drusen": ((6, 16, 34), 0.034, (0.97, 0.80, 0.45), None, (0.0, 0.34, 0.30)),
}
# noise, the retina's color, how much darker the rim is
LOOKS = {"standard": (0.012, (0.86, 0.42, 0.26), 0.25), "held_back": (0.030, (0.72, 0.30, 0.12), 0.50)}


def draw_fundus(fact, patient: int, size: int, style: str = "standard") -> Picture:
    """Draw a patient's photograph with this `PictureFact`: color.

    Args:
        fact, patient, size: as of `draw_ct`.
        style: "standard", or "held_back": a darker retina, a darker rim, more noise.

    Raises:
        InputError: size out of range, or unknown style.
    """
    check_style(style)
    noise, color, rim = LOOKS[style]
    canvas = Canvas(patient, size, turn=0.04, shift=0.02, channels=3)
    rng = chance(patient, "anatomy")
    nose = NOSE[fact.side]
    disc = (nose * (0.62 + rng.normal(0, 0.02)), rng.normal(0, 0.03))
    radius = np.hypot(canvas.x, canvas.y)
    light = 1.02 - rim * radius**2 + 0.03 * canvas.clouds("choroid", 20)
    canvas.values[:] = (np.asarray(color) + rng.normal(0, 0.02, 3))[:, None, None] * light
    canvas.values *= 1 - 0.40 * bump(np.hypot(canvas.x + nose * 0.06, canvas.y), 0.16)  # the macula
    _draw_vessels(canvas, rng, disc, nose)
    canvas.paint(soft(canvas.inside(*disc, 0.180, 0.200), canvas.pixel), DISC)
    cupped = fact.finding == "optic disc cupping"
    cup = CUPPING[fact.grade] if cupped else rng.uniform(0.035, 0.050)
    canvas.paint(soft(canvas.inside(*disc, cup, 1.1 * cup), canvas.pixel), CUP, mask=cupped)
    if fact.finding in SPOTS:
        _draw_spots(canvas, fact, disc, nose)
    canvas.values *= soft(0.97 - radius, 1.5 * canvas.pixel)
    return canvas.picture(noise)


def _draw_vessels(canvas: Canvas, rng, disc, nose: int) -> None:
    """Two arcades above and two below, which leave the disc toward the temple, and short ones toward the nose."""
    away = np.clip((disc[0] - canvas.x) * nose, 0, 2)  # from the disc toward the temple
    for half in (-1, 1):
        for reach, width, closes in ((0.55, 0.030, 0.16), (0.32, 0.018, 0.0)):
            bow = 1.35 * reach * (1 + rng.normal(0, 0.06)) * np.sqrt(away / (0.35 + away)) - closes * away**2
            wave = 0.02 * np.sin(9 * canvas.x + rng.uniform(0, 6))
            line = soft(width * (1 - 0.3 * away) - np.abs(canvas.y - disc[1] - half * bow - wave), canvas.pixel)
            canvas.paint(0.75 * line * (away > 0), VESSEL)
        down = canvas.y - disc[1]
        line = soft(0.016 - np.abs((canvas.x - disc[0]) * nose - 0.5 * np.abs(down) ** 1.2), canvas.pixel)
        canvas.paint(0.6 * line * soft(half * down, 0.05), VESSEL)


def _draw_spots(canvas: Canvas, fact, disc, nose: int) -> None:
    """So many spots as the grade says, in the half of the retina that the zone says, none on the disc."""
    numbers, radius, color, blur, (height, across, down) = SPOTS[fact.finding]
    rng = chance(canvas.patient, "place")
    grades = fact.row.grades
    left = numbers[grades.index(fact.grade)] if grades else numbers[0]
    x, y = -nose * (0.15 if height else 0.06), height * HALF.get(fact.zone, 0)
    spots = np.zeros_like(canvas.x)
    while left:
        place = x + rng.uniform(-across, across), y + rng.uniform(-down, down)
        if np.hypot(place[0] - disc[0], place[1] - disc[1]) < 0.28:
            continue
        spot = canvas.inside(*place, *(radius * rng.uniform(0.75, 1.3, 2)))
        spots = np.maximum(spots, soft(spot, blur or canvas.pixel))
        left -= 1
    canvas.paint(spots, color, mask=True)
