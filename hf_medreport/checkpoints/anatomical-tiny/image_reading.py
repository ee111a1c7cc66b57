"""Read any picture of a patient into one form: float32 in [0, 1], (height, width) gray or (height, width, 3) color.

The kind of a file is decided by its first bytes, never by its name. What happens to the values:

- 8-bit pictures are divided by 255, 1-bit pictures become 0 and 1.
- Pictures of more than 8 bits (16-bit PNG, 12/16/32-bit and float TIFF) are stretched from their own minimum to their
  own maximum, color over its channels together: these formats carry no display window, and films of 10 or 12 bits are
  often saved in 16. DICOM has windows; see `dicom_reading`.
- Transparent pixels are laid on black, the value of air and of padding on a film.
- The orientation in EXIF is applied, as any viewer does. Nothing else turns or mirrors a picture.
- Color stays color even where the three channels agree; CMYK and palettes become RGB.

    film = read_image("film.png")            # (height, width)
    tile = read_image("stack.tif", frame=2)  # the third page
"""

import logging
import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import BinaryIO

import numpy as np
from PIL import ImageOps
from PIL.Image import DecompressionBombError, Image
from PIL.JpegImagePlugin import jpeg_factory
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from .decoder_words import decoder_words
from .deep_color import check_planes, deep_values, raw_mode
from .dicom_reading import Display, looks_like_dicom, read_display
from .image_checks import (
    MAX_PIXELS,
    check_contrast,
    check_finite,
    check_size,
    checked_picture,
    chosen_frame,
    open_input,
    stretched,
)
from .input_error import InputError
from .stream_header import stream_header

logger = logging.getLogger(__name__)
# PIL's own classes instead of Image.open: that one guesses among 40 formats and has its own fixed limit on size. That
# of JPEG gives MPO, several pictures in one file, its own class.
READERS = {"PNG": PngImageFile, "JPEG": jpeg_factory, "TIFF": TiffImageFile}
MAGIC = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF",
}
OTHER_MAGIC = {
    b"GIF8": "a GIF picture",
    b"BM": "a BMP picture",
    b"RIFF": "a WebP picture or another RIFF file",
    b"\x00\x00\x00\x0cjP": "a JPEG 2000 picture",
    b"\xff\x4f\xff\x51": "a JPEG 2000 picture",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip file",
    b"\x89HDF": "an HDF5 file",
}
END_OF_FILE = {"PNG": b"IEND", "JPEG": b"\xff\xd9"}
EXPECTED = "PNG, JPEG, TIFF or DICOM"
WHITE_IS_ZERO, PHOTOMETRIC_TAG, ORIENTATION_TAG = 0, 262, 274


def read_image(
    source: str | os.PathLike | bytes | Image | np.ndarray,
    *,
    frame: int | None = None,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
) -> np.ndarray:
    """Read one picture.

    Args:
        source: a path, the bytes of a file, a PIL image, or an array of shape (height, width), (height, width, 1),
            (height, width, 3) or (height, width, 4): uint8, uint16 (stretched like a 16-bit file), bool, or float
            within [0, 1].
        frame: which page or frame of a file that holds several, counted from 0.
        max_pixels: a claimed height x width above this is refused before any pixel is allocated.
        name: what messages call the source; by default the file's name.

    Returns:
        float32 in [0, 1], (height, width) for gray, (height, width, 3) for color.

    Raises:
        InputError: the source is missing, damaged, of another kind, too small or too large, blank, holds NaN or
            infinite values, or has several frames and none was chosen.
    """
    pixels, notes = read_with_notes(source, frame=frame, max_pixels=max_pixels, name=name)
    for note in notes:
        logger.warning("%s", note)
    return pixels


def read_with_notes(
    source: str | os.PathLike | bytes | Image | np.ndarray,
    *,
    frame: int | None = None,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
) -> Display:
    """The same as `read_image`, and what must be known of the picture, which that one logs."""
    name, values, notes = _values(source, frame, max_pixels, name)
    return Display(checked_picture(name, _to_unit(name, values)), notes)


def read_pixels(
    source: str | os.PathLike | bytes | Image | np.ndarray,
    *,
    frame: int | None = None,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
    at_least: int | None = None,
) -> np.ndarray:
    """As `read_image`, but an opaque 8-bit picture stays uint8: a quarter of the memory, and quickly made smaller.

    Args:
        source, frame, max_pixels, name: see `read_image`.
        at_least: the picture may come smaller, its pixels averaged by whole factors, as long as no side gets shorter
            than this many pixels. A JPEG is then decoded so, which is faster than decoding all of it.
    """
    name, values, notes = _values(source, frame, max_pixels, name, at_least)
    for note in notes:
        logger.warning("%s", note)
    if values.dtype != np.uint8 or values.shape[2:] in ((2,), (4,)):
        return checked_picture(name, _to_unit(name, values))
    check_contrast(name, values)
    return values


