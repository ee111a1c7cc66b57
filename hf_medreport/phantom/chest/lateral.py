"""Draws the lateral chest film of a patient: the same heights as on the frontal film, seen from the side.

A left lateral: the patient's left side is at the film and the patient faces the image's LEFT, so the sternum is on
the left and the spine on the right. The lungs lie one over the other, and a finding in one of them changes only its
share of the air. As on the frontal film, tissue adds to a map of attenuation, air takes from it, and a film curve
turns the sum into gray values.

What it cannot tell: the side of a finding in one lung, but for the height of its half of the diaphragm; a finding in
the upper zone lies under the shoulders; a scoliosis only turns vertebrae and parts the ribs.

Coordinates: lengths are in film sides; z runs from the patient's front to the back and y down, both 0 to 1. Pairs are
(patient's right, patient's left).
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from hf_medreport.phantom.chest.anatomy import (
    bump,
    chance,
    draw_anatomy,
    draw_view,
    smooth_noise,
    soft,
)
from hf_medreport.phantom.chest.film import Film, develop, prepare
from hf_medreport.phantom.chest.findings import Fact
from hf_medreport.phantom.chest.frontal_chest import CURVE_LENGTH, CURVE_SUMMIT
from hf_medreport.phantom.chest.lateral_chest import LateralChest
from hf_medreport.phantom.chest.lateral_findings import Tissue, draw_findings

__all__ = ["draw_lateral"]

VERTEBRA = 0.052  # height of a vertebral body with its disc
CARINA = 0.42  # height at which the trachea forks


def draw_lateral(
    facts: Iterable[Fact], patient: int, size: int, style: str = "standard", visit: int = 0, bits: int = 8
) -> Film:
    """Draw a patient's left lateral film showing the facts; the patient faces the image's left.

    The patient is that of `draw_frontal`: heights agree on both films. How far to the front a finding lies follows
    from the patient, its kind and its side.

    Args:
        facts: the findings, none contradicting or hiding another.
        patient: a whole number from 0: who it is.
        size: side of the film in pixels, 32 to 4096.
        style: "standard", or "held_back" for a look that training never shows.
        visit: a whole number from 0: pose, exposure and noise change with it.
        bits: 8 or 16 a pixel.

    Returns:
        the film; `lungs` is the field of both lungs together.

    Raises:
        InputError: size or bits out of range, unknown style, or facts that one film cannot show together.
    """
    facts, look = prepare(facts, size, style, bits)
    anatomy, view = draw_anatomy(patient, look, facts), draw_view(patient, visit, look)
    profile = LateralChest(anatomy, view, facts, patient, size)
    texture = chance(patient, "lateral texture")

    thick = np.clip(profile.in_chest / 0.17, 0.0, 1.0) ** 0.6  # the chest is thin at its edges
    breath = (0.35 + 0.65 * thick) * (1.0 + 0.03 * smooth_noise(texture, size, 24))
    tissue = Tissue(
        air=[soft(cavity, 0.012) * breath for cavity in profile.in_cavity],
        vessels=[_lung_vessels(profile, texture) for _ in profile.in_cavity],
        solid=np.zeros_like(profile.z),
    )
    masks = draw_findings(profile, tissue, facts)

    floor = profile.floor_y
    heart = soft(profile.in_heart, 0.016) * soft(profile.y - anatomy.heart_top - 0.05, 0.12)
    heart = heart * soft(floor + 0.02 - profile.y, 0.03)
    attenuation = (
        _body(profile, smooth_noise(texture, size, 9))
        + _ribs(profile)
        + _spine(profile)
        + _sternum_and_blades(profile)
        + _mediastinum(profile)
        + heart * (0.15 + 0.17 * np.clip(profile.in_heart / 0.12, 0.0, 1.0))
        + tissue.solid
    )
    # The heart lies in the left half of the chest and takes more air from it: so it hides the left dome's front.
    for left, hidden in ((False, 0.25), (True, 0.65)):
        inside = soft(profile.in_cavity[left] - 0.015, 0.03)
        attenuation += 0.12 * tissue.vessels[left] * inside - 0.26 * tissue.air[left] * (1.0 - hidden * heart)
    in_heart = (profile.in_heart > 0) & (profile.y < floor)
    return Film(
        image=develop(attenuation, view, replace(look, marker="L"), chance(patient, "lateral noise", visit), bits),
        lungs=(np.maximum(*profile.in_cavity) > 0) & ~in_heart,
        heart=in_heart,
        findings=masks,
    )


def _body(profile: LateralChest, fat: np.ndarray) -> np.ndarray:
    """Soft tissue of trunk, neck and raised arms, and the belly under the domes; 0 outside the patient."""
    a, z, y = profile.anatomy, profile.z, profile.y
    breast = (0.025 + 0.45 * max(a.breast, 0.0)) * bump(y - 0.58, 0.13)
    skin_front = profile.sternum_z - 0.035 - 0.4 * a.flank - breast - 0.05 * soft(y - 0.9, 0.3)
    skin_back = profile.spine_z + 0.125 + 0.5 * a.flank + 0.05 * soft(0.3 - y, 0.3)
    trunk = np.minimum(z - skin_front, skin_back - z)
    flesh = (0.58 + np.float32(0.03) * fat) * np.clip(trunk / 0.12, 0.0, 1.0) ** 0.6 * soft(y - 0.04, 0.16)
    neck = 0.45 * np.clip((0.13 - np.abs(z - profile.spine_z + 0.06)) / 0.09, 0.0, 1.0) ** 0.6 * soft(0.14 - y, 0.16)
    girdle = 0.20 * soft(0.22 - y, 0.34) * np.clip(trunk / 0.13, 0.0, 1.0)
    belly = sum(0.15 * soft(y - dome_y, 0.012) for dome_y in profile.domes_y)
    belly = belly * soft(profile.back_z - z + 0.02, 0.05) * soft(z - profile.sternum_z + 0.02, 0.06)
    radius = 0.022 + 0.5 * max(a.gas, 0.0)
    gas_z = profile.front + 0.47 * profile.depth
    gas = np.hypot((z - gas_z) * 0.7, y - profile.dome(gas_z, True) - radius - 0.018)
    return np.maximum(flesh, neck) + _arms(profile) + girdle + belly - 0.17 * soft(radius - gas, 0.012)


def _arms(profile: LateralChest) -> np.ndarray:
    """Both arms, raised forwards out of the film, with the shafts of their bones."""
    z, y = profile.z, profile.y
    total = 0.0
    for lean in (0.0, 0.07):
        course = float(profile.spine(0.1)) - 0.03 + lean - (1.0 - 3 * lean) * (0.20 - y)
        inside = 0.115 - 0.75 * np.abs(z - course - profile.arms)
        flesh = np.clip(inside / 0.08, 0.0, 1.0) ** 0.6
        shaft = soft(inside - 0.098, 0.008) * (0.6 + 0.6 * bump(inside - 0.100, 0.005))
        total = total + (0.14 * flesh + 0.07 * shaft) * soft(0.20 + lean - y, 0.20)
    return total


def _ribs(profile: LateralChest) -> np.ndarray:
    """Ribs of both sides: from the spine they fall forwards, and fade where they end in cartilage."""
    a, y = profile.anatomy, profile.y
    total = 0.0
    for left in (False, True):
        s = (profile.rib_foot(y, left) - profile.z) / profile.depth
        spacing, start = profile.rib_grid(left)
        phase = (y - profile.rib_course(s)) / spacing + start
        offset = np.abs(phase - np.floor(phase) - 0.5)  # 0 in the middle of a rib, 0.5 between two
        bone = soft(0.22 - offset, 0.10) * (0.6 + 0.7 * bump(offset - 0.19, 0.06))
        rim = bump(s - 0.010, 0.013) * (0.5 + 0.5 * soft(0.25 - offset, 0.2))  # where they bend at the back
        total = total + (0.075 * bone + 0.07 * rim) * soft(s, 0.02) * soft(0.62 - s, 0.6)
    above = 0.25 + 0.75 * soft(profile.domes_y[0] - y, 0.08)  # the belly drowns them
    return a.bone * total * soft(y - a.apex - 0.02, 0.06) * above


def _spine(profile: LateralChest) -> np.ndarray:
    """Vertebral bodies with their rims, discs between them, and the arches behind; it clears toward the diaphragm."""
    a, y = profile.anatomy, profile.y
    bow = profile.curve * bump(y - CURVE_SUMMIT, CURVE_LENGTH)
    x = profile.z - profile.spine_z - 0.25 * bow
    tilt = 2.0 * (profile.kyphosis * np.minimum(y - 0.5, 0.0) + 0.35 * np.maximum(y - 0.5, 0.0))
    count = (y + tilt * x) / VERTEBRA  # discs stand across the spine
    offset = np.abs(count - np.floor(count) - 0.5)  # 0 in the middle of a body, 0.5 in a disc
    half = a.spine * (0.78 + 0.3 * y) + 0.016 * np.square(offset)
    blur = 1.0 + 30.0 * np.abs(bow)  # a turned body shows its walls twice and its discs not at all
    column = soft(half + 0.10 * np.abs(bow) - np.abs(x), 0.008)
    block = 1.0 - (1.0 - soft(0.40 - offset, 0.05)) / blur
    plates = 0.07 * bump(offset - 0.38, 0.04) / blur * column
    walls = 0.06 * bump(np.abs(x) - half + 0.004, 0.005) * block
    walls = walls + 0.9 * np.abs(bow) * bump(np.abs(x + 0.4 * bow) - half + 0.004, 0.006)
    arches = 0.09 * bump(x - half - 0.024, 0.020) * soft(0.30 - offset, 0.2)
    clear = 1.0 - 0.35 * soft(y - 0.45, 0.5)
    return a.bone * clear * (0.08 * column + 0.08 * column * block + plates + walls + arches)


def _sternum_and_blades(profile: LateralChest) -> np.ndarray:
    a, z, y = profile.anatomy, profile.z, profile.y
    plate = np.abs(z - profile.sternum_z + 0.013)
    length = soft(y - a.apex - 0.09, 0.02) * soft(0.62 - y, 0.03)
    joint = 1.0 - 0.6 * bump(y - a.apex - 0.20, 0.007)
    sternum = (0.10 * soft(0.011 - plate, 0.006) + 0.07 * bump(plate - 0.011, 0.004)) * length * joint
    blades = 0.0
    for shift in (0.0, 0.04):
        edge = z - (float(profile.spine(0.2)) - 0.01 + shift + 0.35 * (y - 0.12))
        blades = blades + 0.06 * bump(edge, 0.005) * bump(y - 0.22, 0.12)
        blades = blades + 0.04 * soft(edge, 0.02) * soft(0.08 - edge, 0.08) * bump(y - 0.20, 0.13)
    return a.bone * (sternum + blades)


def _mediastinum(profile: LateralChest) -> np.ndarray:
    """Great vessels, aorta and hila, less the trachea and the end-on bronchus."""
    a, z, y = profile.anatomy, profile.z, profile.y
    course = profile.trachea(y)
    vessels = 0.12 * soft(0.070 - np.abs(z - course + 0.045), 0.06) * soft(0.42 - y, 0.20)
    middle = 0.06 * bump(z - course + 0.02, 0.10) * soft(y - 0.30, 0.1) * soft(0.75 - y, 0.3)
    swell = profile.aorta_bulge
    aorta = (0.13 + 2.5 * swell) * soft(0.032 + 0.2 * swell - profile.aorta_distance(), 0.012)
    z0, y0 = profile.trachea(CARINA), CARINA + 0.045
    right = 0.11 * soft(1.0 - np.hypot((z - z0 + 0.035) / 0.030, (y - y0) / 0.036), 0.7)
    around = np.abs(np.hypot(z - z0 - 0.005, np.minimum(y - y0, 0.0)) - 0.04)
    left = 0.10 * soft(0.018 - around, 0.016) * soft(y0 + 0.07 - y, 0.10) * soft(z - z0 + 0.02, 0.05)
    tube = soft(a.trachea - np.abs(z - course), 0.012) * soft(CARINA - y, 0.05)
    bronchus = soft(0.011 - np.hypot(z - z0 - 0.006, y - y0 - 0.01), 0.008)
    return vessels + middle + aorta + right + left - 0.13 * tube - 0.08 * bronchus


def _lung_vessels(profile: LateralChest, rng: np.random.Generator) -> np.ndarray:
    """Vessels of one lung that fork from the hilum, 0 to about 1."""
    size = profile.size
    canvas = Image.new("L", (size, size))
    pen = ImageDraw.Draw(canvas)
    gray = (150, 130, 100, 75, 55)
    z0, y0 = profile.trachea(CARINA), CARINA + 0.045
    tips = []
    for angle in np.array([-2.7, -2.1, -1.5, -0.8, 0.1, 0.8, 1.25, 1.8, 2.5]) + rng.uniform(-0.25, 0.25, 9):
        start = rng.uniform(0.02, 0.05)
        tips.append((z0 + start * np.cos(angle), y0 + 1.3 * start * np.sin(angle), angle))
    for level in range(5):
        width = max(1, round(size * (0.011, 0.008, 0.006, 0.004, 0.003)[level]))
        forks = []
        for z, y, angle in tips:
            length = 0.065 * 0.92**level * rng.uniform(0.6, 1.3)
            z1, y1 = z + length * np.cos(angle), y + length * np.sin(angle)
            pen.line([profile.to_film(z, y), profile.to_film(z1, y1)], fill=gray[level], width=width)
            spread = rng.uniform(0.1, 0.55, 2)
            forks += [(z1, y1, angle - spread[0]), (z1, y1, angle + spread[1])]
        tips = forks if level < 2 else forks[::2]
    return gaussian_filter(np.asarray(canvas, dtype=np.float32) / 255.0, 0.0035 * size)
