"""How well a mask covers the true one: Dice, and the reading of true masks.

Dice (1945), "Measures of the amount of ecologic association between species": twice the common area over the sum of
both areas.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from hf_medreport.processing.image_reading import read_mask
from hf_medreport.processing.input_error import InputError

__all__ = ["dice", "read_reference"]

INSIDE, IGNORED = 255, 127


def dice(predicted: np.ndarray, reference: np.ndarray, ignored: np.ndarray | None = None) -> float:
    """Twice the common area over the sum of both areas, from 0 to 1; two empty masks agree, which is 1 by definition.

    Args:
        predicted, reference: bool, of one shape.
        ignored: bool of that shape, True where neither mask counts.

    Raises:
        ValueError: masks of different shapes.
    """
    shapes = {mask.shape for mask in (predicted, reference, ignored) if mask is not None}
    if len(shapes) > 1:
        raise ValueError(f"dice: found masks of shapes {sorted(shapes)}; expected one shape; resize one of them")
    if ignored is not None:
        predicted, reference = predicted & ~ignored, reference & ~ignored
    total = int(predicted.sum()) + int(reference.sum())
    return 2 * int((predicted & reference).sum()) / total if total else 1.0


def read_reference(path: str | Path, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A true mask: what is inside, and what is to be ignored.

    Args:
        path: a gray picture; 0 outside, 255 inside, 127 where nobody can say.
        shape: height and width of its film.

    Returns:
        inside and ignored, both bool (height, width).

    Raises:
        InputError: no such file or a damaged one, a size other than the film's, or other values.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(path.name, "no such mask", "a mask for each film, by its name", "add it, or leave out `masks`")
    read_mask(path)  # says what is wrong with the file; scaled by its largest value, it does not tell 127 from 255
    with Image.open(path) as picture:
        values = np.asarray(picture.convert("L"))
    if values.shape != tuple(shape):
        found, expected = (f"{width} x {height} px" for height, width in (values.shape, shape))
        raise InputError(path.name, f"a mask of {found}", f"the film's {expected}", "resize it without smoothing")
    others = np.setdiff1d(values, (0, IGNORED, INSIDE))
    if len(others):
        found = f"a mask with {len(others)} other values, such as {others[0]}"
        raise InputError(path.name, found, f"0, {IGNORED} (ignored) and {INSIDE}", "save it as PNG, without smoothing")
    return values == INSIDE, values == IGNORED