def read_mask(
    source: str | os.PathLike | bytes | Image | np.ndarray,
    *,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
) -> np.ndarray:
    """Read a mask: as `read_image`, but without color, and it may be empty or full.

    Returns:
        float32 (height, width) in [0, 1]: the values divided by the largest one, so that 0/1 and 0/255 files give the
        same mask and an empty mask stays empty.
    """
    name, mask, _ = _values(source, None, max_pixels, name)
    if mask.ndim == 3 and (mask == mask[..., :1]).all():
        mask = mask[..., 0]  # a gray mask saved as RGB
    if mask.ndim == 3 or mask.min() < 0:
        found = "colors" if mask.ndim == 3 else "negative values"
        raise InputError(name, found, "a gray mask, 0 outside the organ", "save the mask as a gray PNG")
    mask = mask.astype(np.float32)
    return mask / max(float(mask.max()), 1e-9)


def _values(
    source: object, frame: int | None, max_pixels: int, name: str | None, at_least: int | None = None
) -> tuple[str, np.ndarray, tuple[str, ...]]:
    """The name, the pixels of any source, not yet scaled: (height, width) or (height, width, 2 to 4), and notes."""
    if isinstance(source, np.ndarray):
        return name or "array", _array_values(name or "array", source, max_pixels), ()
    if isinstance(source, Image):
        name = name or os.path.basename(getattr(source, "filename", "")) or "image"
        if raw_mode(source):
            return _values(_file_of(source), frame, max_pixels, name, at_least)
        return name, *_guarded(name, "PIL image", None, lambda: _picture_values(name, source, None, frame, max_pixels))
    if not isinstance(source, (str, os.PathLike, bytes)):
        raise InputError(
            name or "image", f"a {type(source).__name__}", "a path, bytes, a PIL image or an array", "convert it"
        )
    handle, name = open_input(source, name)
    with handle:
        head = handle.read(256)
        handle.seek(0)
        if looks_like_dicom(head):
            return name, *read_display(handle, frame=frame, max_pixels=max_pixels, name=name)
        kind = _kind(name, head)

        def opened() -> Image:
            handle.seek(0)
            return READERS[kind](handle)

        def decoded() -> tuple:
            return _picture_values(name, opened(), opened, frame, max_pixels, at_least)

        return name, *_guarded(name, kind, handle, decoded)


def _file_of(picture: Image) -> bytes:
    """The file of a PIL image that is not decoded yet, which is left as it is."""
    place = picture.fp.tell()
    picture.fp.seek(0)
    data = picture.fp.read()
    picture.fp.seek(place)
    return data


def _kind(name: str, head: bytes) -> str:
    """PNG, JPEG or TIFF by the first bytes of a file."""
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            return kind
    found = next((what for magic, what in OTHER_MAGIC.items() if head.startswith(magic)), None)
    if found is None:
        is_text = all(byte >= 32 or byte in b"\t\r\n" for byte in head)
        found = "text" if is_text else "bytes of no known kind of image"
    raise InputError(name, found, EXPECTED, "give the image itself or convert it to PNG")


def _guarded(name: str, kind: str, handle: BinaryIO | None, decode: Callable[[], tuple]) -> tuple:
    """Run a decoder. PIL reports bad bytes by a dozen exception types, so all of them become one InputError.

    What libtiff says beside that goes into the message; of a picture that it reads all the same, into a note.
    """
    words: list[str] = []
    try:
        with decoder_words() if kind == "TIFF" else nullcontext(words) as words:
            values, notes = decode()
        return values, (*notes, *(f"damaged in part, as its decoder says: {word}" for word in words[:1]))
    except InputError:
        raise
    except DecompressionBombError:
        raise InputError(
            name, "more pixels than PIL allows", "a smaller image", "raise PIL.Image.MAX_IMAGE_PIXELS too"
        ) from None
    except Exception as error:
        _check_jpeg(name, kind, handle)
        state = "damaged or unsupported" if kind == "TIFF" else "damaged"
        if "truncated" in str(error).lower() or (handle and _lacks_its_end(handle, kind)):
            state = "truncated"
        found = f"a {state} {kind}" + (f" ({words[0]})" if words else "")
        raise InputError(name, found, "a complete image", "copy or export the file again") from error


