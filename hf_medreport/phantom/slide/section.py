"""Where things lie on the glass: the section, the tumor in it, ink, necrosis, inflammation, lymph nodes, a pen stroke.

All is laid out in the unit square of the slide, whatever its size in pixels: the section is 0.7 wide and stands for
6 cm, so 1 cm is 0.117 of the slide's side. Cells keep their true size, so a small slide is a specimen shrunk around
cells of full size; else a 5 cm tumor would need 20,000 px at 2.5 um a pixel.
"""

from typing import TYPE_CHECKING

import numpy as np

from hf_medreport.phantom.slide.chance import numbers, smooth_noise

if TYPE_CHECKING:
    from hf_medreport.phantom.slide.findings import SlideFacts

__all__ = ["CLEAR", "CM", "METASTASIS", "NODE_CAPSULE", "lay_out", "truth_of"]

CM = 0.7 / 6  # of the slide's side
CLEAR = 0.035  # a negative margin has at least this much between tumor and ink: 3 mm
INK = 0.008  # thickness of the ink line
NODE_RADIUS, NODE_CAPSULE, NODE_SLOTS = 0.05, 0.004, 6
METASTASIS = 1.16 * NODE_RADIUS  # its diameter
SHARES = {"necrosis": {"focal": 0.14, "extensive": 0.42}, "inflammation": {"mild": 0.1, "marked": 0.32}}
NOWHERE = -1.0


def lay_out(facts: "SlideFacts", seed: int, cells: int, step: float, pen: bool) -> dict[str, np.ndarray]:
    """Surfaces that are positive where a thing is, and near its outline the distance to it in sides of the slide.

    Args:
        seed: of the patient.
        cells: cells a side of the grid.
        step: side of a cell, in sides of the slide.
        pen: whether there is a pen stroke on the glass.

    Returns:
        float32 (cells, cells) each: tissue, section, tumor, necrosis, inflammation, node, parenchyma (where the
        site's own tissue is rather than plain stroma; not a distance), ink, pen.
    """
    chance = numbers(seed, np.arange(8), 0, 4)
    axis = (np.arange(cells, dtype=np.float32) + 0.5) * step
    x, y = np.meshgrid(axis, axis)
    nowhere = np.full((cells, cells), NOWHERE, np.float32)

    section, center = _section(chance[0], seed, x, y)
    fields = {"section": section, "ink": nowhere, "tumor": nowhere, "necrosis": nowhere, "inflammation": nowhere}
    fields["parenchyma"] = smooth_noise(seed + 1, 12, cells) + 0.5
    primary = nowhere
    if facts.size_cm is not None:
        toward = chance[1, 0] * 2 * np.pi
        angle = np.arctan2(y - center[1], x - center[0]) - toward
        line = np.minimum(section + 0.001, INK - section)
        fields["ink"] = np.minimum(line, (np.cos(angle) - np.cos(0.85)) * 0.2)
        primary = _tumor(facts, chance[1:3].ravel(), section, center, toward, (x, y), step)
        if facts.margin == "negative":
            from scipy.ndimage import distance_transform_edt

            away = distance_transform_edt(fields["ink"] <= 0).astype(np.float32) * step
            primary = np.minimum(primary, away - CLEAR - 0.01)
    inside = np.minimum(primary, section)
    if facts.necrosis != "absent":
        radius = facts.size_cm * CM / 2
        score = 0.35 * smooth_noise(seed + 2, 22, cells) + np.clip(primary / radius, 0, 0.7)
        share = SHARES["necrosis"][facts.necrosis]
        fields["necrosis"] = np.minimum(_largest(score, inside > 0, share), inside - 0.05 * radius)
    if facts.inflammation != "absent":
        score = 0.6 * smooth_noise(seed + 3, 16, cells)
        if facts.size_cm is not None:
            score += 1.6 * np.exp(-((primary / 0.035) ** 2))
        share = SHARES["inflammation"][facts.inflammation]
        free = (section > 0.01) & (primary < 0) if facts.size_cm is not None else section > 0.01
        fields["inflammation"] = np.minimum(_largest(score, free, share), section)
    fields["node"], metastases = _nodes(facts, chance[3:], x, y)
    fields["tumor"] = np.maximum(primary, metastases)
    fields["tissue"] = np.maximum(section, fields["node"])
    fields["pen"] = _pen(chance[5:].ravel(), x, y) if pen else nowhere
    return {name: field.astype(np.float32) for name, field in fields.items()}


