"""Chance that hangs on a place and not on an order: hashes of lattice points, jittered lattices, textures that repeat.

A slide is drawn piece by piece, by anyone, in any order. So nothing is drawn from a stream of random numbers: each
cell of a lattice over the slide has numbers of its own, mixed from (seed, column, row) by the finalizer of MurmurHash3
(Appleby, public domain).
"""

from functools import cache
from types import ModuleType

import numpy as np

from hf_medreport.processing.input_error import InputError

__all__ = ["PERIOD", "lattice", "numbers", "opencv", "smooth_noise", "texture"]

PERIOD = 1024  # px after which a texture repeats; cells and glands never do


def opencv() -> ModuleType:
    """The package cv2, which draws.

    Raises:
        InputError: it is not installed.
    """
    try:
        import cv2
    except ImportError:
        expected, remedy = "OpenCV, which draws slides", "pip install 'hf-medreport[wsi]'"
        raise InputError("phantom slide", "no opencv-python-headless", expected, remedy) from None
    return cv2


def _mixed(value: np.ndarray) -> np.ndarray:
    value = (value ^ (value >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    value = (value ^ (value >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return value ^ (value >> np.uint32(16))


def numbers(seed: int, columns, rows, count: int) -> np.ndarray:
    """Float32 (..., count) in [0, 1) for lattice points; `columns` and `rows` are whole numbers of any sign."""
    columns = np.asarray(columns, np.int64).astype(np.uint32)[..., None]
    rows = np.asarray(rows, np.int64).astype(np.uint32)[..., None]
    salt = np.array([(seed * 0x9E3779B1 + k * 0x7F4A7C15) & 0xFFFFFFFF for k in range(count)], np.uint32)
    mixed = _mixed(_mixed(columns * np.uint32(0xCC9E2D51) + salt) ^ (rows * np.uint32(0x1B873593)))
    return (mixed >> np.uint32(8)).astype(np.float32) / np.float32(1 << 24)


def lattice(
    seed: int,
    bounds: tuple[float, float, float, float],
    spacing: float | tuple[float, float],
    count: int,
    jitter: float = 0.7,
    angle: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Points of a jittered lattice, every second row shifted by half a step.

    Args:
        bounds: left, top, right, bottom of the part that is wanted; all points in it are given.
        spacing: between columns and between rows, in the unit of `bounds`.
        count: random numbers a point.
        jitter: how far a point moves, as a share of the spacing.
        angle: by which the rows are turned, in radians.

    Returns:
        points float32 (n, 2) and their numbers (n, count).
    """
    wide, high = spacing if isinstance(spacing, tuple) else (spacing, spacing)
    left, top, right, bottom = bounds
    cosine, sine = np.cos(angle), np.sin(angle)
    corners = np.array([(left, top), (right, top), (left, bottom), (right, bottom)])
    along, across = corners @ (cosine, sine), corners @ (-sine, cosine)
    columns = np.arange(np.floor(along.min() / wide) - 1, np.ceil(along.max() / wide) + 2)
    rows = np.arange(np.floor(across.min() / high) - 1, np.ceil(across.max() / high) + 2)
    columns, rows = (axis.ravel().astype(np.int64) for axis in np.meshgrid(columns, rows))
    chance = numbers(seed, columns, rows, count + 2)
    along = (columns + (rows % 2) * 0.5 + jitter * (chance[:, 0] - 0.5)) * wide
    across = (rows + jitter * (chance[:, 1] - 0.5)) * high
    points = np.stack([cosine * along - sine * across, sine * along + cosine * across], 1)
    inside = ((points >= (left, top)) & (points < (right, bottom))).all(1)
    return points[inside].astype(np.float32), chance[inside, 2:]


def smooth_noise(seed: int, bumps: int, cells: int) -> np.ndarray:
    """A smooth random surface, float32 (cells, cells) of mean 0 and deviation 1, about `bumps` bumps across."""
    cv2 = opencv()
    rows, columns = np.mgrid[: bumps + 2, : bumps + 2]
    points = numbers(seed, columns, rows, 1)[..., 0]
    surface = cv2.resize(points, (cells, cells), interpolation=cv2.INTER_CUBIC)
    return (surface - surface.mean()) / surface.std()


@cache
def texture(name: str, mpp: float) -> np.ndarray:
    """A texture that repeats after `PERIOD` px, of mean 0 and deviation 1, the same for every slide.

    Args:
        name: "fibers" (wavy strands), "clouds" (soft spots of about 20 um), "grain" (of chromatin and cytoplasm,
            about 1.5 um) or "noise" (of the sensor, one pixel).
        mpp: um a pixel.

    Returns:
        float32 (2 x PERIOD, 2 x PERIOD), so that a piece of up to `PERIOD` px can be cut out from any start.
    """
    cv2 = opencv()
    # (blur along x, along y) in um
    along, across = {"fibers": (26.0, 1.6), "clouds": (9.0, 9.0), "grain": (0.6, 0.6), "noise": (0, 0)}[name]
    white = np.random.Generator(np.random.PCG64(sum(name.encode()))).standard_normal((PERIOD, PERIOD))

    def blurred(image: np.ndarray, x: float, y: float) -> np.ndarray:
        """A Gaussian blur around the edges, done where it is a product: on the frequencies."""
        x, y = (-2 * (np.pi * min(max(s / mpp, 0.3), PERIOD / 10)) ** 2 for s in (x, y))
        over, down = np.fft.rfftfreq(PERIOD), np.fft.fftfreq(PERIOD)
        damping = np.exp(x * over[None] ** 2 + y * down[:, None] ** 2)
        return np.fft.irfft2(np.fft.rfft2(image) * damping, s=image.shape).astype(np.float32)

    image = white.astype(np.float32) if name == "noise" else blurred(white, along, across)
    if name == "fibers":  # bent by two slow surfaces
        bends = [blurred(part, 45.0, 45.0) for part in (white[::-1], white[:, ::-1])]
        dx, dy = (bend / bend.std() * min(22.0 / mpp, PERIOD / 12) for bend in bends)
        rows, columns = np.mgrid[:PERIOD, :PERIOD].astype(np.float32)
        tiled = np.pad(image, PERIOD // 2, mode="wrap")
        image = cv2.remap(tiled, columns + dx + PERIOD // 2, rows + dy + PERIOD // 2, cv2.INTER_LINEAR)
    return np.tile((image - image.mean()) / image.std(), (2, 2))
