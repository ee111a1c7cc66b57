"""Where the pixels of a slide come from: OpenSlide, one plain picture, or the frames of a DICOM file.

Each source has the same few attributes, and `Slide` (in `slide_reading`) is all that anything else uses:

    name          what messages call the file
    level_sizes   ((width, height), ...) of the levels, the largest first
    downsamples   how many level-0 px one px of a level spans
    mpp           (x, y) in microns per level-0 px, as its header says, or None
    power         of the objective, as its header says, or None
    region(x, y, level, width, height) -> uint8 (height, width, 3), white outside; x, y in level-0 px
    close()
"""

import os
import shutil
import threading
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from PIL import Image, ImageOps

from .dicom_decoders import register
from .dicom_elements import WHOLE_SLIDE, class_uid
from .dicom_series import series_files
from .image_checks import check_size
from .image_reading import MAGIC, READERS
from .input_error import InputError
from .regular_file import open_regular, refuse_special
from .slide_child import ChildSlide
from .slide_compressions import check_syntax, unread_compression, unread_picture
from .slide_resolution import dicom_mpp, dicom_power, openslide_mpp, openslide_power, tagged_mpp

try:
    import openslide
except ImportError:
    openslide = None

try:
    import pydicom
    from pydicom.pixels import pixel_array

    register()
except ImportError:
    pydicom = None

MAX_PICTURE_PIXELS = 400_000_000  # 20,000 x 20,000; a plain picture is held whole, 1.2 GB at this size
ROWS = 256  # of a picture, copied at once
TILE_WIDTH = 322
MAKE_PYRAMID = "make it one: vips copy PICTURE 'SLIDE.tif[tile,pyramid,compression=jpeg,bigtiff]'"
LEVEL_TOLERANCE = 0.05  # how much more a level may be shrunk along one side
COPY_AGAIN = "copy or export the slide again"
INSTALL = "pip install 'hf-medreport[wsi]'"


