"""Draws findings into the tissue of a chest seen from the side: one method a kind, named after it.

Grades, heights and levels are those of the frontal film: each finding first draws from the same chance there and here.
How far to the front it lies is a draw of its own. Cardiomegaly, scoliosis, a tortuous aorta and the diaphragm are
shapes of the chest itself (`lateral_chest.py`); here they only get their masks.
"""

from dataclasses import dataclass

import numpy as np

from hf_medreport.phantom.chest.anatomy import FILM_MM, bump, chance, smooth_noise, soft
from hf_medreport.phantom.chest.findings import SIDES, ZONES, Fact
from hf_medreport.phantom.chest.frontal_chest import APEX_FALL, LUNG_ROOT
from hf_medreport.phantom.chest.frontal_findings import EDEMA, FLUID_HEIGHT, LUNG_RETRACTION, drawn_in_turn, strength
from hf_medreport.phantom.chest.lateral_chest import LateralChest

__all__ = ["Tissue", "draw_findings"]


@dataclass
class Tissue:
    """What the X-rays meet in the chest: air and vessels (0 to 1), each (right, left), and what findings add."""

    air: list[np.ndarray]
    vessels: list[np.ndarray]
    solid: np.ndarray


def draw_findings(profile: LateralChest, tissue: Tissue, facts: tuple[Fact, ...]) -> dict[Fact, np.ndarray]:
    """Draw the facts into the tissue; returns where each shows, bool (size, size)."""
    return drawn_in_turn(_Findings(profile, tissue), profile.patient, facts)


