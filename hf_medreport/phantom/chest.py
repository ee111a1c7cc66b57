"""Draws a frontal chest film (PA) from a list of findings, with its lung and heart masks.

The film is a small physics of shadows: soft tissue, bone, heart and fluid add to a map of attenuation, air takes
from it, and a film curve turns the sum into grey values, dense tissue bright. Findings change what they change in a
patient: a consolidation takes the air out of a zone, an effusion fills the pleural space from below, a pneumothorax
lets the lung fall away from the wall.

Coordinates: lengths are in film sides; x runs right and y down on the film, both 0 to 1. The radiographic convention
holds: the patient's LEFT is on the image's RIGHT. `u` is the distance from the patient's midline, and pairs of
numbers are (patient's right, patient's left).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, label

from hf_medreport.phantom.findings import KINDS, SIDES, ZONES, Fact, check_facts
from hf_medreport.processing.input_error import InputError

__all__ = ["STYLES", "Anatomy", "Film", "Style", "check_size", "draw_anatomy", "draw_frontal"]

MIN_SIZE, MAX_SIZE = 32, 4096
HEART_WIDEST = 0.68  # of the way down the heart
LUNG_ROOT = 0.62  # below this height a retracted lung does not sink
APEX_FALL = 0.3  # how far its apex sinks, of the share by which its wall retracts

# The measured steps of each severity, each drawn uniformly from its range; the ranges keep clear of each other.
HEART_RATIO = {None: (0.40, 0.45), "mild": (0.51, 0.53), "moderate": (0.575, 0.595), "severe": (0.64, 0.66)}
FLUID_HEIGHT = {"mild": (0.17, 0.21), "moderate": (0.37, 0.42), "severe": (0.60, 0.66)}  # of the lung's height
LUNG_RETRACTION = {"mild": (0.11, 0.13), "moderate": (0.22, 0.25), "severe": (0.37, 0.42)}  # of the lung's width
NODULE_RADIUS = {"small": (0.019, 0.022), "large": (0.038, 0.044)}  # of the film's side


@dataclass(frozen=True)
class Film:
    """A film: grey values uint8 (size, size), and masks bool (size, size) of the lung fields and of the heart.

    The lung fields are what is seen of the pleural cavities beside the heart and above the diaphragm, diseased or not.
    """

    image: np.ndarray
    lungs: np.ndarray
    heart: np.ndarray


@dataclass(frozen=True)
class Style:
    """How films are taken: ranges of contrast, exposure, noise and blur, the rib layout, and the side marker."""

    contrast: tuple[float, float]
    exposure: tuple[float, float]
    noise: tuple[float, float]
    grain: float  # blur of the noise, pixels
    rib_spacing: tuple[float, float]
    rib_slope: tuple[float, float]
    marker: bool
    scatter: float  # fog from the bottom of the film


STYLES = {
    "standard": Style((3.2, 4.2), (0.50, 0.64), (0.008, 0.020), 0.5, (0.064, 0.074), (0.07, 0.12), True, 0.0),
    "held_back": Style((2.0, 2.7), (0.50, 0.66), (0.025, 0.040), 0.9, (0.082, 0.094), (0.15, 0.20), False, 0.25),
}

# One patient: each value is drawn uniformly from its range.
ANATOMY_RANGES = {
    "tilt": (-0.045, 0.045),  # radians, about the middle of the film
    "midline": (0.48, 0.52),
    "half_width": (0.325, 0.385),  # of the chest inside the ribs
    "apex": (0.09, 0.15),
    "dome_right": (0.65, 0.75),
    "dome_drop_left": (0.01, 0.03),  # the left dome stands lower
    "angle_depth": (0.10, 0.14),  # of the costophrenic angle below the dome
    "mediastinum": (0.058, 0.072),
    "twist": (-0.012, 0.012),  # rotation: shifts the front of the chest against the spine
    "heart_top": (0.39, 0.43),
    "heart_share_left": (0.63, 0.68),
    "knob": (0.085, 0.10),
    "spine": (0.034, 0.042),
    "trachea": (0.016, 0.021),
    "rib_phase": (0.0, 1.0),
    "clavicle_rise": (0.04, 0.09),
    "shoulder": (0.01, 0.05),  # height at which the shoulders leave the neck,
    "flank": (0.045, 0.085),  # soft tissue outside the ribs
    "breast": (-0.12, 0.12),
    "gas": (-0.02, 0.045),
    "bone": (0.8, 1.15),
}


@dataclass(frozen=True)
class Anatomy:
    """One patient's chest, see `ANATOMY_RANGES`; the rib layout comes with the style."""

    tilt: float
    midline: float
    half_width: float
    apex: float
    dome_right: float
    dome_drop_left: float
    angle_depth: float
    mediastinum: float
    twist: float
    heart_top: float
    heart_share_left: float
    knob: float
    spine: float
    trachea: float
    rib_phase: float
    clavicle_rise: float
    shoulder: float
    flank: float
    breast: float
    gas: float
    bone: float
    rib_spacing: float
    rib_slope: float

    @property
    def domes(self) -> tuple[float, float]:
        return self.dome_right, self.dome_right + self.dome_drop_left


