"""The patient laid on the pixel grid of a frontal film: how far each pixel is inside lungs, heart, spine and aorta.

x runs right and y down on the film. The radiographic convention holds: the patient's LEFT is on the image's RIGHT.
`u` is the distance from the patient's midline. Distances are positive inside a structure.
"""

import numpy as np

from hf_medreport.phantom.chest.anatomy import Anatomy, View, bump, chance
from hf_medreport.phantom.chest.findings import ZONES, Fact

__all__ = ["FrontalChest", "heart_size", "spine_curve"]

HEART_WIDEST = 0.72  # of the way down the heart
LUNG_ROOT = 0.62  # below this height a retracted lung does not sink
APEX_FALL = 0.3  # how far its apex sinks, of the share by which its wall retracts
CURVE_SUMMIT, CURVE_LENGTH = 0.42, 0.24  # where scoliosis bows most, and how far it reaches

# The measured steps of each severity, each drawn uniformly from its range; the ranges keep clear of each other.
HEART_RATIO = {None: (0.40, 0.45), "mild": (0.51, 0.53), "moderate": (0.575, 0.595), "severe": (0.64, 0.66)}
SMALL_HEART_RATIO = (0.34, 0.38)  # of overexpanded lungs
CURVE = {"mild": (0.027, 0.031), "moderate": (0.055, 0.060), "severe": (0.086, 0.094)}  # of the spine, film sides


Range = tuple[float, float]


def heart_size(facts: dict[str, Fact], by_grade: dict[str | None, Range], small: Range, step: float) -> float:
    """The heart's share of the chest: by its grade, small in overexpanded lungs; `step` is 0 to 1 of the range."""
    fact = facts.get("cardiomegaly")
    low, high = small if fact is None and "hyperinflation" in facts else by_grade[fact and fact.severity]
    return low + (high - low) * step


def spine_curve(facts: dict[str, Fact], step: float) -> float:
    """How far scoliosis bows the spine, in film sides, positive to the patient's left; 0 without one."""
    fact = facts.get("scoliosis")
    if fact is None:
        return 0.0
    low, high = CURVE[fact.severity]
    return (low + (high - low) * step) * (1 if fact.side == "left" else -1)  # the side is that of the convexity


class FrontalChest:
    """Anatomy, pose and the shapes that findings give to heart, spine and aorta; arrays are float32 (size, size)."""

    def __init__(self, anatomy: Anatomy, view: View, facts: tuple[Fact, ...], patient: int, size: int):
        self.anatomy, self.view, self.patient, self.size = anatomy, view, patient, size
        self.facts = {fact.kind: fact for fact in facts}
        rng = chance(patient, "shapes")
        steps = rng.random(4)
        self.heart_ratio = heart_size(self.facts, HEART_RATIO, SMALL_HEART_RATIO, steps[0])
        self.curve = spine_curve(self.facts, steps[1])
        self.aorta_bulge = 0.028 + 0.008 * steps[2] if "tortuous_aorta" in self.facts else 0.0

        center = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
        cos, sin = np.float32(np.cos(view.tilt)), np.float32(np.sin(view.tilt))
        across, down = center[None, :], center[:, None]
        self.x = cos * across + sin * down + np.float32(0.5 - view.midline)  # from the midline
        self.y = cos * down - sin * across + np.float32(0.5)
        self.left = self.x > 0
        self.u = np.abs(self.x)
        self.wall_u, self.inner_u = self.cavity_edges(self.y)
        self.dome_y = self.dome(self.u, self.left)
        self.in_wall = self.wall_u - self.u
        across = np.minimum(self.in_wall, self.u - self.inner_u)
        self.in_cavity = np.minimum(across, np.minimum(self.dome_y - self.y, self.y - anatomy.apex))
        self.in_heart = self.heart_edge(self.y, self.left) - self.u

    def to_film(self, x: float, y: float) -> tuple[float, float]:
        """Patient coordinates to film pixels: the inverse of the pose."""
        cos, sin = np.cos(self.view.tilt), np.sin(self.view.tilt)
        x, y = x - (0.5 - self.view.midline), y - 0.5
        return (cos * x - sin * y + 0.5) * self.size, (sin * x + cos * y + 0.5) * self.size

    def cavity_edges(self, y):
        """(outer, inner) edge of the lung field at height y, as distances from the midline; equal above the apex."""
        a = self.anatomy
        t = np.clip((y - a.apex) / 0.30, 0.0, 1.0)
        opening = np.sqrt(1.0 - (1.0 - t) ** 2.2)
        summit = 0.46 * a.half_width
        widest = a.half_width * (0.83 + 0.17 * np.clip((y - a.apex) / 0.55, 0.0, 1.0))
        inner = a.mediastinum + 0.012 * bump(y - 0.47, 0.07)  # the hila
        return summit + (widest - summit) * opening, summit + (inner - summit) * opening**0.8

    def dome(self, u, left):
        """Height of the diaphragm at distance u from the midline."""
        a = self.anatomy
        top = np.where(left, np.float32(a.domes[1]), np.float32(a.domes[0]))
        s = (u - 0.45 * a.half_width) / (0.55 * a.half_width)
        return top + np.where(s > 0, np.float32(a.angle_depth), np.float32(0.035)) * np.abs(s) ** 2.2

    def heart_edge(self, y, left):
        """Border of the heart at height y, as distance from the midline."""
        a = self.anatomy
        v = (y - a.heart_top) / (a.heart_floor - a.heart_top)
        share = np.where(left, a.heart_share_left, 1.0 - a.heart_share_left).astype(np.float32)
        rise = np.clip(v / HEART_WIDEST, 0.0, 1.0)
        fall = np.clip((v - HEART_WIDEST) / (1.06 - HEART_WIDEST), 0.0, 1.0)
        shape = (1.0 - (1.0 - rise) ** np.where(left, np.float32(1.6), np.float32(2.2))) ** 0.8 * (1.0 - fall**2.6)
        return np.where(v < 1.0, 2 * a.half_width * self.heart_ratio * share * shape, 0.0)

    def spine_x(self, y):
        """Course of the spine: straight, or bowed by scoliosis."""
        return self.curve * bump(y - CURVE_SUMMIT, CURVE_LENGTH) - self.view.twist

    def retracted(self, share: float) -> np.ndarray:
        """Signed distance inside a lung that has fallen away from the wall and the apex by a share of its size."""
        fall = 1.0 - APEX_FALL * share
        y = np.where(self.y < LUNG_ROOT, LUNG_ROOT + (self.y - LUNG_ROOT) / fall, self.y)
        wall_u, inner_u = self.cavity_edges(y)
        return np.minimum(inner_u + (wall_u - inner_u) * (1.0 - share) - self.u, y - self.anatomy.apex)

    def spot(self, fact: Fact, rng: np.random.Generator, low: float, high: float, retraction: float):
        """A place (x, y) in the fact's zone, `low` to `high` of the way from the heart to the edge of the lung."""
        a, left = self.anatomy, fact.side == "left"
        y = a.apex + (a.domes[left] - a.apex) * (ZONES.index(fact.zone) + rng.uniform(0.42, 0.58)) / 3
        wall, inner = self.cavity_edges(y)
        outer = inner + (wall - inner) * (1.0 - retraction)
        y += max(LUNG_ROOT - y, 0.0) * APEX_FALL * retraction
        inner = max(inner, float(self.heart_edge(y, left)))
        u = inner + (outer - inner) * rng.uniform(low, high)
        return (u if left else -u), y
