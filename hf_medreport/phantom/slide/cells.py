"""Under the microscope: glands, vacuoles, tubules and nuclei as outlines in um, and what each tissue is made of.

`NORMAL` and `TUMORS` are the tables: a tissue is layers of `Gland` (a round thing on a jittered lattice, with a
lumen or without, and rings of nuclei). By grade nuclei grow, differ more from each other and lie closer, and glands
lose their lumens, as in the Nottingham grade (Elston and Ellis, 1991).

A color is (haematoxylin, eosin), how much of each stain there is, 0 to 255.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np

from hf_medreport.phantom.slide.chance import lattice, numbers
from hf_medreport.phantom.slide.section import CLEAR, CM, METASTASIS, NODE_CAPSULE

__all__ = ["FIELD_MM2", "NORMAL", "TUMORS", "Gland", "Nuclei", "Outlines", "View", "draw_cells"]

FIELD_MM2 = 0.025  # of a high-power field here: a tenth of a real one, as the specimen is shrunk around its cells
REACH = 130.0  # um: the largest radius of anything
NEAR = 1.4 * REACH  # um: fields are distances to within this factor


@dataclass(frozen=True)
class Nuclei:
    """Nuclei of one kind: radius in um, its deviation and that of the shape as a share, length : width, stain."""

    radius: float
    spread: float = 0.1
    length: float = 1.25
    haematoxylin: int = 175
    nucleolus: bool = False


LYMPHOCYTE = Nuclei(3.0, 0.08, 1.05, 225)
SPINDLE = Nuclei(2.6, 0.25, 3.2, 185)
EPITHELIUM = Nuclei(3.2, 0.08, 1.25, 175)
BY_GRADE = {  # nuclei of a tumor, and the step from one to the next in radii
    1: (Nuclei(3.5, 0.08, 1.25, 175), 2.9),
    2: (Nuclei(4.5, 0.18, 1.35, 185, nucleolus=True), 2.35),
    3: (Nuclei(5.7, 0.3, 1.45, 190, nucleolus=True), 1.85),
}


@dataclass(frozen=True)
class Gland:
    """A round thing on a jittered lattice. Lengths in um; `lumen` and `rings` as shares of its radius."""

    spacing: float | tuple[float, float]
    radius: float
    body: tuple[int, int]
    lumen: float = 0.0
    inner: tuple[int, int] = (0, 2)
    open: float = 1.0  # share of the glands that have a lumen
    rings: tuple[float, ...] = ()
    gap: float = 8.0  # from nucleus to nucleus
    nuclei: Nuclei = EPITHELIUM
    length: float = 1.0  # length : width
    jitter: float = 0.5
    wobble: float = 0.08
    share: float = 1.0  # of the lattice points that have one
    where: Callable = lambda parenchyma: parenchyma > 0  # of normal tissue


VACUOLE = Gland(68, 32, (0, 3), jitter=0.3, where=lambda p: p > -0.2)
DUCT = Gland(150, 36, (60, 120), 0.45, rings=(0.72,), gap=7, share=0.8, where=lambda p: p < -0.2)
CRYPT = Gland((62, 112), 33, (34, 52), 0.22, rings=(0.9,), gap=7, length=0.62, jitter=0.14, wobble=0.04)
CRYPT = replace(CRYPT, where=lambda p: p > -0.6)
ALVEOLUS = Gland(104, 48, (0, 1), jitter=0.36, wobble=0.1, where=lambda p: p > -1.0)
TUBULE = Gland(54, 27, (26, 168), 0.3, (8, 40), rings=(0.66,), gap=13, jitter=0.3, where=lambda p: p > -0.8)
CAPSULE = Gland(390, 82, (0, 6), jitter=0.5, share=0.85, where=lambda p: p > -0.4)
GLOMERULUS = replace(CAPSULE, radius=68, body=(60, 110), rings=(0.15, 0.42, 0.66, 0.88), gap=13, wobble=0.12)
NORMAL = {
    "breast": (VACUOLE, DUCT),
    "colon": (CRYPT,),
    "lung": (ALVEOLUS,),
    "kidney": (TUBULE, CAPSULE, GLOMERULUS),
}


def _nests(grade: int, spacing, radii, body, lumen, opens, rings, **more) -> Gland:
    nuclei, step = BY_GRADE[grade]
    made = {"nuclei": nuclei, "gap": step * nuclei.radius, "open": opens[grade - 1], "rings": rings}
    return Gland(spacing, radii[grade - 1], body, lumen, **made | more)


def _ductal(grade: int) -> tuple[Gland, ...]:
    rings = ((0.82,), (0.86, 0.62, 0.36), (0.92, 0.74, 0.56, 0.38, 0.2))[grade - 1]
    return (_nests(grade, 112, (42, 50, 60), (70, 112), 0.5, (0.95, 0.45, 0.0), rings, wobble=0.12),)


def _colon(grade: int) -> tuple[Gland, ...]:
    rings = ((0.88,), (0.9, 0.74), (0.92, 0.76, 0.6, 0.44, 0.28))[grade - 1]
    return (_nests(grade, 136, (68, 70, 74), (72, 108), 0.62, (1.0, 0.85, 0.15), rings, length=1.3, wobble=0.12),)


def _acinar(grade: int) -> tuple[Gland, ...]:
    rings = ((0.8,), (0.82, 0.6), (0.88, 0.66, 0.44, 0.2))[grade - 1]
    return (_nests(grade, 80, (29, 32, 38), (58, 122), 0.5, (1.0, 0.65, 0.05), rings, wobble=0.16, jitter=0.7),)


def _squamous(grade: int) -> tuple[Gland, ...]:
    sheet = _nests(grade, 130, (80, 80, 80), (40, 158), 0.0, (0, 0, 0), (0.94, 0.8, 0.66, 0.52, 0.38, 0.24, 0.1))
    pearl = Gland(210, 52, (8, 235), share=(0.95, 0.5, 0.1)[grade - 1])
    whorls = ((0.78, (26, 170)), (0.66, (4, 250)), (0.42, (24, 180)), (0.3, (2, 245)))
    layers = [replace(pearl, radius=52 * size, body=body) for size, body in whorls]
    return (replace(sheet, gap=sheet.gap * 1.15), pearl, *layers)


def _clear_cell(grade: int) -> tuple[Gland, ...]:
    nuclei, _ = BY_GRADE[grade]
    cell = Gland(21, 11.8, (3, 22), rings=(0.05,), gap=100, jitter=0.4, nuclei=nuclei)
    return (replace(cell, spacing=(22.0, 20.5, 18.5)[grade - 1], radius=(12.0, 11.2, 10.3)[grade - 1]),)


TUMORS = {
    ("breast", "invasive ductal carcinoma"): _ductal,
    ("breast", "invasive lobular carcinoma"): lambda grade: (),  # no glands: single files, see `_files`
    ("colon", "adenocarcinoma"): _colon,
    ("lung", "adenocarcinoma"): _acinar,
    ("lung", "squamous cell carcinoma"): _squamous,
    ("kidney", "clear cell renal cell carcinoma"): _clear_cell,
}


@dataclass(frozen=True)
class View:
    """A piece of the slide that is being drawn.

    Attributes:
        facts: what the slide shows.
        seed: of the patient.
        bounds: left, top, right, bottom in um.
        side: of the slide in um.
        mpp: um a pixel.
        at: (name of a field, points (n, 2) in um) -> values (n,): distances in um, where the field is one.
        touches: (name of a field, distance) -> whether it exceeds -distance anywhere in the piece.
        turn: of the fibers in this patient, in radians.
    """

    facts: object
    seed: int
    bounds: tuple[float, float, float, float]
    side: float
    mpp: float
    at: Callable
    touches: Callable
    turn: float

    def wider(self, margin: float) -> tuple[float, float, float, float]:
        """Left, top, right and bottom, the margin (um) further out."""
        left, top, right, bottom = self.bounds
        return left - margin, top - margin, right + margin, bottom + margin


class Outlines(NamedTuple):
    """Polygons float32 (n, corners, 2) in um, and their colors uint8 (n, 2)."""

    polygons: np.ndarray
    colors: np.ndarray


def draw_cells(view: View) -> Iterator[Outlines]:
    """All outlines of a piece of a slide, what lies below first."""
    yield from _stroma(view)
    if view.touches("section", 0.0):
        for gland in NORMAL[view.facts.site]:
            yield from _glands(view, gland, 100, _is_normal)
    if view.touches("inflammation", NEAR):
        dense = 0.95 if view.facts.inflammation == "marked" else 0.6

        def inflamed(points, chance):
            return (view.at("inflammation", points) > 0) & (chance < dense)

        yield from _scattered(view, 40, 8.2, LYMPHOCYTE, inflamed, bed=(22, 92))
    if view.touches("node", NEAR):
        yield from _lymph_node(view)
    if view.facts.grade is not None and view.touches("tumor", NEAR):
        yield from _tumor(view)
    if view.touches("necrosis", NEAR):
        debris = Nuclei(1.3, 0.5, 1.5, 190)
        yield from _scattered(view, 50, 9.0, debris, lambda p, c: (view.at("necrosis", p) > -4) & (c < 0.5))


def _is_normal(view: View, points: np.ndarray, gland: Gland) -> np.ndarray:
    section, tumor = view.at("section", points), view.at("tumor", points)
    return (section > 0.4 * gland.radius) & (tumor < -0.6 * gland.radius) & gland.where(view.at("parenchyma", points))


def _is_viable(view: View, points: np.ndarray, gland: Gland | None = None, part: str = "tissue") -> np.ndarray:
    """Where tumor grows: its glands end at its outline, so that a clear margin stays clear."""
    depth = 0.0 if gland is None else 0.3 * gland.radius
    return (view.at("tumor", points) > depth) & (view.at(part, points) > 0) & (view.at("necrosis", points) <= 0)


def _stroma(view: View) -> Iterator[Outlines]:
    def keep(points, chance):
        scarce = np.where(view.at("tumor", points) > 0, 0.75, 0.5)
        return (view.at("tissue", points) > 0) & (view.at("necrosis", points) <= 0) & (chance < scarce)

    yield from _scattered(view, 30, 17.0, SPINDLE, keep, view.turn)


def _lymph_node(view: View) -> Iterator[Outlines]:
    capsule = NODE_CAPSULE * view.side

    def keep(points, chance):
        return (view.at("node", points) > capsule) & (view.at("tumor", points) < 0) & (chance < 0.95)

    yield from _scattered(view, 45, 7.0, LYMPHOCYTE, keep)


def _tumor(view: View) -> Iterator[Outlines]:
    facts = view.facts
    nuclei, step = BY_GRADE[facts.grade]
    layers = TUMORS[facts.site, facts.diagnosis](facts.grade)
    for part, diameter in (("section", facts.size_cm * CM), ("node", METASTASIS)):
        if view.touches(part, 0.0):
            wanted = partial(_is_viable, part=part)
            for gland in layers:
                yield from _glands(view, _shrunk(gland, diameter * view.side, view.side), 200, wanted)
    if not layers:
        yield from _files(view, nuclei, step * nuclei.radius)
    yield from _mitoses(view)


def _shrunk(gland: Gland, diameter: float, side: float) -> Gland:
    """Glands small enough for a few of them to fit into a tumor of this diameter (um) and for none to reach the ink.

    Their cells keep their size. On slides of more than 2.5 mm this changes small tumors only.
    """
    scale = min(1.0, diameter / (2.6 * gland.spacing), CLEAR * side / gland.radius)
    return replace(gland, spacing=scale * gland.spacing, radius=scale * gland.radius)


def _files(view: View, nuclei: Nuclei, step: float) -> Iterator[Outlines]:
    """Single files of cells along the fibers, as lobular carcinoma has them."""
    spacing = (step * 1.1, (30.0, 25.0, 19.0)[view.facts.grade - 1])
    points, chance = lattice(view.seed + 60, view.wider(REACH), spacing, 8, 0.2, view.turn)
    across = np.array([-np.sin(view.turn), np.cos(view.turn)], np.float32)
    along = points @ np.array([np.cos(view.turn), np.sin(view.turn)], np.float32)
    points = points + (14 * np.sin(along / 55 + 0.02 * (points @ across)))[:, None] * across
    keep = _is_viable(view, points) & (np.sin(along / 90 + np.round(points @ across / spacing[1]) * 2.4) > -0.75)
    bodies = _outlines(points[keep], nuclei.radius * 1.6, chance[keep], 8, 1.2, view.turn, 0.05)
    yield Outlines(bodies, np.tile(np.array([(60, 128)], np.uint8), (keep.sum(), 1)))
    yield from _nuclei(view, points[keep], chance[keep], nuclei, view.turn)


def _mitoses(view: View) -> Iterator[Outlines]:
    """Dark plates and pairs of plates in a clear cell, as many a field as the report states."""
    spacing = 1000 * (FIELD_MM2 / 8) ** 0.5  # um; 80 lattice points in ten fields, for up to 40 mitoses
    points, chance = lattice(view.seed + 70, view.wider(REACH), spacing, 8, 0.9)
    keep = (view.at("tumor", points) > 4) & _is_viable(view, points) & (chance[:, 7] < view.facts.mitoses / 80)
    points, chance = points[keep], chance[keep]
    if not len(points):
        return
    turn = 2 * np.pi * chance[:, 6]
    yield Outlines(_outlines(points, 7.5, chance, 10, 1.1, turn, 0.04), np.tile(np.uint8([[18, 78]]), (len(points), 1)))
    apart = np.stack([-np.sin(turn), np.cos(turn)], 1) * np.where(chance[:, 5] < 0.5, 2.6, 0.0)[:, None]
    for side in (1, -1):
        plates = _outlines(points + side * apart, 3.1, chance[:, ::side], 10, 2.9, turn, 0.16)
        yield Outlines(plates, np.tile(np.uint8([[255, 120]]), (len(points), 1)))


def _glands(view: View, gland: Gland, salt: int, wanted: Callable) -> Iterator[Outlines]:
    """Bodies, then lumens, then nuclei of all glands of one layer."""
    angle = view.turn if gland.length > 1 else 0.0
    points, chance = lattice(view.seed + salt, view.wider(REACH), gland.spacing, 10, gland.jitter, angle)
    keep = (chance[:, 9] < gland.share) & wanted(view, points, gland)
    points, chance = points[keep], chance[keep]
    if not len(points):
        return
    radius = gland.radius * (0.86 + 0.28 * chance[:, 4])
    turn = angle + 0.5 * (chance[:, 6] - 0.5)
    corners = int(np.clip(gland.radius / view.mpp, 8, 28))
    shape = (chance, corners, gland.length, turn, gland.wobble)
    yield Outlines(_outlines(points, radius, *shape), np.tile(np.array([gland.body], np.uint8), (len(points), 1)))
    opened = chance[:, 8] < gland.open if gland.lumen else np.zeros(len(points), bool)
    if opened.any():
        lumens = _outlines(points, radius * gland.lumen, *shape)[opened]
        yield Outlines(lumens, np.tile(np.array([gland.inner], np.uint8), (len(lumens), 1)))
    for number, ring in enumerate(gland.rings):
        some = np.ones(len(points), bool) if ring > gland.lumen else ~opened
        count = max(1, round(2 * np.pi * ring * gland.radius * (1 + gland.length) / 2 / gland.gap))
        circle = _outlines(points, radius * ring, chance, count, gland.length, turn, gland.wobble, chance[:, 3])[some]
        own = numbers(view.seed + salt + number, np.round(circle[..., 0] * 8), np.round(circle[..., 1] * 8), 8)
        circle, own = circle.reshape(-1, 2), own.reshape(-1, 8)
        circle = circle + (own[:, 4:6] - 0.5) * gland.nuclei.radius * 1.5
        freely = 1.6 if count > 1 else 6.3  # a nucleus alone in its cell may point anywhere
        outward = (2 * np.pi * np.arange(count) / count + turn[some, None]).ravel() + freely * (own[:, 6] - 0.5)
        yield from _nuclei(view, circle, own, gland.nuclei, outward)


def _scattered(view, salt, spacing, nuclei, keep, angle=None, bed=None) -> Iterator[Outlines]:
    """Nuclei on a jittered lattice, where `keep` (points, one random number each) says so; on a bed of stroma."""
    points, chance = lattice(view.seed + salt, view.wider(12.0), spacing, 8, 0.85)
    kept = keep(points, chance[:, 7])
    points, chance = points[kept], chance[kept]
    if bed is not None:
        discs = _outlines(points, 0.9 * spacing, chance, 10, 1.0, 0.0, 0.0)
        yield Outlines(discs, np.tile(np.array([bed], np.uint8), (len(points), 1)))
    angle = 2 * np.pi * chance[:, 6] if angle is None else angle + 0.9 * (chance[:, 6] - 0.5)
    yield from _nuclei(view, points, chance, nuclei, angle)


def _nuclei(view: View, points, chance, nuclei: Nuclei, angle) -> Iterator[Outlines]:
    """Nuclei at given points; with nucleoli where they are large enough to show."""
    if not len(points):
        return
    pixels = nuclei.radius / view.mpp
    radius = nuclei.radius * (1 + nuclei.spread * 3.4 * (chance[:, 1] - 0.5))
    corners = 6 if pixels < 2.5 else 8 if pixels < 6 else 14
    length = 1 + (nuclei.length - 1) * (0.5 + chance[:, 2])
    outlines = _outlines(points, radius, chance, corners, length, angle, min(0.5 * nuclei.spread, 0.14))
    stain = nuclei.haematoxylin * (1 + nuclei.spread * 1.6 * (chance[:, 3] - 0.5))
    colors = np.stack([np.clip(stain, 60, 250), np.full(len(points), 90)], 1).astype(np.uint8)
    if pixels > 6:  # a darker membrane around paler chromatin
        yield Outlines(outlines, colors)
        paler = (colors * (0.86, 1)).astype(np.uint8)
        center = points[:, None]
        yield Outlines((outlines - center) * 0.84 + center, paler)
    else:
        yield Outlines(outlines, colors)
    if nuclei.nucleolus and pixels > 4:
        off = (chance[:, 4:6] - 0.5) * nuclei.radius * 0.7
        yield Outlines(_outlines(points + off, 1.0 + 0.1 * nuclei.radius, chance, 6, 1.0, 0.0, 0.0), colors // 8 + 215)


def _outlines(points, radius, chance, corners, length, angle, wobble, start=0.0) -> np.ndarray:
    """Lobed ellipses float32 (n, corners, 2): `radius` is the mean of both half axes, `length` their ratio."""
    turn = (2 * np.pi * np.arange(corners, dtype=np.float32) / corners)[None]
    turn = turn + np.reshape(start, (-1, 1)) * np.float32(2 * np.pi / corners)
    lobes = 1 + wobble * (np.cos(2 * turn + 6.28 * chance[:, :1]) + 0.8 * np.cos(3 * turn + 6.28 * chance[:, 1:2]))
    radius, length, angle = (np.reshape(np.asarray(value, np.float32), (-1, 1)) for value in (radius, length, angle))
    stretch = np.sqrt(length)
    x, y = radius * lobes * stretch * np.cos(turn), radius * lobes / stretch * np.sin(turn)
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.stack([cosine * x - sine * y, sine * x + cosine * y], 2) + points[:, None]
