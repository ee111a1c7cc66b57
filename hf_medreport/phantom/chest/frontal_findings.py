"""Draws findings into the tissue of a frontal chest: one method a kind, named after it.

A finding changes what it changes in a patient: a consolidation takes the air out of a zone, an effusion fills the
pleural space from below, a pneumothorax lets the lung fall away from the wall, a line adds metal. Cardiomegaly,
scoliosis, a tortuous aorta and the diaphragm are shapes of the chest itself (`frontal_chest.py`); here they only get
their masks. Each finding draws from a chance of its own, so that none disturbs another.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from hf_medreport.phantom.chest.anatomy import FILM_MM, bump, chance, smooth_noise, soft
from hf_medreport.phantom.chest.findings import Fact
from hf_medreport.phantom.chest.frontal_chest import FrontalChest

__all__ = ["EDEMA", "FLUID_HEIGHT", "LUNG_RETRACTION", "Tissue", "draw_findings", "drawn_in_turn", "strength"]

# The measured steps of each severity, each drawn uniformly from its range; the ranges keep clear of each other.
FLUID_HEIGHT = {"mild": (0.17, 0.21), "moderate": (0.37, 0.42), "severe": (0.60, 0.66)}  # of the lung's height
LUNG_RETRACTION = {"mild": (0.11, 0.13), "moderate": (0.22, 0.25), "severe": (0.37, 0.42)}  # of the lung's width
EDEMA = {"mild": (0.34, 0.39), "moderate": (0.60, 0.67), "severe": (0.88, 1.00)}  # of the densest edema
FAINT = 0.55  # contrast of a finding that can only be called possible
MASKED = 0.3  # of its greatest effect: what a mask holds


@dataclass
class Tissue:
    """What the X-rays meet inside the lung fields: air (0 to 1), vessels (0 to 1), and what findings add to it."""

    air: np.ndarray
    vessels: np.ndarray
    solid: np.ndarray


def draw_findings(chest: FrontalChest, tissue: Tissue, facts: tuple[Fact, ...]) -> dict[Fact, np.ndarray]:
    """Draw the facts into the tissue; returns where each shows, bool (size, size)."""
    return drawn_in_turn(_Findings(chest, tissue), chest.patient, facts)


def drawn_in_turn(findings, patient: int, facts: tuple[Fact, ...]) -> dict[Fact, np.ndarray]:
    """Call the method of each fact's kind with the fact and its own chance; returns the masks, in the facts' order."""
    masks = {}
    # Pneumothorax first: the other findings lie within the lung that it leaves.
    for fact in sorted(facts, key=lambda fact: fact.kind != "pneumothorax"):
        shown = getattr(findings, fact.kind)(fact, chance(patient, fact.kind, fact.side or "both"))
        masks[fact] = shown if shown.dtype == bool else shown > MASKED * shown.max()
    return {fact: masks[fact] for fact in facts}


class _Findings:
    """The methods change `tissue` and return where the finding shows: a mask, or how much (size, size)."""

    def __init__(self, chest: FrontalChest, tissue: Tissue):
        self.chest, self.tissue = chest, tissue
        inside = soft(chest.in_cavity, 0.01)
        self.lungs = {"right": inside * ~chest.left, "left": inside * chest.left}
        self.retraction = {"right": 0.0, "left": 0.0}

    def spot(self, fact: Fact, rng: np.random.Generator, low: float, high: float) -> tuple[float, float]:
        return self.chest.spot(fact, rng, low, high, self.retraction[fact.side])

    def stroke(self, points, width: float) -> np.ndarray:
        """A smooth line through points in patient coordinates, 0 to 1; drawn at twice the size against stairs."""
        chest = self.chest
        canvas = Image.new("L", (2 * chest.size, 2 * chest.size))
        path = [(2 * x, 2 * y) for x, y in (chest.to_film(*point) for point in _smooth(points))]
        ImageDraw.Draw(canvas).line(path, fill=255, width=max(2, round(2 * width * chest.size)), joint="curve")
        return np.asarray(canvas.resize((chest.size, chest.size), Image.Resampling.BOX), dtype=np.float32) / 255.0

    # Heart and mediastinum: shapes of the chest.

    def cardiomegaly(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        return (self.chest.in_heart > 0) & (self.chest.y < self.chest.anatomy.heart_floor)

    def tortuous_aorta(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        chest, a = self.chest, self.chest.anatomy
        along = (chest.y > 0.27) & (chest.y < max(a.domes) - 0.05)
        return along & (chest.x > 0.2 * a.knob) & (chest.x < a.knob + chest.aorta_bulge + 0.012)

    # Pleura.

    def pneumothorax(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        chest, tissue, cavity = self.chest, self.tissue, self.lungs[fact.side]
        share = self.retraction[fact.side] = rng.uniform(*LUNG_RETRACTION[fact.severity])
        in_lung = chest.retracted(share)
        lung = self.lungs[fact.side] = cavity * soft(in_lung, 0.006)
        free_air = cavity - lung
        tissue.air += free_air * (1.1 - tissue.air) - 0.35 * share * tissue.air * lung
        tissue.vessels *= 1.0 - free_air
        tissue.solid += 0.18 * cavity * bump(in_lung, 0.006)
        return free_air

    def pleural_effusion(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        chest, tissue, a = self.chest, self.tissue, self.chest.anatomy
        floor = a.domes[fact.side == "left"] + a.angle_depth
        height = rng.uniform(*FLUID_HEIGHT[fact.severity]) * (floor - a.apex)
        climb = 0.085 * np.clip(chest.u / a.half_width, 0.0, 1.0) ** 3  # the meniscus rises to the wall
        surface = floor - height + 0.085 - climb
        fluid = self.lungs[fact.side] * soft(chest.y - surface, 0.022)
        tissue.air *= 1.0 - 0.97 * fluid
        tissue.vessels *= 1.0 - fluid
        tissue.solid += 0.10 * fluid
        return fluid

    # Lungs.

    def consolidation(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        chest, tissue, faint = self.chest, self.tissue, strength(fact)
        x, y = self.spot(fact, rng, 0.42, 0.62)
        width, height = rng.uniform(0.10, 0.125), rng.uniform(0.078, 0.092)
        fray = 0.22 * smooth_noise(rng, chest.size, 11) + 0.10 * smooth_noise(rng, chest.size, 26)
        inside = 1.0 - np.hypot((chest.x - x) / width, (chest.y - y) / height) + fray
        patch = faint * soft(inside - 0.14, 0.6) * self.lungs[fact.side]
        tissue.air *= 1.0 - patch * (0.86 + 0.06 * smooth_noise(rng, chest.size, 40))
        tissue.solid += 0.05 * patch
        return patch

    def atelectasis(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        chest, tissue, faint = self.chest, self.tissue, strength(fact)
        x, y = self.spot(fact, rng, 0.45, 0.60)
        tilt, length = rng.uniform(0.10, 0.30), rng.uniform(0.075, 0.095)
        along = chest.x - x
        outwards = along if x > 0 else -along
        bands = 0.0
        for offset in (-0.026, 0.012):
            across = chest.y - y - offset - rng.uniform(-0.006, 0.006) + tilt * outwards
            bands = bands + bump(across, 0.0085) * soft(length - np.abs(along), 0.03)
        haze = faint * bump(along, 0.09) * bump(chest.y - y, 0.045) * self.lungs[fact.side]
        tissue.solid += 0.26 * faint * bands * self.lungs[fact.side]
        tissue.air *= 1.0 - 0.18 * haze
        return haze

    def interstitial_edema(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        chest, tissue = self.chest, self.tissue
        amount = rng.uniform(*EDEMA[fact.severity])
        # Thickened septa: the lines along which clouds cross zero are a net.
        net = 0.6 * bump(smooth_noise(rng, chest.size, 30), 0.3) + 0.5 * bump(smooth_noise(rng, chest.size, 44), 0.3)
        height = (chest.y - chest.anatomy.apex) / (chest.dome_y - chest.anatomy.apex)
        dependent = np.clip(0.35 + 0.75 * height, 0.0, 1.0)  # the bases fill first
        both = self.lungs["right"] + self.lungs["left"]
        wet = amount * dependent * both * (1.0 - 0.65 * (chest.in_heart > 0))
        tissue.solid += 0.22 * wet * net
        tissue.air *= 1.0 - 0.55 * wet * (0.7 + 0.5 * bump(chest.u - 0.12, 0.10))  # most around the hila
        tissue.vessels = np.minimum(tissue.vessels * (1.0 + 0.8 * wet), 1.0)
        return both > 0.5

    def nodule(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        chest = self.chest
        x, y = self.spot(fact, rng, 0.30, 0.70)
        radius = (fact.size_mm or rng.uniform(16, 32)) / 2 / FILM_MM
        lobes = 1.0 + 0.07 * np.sin(3 * np.arctan2(chest.y - y, chest.x - x) + rng.uniform(0, 6))
        depth = 1.0 - np.hypot(chest.x - x, chest.y - y) / (radius * lobes)
        ball = soft(depth, 0.010 / radius) * self.lungs[fact.side]
        self.tissue.solid += 0.32 * strength(fact) * ball
        return ball

    def calcified_granuloma(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        chest = self.chest
        x, y = self.spot(fact, rng, 0.30, 0.70)
        turn = rng.uniform(0, 2 * np.pi)
        places = [(x, y)]
        if fact.number == "multiple":
            angles = turn + np.arange(4) * 2 * np.pi / 4
            places = [(x + 0.036 * np.cos(angle), y + 0.036 * np.sin(angle)) for angle in angles]
        dots = np.zeros_like(chest.u)
        for px, py in places:
            radius = rng.uniform(0.0085, 0.0110)
            dots = np.maximum(dots, soft(1.0 - np.hypot(chest.x - px, chest.y - py) / radius, 0.006 / radius))
        self.tissue.solid += 0.62 * dots * self.lungs[fact.side]
        return dots

    def hyperinflation(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        both = self.lungs["right"] + self.lungs["left"]
        self.tissue.air *= 1.0 + 0.16 * both
        self.tissue.vessels *= 0.65
        return both > 0.5

    # Diaphragm and bones.

    def elevated_diaphragm(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        chest = self.chest
        half = chest.left if fact.side == "left" else ~chest.left
        below = chest.y - chest.dome_y
        return half & (below > -0.01) & (below < 0.09) & (chest.in_wall > 0) & (chest.u > chest.anatomy.mediastinum)

    def rib_fracture(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        """A gap in a posterior rib near the wall, its ends out of line, and the callus around it."""
        chest, a = self.chest, self.chest.anatomy
        sign = 1.0 if fact.side == "left" else -1.0
        s = rng.uniform(0.80, 0.86)
        course = a.rib_slope * (s**2.4 - 0.75 * s)
        first = np.ceil((rng.uniform(0.36, 0.42) - course) / a.rib_spacing + a.rib_phase - 0.5)
        shown = np.zeros_like(chest.u)
        for rib in range(3 if fact.number == "multiple" else 1):
            y = (first + rib + 0.5 - a.rib_phase) * a.rib_spacing + course
            x = sign * s * a.half_width
            along, across = sign * (chest.x - x) + 0.5 * (chest.y - y), chest.y - y - 0.5 * sign * (chest.x - x)
            callus = bump(along, 0.024) * bump(across, 0.021)
            gap = bump(along, 0.0055) * soft(0.022 - np.abs(across), 0.01)
            self.tissue.solid += 0.46 * callus - 0.55 * gap
            shown = np.maximum(shown, callus)
        return shown

    def scoliosis(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        chest = self.chest
        along = (chest.y > chest.anatomy.apex) & (chest.y < max(chest.anatomy.domes))
        return along & (np.abs(chest.x - chest.spine_x(chest.y)) < chest.anatomy.spine)

    # Devices.

    def endotracheal_tube(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        x, end = 0.55 * self.chest.view.twist + rng.uniform(-0.003, 0.003), rng.uniform(0.31, 0.35)
        walls = [self.stroke([(x + wall, -0.05), (x + wall, end)], 0.003) for wall in (-0.009, 0.009)]
        marked = self.stroke([(x + 0.004, -0.05), (x + 0.004, end + 0.008)], 0.005)
        self.tissue.solid += 0.20 * (walls[0] + walls[1]) + 0.45 * marked
        return self.stroke([(x, -0.05), (x, end)], 0.024) > 0.5

    def central_line(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        """From the subclavian vein of its side to the superior vena cava, which is on the right."""
        a, sign = self.chest.anatomy, 1.0 if fact.side == "left" else -1.0
        tip = rng.uniform(0.43, 0.49)
        start = [(sign * 0.33, a.apex + 0.15), (sign * 0.25, a.apex + 0.07), (sign * 0.12, a.apex + 0.075)]
        course = [(sign * 0.05, a.apex + 0.11), (-0.045, 0.32), (-0.045, tip)]
        self.tissue.solid += 0.40 * self.stroke(start + course, 0.0065)
        return self.stroke(start + course, 0.020) > 0.5

    def pacemaker(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        a, sign = self.chest.anatomy, 1.0 if fact.side == "left" else -1.0
        x, y = 0.74 * a.half_width, a.apex + rng.uniform(0.12, 0.14)
        corner = np.hypot(
            np.maximum(np.abs(self.chest.x - sign * x) - 0.024, 0), np.maximum(np.abs(self.chest.y - y) - 0.016, 0)
        )
        box = soft(0.018 - corner, 0.006)
        floor = max(a.domes)
        way = [(sign * (x - 0.03), y - 0.02), (sign * 0.16, a.apex + 0.06), (sign * 0.05, a.apex + 0.10)]
        leads = self.stroke([*way, (-0.05, 0.34), (-0.055, 0.52), (0.02, floor - 0.07), (0.10, floor - 0.03)], 0.007)
        leads = np.maximum(leads, self.stroke([*way, (-0.04, 0.34), (-0.065, 0.50)], 0.006))
        self.tissue.solid += 1.1 * box + 0.38 * leads
        return np.maximum(box, leads)


def strength(fact: Fact) -> float:
    """The contrast of a finding, of that of a certain one."""
    return 1.0 if fact.certain else FAINT


def _smooth(points) -> list[tuple[float, float]]:
    """Points on a smooth curve through the given ones (Catmull-Rom)."""
    p = np.asarray([points[0], *points, points[-1]], dtype=np.float64)
    t = np.linspace(0.0, 1.0, 9)[:-1, None]
    pieces = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False)
    ]
    return [tuple(point) for point in np.concatenate([*pieces, p[-1:]])]
