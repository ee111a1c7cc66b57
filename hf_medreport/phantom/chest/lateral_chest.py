"""The patient laid on the pixel grid of a lateral film: lungs, heart, spine and aorta seen from the side.

Lengths are in film sides; z runs from the patient's front to the back and y down, both 0 to 1. Pairs are (patient's
right, patient's left). Distances are positive inside a structure.
"""

import numpy as np
from PIL import Image, ImageDraw
from scipy.interpolate import make_interp_spline

from hf_medreport.phantom.chest.anatomy import Anatomy, View, bump, chance, soft
from hf_medreport.phantom.chest.findings import Fact
from hf_medreport.phantom.chest.frontal_chest import CURVE_LENGTH, CURVE_SUMMIT, heart_size, spine_curve

__all__ = ["LateralChest"]

GUTTER = 0.078  # how far the lungs reach behind the middle of the vertebral bodies
MAGNIFIED = 0.014  # the right side is farther from the film: its ribs stand out behind the left ones
ARCH = 0.415  # height of the aortic arch's center
HEART_WIDEST = 0.62  # of the way down the heart

# What only the side shows of a patient: each value is drawn uniformly from its range.
BUILD_RANGES = {
    "kyphosis": (0.45, 0.75),  # curvature of the upper spine
    "slant": (0.11, 0.15),  # how far the upper sternum lies behind the lower one
    "arms": (-0.03, 0.03),  # how far forward they are raised
    "rib_phase": (0.0, 1.0),
}

# The heart's depth, of the chest's, for each grade of cardiomegaly.
HEART_DEPTH = {None: (0.46, 0.50), "mild": (0.56, 0.58), "moderate": (0.64, 0.66), "severe": (0.73, 0.75)}
SMALL_HEART_DEPTH = (0.40, 0.43)  # of overexpanded lungs
BARREL = 1.07  # how much deeper they make the chest


