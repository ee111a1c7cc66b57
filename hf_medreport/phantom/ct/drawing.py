"""Draws an axial chest CT slice with one finding."""

import numpy as np

from hf_medreport.phantom.picture.canvas import Canvas, Picture, bump, chance, check_style, soft

__all__ = ["draw_ct"]

AIR, LUNG, FAT, MUSCLE, BLOOD, BONE = 0.0, 0.20, 0.36, 0.52, 0.66, 0.95
PLACE = {"right": -1, "left": 1, None: 0}  # of the patient's sides on the picture
DEPTH = {"anterior": -0.27, "posterior": 0.30}
NODULE = {"mild": 0.085, "moderate": 0.135, "severe": 0.20}  # radius
FLUID = {"mild": 0.34, "moderate": 0.18, "severe": -0.02}  # height of its level
FREE_AIR = {"mild": -0.30, "moderate": -0.14, "severe": 0.06}  # how far down it reaches
HOLES = {"mild": 0.9, "moderate": 0.3, "severe": -0.4}  # what the clouds must exceed
# noise, contrast, half axes of the body, thickness of the fat
LOOKS = {
    "standard": (0.015, 1.0, ((0.90, 0.97), (0.74, 0.82)), (0.04, 0.08)),
    "held_back": (0.045, 0.75, ((0.82, 0.88), (0.78, 0.86)), (0.10, 0.14)),
}


def draw_ct(fact, patient: int, size: int, style: str = "standard") -> Picture:
    """Draw a patient's slice with this `PictureFact`: gray.

    Args:
        fact: what it shows.
        patient: a whole number from 0; the anatomy follows from it alone.
        size: side in px, 32 to 1024.
        style: "standard", or "held_back": a stouter patient, a flatter window, more noise.

    Raises:
        InputError: size out of range, or unknown style.
    """
    check_style(style)
    noise, gain, ranges, fat = LOOKS[style]
    canvas = Canvas(patient, size, turn=0.04, shift=0.02)
    rng = chance(patient, "anatomy")
    body = (rng.uniform(*ranges[0]), rng.uniform(*ranges[1]))
    lungs = _draw_chest(canvas, rng, body, rng.uniform(*fat), fact)
    if fact.side:
        _draw_finding(canvas, fact, soft(lungs[fact.side], canvas.pixel))
    return canvas.picture(noise, gain)


def _draw_chest(canvas: Canvas, rng, body, fat: float, fact) -> dict[str, np.ndarray]:
    """Body wall, lungs, heart, great vessel, spine and ribs; returns the surfaces of the two lungs."""
    width, height = body
    skin = canvas.inside(0, 0, width, height)
    canvas.paint(soft(skin, canvas.pixel), FAT)
    canvas.paint(soft(skin - fat, canvas.pixel), MUSCLE + 0.02 * canvas.clouds("muscle", 20))
    wall = fat + 0.12
    heart = canvas.inside(0.14, -0.12, rng.uniform(0.25, 0.31), rng.uniform(0.22, 0.27), 0.5)
    spine = canvas.inside(0, height - wall - 0.17, 0.17, 0.15)
    lungs = {}
    for side in ("right", "left"):
        half, place = (width - wall) * rng.uniform(0.41, 0.45), PLACE[side]
        lung = canvas.inside(place * (width - wall - half), 0.0, half, (height - wall) * 0.94, -place * 0.10)
        lungs[side] = np.minimum(np.minimum(lung, -heart - 0.015), -spine)
    air = soft(np.maximum(lungs["right"], lungs["left"]), canvas.pixel)
    canvas.paint(air, LUNG + 0.30 * np.clip(canvas.clouds("vessels", 26) - 1.0, 0, 1.2))
    if fact.finding == "emphysema":
        holes = soft(canvas.clouds("holes", 11) - HOLES[fact.grade], 0.3) * air
        canvas.paint(holes, AIR, mask=True)
    canvas.paint(soft(heart, canvas.pixel), BLOOD - 0.06)
    canvas.paint(0.6 * soft(canvas.inside(0.18, -0.11, 0.15, 0.12, 0.5), 0.1), BLOOD + 0.14)
    canvas.paint(soft(spine, canvas.pixel), BONE - 0.12 + 0.05 * canvas.clouds("bone", 24))
    canvas.paint(soft(canvas.inside(0, height - wall + 0.02, 0.05, 0.10), canvas.pixel), BONE)
    canvas.paint(soft(canvas.inside(0.17, height - wall - 0.30, 0.085, 0.085), canvas.pixel), BLOOD + 0.14)
    _draw_ribs(canvas, rng, width - fat - 0.06, height - fat - 0.06)
    return lungs


def _draw_ribs(canvas: Canvas, rng, width: float, height: float) -> None:
    """Ribs cut by the slice, as pieces of a ring, and the sternum."""
    angle = np.arctan2(canvas.y / height, canvas.x / width)
    pieces = soft(np.cos(13 * angle + rng.uniform(0, 6)) - 0.25, 0.3)
    ring = soft(0.035 - np.abs(canvas.inside(0, 0, width, height)), canvas.pixel)
    away = soft(0.9 * height - canvas.y, 0.1)  # the spine is there
    canvas.paint(ring * pieces * away, BONE)
    canvas.paint(soft(canvas.inside(0, -height + 0.01, 0.12, 0.04), canvas.pixel), BONE - 0.1)


def _draw_finding(canvas: Canvas, fact, lung: np.ndarray) -> None:
    """What one lung shows; `lung` is where it is, 0 to 1."""
    right, down = chance(canvas.patient, "place").uniform(-0.05, 0.05, 2)
    place = PLACE[fact.side] * 0.48 + right
    match fact.finding:
        case "nodule":
            radius = NODULE[fact.grade]
            ball = canvas.inside(place, DEPTH[fact.zone] + down, radius, radius)
            ball = ball + 0.15 * radius * canvas.clouds("edge", 9)
            canvas.paint(soft(ball, canvas.pixel) * lung, BLOOD + 0.04, mask=True)
        case "consolidation":
            patch = canvas.inside(place, 1.1 * DEPTH[fact.zone] + down, 0.30, 0.24) + 0.06 * canvas.clouds("edge", 9)
            canvas.paint(soft(patch, 0.10) * lung, MUSCLE + 0.07 * canvas.clouds("patch", 22), mask=True)
        case "pleural effusion":
            level = FLUID[fact.grade] + 0.5 * down
            meniscus = 1.1 * (np.abs(canvas.x) - 0.42) ** 2  # fluid climbs along the wall
            canvas.paint(soft(canvas.y - level + meniscus, 0.05) * lung, MUSCLE + 0.03, mask=True)
        case "pneumothorax":
            level = FREE_AIR[fact.grade] + 0.5 * down
            canvas.paint(soft(level - canvas.y, canvas.pixel) * lung, AIR, mask=True)
            canvas.paint(0.7 * bump(canvas.y - level, 0.03) * lung, MUSCLE)  # the collapsed lung's edge