def draw_anatomy(rng: np.random.Generator, style: Style) -> Anatomy:
    """Draw one patient."""
    ranges = ANATOMY_RANGES | {"rib_spacing": style.rib_spacing, "rib_slope": style.rib_slope}
    return Anatomy(**{name: float(rng.uniform(*bounds)) for name, bounds in ranges.items()})


def check_size(size: int) -> None:
    """Raise InputError unless a film of this side can be drawn."""
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise InputError("size", f"{size} px", f"{MIN_SIZE} to {MAX_SIZE} px", "choose a side in that range")


def _soft(distance: np.ndarray, width: float) -> np.ndarray:
    """A ramp from 0 to 1 of the given width, centred on distance 0."""
    return np.clip(distance / width + 0.5, 0.0, 1.0)


def _bump(distance: np.ndarray, width: float) -> np.ndarray:
    return np.exp(-np.square(distance / width))


class _Chest:
    """The patient laid on the pixel grid: signed distances (positive inside) to the structures, (size, size) each."""

    def __init__(self, anatomy: Anatomy, size: int):
        self.anatomy, self.size = anatomy, size
        centre = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
        cos, sin = np.float32(np.cos(anatomy.tilt)), np.float32(np.sin(anatomy.tilt))
        across, down = centre[None, :], centre[:, None]
        self.x = cos * across + sin * down + np.float32(0.5 - anatomy.midline)  # from the midline
        self.y = cos * down - sin * across + np.float32(0.5)
        self.left = self.x > 0
        self.u = np.abs(self.x)
        self.wall_u, self.inner_u = self.cavity_edges(self.y)
        self.dome_y = self.dome(self.u, self.left)
        self.in_wall = self.wall_u - self.u
        across = np.minimum(self.in_wall, self.u - self.inner_u)
        self.in_cavity = np.minimum(across, np.minimum(self.dome_y - self.y, self.y - anatomy.apex))

    def to_film(self, x: float, y: float) -> tuple[float, float]:
        """Patient coordinates to film pixels: the inverse of the pose."""
        cos, sin = np.cos(self.anatomy.tilt), np.sin(self.anatomy.tilt)
        x, y = x - (0.5 - self.anatomy.midline), y - 0.5
        return (cos * x - sin * y + 0.5) * self.size, (sin * x + cos * y + 0.5) * self.size

    def cavity_edges(self, y):
        """(outer, inner) edge of the lung field at height y, as distances from the midline; equal above the apex."""
        a = self.anatomy
        t = np.clip((y - a.apex) / 0.30, 0.0, 1.0)
        opening = np.sqrt(1.0 - (1.0 - t) ** 2.2)
        summit = 0.46 * a.half_width
        widest = a.half_width * (0.83 + 0.17 * np.clip((y - a.apex) / 0.55, 0.0, 1.0))
        inner = a.mediastinum + 0.012 * _bump(y - 0.47, 0.07)  # the hila
        return summit + (widest - summit) * opening, summit + (inner - summit) * opening**0.8

    def dome(self, u, left):
        """Height of the diaphragm at distance u from the midline."""
        a = self.anatomy
        top = np.where(left, a.domes[1], a.domes[0])
        s = (u - 0.45 * a.half_width) / (0.55 * a.half_width)
        return top + np.where(s > 0, a.angle_depth, 0.035) * np.abs(s) ** 2.2

    def heart_edge(self, y, left, ratio: float):
        """Border of the heart at height y, as distance from the midline; the whole width is `ratio` of the chest's."""
        a = self.anatomy
        v = (y - a.heart_top) / (a.domes[1] + 0.035 - a.heart_top)
        share = np.where(left, a.heart_share_left, 1.0 - a.heart_share_left).astype(np.float32)
        rise = np.clip(v / HEART_WIDEST, 0.0, 1.0)
        fall = np.clip((v - HEART_WIDEST) / (1.06 - HEART_WIDEST), 0.0, 1.0)
        shape = (1.0 - (1.0 - rise) ** np.where(left, 1.6, 2.2)) ** 0.8 * (1.0 - fall**2.6)
        return np.where(v < 1.0, 2 * a.half_width * ratio * share * shape, 0.0)

    def retracted(self, share: float) -> np.ndarray:
        """Signed distance inside a lung that has fallen away from the wall and the apex by a share of its size."""
        fall = 1.0 - APEX_FALL * share
        y = np.where(self.y < LUNG_ROOT, LUNG_ROOT + (self.y - LUNG_ROOT) / fall, self.y)
        wall_u, inner_u = self.cavity_edges(y)
        return np.minimum(inner_u + (wall_u - inner_u) * (1.0 - share) - self.u, y - self.anatomy.apex)