class LateralChest:
    """The patient from the side, laid on the pixel grid; arrays are float32 (size, size), distances positive inside."""

    def __init__(self, anatomy: Anatomy, view: View, facts: tuple[Fact, ...], patient: int, size: int):
        self.anatomy, self.view, self.patient, self.size = anatomy, view, patient, size
        self.facts = {fact.kind: fact for fact in facts}
        build = chance(patient, "build")
        self.kyphosis, self.slant, self.arms, self.rib_start = (
            float(build.uniform(*bounds)) for bounds in BUILD_RANGES.values()
        )
        steps = chance(patient, "shapes").random(4)  # the frontal film's own, so that both show the same grades
        self.heart_depth = heart_size(self.facts, HEART_DEPTH, SMALL_HEART_DEPTH, float(steps[0]))
        self.curve = spine_curve(self.facts, float(steps[1]))
        self.aorta_bulge = 0.028 + 0.008 * float(steps[2]) if "tortuous_aorta" in self.facts else 0.0
        self.depth = 1.95 * anatomy.depth * (BARREL if "hyperinflation" in self.facts else 1.0)
        self.front = 0.475 - 0.5 * self.depth
        self.behind_heart = self.front + (HEART_DEPTH[None][1] - 0.06) * self.depth  # of a heart of usual size

        center = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
        cos, sin = np.float32(np.cos(view.tilt)), np.float32(np.sin(view.tilt))
        across, down = center[None, :], center[:, None]
        self.z = cos * across + sin * down + np.float32(1.0 - view.midline)
        self.y = cos * down - sin * across + np.float32(0.5)
        self.sternum_z, self.spine_z = self.sternum(self.y), self.spine(self.y)
        self.front_z, self.back_z = self.lung_edges(self.y)
        self.in_chest = np.minimum(np.minimum(self.z - self.front_z, self.back_z - self.z), self.y - anatomy.apex)
        self.domes_y = [self.dome(self.z, left) for left in (False, True)]
        self.floor_y = self.domes_y[anatomy.domes[1] > anatomy.domes[0]]  # a raised half does not lift the heart
        self.in_cavity = [np.minimum(self.in_chest, dome_y - self.y) for dome_y in self.domes_y]
        front, back = self.heart_edges(self.y)
        self.in_heart = np.minimum(self.z - front, back - self.z)

    def to_film(self, z: float, y: float) -> tuple[float, float]:
        """Patient coordinates to film pixels: the inverse of the pose."""
        cos, sin = np.cos(self.view.tilt), np.sin(self.view.tilt)
        z, y = z - (1.0 - self.view.midline), y - 0.5
        return (cos * z - sin * y + 0.5) * self.size, (sin * z + cos * y + 0.5) * self.size

    def stroke(self, points: list[tuple[float, float]], width: float) -> np.ndarray:
        """A smooth line through points (z, y), 0 to 1; drawn at twice the size against stairs."""
        course = make_interp_spline(np.arange(len(points)), points, k=min(3, len(points) - 1))
        path = [self.to_film(*point) for point in course(np.linspace(0, len(points) - 1, 8 * len(points)))]
        canvas = Image.new("L", (2 * self.size, 2 * self.size))
        pen_width = max(2, round(2 * width * self.size))
        ImageDraw.Draw(canvas).line([(2 * x, 2 * y) for x, y in path], fill=255, width=pen_width, joint="curve")
        return np.asarray(canvas.resize((self.size, self.size), Image.Resampling.BOX), dtype=np.float32) / 255.0

    def spine(self, y):
        """z of the middle of the vertebral bodies at height y."""
        above, below = np.minimum(y - 0.5, 0.0), np.maximum(y - 0.5, 0.0)
        return self.front + self.depth - GUTTER - self.kyphosis * above * above - 0.35 * below * below

    def sternum(self, y):
        """z of the back of the sternum, and of the front wall below it, at height y."""
        up = np.clip((0.50 - y) / 0.34, 0.0, 1.0)
        return self.front + self.slant * up**1.4 + 0.10 * np.clip(y - 0.66, 0.0, 1.0)

    def trachea(self, y):
        """z of the middle of the trachea at height y."""
        return float(self.spine(0.05)) - 0.075 + 0.16 * (y - 0.05)

    def lung_edges(self, y):
        """(front, back) edge of the lungs at height y, equal above the apex."""
        below = np.maximum(y - self.anatomy.apex, 0.0)
        opening, behind = (np.sqrt(1.0 - np.square(1.0 - np.minimum(below / reach, 1.0))) for reach in (0.23, 0.15))
        summit = float(self.spine(self.anatomy.apex)) - 0.04
        front, back = self.sternum(y), self.spine(y) + GUTTER
        return summit + (front - summit) * opening, summit + (back - summit) * behind

    def dome(self, z, left: bool):
        """Height of one half of the diaphragm at z: it slopes from its summit to the deep angle at the back."""
        s = (z - self.front) / self.depth - 0.36
        back, front = np.maximum(s, 0.0) / 0.64, np.maximum(-s, 0.0) / 0.36
        return self.anatomy.domes[left] + 1.55 * self.anatomy.angle_depth * back * back + 0.035 * front * front

    def heart_edges(self, y):
        """(front, back) edge of the heart at height y, crossed above and below it."""
        a = self.anatomy
        v = (y - a.heart_top) / (max(a.domes) + 0.05 - a.heart_top)
        rise = np.clip(v / HEART_WIDEST, 0.0, 1.0)
        fall = np.clip((v - HEART_WIDEST) / 0.6, 0.0, 1.0)
        gap = 0.03 if "hyperinflation" not in self.facts else 0.07
        front = self.front + self.depth * (gap + 0.25 * (1.0 - rise) ** 1.5)
        swell = (1.0 - (1.0 - rise) ** 1.8) ** 0.9 * (1.0 - 0.8 * fall**2.2)
        back = self.front + self.depth * (0.39 + (self.heart_depth - 0.39) * swell)
        return front, np.where((v > 0) & (v < 1), back, np.float32(0.0))

    def aorta_distance(self) -> np.ndarray:
        """Distance from the aorta's middle: up from the heart, over the arch, and down before the spine."""
        y, swell = self.y, self.aorta_bulge
        center, radius = self.trachea(ARCH) + 0.012 + 0.4 * swell, 0.080 + 0.5 * swell
        below = np.maximum(y - ARCH, 0.0)
        z = self.z - center
        along = self.spine(ARCH + below) - float(self.spine(ARCH))
        z = z - (z > 0) * (along + swell * np.sin(2 * np.pi * below / 0.34))  # winds when tortuous
        distance = np.abs(np.hypot(z, np.minimum(y - ARCH, 0.0)) - radius)
        front_end, back_end = soft(self.anatomy.heart_top + 0.08 - y, 0.08), soft(0.78 - y, 0.3)
        return distance + 0.05 * np.where(z < 0, 1.0 - front_end, 1.0 - back_end)

    def rib_foot(self, y, left: bool):
        """z of the back wall of one side; scoliosis turns the chest, which parts the two."""
        turn = 0.35 * self.curve * bump(y - CURVE_SUMMIT, CURVE_LENGTH)
        return self.spine(y) + GUTTER + (turn if left else MAGNIFIED - turn)

    def rib_course(self, s):
        """How far a rib has fallen at the share s of the way from the back wall to the front."""
        return (0.30 + self.anatomy.rib_slope) * (s - 0.2 * s * np.abs(s)) - 0.09 * bump(s, 0.13)

    def rib_grid(self, left: bool) -> tuple[float, float]:
        """(spacing, start): the middle of rib n of one side is at (n + 0.5 - start) * spacing + rib_course(s)."""
        return self.anatomy.rib_spacing * (1.0 if left else 1.05), self.rib_start + (0.0 if left else 0.3)