class OpenSlideSource:
    """SVS, NDPI, MRXS, SCN, tiled TIFF, DICOM and whatever else OpenSlide reads."""

    def __init__(self, path: Path, vendor: str):
        self.path, self.name, self._handle = path, path.name, None
        self._opened_as = _linked_alone(path, self) if vendor == "dicom" else path
        handle = self._opened()
        sizes = [(int(width), int(height)) for width, height in handle.level_dimensions]
        _check_levels(self.name, sizes)
        self._levels = [level for level, size in enumerate(sizes) if _is_level(sizes[0], size)]
        self.level_sizes = tuple(sizes[level] for level in self._levels)
        self.downsamples = tuple(float(handle.level_downsamples[level]) for level in self._levels)
        self.mpp, self.power = openslide_mpp(handle.properties, vendor), openslide_power(handle.properties)

    def _opened(self) -> ChildSlide:
        """The handle; a new one after an error, because OpenSlide's own is dead from then on."""
        if self._handle is None:
            try:
                self._handle = ChildSlide(self._opened_as)
            except openslide.OpenSlideError as error:
                found = f"a slide that OpenSlide cannot open ({_one_line(error)})"
                unread = unread_compression(self.name, str(error))
                raise unread or InputError(self.name, found, "a complete slide", COPY_AGAIN) from error
        return self._handle

    def region(self, x: int, y: int, level: int, width: int, height: int) -> np.ndarray:
        """RGB uint8 (height, width, 3) from x, y of the full size; white outside."""
        handle = self._opened()
        try:
            pixels = handle.read_region((x, y), self._levels[level], (width, height))
        except openslide.OpenSlideError as error:
            self.close()
            raise InputError(
                self.name,
                f"damaged pixels at ({x}, {y}) of level {level} ({_one_line(error)})",
                "a complete slide",
                COPY_AGAIN,
            ) from error
        return on_white(pixels)

    def close(self) -> None:
        """Let go of the file; a later read opens it again."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None


@dataclass(frozen=True, eq=False)
class _Picture:
    """A decoded picture: RGB uint8 (height, width, 3), and microns per px along x and y where it says."""

    pixels: np.ndarray
    mpp: tuple[float, float] | None


# Pictures that somebody holds: however many threads read one, it is decoded once and there once.
_held: weakref.WeakValueDictionary[tuple, _Picture] = weakref.WeakValueDictionary()
_decoding = threading.Lock()


class PictureSource:
    """A PNG, JPEG or untiled TIFF: one level, decoded whole as soon as it is opened."""

    downsamples = (1.0,)

    def __init__(self, path: Path, kind: str):
        self.path, self.name, self.kind = path, path.name, kind
        self._picture = self._decoded()
        self.mpp, self.power = self._picture.mpp, None
        self.level_sizes = (self._picture.pixels.shape[1::-1],)

    def _decoded(self) -> _Picture:
        """The whole picture, upright."""
        state = self.path.stat()
        key = (str(self.path.absolute()), state.st_size, state.st_mtime_ns)
        with _decoding:
            picture = _held.get(key)
            if picture is None:
                picture = _held[key] = self._read()
        return picture

    def _read(self) -> _Picture:
        with open(self.path, "rb") as handle:
            try:
                return self._checked(READERS[self.kind](handle))
            except InputError:
                raise
            except Exception as error:  # PIL reports bad bytes by a dozen exception types
                state = "truncated" if "truncated" in str(error).lower() else "damaged or unsupported"
                unread = unread_picture(self.name, self.path) if self.kind == "TIFF" else None
                found, expected = f"a {state} {self.kind}", "a complete slide or picture"
                raise unread or InputError(self.name, found, expected, COPY_AGAIN) from error

    def _checked(self, picture: Image.Image) -> _Picture:
        pages = getattr(picture, "n_frames", 1)
        if pages > 1:
            raise InputError(
                self.name,
                f"{pages} pages, but no pyramid that OpenSlide reads",
                "one picture or a tiled pyramid",
                "save it as a tiled TIFF",
            )
        if picture.width * picture.height > MAX_PICTURE_PIXELS:
            found = f"an untiled picture of {picture.width} x {picture.height} px, which would be held whole"
            raise InputError(self.name, found, f"at most {MAX_PICTURE_PIXELS:,} px, or a tiled pyramid", MAKE_PYRAMID)
        check_size(self.name, picture.height, picture.width, MAX_PICTURE_PIXELS)
        if picture.mode.startswith(("I", "F")):
            raise InputError(self.name, f"a picture of mode {picture.mode}", "8 bits a channel", "save it as 8-bit RGB")
        mpp = tagged_mpp(getattr(picture, "tag_v2", {}))
        ImageOps.exif_transpose(picture, in_place=True)
        transparent = picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info
        mode = "RGBA" if transparent else "RGB"
        pixels = np.empty((picture.height, picture.width, 3), np.uint8)
        for top in range(0, picture.height, ROWS):  # PIL would make two copies more of the whole
            band = picture.crop((0, top, picture.width, min(top + ROWS, picture.height)))
            pixels[top : top + ROWS] = on_white(np.asarray(band.convert(mode)))
        return _Picture(pixels, mpp)

    def region(self, x: int, y: int, level: int, width: int, height: int) -> np.ndarray:
        """RGB uint8 (height, width, 3) from x, y of the full size; white outside."""
        if self._picture is None:
            self._picture = self._decoded()
        canvas = np.full((height, width, 3), 255, np.uint8)
        paste(canvas, self._picture.pixels, -x, -y)
        return canvas

    def close(self) -> None:
        """Let go of the picture; a later read decodes it again, if nobody else holds it."""
        self._picture = None


class ArraySource:
    """A picture in memory: one level."""

    downsamples, mpp, power = (1.0,), None, None

    def __init__(self, picture: Image.Image | np.ndarray):
        self.name = "picture"
        if isinstance(picture, Image.Image):
            picture = np.asarray(picture.convert("RGBA" if "A" in picture.getbands() else "RGB"))
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] not in (3, 4):
            found = f"an array of shape {picture.shape} and {picture.dtype}"
            raise InputError(self.name, found, "uint8 (height, width, 3)", "convert it to 8-bit RGB")
        check_size(self.name, *picture.shape[:2], MAX_PICTURE_PIXELS)
        self._pixels = on_white(picture)
        self.level_sizes = ((picture.shape[1], picture.shape[0]),)

    def region(self, x: int, y: int, level: int, width: int, height: int) -> np.ndarray:
        """RGB uint8 (height, width, 3) from x, y of the full size; white outside."""
        canvas = np.full((height, width, 3), 255, np.uint8)
        paste(canvas, self._pixels, -x, -y)
        return canvas

    def close(self) -> None:
        """Nothing is open."""


class DicomSource:
    """One level of a whole-slide DICOM file that OpenSlide refuses (RLE, JPEG-LS, deflated), by pydicom's decoders."""

    downsamples = (1.0,)

    def __init__(self, path: Path):
        self.path, self.name = path, path.name
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            kind = class_uid(header, self.name)
            self.tile_size = int(header.get("Columns") or 0), int(header.get("Rows") or 0)
            self.level_sizes = (
                (int(header.get("TotalPixelMatrixColumns") or 0), int(header.get("TotalPixelMatrixRows") or 0)),
            )
            frames = int(header.get("NumberOfFrames") or 1)
            self.mpp, self.power = dicom_mpp(header), dicom_power(header)
        except Exception as error:  # pydicom reports bad bytes by many exception types
            raise InputError(self.name, "a damaged DICOM file", "a complete DICOM slide", COPY_AGAIN) from error
        if kind != WHOLE_SLIDE:
            raise InputError(
                self.name,
                "a DICOM file that is no whole slide",
                "a VL Whole Slide Microscopy Image",
                "choose the slide of this study",
            )
        _check_levels(self.name, (*self.level_sizes, self.tile_size))
        check_syntax(header, self.name)
        self.across = -(-self.level_sizes[0][0] // self.tile_size[0])
        down = -(-self.level_sizes[0][1] // self.tile_size[1])
        organized = header.get("DimensionOrganizationType", "TILED_FULL")
        if organized != "TILED_FULL" or frames != self.across * down:
            raise InputError(
                self.name,
                f"{frames} frames organized as {organized}",
                f"TILED_FULL with {self.across * down} frames",
                "save it as one plane of full tiles",
            )

    def region(self, x: int, y: int, level: int, width: int, height: int) -> np.ndarray:
        """RGB uint8 (height, width, 3) from x, y of the full size; white outside."""
        canvas = np.full((height, width, 3), 255, np.uint8)
        tile_width, tile_height = self.tile_size
        total_width, total_height = self.level_sizes[0]
        for top in range(max(y, 0) // tile_height * tile_height, min(y + height, total_height), tile_height):
            for left in range(max(x, 0) // tile_width * tile_width, min(x + width, total_width), tile_width):
                frame = self._frame(left, top)[: total_height - top, : total_width - left]
                paste(canvas, frame, left - x, top - y)
        return canvas

    def _frame(self, left: int, top: int) -> np.ndarray:
        index = top // self.tile_size[1] * self.across + left // self.tile_size[0]
        try:
            pixels = pixel_array(self.path, index=index)
        except Exception as error:  # each plug-in has its own exceptions
            raise InputError(
                self.name,
                f"frame {index} that no installed plug-in decodes",
                "complete frames in a known compression",
                "pip install 'hf-medreport[dicom]', or copy the slide again",
            ) from error
        if pixels.dtype != np.uint8 or pixels.shape[2:] != (3,):
            raise InputError(
                self.name,
                f"frame {index} of shape {pixels.shape}, {pixels.dtype}",
                "8-bit color",
                "save the slide in RGB",
            )
        return pixels

    def close(self) -> None:
        """Nothing is held open between frames."""


def held_bytes(path: Path) -> int:
    """How much memory a picture takes while it is decoded, which is what it takes then and once more; 0 of a pyramid,
    which is read in pieces, and of what is no picture."""
    try:
        with open_regular(path, "a slide") as handle:
            head = handle.read(4)
            kind = next(kind for magic, kind in MAGIC.items() if head.startswith(magic[:4]))
            handle.seek(0)
            picture = READERS[kind](handle)  # its header
            if TILE_WIDTH in getattr(picture, "tag_v2", {}):
                return 0
            return 2 * 3 * min(picture.width * picture.height, MAX_PICTURE_PIXELS)
    except Exception:  # who reads it will say what is wrong
        return 0


def _linked_alone(path: Path, source: object) -> Path:
    """The file of a DICOM slide in a folder of links to the slide's files only, which goes with its source.

    OpenSlide opens every file beside the one that it is given, each time: a folder of n slides would cost n x n.
    """
    files = series_files(path)
    if len(files) == len(os.listdir(path.parent)):
        return path
    folder = mkdtemp(prefix="slide-")
    weakref.finalize(source, shutil.rmtree, folder, ignore_errors=True)
    for file in files:
        os.symlink(file.absolute(), os.path.join(folder, file.name))
    return Path(folder, path.name)


# --- pixels -----------------------------------------------------------------------------------------------------------


def on_white(pixels: np.ndarray) -> np.ndarray:
    """RGBA (height, width, 4) laid on white; RGB as it is. White is what glass without tissue looks like."""
    if pixels.shape[2] == 3:
        return np.ascontiguousarray(pixels)
    alpha = pixels[..., 3:]
    if alpha.min() == 255:
        return np.ascontiguousarray(pixels[..., :3])
    alpha = alpha.astype(np.uint16)
    return ((pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def paste(canvas: np.ndarray, pixels: np.ndarray, left: int, top: int) -> None:
    """Lay `pixels` on `canvas` with their top left corner at (left, top), which may be outside."""
    height, width = canvas.shape[:2]
    rows = slice(max(top, 0), max(min(top + pixels.shape[0], height), 0))
    columns = slice(max(left, 0), max(min(left + pixels.shape[1], width), 0))
    if rows.start < rows.stop and columns.start < columns.stop:
        canvas[rows, columns] = pixels[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


# --- headers ----------------------------------------------------------------------------------------------------------


def _check_levels(name: str, sizes: Iterable[tuple[int, int]]) -> None:
    for width, height in sizes:
        if width < 1 or height < 1:
            raise InputError(name, f"a level or tile of {width} x {height} px", "levels with pixels", COPY_AGAIN)


def _is_level(largest: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether a picture in the file may be the slide made smaller; else it is the label or the whole glass, in tiles as
    a level is."""
    across, down = (whole / own for whole, own in zip(largest, size, strict=True))
    return abs(across - down) <= LEVEL_TOLERANCE * min(across, down) or abs(size[1] - largest[1] / across) <= 2


def _one_line(error: Exception) -> str:
    """OpenSlide's own words, without the folder."""
    return " ".join(str(word).rsplit("/", 1)[-1] for word in str(error).split())[:120]


def slide_files(path: Path) -> tuple[Path, ...]:
    """The file and those beside it that its pixels come from: the folder of a MRXS, the parts that a VMS or VMU names,
    the other levels of a DICOM series."""
    suffix = path.suffix.lower()
    if suffix == ".mrxs":
        return (path, *sorted(file for file in path.with_suffix("").rglob("*") if file.is_file()))
    if suffix in (".vms", ".vmu"):
        refuse_special(path, "a slide")
        values = (line.partition("=")[2].strip() for line in path.read_text("utf-8", "replace").splitlines())
        parts = {path.parent / value for value in values if value and "/" not in value}
        return (path, *sorted(part for part in parts if part.is_file()))
    return series_files(path)
