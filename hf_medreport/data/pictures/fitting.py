"""A picture of any size as a square of [-1, 1], a circle still a circle: padded with black, or its middle.

Nothing is ever flipped or stretched: left and right are facts, and so are the shapes of organs.
"""

import numpy as np
from PIL import Image

from hf_medreport.processing.input_error import InputError

__all__ = ["FITS", "check_fit", "fitted"]

FITS = ("pad", "crop")
SMALLEST = 8  # px, as the readers of pictures have it


def check_fit(size: int, fit: str) -> None:
    """Raise InputError unless there is such a fit and `size` is a side in whole pixels."""
    if fit not in FITS:
        raise InputError("fit", f"'{fit}'", f"one of {', '.join(FITS)}", "choose one of them")
    if not isinstance(size, int) or isinstance(size, bool) or size < SMALLEST:
        raise InputError("size", str(size), f"a whole number of at least {SMALLEST} px", "correct it")


def fitted(pixels: np.ndarray, size: int, fit: str) -> np.ndarray:
    """One picture as a square.

    Args:
        pixels: (height, width) or (height, width, 3), uint8 or float32 in [0, 1].
        size: side of the square in pixels.
        fit: "pad" sets the whole picture in the middle of black; "crop" keeps the middle of the longer side.

    Returns:
        float32 (1, size, size) of a gray picture, (3, size, size) of a colored one, in [-1, 1].
    """
    height, width = pixels.shape[:2]
    side = (max if fit == "pad" else min)(height, width)
    tall, wide = (max(1, round(min(length, side) * size / side)) for length in (height, width))
    top, left = max(0, height - side) / 2, max(0, width - side) / 2
    seen = (left, top, left + min(width, side), top + min(height, side))
    planes = pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    square = np.full((len(planes), size, size), -1, np.float32)
    above, before = (size - tall) // 2, (size - wide) // 2
    for plane, target in zip(planes, square, strict=True):
        if plane.shape != (tall, wide):
            # Whole factors are averaged, the rest is bilinear over all that a pixel covers: as fine, and faster.
            picture = Image.fromarray(np.ascontiguousarray(plane))
            plane = np.asarray(picture.resize((wide, tall), Image.Resampling.BILINEAR, box=seen, reducing_gap=1))
        inside = target[above : above + tall, before : before + wide]
        np.divide(plane, np.float32(127.5 if plane.dtype == np.uint8 else 0.5), out=inside)
        inside -= 1
    return square if pixels.dtype == np.uint8 else square.clip(-1, 1)  # means of floats may be off by a rounding
