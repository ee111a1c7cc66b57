"""Draws a frontal chest film (PA) from a list of findings, with the masks of lungs, heart and every finding.

The film is a small physics of shadows: soft tissue, bone, heart and fluid add to a map of attenuation, air takes
from it, and a film curve turns the sum into gray values, dense tissue bright. See `frontal_chest.py` for where things
are and `frontal_findings.py` for what findings do.
"""

from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, label

from hf_medreport.phantom.chest.anatomy import bump, chance, draw_anatomy, draw_view, smooth_noise, soft
from hf_medreport.phantom.chest.film import Film, develop, prepare
from hf_medreport.phantom.chest.findings import Fact
from hf_medreport.phantom.chest.frontal_chest import FrontalChest
from hf_medreport.phantom.chest.frontal_findings import Tissue, draw_findings

__all__ = ["draw_frontal"]


def draw_frontal(
    facts: Iterable[Fact], patient: int, size: int, style: str = "standard", visit: int = 0, bits: int = 8
) -> Film:
    """Draw a patient's film showing the facts.

    A patient has the same anatomy, and a finding the same place, whatever else the film shows; so two lists of facts
    can be compared on one patient, and a finding found again at another visit.

    Args:
        facts: the findings, none contradicting or hiding another.
        patient: a whole number from 0: who it is.
        size: side of the film in pixels, 32 to 4096.
        style: "standard", or "held_back" for a look that training never shows.
        visit: a whole number from 0: pose, exposure and noise change with it.
        bits: 8 or 16 a pixel.

    Raises:
        InputError: size or bits out of range, unknown style, or facts that one film cannot show together.
    """
    facts, look = prepare(facts, size, style, bits)
    anatomy, view = draw_anatomy(patient, look, facts), draw_view(patient, visit, look)
    chest = FrontalChest(anatomy, view, facts, patient, size)
    texture = chance(patient, "texture")

    depth = np.clip(chest.in_wall / 0.16, 0.0, 1.0) ** 0.5  # the chest is thin at its edges
    tissue = Tissue(
        air=soft(chest.in_cavity, 0.012) * (0.55 + 0.45 * depth) * (1.0 + 0.03 * smooth_noise(texture, size, 24)),
        vessels=_lung_vessels(chest, texture),
        solid=np.zeros_like(chest.u),
    )
    masks = draw_findings(chest, tissue, facts)

    heart = soft(chest.in_heart, 0.012)
    inside = soft(chest.in_cavity, 0.02) * soft(chest.in_wall - 0.03, 0.06)
    attenuation = (
        _body(chest, smooth_noise(texture, size, 9))
        + _ribs(chest)
        + _clavicles_and_shoulders(chest)
        + _midline(chest)
        + _heart_shadow(chest, heart)
        + 0.24 * tissue.vessels * inside * (1.0 - 0.6 * heart)
        + tissue.solid
        - 0.42 * tissue.air * (1.0 - 0.55 * heart)
    )
    in_heart = (chest.in_heart > 0) & (chest.y < anatomy.heart_floor)
    lungs = (chest.in_cavity > 0) & ~in_heart
    return Film(
        image=develop(attenuation, view, look, chance(patient, "noise", visit), bits),
        lungs=_largest_part(lungs & chest.left) | _largest_part(lungs & ~chest.left),
        heart=in_heart,
        findings=masks,
    )


def _body(chest: FrontalChest, fat: np.ndarray) -> np.ndarray:
    """Soft tissue of trunk, neck and shoulders, thicker below the diaphragm; 0 outside the patient."""
    a, u, y = chest.anatomy, chest.u, chest.y
    slope = np.clip((y - a.shoulder) / 0.13, 0.0, 1.0)
    arms = 0.10 + 0.46 * slope**1.3
    trunk = a.half_width + a.flank + 0.015 * np.cos(6 * y)
    armpit = soft(y - 0.42, 0.22)
    inside = arms * (1.0 - armpit) + np.minimum(arms, trunk) * armpit - u
    flesh = 0.60 * np.clip(inside / 0.15, 0.0, 1.0) ** 0.6
    breast = max(a.breast, 0.0) * soft(1.0 - np.hypot((u - 0.21) / 0.16, (y - 0.60) / 0.15), 0.35)
    belly = 0.30 * soft(y - chest.dome_y, 0.012) * soft(chest.wall_u + 0.02 - u, 0.06)
    gas = 0.16 * soft(a.gas - np.hypot((chest.x - 0.16) * 0.7, y - a.domes[1] - 0.06), 0.02)
    return soft(inside, 0.012) * (flesh + breast + 0.03 * fat) + belly - gas


def _ribs(chest: FrontalChest) -> np.ndarray:
    """Posterior ribs arch over and fall outwards, fainter anterior ones fall inwards; both a periodic profile of y."""
    a, y = chest.anatomy, chest.y
    s = chest.u / a.half_width
    behind = (y - a.rib_slope * (s**2.4 - 0.75 * s)) / a.rib_spacing + a.rib_phase
    front = (y + (0.10 + a.rib_slope) * s**1.3) / (1.08 * a.rib_spacing) + 1.7 * a.rib_phase

    def bones(phase: np.ndarray) -> np.ndarray:
        offset = np.abs(phase - np.floor(phase) - 0.5)  # 0 in the middle of a rib, 0.5 between two
        return soft(0.23 - offset, 0.12) * (0.7 + 0.6 * bump(offset - 0.19, 0.06))

    lateral = soft(s - 0.55, 0.6)  # anterior ribs end in cartilage, which casts no shadow
    ribs = 0.10 * bones(behind) * (0.7 + 0.5 * s) + 0.055 * bones(front) * lateral
    cage = soft(chest.in_wall + 0.018, 0.012) * soft(y - a.apex + 0.02, 0.05)
    above = 0.25 + 0.75 * soft(chest.dome_y - y, 0.06)  # the belly drowns them
    rim = bump(chest.in_wall + 0.008, 0.011) * soft(y - a.apex - 0.03, 0.06)  # ribs seen along their length
    return a.bone * above * (ribs * cage + 0.10 * rim)


