"""Which stained parts of a slide are marker ink: by color, and where much has such a color, by shape and texture too.

Color alone does not tell: real markers are as pale as Masson's green collagen and as dark as pigment. So color only
proposes (green, blue, red or black as hardly any stain is at the scale of a tile). What is proposed is ink where it is
a small part of all that is stained: what is lost then is little, and told. Where it is more, ink is what

- lies in strokes, long and of even width, or
- is smooth, as neither nuclei nor fibers are, and of a color that no tissue has,

as long as its color is not the slide's own stain, which covers more than anybody inks. In doubt it is tissue.
"""

import numpy as np

try:
    import cv2
except ImportError:
    cv2 = None

LITTLE = 0.1  # of the stained area: so much may go by color alone
OWN_STAIN = {"all": 1 / 2, "one": 1 / 3}  # of the stained area: no ink covers so much, of all colors or of one
VOID = 16  # of 255: darker is no light at all, such as the black that scanners put around a scan
PATCH = 64  # px of the mask: smaller ones have no shape
LONG, VERY_LONG, EVEN = 4, 10, 0.6  # a stroke: its length in widths; its narrow places against its wide ones
ROUGH = 3.0  # gray levels from px to px
HARD, BLACK = 200, 50  # a saturation that blood does not have, nor any blue or green stain; a darkness of no pigment


def ink_mask(hsv: np.ndarray, stained: np.ndarray) -> np.ndarray:
    """Marker ink, and what has no light, on a shrunk slide.

    Args:
        hsv: uint8 (height, width, 3), OpenCV's: hue 0 to 179.
        stained: bool (height, width), what is no glass; ink need not be in it.

    Returns:
        bool (height, width), grown by 2 px over the faded rim of a stroke.
    """
    void, colors = hsv[..., 2] < VOID, _colors(hsv)
    area = np.count_nonzero((stained | _any(colors)) & ~void)
    own = {name for name in colors if np.count_nonzero(_kin(name, colors, hsv) & ~void) >= OWN_STAIN["one"] * area}
    if np.count_nonzero(_any(colors) & ~void) < LITTLE * area:
        ink = _any({name: color for name, color in colors.items() if name not in own})
    else:
        ink = void | _judged({name: color & ~void for name, color in colors.items()}, own, hsv, area)
    ink = cv2.medianBlur(ink.astype(np.uint8), 5)  # drops single dark or red px
    return cv2.dilate(ink, np.ones((5, 5), np.uint8)) > 0


def _judged(colors: dict[str, np.ndarray], own: set[str], hsv: np.ndarray, area: int) -> np.ndarray:
    """What of the proposed colors is ink, bool (height, width); `own` are those that the slide is stained with."""
    rough = _roughness(hsv[..., 2])
    ink = np.zeros(rough.shape, bool)
    if np.count_nonzero(_any(colors)) < OWN_STAIN["all"] * area:
        ink |= _strokes(_any(colors), rough)
    for name, color in colors.items():
        if name not in own:
            ink |= _strokes(color, rough)
        if _is_foreign(name, color, name in own, hsv, rough):
            ink |= color
    return ink


def _any(colors: dict[str, np.ndarray]) -> np.ndarray:
    return np.logical_or.reduce(list(colors.values()), initial=False)


def _colors(hsv: np.ndarray) -> dict[str, np.ndarray]:
    """What may be ink, bool (height, width) a color.

    Haematoxylin lies at hues of 120 to 145 (paler and bluer beside DAB), eosin and blood from 145 over 0 to 10, DAB at
    10 to 25. A faded red stroke, pale as eosin, is never proposed.
    """
    hue, saturation, value = (hsv[..., channel] for channel in range(3))
    return {
        "green": (hue >= 35) & (hue <= 105) & (saturation > 40),
        "blue": (hue > 105) & (hue <= 120) & (saturation > 120),
        "red": ((hue >= 170) | (hue <= 4)) & (saturation > 150) & (value > 150),
        "black": value < 85,
    }


def _kin(name: str, colors: dict[str, np.ndarray], hsv: np.ndarray) -> np.ndarray:
    """A color with its paler kin, bool (height, width): a stain has all shades. Red and black are taken without, as
    eosin and haematoxylin would be theirs on every slide."""
    hue, saturation = hsv[..., 0], hsv[..., 1]
    if name == "green":
        return colors[name] | (hue >= 35) & (hue <= 105) & (saturation > 20)
    if name == "blue":
        return colors[name] | (hue >= 95) & (hue <= 130) & (saturation > 60)
    return colors[name]


def _strokes(mask: np.ndarray, rough: np.ndarray) -> np.ndarray:
    """The patches of a mask that are long (very long where tissue shows through) and of even width, bool."""
    mask = cv2.medianBlur(mask.astype(np.uint8), 5)
    depth = cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]  # what is outside counts as glass
    ridge = (depth >= cv2.dilate(depth, np.ones((3, 3)))) & (mask > 0)
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(mask)
    strokes = np.zeros(mask.shape, bool)
    for label in 1 + np.flatnonzero(boxes[1:, cv2.CC_STAT_AREA] >= PATCH):  # 0 is all that is not in the mask
        left, top, width, height, area = boxes[label]
        window = np.s_[top : top + height, left : left + width]
        patch = labels[window] == label
        narrow, wide = np.percentile(depth[window][patch & ridge[window]], [25, 90])
        smooth = np.median(rough[window][patch & (depth[window] > wide / 2)]) < ROUGH
        if area > (LONG if smooth else VERY_LONG) * (2 * wide) ** 2 and narrow > EVEN * wide:
            strokes[window] |= patch
    return strokes


def _is_foreign(name: str, color: np.ndarray, own: bool, hsv: np.ndarray, rough: np.ndarray) -> bool:
    """Whether a color, away from its edges, has no texture and is one that no tissue has."""
    depth = cv2.distanceTransform(cv2.medianBlur(color.astype(np.uint8), 5), cv2.DIST_L2, 5)
    inside = depth > min(3, depth.max() / 2)
    if not inside.any() or np.median(rough[inside]) >= ROUGH:
        return False
    saturation, value = (np.median(hsv[..., channel][inside]) for channel in (1, 2))
    if name == "black":
        return value < BLACK and not own
    return saturation > HARD or (name != "red" and not own)


def _roughness(value: np.ndarray) -> np.ndarray:
    """How much the brightness changes from px to px, float32 (height, width)."""
    value = value.astype(np.float32)
    return cv2.blur(np.abs(value - cv2.blur(value, (3, 3))), (3, 3))


__all__ = ["ink_mask"]
