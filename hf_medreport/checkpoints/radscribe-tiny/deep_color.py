"""PNG and TIFF of 16-bit color, of which PIL alone gives the upper 8 bits: nearly nothing of a film of 12 bits.

PIL's decoders can be asked for either byte of each value, so the picture is decoded twice and put together.

The rule of the range is that of 16-bit gray: from the smallest to the largest value of the picture, all channels
together, for a value says nothing of how many bits its writer meant. (PNG's sBIT is not asked: writers of 12 bits
disagree whether they scale them up beside it.) Where fewer than 16 bits are used a note says how many.
"""

import sys
from collections.abc import Callable

import numpy as np
from PIL import ImageOps
from PIL.Image import Image

from .image_checks import stretched
from .input_error import InputError

# Raw mode of PIL's upper bytes -> that of the lower ones, where both put them into the same channels.
NATIVE, OTHER = ("L", "B") if sys.byteorder == "little" else ("B", "L")
SWAPPED = {"B": "L", "L": "B", "N": OTHER}
BITS, PLANAR = 258, 284  # tags of a TIFF
GRAY_ALPHA, ALL_BYTES = "LA;16B", "RGBA"
ON_BLACK = "RGBa"  # premultiplied: already laid on black


def raw_mode(picture: Image) -> str:
    """How PIL is about to decode 16-bit color; "" of any other picture, and of one that is decoded already."""
    tiles = getattr(picture, "tile", None)
    arguments = tiles[0][3] if tiles else ""
    found = arguments if isinstance(arguments, str) else arguments[0] if arguments else ""
    base, _, depth = str(found).partition(";")
    return found if depth in ("16B", "16L", "16N") and base in ("RGB", "RGBA", "RGBX", "RGBa", "LA") else ""


def check_planes(name: str, picture: Image) -> None:
    """Refuse a TIFF of 16-bit color whose channels lie one after the other, which PIL misreads without a word."""
    tags = getattr(picture, "tag_v2", {})
    if tags.get(PLANAR) == 2 and len(tags.get(BITS, ())) > 1 and max(tags[BITS]) > 8:
        remedy = "save it with its channels together, or as PNG"
        raise InputError(name, "a TIFF of 16-bit color in planes", "the channels of each pixel side by side", remedy)


def deep_values(picture: Image, again: Callable[[], Image]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The pixels of 16-bit color in [0, 1], and a note.

    Args:
        picture: not decoded yet, at the frame to read.
        again: gives the same once more.

    Returns:
        float32 (height, width, 2 to 4), upright; the last of 2 or 4 channels is opacity.
    """
    mode = raw_mode(picture)
    if mode == GRAY_ALPHA:
        bytes_of = _decoded(picture, ALL_BYTES).astype(np.uint16)  # upper, lower, upper, lower
        values = bytes_of[..., 0::2] << 8 | bytes_of[..., 1::2]
    else:
        base, depth = mode.split(";16")
        base = base.upper()  # premultiplied color is wanted as it is
        upper, lower = _decoded(picture, f"{base};16{depth}"), _decoded(again(), f"{base};16{SWAPPED[depth]}")
        values = upper.astype(np.uint16) << 8 | lower
    opaque = None if values.shape[2] == 3 else values[..., -1]
    color = values if opaque is None else values[..., :-1]
    unit = stretched(color, None if opaque is None else np.broadcast_to(opaque[..., None] > 0, color.shape))
    bits = int(color.max()).bit_length()
    notes = () if bits == 16 else (f"16-bit color of which {bits} bits are used: shown from its smallest to largest",)
    if opaque is None or mode.startswith(ON_BLACK):
        return unit, notes
    opacity = opaque.astype(np.float32) / max(int(opaque.max()), 1)
    return np.concatenate([unit, opacity[..., None]], axis=2), notes


def _decoded(picture: Image, mode: str) -> np.ndarray:
    """The pixels by another raw mode, upright."""

    def renamed(tile):
        arguments = mode if isinstance(tile[3], str) else (mode, *tile[3][1:])
        return tile._replace(args=arguments) if hasattr(tile, "_replace") else (*tile[:3], arguments)  # Pillow < 11

    picture.tile = [renamed(tile) for tile in picture.tile]
    return np.asarray(ImageOps.exif_transpose(picture))