class _Findings:
    """The methods change `tissue` and return where the finding shows: a mask, or how much (size, size)."""

    def __init__(self, profile: LateralChest, tissue: Tissue):
        self.profile, self.tissue = profile, tissue
        self.lungs = [soft(cavity, 0.01) for cavity in profile.in_cavity]
        self.retraction = [0.0, 0.0]

    def spot(self, fact: Fact, rng: np.random.Generator) -> tuple[float, float]:
        """A place (z, y) in the fact's zone: the height of the frontal film, behind the heart or above it."""
        profile, a, left = self.profile, self.profile.anatomy, SIDES.index(fact.side)
        y = a.apex + (a.domes[left] - a.apex) * (ZONES.index(fact.zone) + rng.uniform(0.42, 0.58)) / 3
        rng.random()  # how far outwards it lies on the frontal film
        front, back = profile.lung_edges(y)
        front += 0.45 * profile.depth * self.retraction[left]
        if y > a.heart_top:
            front = max(front, profile.behind_heart)
        y += max(LUNG_ROOT - y, 0.0) * APEX_FALL * self.retraction[left]
        place = chance(profile.patient, fact.kind, fact.side, "front to back").uniform(0.25, 0.70)
        return float(front + (back - front) * place), float(y)

    # Heart and mediastinum: shapes of the chest.

    def cardiomegaly(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        profile = self.profile
        return (profile.in_heart > 0) & (profile.y < profile.floor_y)

    def tortuous_aorta(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        return (self.profile.aorta_distance() < 0.045) & (self.profile.y < self.profile.floor_y)

    # Pleura.

    def pneumothorax(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        """Air before the lung and over its apex, the pleural line between."""
        profile, tissue, left = self.profile, self.tissue, SIDES.index(fact.side)
        share = self.retraction[left] = rng.uniform(*LUNG_RETRACTION[fact.severity])
        raised = LUNG_ROOT + (profile.y - LUNG_ROOT) / (1.0 - APEX_FALL * share)
        y = np.where(profile.y < LUNG_ROOT, raised, profile.y)
        front, back = profile.lung_edges(y)
        in_lung = np.minimum(profile.z - front - 0.45 * profile.depth * share, back - profile.z)
        in_lung = np.minimum(in_lung, y - profile.anatomy.apex)
        cavity = self.lungs[left]
        lung = self.lungs[left] = cavity * soft(in_lung, 0.006)
        free_air = cavity - lung
        tissue.air[left] += free_air * (1.25 - tissue.air[left]) - 0.35 * share * tissue.air[left] * lung
        tissue.vessels[left] *= 1.0 - free_air
        tissue.solid += 0.15 * cavity * bump(in_lung, 0.006)
        return free_air

    def pleural_effusion(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        """Fluid in the angle at the back, to the frontal film's level, rising to the back wall."""
        profile, tissue, left, a = self.profile, self.tissue, SIDES.index(fact.side), self.profile.anatomy
        bottom = a.domes[left] + a.angle_depth
        level = bottom - rng.uniform(*FLUID_HEIGHT[fact.severity]) * (bottom - a.apex)
        s = np.clip((profile.z - profile.front) / profile.depth, 0.0, 1.0)
        meniscus = 0.085 * (1.0 - s**3 - 0.8 * (1.0 - s) ** 3)
        fluid = self.lungs[left] * soft(profile.y - level - meniscus, 0.022)
        tissue.air[left] *= 1.0 - 0.97 * fluid
        tissue.vessels[left] *= 1.0 - fluid
        tissue.solid += 0.12 * fluid
        return fluid

    # Lungs.

    def consolidation(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        profile, tissue, left, faint = self.profile, self.tissue, SIDES.index(fact.side), strength(fact)
        z, y = self.spot(fact, rng)
        width, height = rng.uniform(0.10, 0.125), rng.uniform(0.078, 0.092)
        fray = 0.22 * smooth_noise(rng, profile.size, 11) + 0.10 * smooth_noise(rng, profile.size, 26)
        inside = 1.0 - np.hypot((profile.z - z) / width, (profile.y - y) / height) + fray
        patch = faint * soft(inside - 0.14, 0.6) * self.lungs[left]
        tissue.air[left] *= 1.0 - patch * (0.86 + 0.06 * smooth_noise(rng, profile.size, 40))
        tissue.solid += 0.12 * patch
        return patch

    def atelectasis(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        profile, left, faint = self.profile, SIDES.index(fact.side), strength(fact)
        z, y = self.spot(fact, rng)
        tilt, length = rng.uniform(0.10, 0.30), rng.uniform(0.075, 0.095)
        along = profile.z - z
        bands = 0.0
        for offset in (-0.026, 0.012):
            across = profile.y - y - offset - rng.uniform(-0.006, 0.006) - tilt * along
            bands = bands + bump(across, 0.0085) * soft(length - np.abs(along), 0.03)
        haze = faint * bump(along, 0.09) * bump(profile.y - y - tilt * along, 0.045) * self.lungs[left]
        self.tissue.solid += 0.24 * faint * bands * self.lungs[left]
        self.tissue.air[left] *= 1.0 - 0.25 * haze
        return haze

    def interstitial_edema(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        profile, tissue = self.profile, self.tissue
        amount = rng.uniform(*EDEMA[fact.severity])
        # Thickened septa: the lines along which clouds cross zero are a net.
        net = sum(0.55 * bump(smooth_noise(rng, profile.size, cells), 0.3) for cells in (44, 68))
        net *= 1.0 - 0.5 * soft(profile.in_heart, 0.02)
        height = (profile.y - profile.anatomy.apex) / (max(profile.anatomy.domes) - profile.anatomy.apex)
        wet = amount * np.clip(0.35 + 0.75 * height, 0.0, 1.0)  # the bases fill first
        hila = bump(profile.z - profile.trachea(profile.y), 0.12)
        both = np.maximum(*self.lungs)
        tissue.solid += 0.19 * wet * net * both
        for left in (0, 1):
            tissue.air[left] *= 1.0 - 0.55 * wet * (0.6 + 0.4 * hila) * self.lungs[left]
            tissue.vessels[left] = np.minimum(tissue.vessels[left] * (1.0 + 0.8 * wet), 1.0)
        return both > 0.5

    def nodule(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        profile = self.profile
        z, y = self.spot(fact, rng)
        radius = (fact.size_mm or rng.uniform(16, 32)) / 2 / FILM_MM
        lobes = 1.0 + 0.07 * np.sin(3 * np.arctan2(profile.y - y, profile.z - z) + rng.uniform(0, 6))
        depth = 1.0 - np.hypot(profile.z - z, profile.y - y) / (radius * lobes)
        ball = soft(depth, 0.010 / radius) * self.lungs[SIDES.index(fact.side)]
        self.tissue.solid += 0.30 * strength(fact) * ball
        return ball

    def calcified_granuloma(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        profile = self.profile
        z, y = self.spot(fact, rng)
        turn = rng.uniform(0, 2 * np.pi)
        places = [(z, y)]
        if fact.number == "multiple":
            angles = turn + np.arange(4) * np.pi / 2
            places = [(z + 0.036 * float(np.cos(angle)), y + 0.036 * float(np.sin(angle))) for angle in angles]
        dots = np.zeros_like(profile.z)
        for pz, py in places:
            radius = rng.uniform(0.0085, 0.0110)
            dots = np.maximum(dots, soft(1.0 - np.hypot(profile.z - pz, profile.y - py) / radius, 0.006 / radius))
        dots = dots * self.lungs[SIDES.index(fact.side)]
        self.tissue.solid += 0.60 * dots
        return dots

    def hyperinflation(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        for left in (0, 1):
            self.tissue.air[left] *= 1.0 + 0.16 * self.lungs[left]
            self.tissue.vessels[left] *= 0.65
        return np.maximum(*self.lungs) > 0.5

    # Diaphragm and bones.

    def elevated_diaphragm(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        profile = self.profile
        below = profile.y - profile.domes_y[SIDES.index(fact.side)]
        return (below > -0.01) & (below < 0.09) & (profile.in_chest > 0)

    def rib_fracture(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        """A gap in a rib before the spine, and the callus around it."""
        profile, left = self.profile, bool(SIDES.index(fact.side))
        s = chance(profile.patient, fact.kind, fact.side, "front to back").uniform(0.30, 0.44)
        rng.random()  # how far outwards it lies on the frontal film
        spacing, start = profile.rib_grid(left)
        course = float(profile.rib_course(s))
        slope = float(profile.rib_course(s - 0.01) - profile.rib_course(s + 0.01)) / 0.02 / profile.depth
        run = float(np.hypot(1.0, slope))
        first = np.ceil((rng.uniform(0.36, 0.42) - course) / spacing + start - 0.5)
        shown = np.zeros_like(profile.z)
        for rib in range(3 if fact.number == "multiple" else 1):
            y = float(first + rib + 0.5 - start) * spacing + course
            z = profile.rib_foot(y, left) - s * profile.depth
            along = ((profile.z - z) + slope * (profile.y - y)) / run
            across = ((profile.y - y) - slope * (profile.z - z)) / run
            callus = bump(along, 0.024) * bump(across, 0.018)
            gap = bump(along, 0.0055) * soft(0.020 - np.abs(across), 0.01)
            self.tissue.solid += 0.34 * callus - 0.42 * gap
            shown = np.maximum(shown, callus)
        return shown

    def scoliosis(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        profile = self.profile
        along = (profile.y > profile.anatomy.apex) & (profile.y < max(profile.anatomy.domes))
        return along & (np.abs(profile.z - profile.spine_z) < 1.2 * profile.anatomy.spine)

    # Devices.

    def endotracheal_tube(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        profile = self.profile
        rng.random()  # how far aside it lies on the frontal film
        end = rng.uniform(0.31, 0.35)

        def line(shift: float, end: float, width: float) -> np.ndarray:
            return profile.stroke([(profile.trachea(y) + shift, y) for y in (-0.05, end)], width)

        self.tissue.solid += 0.20 * (line(-0.009, end, 0.003) + line(0.009, end, 0.003))
        self.tissue.solid += 0.45 * line(0.004, end + 0.008, 0.005)
        return line(0.0, end, 0.024) > 0.5

    def central_line(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        """From the subclavian vein over the apex to the superior vena cava, which lies before the trachea."""
        profile, a = self.profile, self.profile.anatomy
        tip = rng.uniform(0.43, 0.49)
        aside = 0.02 if fact.side == "left" else 0.0  # the left vein crosses in front of the great vessels
        start = profile.trachea(a.apex) - 0.11 - aside
        course = [(start - 0.01, a.apex + 0.15), (start + 0.01, a.apex + 0.08), (start + 0.05, a.apex + 0.075)]
        course += [(profile.trachea(y) - 0.050 - 1.5 * aside * (0.34 - y), y) for y in (a.apex + 0.14, 0.34, tip)]
        self.tissue.solid += 0.38 * profile.stroke(course, 0.0065)
        return profile.stroke(course, 0.020) > 0.5

    def pacemaker(self, fact: Fact, rng: np.random.Generator) -> np.ndarray:
        """The box edge-on behind the front wall, leads through the veins to the right atrium and ventricle."""
        profile, a = self.profile, self.profile.anatomy
        y = a.apex + rng.uniform(0.12, 0.14)
        z = profile.sternum(y) + chance(profile.patient, fact.kind, fact.side, "front to back").uniform(0.00, 0.03)
        down, across = profile.y - y, profile.z - z + 0.35 * (profile.y - y)  # it stands along the wall
        corner = np.hypot(np.maximum(np.abs(across) - 0.006, 0.0), np.maximum(np.abs(down) - 0.026, 0.0))
        box = soft(0.009 - corner, 0.006)
        vein = profile.trachea(0.34) - 0.05
        way = [(z + 0.01, y - 0.03), (z + 0.07, a.apex + 0.06), (vein - 0.015, a.apex + 0.12), (vein, 0.34)]
        tip = (profile.front + 0.10 * profile.depth, max(a.domes) - 0.04)
        leads = profile.stroke([*way, (vein - 0.02, 0.50), (vein - 0.10, tip[1] - 0.05), tip], 0.007)
        atrium = [(vein - 0.01, 0.47), (vein - 0.045, 0.50), (vein - 0.07, 0.47)]
        leads = np.maximum(leads, profile.stroke([*way, *atrium], 0.006))
        self.tissue.solid += 1.0 * box + 0.36 * leads
        return np.maximum(box, leads)
