"""What all drawers draw on: posed coordinates, shapes with soft edges, and the picture that comes of it.

Coordinates are (x, y) from -1 to 1 over the picture, y downwards, turned and shifted a little by the patient's pose.
Small pictures are drawn at twice their size and averaged, so that an edge looks the same at every size.
"""

from dataclasses import dataclass

import numpy as np

from hf_medreport.phantom.chest.anatomy import bump, chance, smooth_noise, soft
from hf_medreport.processing.input_error import InputError

__all__ = ["STYLES", "Canvas", "Picture", "bump", "chance", "check_size", "check_style", "soft"]

STYLES = ("standard", "held_back")
MIN_SIZE, MAX_SIZE = 32, 1024
SUPERSAMPLED = 256  # px: up to this side a picture is drawn at twice its size


@dataclass(frozen=True)
class Picture:
    """A picture: uint8 (size, size), or (size, size, 3) in color; and where its finding shows, bool (size, size)."""

    image: np.ndarray
    mask: np.ndarray


def check_size(size: int) -> None:
    """Raise InputError unless a picture of this side can be drawn."""
    if not isinstance(size, int | np.integer) or isinstance(size, bool) or not MIN_SIZE <= size <= MAX_SIZE:
        raise InputError("size", f"{size} px", f"{MIN_SIZE} to {MAX_SIZE} px", "choose a side in that range")


def check_style(style: str) -> None:
    """Raise InputError for an unknown style."""
    if style not in STYLES:
        raise InputError("style", repr(style), " or ".join(STYLES), "name one of the two")


class Canvas:
    """A patient's picture while it is drawn.

    Args:
        patient: a whole number from 0: who it is.
        size: side of the picture in px.
        turn, shift: how far the pose varies: standard deviations of the angle in radians and of the place.
        channels: 1, or 3 for color.

    Attributes:
        x, y: float64 (side, side), the posed coordinates.
        pixel: the width of an edge that is as sharp as the picture can show.
        values: float64 (channels, side, side), 0 black to 1 white.
        mask: where the finding shows, 0 to 1.
    """

    def __init__(self, patient: int, size: int, turn: float, shift: float, channels: int = 1):
        check_size(size)
        self.patient, self.size = patient, size
        side = 2 * size if size <= SUPERSAMPLED else size
        axis = (np.arange(side) + 0.5) * 2 / side - 1
        x, y = np.meshgrid(axis, axis)
        rng = chance(patient, "pose")
        angle, right, down = rng.normal(0, turn), rng.normal(0, shift), rng.normal(0, shift)
        self.x = x * np.cos(angle) + y * np.sin(angle) - right
        self.y = y * np.cos(angle) - x * np.sin(angle) - down
        self.pixel = 2.5 / size
        self.values = np.zeros((channels, side, side))
        self.mask = np.zeros((side, side))

    def clouds(self, name: str, cells: int) -> np.ndarray:
        """Smooth noise with about `cells` lumps across, mean 0, deviation near 1, of the patient and this name."""
        return smooth_noise(chance(self.patient, name), len(self.x), cells)

    def inside(self, x: float, y: float, a: float, b: float, angle: float = 0.0) -> np.ndarray:
        """An ellipse with these half axes: positive inside, and near its outline about the distance to it."""
        u = (self.x - x) * np.cos(angle) + (self.y - y) * np.sin(angle)
        v = (self.y - y) * np.cos(angle) - (self.x - x) * np.sin(angle)
        return (1 - np.hypot(u / a, v / b)) * min(a, b)

    def paint(self, share: np.ndarray, value, mask: bool = False) -> None:
        """Lay a value (a number, an array, or three for color) over the picture where `share` says, 0 to 1."""
        value = np.asarray(value, dtype=float)
        if value.ndim == 1:
            value = value[:, None, None]
        self.values += share * (value - self.values)
        if mask:
            self.mask = np.maximum(self.mask, share)

    def picture(self, noise: float, gain: float = 1.0) -> Picture:
        """The picture as it is stored: `gain` is its contrast about middle gray, `noise` a standard deviation."""
        values, mask = self.values, self.mask
        if len(self.x) != self.size:
            values, mask = _halved(values), _halved(mask)
        rng = chance(self.patient, "noise")
        values = 0.5 + gain * (values - 0.5) + noise * rng.standard_normal(values.shape)
        image = np.moveaxis((np.clip(values, 0, 1) * 255).round().astype(np.uint8), 0, -1)
        return Picture(image[..., 0] if image.shape[-1] == 1 else image, mask > 0.5)


def _halved(values: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 px."""
    *channels, height, width = values.shape
    return values.reshape(*channels, height // 2, 2, width // 2, 2).mean(axis=(-3, -1))