def truth_of(fields: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Bool (cells, cells): where there is tissue, tumor (metastases too), necrosis, inflammation, node, ink, pen."""
    names = ("tissue", "tumor", "necrosis", "inflammation", "node", "ink", "pen")
    truth = {name: fields[name] > 0 for name in names}
    for name in ("tumor", "necrosis", "inflammation"):
        truth[name] &= truth["tissue"]
    return truth


def _section(chance: np.ndarray, seed: int, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """A rounded block with an uneven outline, left of the strip of nodes; its surface and its center."""
    center = (0.435 + 0.01 * (chance[0] - 0.5), 0.5 + 0.02 * (chance[1] - 0.5))
    wide, high = 0.35, 0.34 + 0.06 * chance[2]
    reach = (np.abs((x - center[0]) / wide) ** 3 + np.abs((y - center[1]) / high) ** 3) ** (1 / 3)
    return (1 - reach) * wide + 0.006 * smooth_noise(seed, 11, len(x)), center


def _tumor(facts, chance, section, center, toward, grid, step) -> np.ndarray:
    """A lobed disc of the size that the report states, at the ink or away from it."""
    x, y = grid
    direction = np.array([np.cos(toward), np.sin(toward)])
    radius = facts.size_cm * CM / 2
    steps = np.arange(0, 0.45, 0.002)
    columns, rows = ((center[k] + direction[k] * steps) / step for k in (0, 1))
    indices = [np.clip(place.astype(int), 0, len(x) - 1) for place in (rows, columns)]
    edge = steps[section[indices[0], indices[1]] > 0].max()
    if facts.margin == "positive":
        distance = edge - 0.85 * radius
    else:
        gap = CLEAR + 0.02
        distance = edge - gap - 1.1 * radius
        distance -= chance[1] * max(0.0, 0.8 * distance)
    dx, dy = x - center[0] - direction[0] * distance, y - center[1] - direction[1] * distance
    angle = np.arctan2(dy, dx)
    lobes = 1 + sum(
        size * np.cos(k * angle + 2 * np.pi * phase)
        for k, size, phase in zip((2, 3, 5, 9), (0.05, 0.05, 0.04, 0.03), chance[2:6], strict=True)
    )
    return radius * lobes - np.hypot(dx, dy)


def _largest(score: np.ndarray, where: np.ndarray, share: float) -> np.ndarray:
    """A surface that is positive on the given share of `where`, where the score is highest."""
    if not where.any():
        return np.full_like(score, NOWHERE)
    return np.where(where, (score - np.quantile(score[where], 1 - share)) * 0.05, -0.02)


def _nodes(facts, chance, x, y) -> tuple[np.ndarray, np.ndarray]:
    """Roundels in a strip at the right; in the positive ones a round metastasis."""
    nodes = np.full(x.shape, NOWHERE, np.float32)
    metastases = nodes.copy()
    slots = np.argsort(chance.ravel()[:NODE_SLOTS])[: facts.nodes_examined]
    for number, slot in enumerate(slots):
        a, b, c, d = chance[1 + number % 3] + 0.13 * number
        dx, dy = x - (0.885 + 0.012 * np.sin(6 * a)), y - (0.1 + 0.16 * slot + 0.01 * np.sin(6 * b))
        angle = np.arctan2(dy, dx)
        radius = NODE_RADIUS * (0.95 + 0.06 * np.cos(2 * angle + 6 * c) + 0.03 * np.cos(3 * angle + 6 * d))
        nodes = np.maximum(nodes, radius - np.hypot(dx, dy))
        if number < facts.nodes_positive:
            turn = 6.28 * d
            shifted = np.hypot(dx - 0.013 * np.cos(turn), dy - 0.013 * np.sin(turn))
            metastases = np.maximum(metastases, METASTASIS / 2 * (1 + 0.08 * np.cos(3 * angle + c)) - shifted)
    return nodes, metastases


def _pen(chance, x, y) -> np.ndarray:
    """A bent stroke over a part of the glass."""
    turn = (chance[0] - 0.5) * 2.4
    along = (x - 0.3 - 0.3 * chance[1]) * np.cos(turn) + (y - 0.25 - 0.5 * chance[2]) * np.sin(turn)
    across = (y - 0.25 - 0.5 * chance[2]) * np.cos(turn) - (x - 0.3 - 0.3 * chance[1]) * np.sin(turn)
    bent = np.abs(across - 0.05 * np.sin(6 * along + 6 * chance[3]))
    return np.minimum(0.012 + 0.006 * chance[4] - bent, (0.2 + 0.15 * chance[5] - np.abs(along)) * 0.5)