def _smooth_noise(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """Clouds with about `cells` lumps across, mean 0, standard deviation near 1, the same at every size."""
    coarse = Image.fromarray(rng.standard_normal((cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))


def _ribs(chest: _Chest) -> np.ndarray:
    """Posterior ribs arch over and fall outwards, fainter anterior ones fall inwards; both a periodic profile of y."""
    a, y = chest.anatomy, chest.y
    s = chest.u / a.half_width
    behind = (y - a.rib_slope * (s**2.4 - 0.75 * s)) / a.rib_spacing + a.rib_phase
    front = (y + (0.10 + a.rib_slope) * s**1.3) / (1.08 * a.rib_spacing) + 1.7 * a.rib_phase

    def bones(phase: np.ndarray) -> np.ndarray:
        offset = np.abs(phase - np.floor(phase) - 0.5)  # 0 in the middle of a rib, 0.5 between two
        return _soft(0.23 - offset, 0.12) * (0.7 + 0.6 * _bump(offset - 0.19, 0.06))

    lateral = _soft(s - 0.55, 0.6)  # anterior ribs end in cartilage, which casts no shadow
    ribs = 0.085 * bones(behind) * (0.7 + 0.5 * s) + 0.055 * bones(front) * lateral
    cage = _soft(chest.in_wall + 0.018, 0.012) * _soft(y - a.apex + 0.02, 0.05)
    above = 0.25 + 0.75 * _soft(chest.dome_y - y, 0.06)  # the belly drowns them
    rim = _bump(chest.in_wall + 0.008, 0.011) * _soft(y - a.apex - 0.03, 0.06)  # ribs seen along their length
    return a.bone * above * (ribs * cage + 0.10 * rim)


def _clavicles_and_shoulders(chest: _Chest) -> np.ndarray:
    a, y = chest.anatomy, chest.y
    u = np.abs(chest.x - a.twist)
    s = np.clip((u - 0.025) / 0.38, 0.0, 1.0)
    course = a.apex + 0.10 - 1.3 * a.clavicle_rise * s - 0.022 * np.sin(2 * np.pi * s)
    thick = 0.013 + 0.006 * np.square(2 * s - 1)
    across = np.abs(y - course)
    clavicle = (_soft(thick - across, 0.010) + 0.4 * _bump(across - thick, 0.005)) * _soft(u - 0.03, 0.015)
    clavicle = clavicle * _soft(0.41 - u, 0.04)
    blade = _bump(u - 0.385 - 0.22 * (y - 0.25), 0.012) * _bump(y - 0.27, 0.12)
    plate = _soft(u - 0.385 - 0.22 * (y - 0.25), 0.03) * _bump(y - 0.22, 0.10)
    head = _soft(0.060 - np.hypot(u - 0.475, y - a.apex - 0.05), 0.02)
    return a.bone * (0.14 * clavicle + 0.07 * blade + 0.05 * plate + 0.12 * head)


def _midline(chest: _Chest) -> np.ndarray:
    """Spine, great vessels, aortic knob and hila, less the trachea."""
    a, x, y = chest.anatomy, chest.x, chest.y
    discs = 0.5 + 0.5 * np.cos(2 * np.pi * y / 0.052)
    spine = _soft(a.spine - np.abs(x + a.twist), 0.03) * (0.07 + 0.035 * discs) * (1.0 - 0.6 * _soft(y - 0.6, 0.3))
    centre = 0.55 * a.twist
    width = a.mediastinum - 0.006 + 0.012 * _bump(y - 0.24, 0.08)
    vessels = 0.24 * _soft(width - np.abs(x - centre), 0.026) * _soft(y - a.apex, 0.2)
    knob = 0.30 * _soft(0.038 - np.hypot(x - a.knob + 0.030, (y - 0.335) * 0.8), 0.018)
    aorta = 0.07 * _soft(0.022 - np.abs(x - a.knob + 0.05), 0.02) * _soft(y - 0.35, 0.04) * _soft(0.8 - y, 0.1)
    hila = 0.14 * np.exp(-np.square((chest.u - 0.095) / 0.034) - np.square((y - np.where(x > 0, 0.45, 0.47)) / 0.06))
    trachea = 0.13 * _soft(a.trachea - np.abs(x - centre), 0.014) * _soft(0.40 - y, 0.04)
    return spine + np.maximum(vessels, knob) + aorta + hila - trachea


def _lung_vessels(chest: _Chest, rng: np.random.Generator) -> np.ndarray:
    """Vessels that fork outwards from both hila, 0 to about 1."""
    size = chest.size
    canvas = Image.new("L", (size, size))
    pen = ImageDraw.Draw(canvas)
    grey = (200, 150, 105, 70)
    for sign in (-1.0, 1.0):
        fan = np.linspace(-1.25, 1.35, 7) + rng.uniform(-0.12, 0.12, 7)
        tips = [(sign * 0.08, 0.46 + 0.045 * np.sin(angle), angle) for angle in fan]
        for level in range(4):
            forks = []
            for x, y, angle in tips:
                length = 0.075 * 0.9**level * rng.uniform(0.8, 1.2)
                x1, y1 = x + sign * length * np.cos(angle), y + length * np.sin(angle)
                width = max(1, round(size * (0.010, 0.007, 0.005, 0.004)[level]))
                pen.line([chest.to_film(x, y), chest.to_film(x1, y1)], fill=grey[level], width=width)
                spread = rng.uniform(0.15, 0.5, 2)
                forks += [(x1, y1, angle - spread[0]), (x1, y1, angle + spread[1])]
            tips = forks if level < 2 else forks[::2]
    return gaussian_filter(np.asarray(canvas, dtype=np.float32) / 255.0, 0.0035 * size)


@dataclass
class _Tissue:
    """What the X-rays meet inside the lung fields: air (0 to 1), vessels, and solid tissue added by findings."""

    air: np.ndarray
    vessels: np.ndarray
    solid: np.ndarray


class _Findings:
    """Draws findings into the tissue of one patient; each has its own chance, so that none disturbs another."""

    def __init__(self, chest: _Chest, tissue: _Tissue, facts: tuple[Fact, ...], heart_ratio: float):
        self.chest, self.tissue, self.facts, self.heart_ratio = chest, tissue, facts, heart_ratio
        inside = _soft(chest.in_cavity, 0.01)
        self.lungs = {"right": inside * ~chest.left, "left": inside * chest.left}
        self.retraction = {"right": 0.0, "left": 0.0}

    def draw(self, seed: int) -> None:
        # Pneumothorax first: the other findings lie within the lung that it leaves.
        for fact in sorted(self.facts, key=lambda fact: fact.kind != "pneumothorax"):
            if fact.kind != "cardiomegaly":  # that is the size of the heart itself
                rng = np.random.default_rng((seed, list(KINDS).index(fact.kind), SIDES.index(fact.side)))
                getattr(self, fact.kind)(fact, rng)

    def spot(self, fact: Fact, rng: np.random.Generator, low: float, high: float) -> tuple[float, float]:
        """A place (x, y) in the fact's zone, `low` to `high` of the way from the heart to the edge of the lung."""
        a, left, share = self.chest.anatomy, fact.side == "left", self.retraction[fact.side]
        y = a.apex + (a.domes[left] - a.apex) * (ZONES.index(fact.zone) + rng.uniform(0.42, 0.58)) / 3
        wall, inner = self.chest.cavity_edges(y)
        outer = inner + (wall - inner) * (1.0 - share)
        y += max(LUNG_ROOT - y, 0.0) * APEX_FALL * share
        inner = max(inner, float(self.chest.heart_edge(y, left, self.heart_ratio)))
        u = inner + (outer - inner) * rng.uniform(low, high)
        return (u if left else -u), y

    def pneumothorax(self, fact: Fact, rng: np.random.Generator) -> None:
        chest, tissue, cavity = self.chest, self.tissue, self.lungs[fact.side]
        share = self.retraction[fact.side] = rng.uniform(*LUNG_RETRACTION[fact.severity])
        in_lung = chest.retracted(share)
        lung = self.lungs[fact.side] = cavity * _soft(in_lung, 0.006)
        free_air = cavity - lung
        tissue.air += free_air * (1.1 - tissue.air) - 0.35 * share * tissue.air * lung
        tissue.vessels *= 1.0 - free_air
        tissue.solid += 0.18 * cavity * _bump(in_lung, 0.006)

    def pleural_effusion(self, fact: Fact, rng: np.random.Generator) -> None:
        chest, tissue, a = self.chest, self.tissue, self.chest.anatomy
        floor = a.domes[fact.side == "left"] + a.angle_depth
        height = rng.uniform(*FLUID_HEIGHT[fact.severity]) * (floor - a.apex)
        climb = 0.085 * np.clip(chest.u / a.half_width, 0.0, 1.0) ** 3  # the meniscus rises to the wall
        surface = floor - height + 0.085 - climb
        fluid = self.lungs[fact.side] * _soft(chest.y - surface, 0.022)
        tissue.air *= 1.0 - 0.97 * fluid
        tissue.vessels *= 1.0 - fluid
        tissue.solid += 0.10 * fluid

    def consolidation(self, fact: Fact, rng: np.random.Generator) -> None:
        chest, tissue = self.chest, self.tissue
        x, y = self.spot(fact, rng, 0.42, 0.62)
        width, height = rng.uniform(0.10, 0.125), rng.uniform(0.078, 0.092)
        fray = 0.22 * _smooth_noise(rng, chest.size, 11) + 0.10 * _smooth_noise(rng, chest.size, 26)
        inside = 1.0 - np.hypot((chest.x - x) / width, (chest.y - y) / height) + fray
        patch = _soft(inside - 0.14, 0.6) * self.lungs[fact.side]
        tissue.air *= 1.0 - patch * (0.86 + 0.06 * _smooth_noise(rng, chest.size, 40))
        tissue.solid += 0.05 * patch

    def atelectasis(self, fact: Fact, rng: np.random.Generator) -> None:
        chest, tissue = self.chest, self.tissue
        x, y = self.spot(fact, rng, 0.45, 0.60)
        tilt, length = rng.uniform(0.10, 0.30), rng.uniform(0.075, 0.095)
        along = chest.x - x
        outwards = along if x > 0 else -along
        bands = 0.0
        for offset in (-0.026, 0.012):
            across = chest.y - y - offset - rng.uniform(-0.006, 0.006) + tilt * outwards
            bands = bands + _bump(across, 0.0085) * _soft(length - np.abs(along), 0.03)
        haze = _bump(along, 0.09) * _bump(chest.y - y, 0.045)
        tissue.solid += 0.26 * bands * self.lungs[fact.side]
        tissue.air *= 1.0 - 0.18 * haze * self.lungs[fact.side]

    def nodule(self, fact: Fact, rng: np.random.Generator) -> None:
        chest, tissue = self.chest, self.tissue
        x, y = self.spot(fact, rng, 0.30, 0.75)
        radius = rng.uniform(*NODULE_RADIUS[fact.severity])
        depth = 1.0 - np.hypot(chest.x - x, chest.y - y) / radius
        tissue.solid += 0.30 * _soft(depth, 0.012 / radius) * self.lungs[fact.side]


def _body(chest: _Chest, fat: np.ndarray) -> np.ndarray:
    """Soft tissue of trunk, neck and shoulders, thicker below the diaphragm; 0 outside the patient."""
    a, u, y = chest.anatomy, chest.u, chest.y
    slope = np.clip((y - a.shoulder) / 0.13, 0.0, 1.0)
    arms = 0.10 + 0.46 * slope**1.3
    trunk = a.half_width + a.flank + 0.015 * np.cos(6 * y)
    armpit = _soft(y - 0.42, 0.22)
    inside = arms * (1.0 - armpit) + np.minimum(arms, trunk) * armpit - u
    flesh = 0.60 * np.clip(inside / 0.15, 0.0, 1.0) ** 0.6
    breast = max(a.breast, 0.0) * _soft(1.0 - np.hypot((u - 0.21) / 0.16, (y - 0.60) / 0.15), 0.35)
    belly = 0.30 * _soft(y - chest.dome_y, 0.012) * _soft(chest.wall_u + 0.02 - u, 0.06)
    gas = 0.16 * _soft(a.gas - np.hypot((chest.x - 0.16) * 0.7, y - a.domes[1] - 0.06), 0.02)
    return _soft(inside, 0.012) * (flesh + breast + 0.03 * fat) + belly - gas


def _largest_part(mask: np.ndarray) -> np.ndarray:
    """The mask without the stray pixels that the grid cuts off in its sharp angles."""
    parts, _ = label(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return parts == sizes.argmax()


def _develop(attenuation: np.ndarray, chest: _Chest, style: Style, rng: np.random.Generator) -> np.ndarray:
    """Attenuation to grey values, uint8: film curve, fog, noise and the side marker."""
    contrast, exposure = rng.uniform(*style.contrast), rng.uniform(*style.exposure)
    size = chest.size
    fog = style.scatter * chest.y + rng.uniform(-0.08, 0.08) * chest.x
    film = 1.0 / (1.0 + np.exp(-contrast * (attenuation + fog - exposure)))
    noise = gaussian_filter(rng.standard_normal((size, size), dtype=np.float32), style.grain)
    film = film + rng.uniform(*style.noise) * noise * (1.0 + style.grain)
    if style.marker:  # an L on the patient's left
        left, top, unit = int(0.90 * size), int(rng.uniform(0.04, 0.09) * size), max(1, size // 80)
        film[top : top + 5 * unit, left : left + unit] = 1.0
        film[top + 4 * unit : top + 5 * unit, left : left + 3 * unit] = 1.0
    return np.clip(255.0 * film, 0.0, 255.0).astype(np.uint8)


def draw_frontal(facts: Iterable[Fact], rng: np.random.Generator, size: int, style: str = "standard") -> Film:
    """Draw one patient's film showing the facts.

    The same generator state draws the same patient, view and noise whatever the facts, so two lists of facts can be
    compared on one patient.

    Args:
        facts: the findings, none contradicting or hiding another.
        rng: the source of chance.
        size: side of the film in pixels, 32 to 4096.
        style: "standard", or "held_back" for a look that training never shows.

    Raises:
        InputError: size out of range, unknown style, or facts that one film cannot show together.
    """
    check_size(size)
    if style not in STYLES:
        raise InputError("style", repr(style), " or ".join(STYLES), "name one of the two")
    facts = tuple(facts)
    check_facts(facts)
    look = STYLES[style]
    seeds = [int(seed) for seed in rng.integers(2**32, size=4)]
    anatomy = draw_anatomy(np.random.default_rng(seeds[0]), look)
    texture = np.random.default_rng(seeds[1])
    chest = _Chest(anatomy, size)

    grade = next((fact.severity for fact in facts if fact.kind == "cardiomegaly"), None)
    low, high = HEART_RATIO[grade]
    heart_ratio = low + (high - low) * float(texture.random())
    in_heart = chest.heart_edge(chest.y, chest.left, heart_ratio) - chest.u
    heart = _soft(in_heart, 0.012)

    depth = np.clip(chest.in_wall / 0.16, 0.0, 1.0) ** 0.5  # the chest is thin at its edges
    clouds = _smooth_noise(texture, size, 24)
    tissue = _Tissue(
        air=_soft(chest.in_cavity, 0.012) * (0.55 + 0.45 * depth) * (1.0 + 0.03 * clouds),
        vessels=_lung_vessels(chest, texture),
        solid=np.zeros_like(chest.u),
    )
    _Findings(chest, tissue, facts, heart_ratio).draw(seeds[2])

    lung_vessels = (
        tissue.vessels * _soft(chest.in_cavity, 0.02) * _soft(chest.in_wall - 0.03, 0.06) * (1.0 - 0.6 * heart)
    )
    attenuation = (
        _body(chest, _smooth_noise(texture, size, 9))
        + _ribs(chest)
        + _clavicles_and_shoulders(chest)
        + _midline(chest)
        + heart
        * (0.08 + 0.16 * np.clip(in_heart / 0.10, 0.0, 1.0) ** 0.5)
        * _soft(chest.y - anatomy.heart_top - 0.08, 0.16)
        + 0.24 * lung_vessels
        + tissue.solid
        - 0.42 * tissue.air * (1.0 - 0.55 * heart)
    )
    in_heart_mask = (in_heart > 0) & (chest.y < anatomy.domes[1] + 0.035)
    lungs = (chest.in_cavity > 0) & ~in_heart_mask
    return Film(
        image=_develop(attenuation, chest, look, np.random.default_rng(seeds[3])),
        lungs=_largest_part(lungs & chest.left) | _largest_part(lungs & ~chest.left),
        heart=in_heart_mask,
    )