def _clavicles_and_shoulders(chest: FrontalChest) -> np.ndarray:
    a, y = chest.anatomy, chest.y
    u = np.abs(chest.x - chest.view.twist)
    s = np.clip((u - 0.025) / 0.38, 0.0, 1.0)
    course = a.apex + 0.10 - 1.3 * a.clavicle_rise * s - 0.022 * np.sin(2 * np.pi * s)
    thick = 0.013 + 0.006 * np.square(2 * s - 1)
    across = np.abs(y - course)
    clavicle = (soft(thick - across, 0.010) + 0.4 * bump(across - thick, 0.005)) * soft(u - 0.03, 0.015)
    clavicle = clavicle * soft(0.41 - u, 0.04)
    blade = bump(u - 0.385 - 0.22 * (y - 0.25), 0.012) * bump(y - 0.27, 0.12)
    plate = soft(u - 0.385 - 0.22 * (y - 0.25), 0.03) * bump(y - 0.22, 0.10)
    head = soft(0.060 - np.hypot(u - 0.475, y - a.apex - 0.05), 0.02)
    return a.bone * (0.14 * clavicle + 0.07 * blade + 0.05 * plate + 0.12 * head)


def _midline(chest: FrontalChest) -> np.ndarray:
    """Spine, great vessels, aorta and hila, less the trachea."""
    a, x, y = chest.anatomy, chest.x, chest.y
    discs = 0.5 + 0.5 * np.cos(2 * np.pi * y / 0.052)
    across = np.abs(x - chest.spine_x(y))
    bodies = soft(a.spine - across, 0.02) * (0.11 + 0.04 * discs) + 0.06 * bump(across - a.spine, 0.007)
    spine = bodies * (1.0 - 0.5 * soft(y - 0.7, 0.3)) * (0.6 + 0.4 * soft(y - 0.12, 0.2))
    center = 0.55 * chest.view.twist
    width = a.mediastinum - 0.006 + 0.012 * bump(y - 0.24, 0.08)
    vessels = (
        0.18 * soft(width - np.abs(x - center), 0.026) * soft(y - a.apex, 0.2) * (1.0 - 0.75 * soft(y - 0.55, 0.25))
    )
    swell = chest.aorta_bulge
    arch = np.hypot(x - a.knob - swell + 0.034 + 0.4 * swell, (y - 0.335) * 0.8)
    knob = 0.30 * soft(0.036 + 0.4 * swell - arch, 0.018)
    edge = a.knob - 0.028 + swell * (1.4 + 1.2 * np.sin(2 * np.pi * (y - 0.36) / 0.34))  # winds when tortuous
    aorta = (0.07 + 4.5 * swell) * soft(edge - x, 0.02) * soft(x, 0.04) * soft(y - 0.35, 0.04) * soft(0.74 - y, 0.1)
    hila = 0.14 * np.exp(
        -np.square((chest.u - 0.095) / 0.034) - np.square((y - np.where(chest.left, 0.45, 0.47)) / 0.06)
    )
    trachea = 0.17 * soft(a.trachea - np.abs(x - center), 0.014) * soft(0.40 - y, 0.04)
    return spine + np.maximum(np.maximum(vessels, knob), aorta) + hila - trachea


def _heart_shadow(chest: FrontalChest, heart: np.ndarray) -> np.ndarray:
    """Thicker toward its middle, and lost in the belly below the diaphragm."""
    thickness = 0.08 + 0.16 * np.clip(chest.in_heart / 0.10, 0.0, 1.0) ** 0.5
    seen = soft(chest.y - chest.anatomy.heart_top - 0.08, 0.16) * (1.0 - 0.9 * soft(chest.y - chest.dome_y, 0.03))
    return heart * thickness * seen


def _lung_vessels(chest: FrontalChest, rng: np.random.Generator) -> np.ndarray:
    """Vessels that fork outwards from both hila, 0 to about 1."""
    size = chest.size
    canvas = Image.new("L", (size, size))
    pen = ImageDraw.Draw(canvas)
    gray = (200, 150, 105, 70)
    for sign in (-1.0, 1.0):
        fan = np.linspace(-1.25, 1.35, 7) + rng.uniform(-0.12, 0.12, 7)
        tips = [(sign * 0.08, 0.46 + 0.045 * np.sin(angle), angle) for angle in fan]
        for level in range(4):
            forks = []
            for x, y, angle in tips:
                length = 0.075 * 0.9**level * rng.uniform(0.8, 1.2)
                x1, y1 = x + sign * length * np.cos(angle), y + length * np.sin(angle)
                width = max(1, round(size * (0.010, 0.007, 0.005, 0.004)[level]))
                pen.line([chest.to_film(x, y), chest.to_film(x1, y1)], fill=gray[level], width=width)
                spread = rng.uniform(0.15, 0.5, 2)
                forks += [(x1, y1, angle - spread[0]), (x1, y1, angle + spread[1])]
            tips = forks if level < 2 else forks[::2]
    return gaussian_filter(np.asarray(canvas, dtype=np.float32) / 255.0, 0.0035 * size)


def _largest_part(mask: np.ndarray) -> np.ndarray:
    """The mask without the stray pixels that the grid cuts off in its sharp angles."""
    parts, _ = label(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return parts == sizes.argmax()
