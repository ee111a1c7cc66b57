"""What every reader of images checks in the same way: the file, its claimed size, its frames, its pixels.

A reader opens its source here, asks whether the claimed size may be allocated, and hands the decoded picture to
`checked_picture`. Messages name a file by its last component only: folders often carry a patient's name.
"""

import io
import os
import stat
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .input_error import InputError
from .regular_file import refuse_special

SMALLEST_SIDE_PX = 8
MAX_PIXELS = 100_000_000  # a 10,000 x 10,000 film; 400 MB as float32


def open_input(source: str | os.PathLike | bytes, name: str | None = None) -> tuple[BinaryIO, str]:
    """Open a path or the bytes of a file; returns the handle and the name that messages use.

    Raises:
        InputError: no such file, a folder, not a regular file, no permission, or nothing in it.
    """
    expected = "an image file"
    if isinstance(source, bytes):
        handle, name = io.BytesIO(source), name or "image"
        size = len(source)
    else:
        name = name or Path(os.fspath(source)).name or "image"
        try:
            information = os.stat(source)
            if stat.S_ISDIR(information.st_mode):
                raise InputError(name, "a folder", expected, "give the image files in it one by one")
            refuse_special(source, expected, name)
            handle, size = open(source, "rb"), information.st_size  # noqa: SIM115  (the caller closes it)
        except InputError:
            raise
        except FileNotFoundError:
            raise InputError(name, "no such file", expected, "check the path") from None
        except PermissionError:
            raise InputError(name, "no permission to read it", expected, "change its access rights") from None
        except (OSError, ValueError) as error:  # too long a name, a NUL in it, a broken disk
            reason = getattr(error, "strerror", None) or "an impossible file name"
            raise InputError(name, reason.lower(), expected, "check the path") from None
    if size == 0:
        handle.close()
        raise InputError(name, "an empty file (0 bytes)", expected, "copy or export the file again")
    return handle, name


def check_size(name: str, height: int, width: int, max_pixels: int) -> None:
    """Refuse a picture by its claimed size, before anything is allocated for it."""
    if min(height, width) < SMALLEST_SIDE_PX:
        raise InputError(
            name,
            f"an image of {width} x {height} px",
            f"at least {SMALLEST_SIDE_PX} px a side",
            "give the image itself, not an icon or a placeholder",
        )
    if height * width > max_pixels:
        raise InputError(
            name,
            f"an image that claims {width} x {height} px",
            f"at most {max_pixels} pixels",
            "crop or reduce it, or raise `max_pixels`",
        )


def chosen_frame(name: str, frame: int | None, count: int) -> int:
    """The index of the frame to read, counted from 0; a file of several frames never picks one by itself."""
    if frame is None:
        if count > 1:
            remedy = f"choose one with `frame` (0 to {count - 1}), or save it as a file of its own"
            raise InputError(name, f"{count} frames", "one image", remedy)
        return 0
    if isinstance(frame, bool) or not isinstance(frame, int):
        raise InputError(name, f"frame {frame!r:.16}", f"a whole number from 0 to {count - 1}", "correct `frame`")
    if not 0 <= frame < count:
        remedy = "choose another `frame`" if count > 1 else "leave out `frame`, or give this film in a call of its own"
        raise InputError(name, f"frame {frame}", f"a frame from 0 to {count - 1}", remedy)
    return frame


def check_finite(name: str, values: np.ndarray) -> None:
    """Refuse pixels that are not numbers."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise InputError(
            name, f"{count} NaN or infinite pixels", "finite pixel values", "replace or mask them before saving"
        )


def stretched(values: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Scale linearly so that the smallest valid value becomes 0 and the largest 1 (float32, clipped).

    `valid` marks the pixels that count for the range. A picture without contrast becomes 0 everywhere.
    """
    counted = values if valid is None else values[valid]
    low, high = (float(counted.min()), float(counted.max())) if counted.size else (0.0, 0.0)
    if high == low:
        return np.zeros(values.shape, np.float32)
    return ((values.clip(low, high) - low) / (high - low)).astype(np.float32)


def check_contrast(name: str, picture: np.ndarray) -> None:
    """Refuse a picture that shows nothing at all."""
    if picture.min() == picture.max():
        raise InputError(
            name,
            "every pixel equal (a blank image)",
            "an image with contrast",
            "check that the export or the exposure worked",
        )


def checked_picture(name: str, picture: np.ndarray) -> np.ndarray:
    """The finished picture, contiguous float32 in [0, 1], unless it shows nothing at all."""
    check_contrast(name, picture)
    return np.ascontiguousarray(picture, np.float32)