def _check_jpeg(name: str, kind: str, handle: BinaryIO | None) -> None:
    """Refuse a JPEG of a kind that PIL does not decode by what it is, not as a damaged one."""
    if kind != "JPEG":
        return
    handle.seek(0)
    header = stream_header(handle.read())
    if header is not None and (header.kind, header.bits, header.coding) != ("JPEG", 8, ""):
        found = " ".join(filter(None, (f"a {header.coding}".strip(), header.kind, f"of {header.bits} bits a sample")))
        raise InputError(name, found, "a JPEG of 8 bits", "save it as a 16-bit PNG or as DICOM")


def _lacks_its_end(handle: BinaryIO, kind: str) -> bool:
    if kind not in END_OF_FILE:
        return False
    handle.seek(0, os.SEEK_END)
    handle.seek(max(0, handle.tell() - 64))
    return END_OF_FILE[kind] not in handle.read()


def _picture_values(
    name: str,
    picture: Image,
    again: Callable[[], Image] | None,
    frame: int | None,
    max_pixels: int,
    at_least: int | None = None,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The pixels of a PIL image, upright: bool, uint8, or (more than 8 bits) float32 in [0, 1]; and notes.

    `again` opens it once more; None of a picture that the caller holds.
    """
    frame = chosen_frame(name, frame, getattr(picture, "n_frames", 1))
    _go_to(picture, frame)
    check_size(name, picture.height, picture.width, max_pixels)
    check_planes(name, picture)
    if raw_mode(picture):  # so from a file

        def at_frame() -> Image:
            other = again()
            _go_to(other, frame)
            return other

        return deep_values(picture, at_frame)
    if at_least is not None:
        picture.draft(None, (at_least, at_least))  # of a JPEG; nothing happens to others
    # PIL inverts white-is-zero TIFFs of 1 and 8 bits, but not deeper ones.
    inverted = getattr(picture, "tag_v2", {}).get(PHOTOMETRIC_TAG) == WHITE_IS_ZERO
    picture.load()  # a PNG may say behind its pixels how it lies
    if picture.getexif().get(ORIENTATION_TAG, 1) != 1:  # else exif_transpose would copy it
        picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture)
        check_finite(name, values)
        deep = stretched(values)
        return 1 - deep if inverted and values.min() < values.max() else deep, ()
    if picture.mode in ("P", "PA", "RGBa", "La") or "transparency" in picture.info:
        gray = picture.mode in ("1", "L", "La")
        transparent = picture.mode != "P" or "transparency" in picture.info
        return np.asarray(picture.convert("LA" if gray else "RGBA" if transparent else "RGB")), ()
    if picture.mode not in ("1", "L", "LA", "RGB", "RGBA"):
        picture = picture.convert("RGB")
    factor = 1 if at_least is None or picture.mode not in ("L", "RGB") else min(picture.size) // at_least
    return np.asarray(picture.reduce(factor) if factor > 1 else picture), ()


def _go_to(picture: Image, frame: int) -> None:
    if frame != getattr(picture, "tell", int)():
        picture.seek(frame)


def _array_values(name: str, array: np.ndarray, max_pixels: int) -> np.ndarray:
    """An array that the caller holds, its form checked: (height, width) or (height, width, 3 or 4)."""
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in (3, 4)):
        raise InputError(
            name, f"shape {array.shape}", "(height, width) or (height, width, 3)", "reorder or split the array"
        )
    if array.dtype.kind != "f" and array.dtype not in (np.uint8, np.uint16, np.bool_):
        raise InputError(name, f"dtype {array.dtype}", "uint8, uint16 or float in [0, 1]", "convert the array")
    check_size(name, *array.shape[:2], max_pixels)
    check_finite(name, array)
    return array


def _to_unit(name: str, values: np.ndarray) -> np.ndarray:
    """Scale pixels to float32 in [0, 1] and lay transparent ones on black."""
    if values.dtype == np.uint8:
        unit = values.astype(np.float32) / 255
    elif values.dtype == np.uint16:
        unit = stretched(values)
    else:
        low, high = float(values.min()), float(values.max())
        if low < 0 or high > 1:
            raise InputError(
                name, f"float values from {low:g} to {high:g}", "values within [0, 1]", "scale the array first"
            )
        unit = values.astype(np.float32)
    if unit.ndim == 3 and unit.shape[2] in (2, 4):
        unit = unit[..., :-1] * unit[..., -1:]
        return unit[..., 0] if unit.shape[2] == 1 else unit
    return unit
