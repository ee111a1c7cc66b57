"""Where the pixels of a slide come from: OpenSlide, one plain picture, or the frames of a DICOM file.

Each source has the same few attributes, and `Slide` (in `slide_reading`) is all that anything else uses:

    name          what messages call the file
    level_sizes   ((width, height), ...) of the levels, the largest first
    downsamples   how many level-0 px one px of a level spans
    mpp           (x, y) in microns per level-0 px, or None
    files         every file that the pixels come from, for the fingerprint
    region(x, y, level, width, height) -> uint8 (height, width, 3), white outside; x, y in level-0 px
    close()
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
from PIL import Image, ImageOps

from .dicom_decoders import register
from .image_checks import check_size
from .image_reading import MAGIC, READERS
from .input_error import InputError
from .slide_child import ChildSlide

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
MAKE_PYRAMID = "make it one: vips tiffsave PICTURE SLIDE.tif --tile --pyramid --compression jpeg --bigtiff"
# A TIFF's resolution tags often hold the dots per inch of a printer: 300 dpi is 85 um a px. No scanner is so coarse.
COARSEST_TAGGED_MPP = 20.0
WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
COPY_AGAIN = "copy or export the slide again"
INSTALL = "pip install 'hf-medreport[wsi]'"
MICRONS = {"centimeter": 10_000, "inch": 25_400}
TIFF_UNITS = {2: "inch", 3: "centimeter"}
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296


class OpenSlideSource:
    """SVS, NDPI, MRXS, SCN, tiled TIFF, DICOM and whatever else OpenSlide reads."""

    def __init__(self, path: Path, vendor: str):
        self.path, self.name, self._handle = path, path.name, None
        handle = self._opened()
        self.level_sizes = tuple((int(width), int(height)) for width, height in handle.level_dimensions)
        self.downsamples = tuple(float(downsample) for downsample in handle.level_downsamples)
        _check_levels(self.name, self.level_sizes)
        self.mpp = _openslide_mpp(handle.properties, vendor)
        self.files = companions(path, vendor)

    def _opened(self) -> ChildSlide:
        """The handle; a new one after an error, because OpenSlide's own is dead from then on."""
        if self._handle is None:
            try:
                self._handle = ChildSlide(self.path)
            except openslide.OpenSlideError as error:
                raise InputError(
                    self.name,
                    f"a slide that OpenSlide cannot open ({_one_line(error)})",
                    "a complete slide",
                    COPY_AGAIN,
                ) from error
        return self._handle

    def region(self, x: int, y: int, level: int, width: int, height: int) -> np.ndarray:
        """RGB uint8 (height, width, 3) from x, y of the full size; white outside."""
        handle = self._opened()
        try:
            pixels = handle.read_region((x, y), level, (width, height))
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
_held: WeakValueDictionary[tuple, _Picture] = WeakValueDictionary()
_decoding = threading.Lock()


class PictureSource:
    """A PNG, JPEG or untiled TIFF: one level, decoded whole as soon as it is opened."""

    downsamples = (1.0,)

    def __init__(self, path: Path, kind: str):
        self.path, self.name, self.kind, self.files = path, path.name, kind, (path,)
        self._picture = self._decoded()
        self.mpp = self._picture.mpp
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
                raise InputError(
                    self.name, f"a {state} {self.kind}", "a complete slide or picture", COPY_AGAIN
                ) from error

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
        mpp = _tagged_mpp(getattr(picture, "tag_v2", {}))
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

    downsamples, mpp, files = (1.0,), None, ()

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
        self.path, self.name, self.files = path, path.name, (path,)
        if pydicom is None:
            raise InputError(
                self.name, "a DICOM file, but no pydicom", "pydicom 3 or later", "pip install 'pydicom>=3.0.2'"
            )
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            kind = header.get("SOPClassUID")
            self.tile_size = int(header.get("Columns") or 0), int(header.get("Rows") or 0)
            self.level_sizes = (
                (int(header.get("TotalPixelMatrixColumns") or 0), int(header.get("TotalPixelMatrixRows") or 0)),
            )
            frames = int(header.get("NumberOfFrames") or 1)
            self.mpp = _dicom_mpp(header)
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
        with open(path, "rb") as handle:
            head = handle.read(4)
            kind = next(kind for magic, kind in MAGIC.items() if head.startswith(magic[:4]))
            handle.seek(0)
            picture = READERS[kind](handle)  # its header
            if TILE_WIDTH in getattr(picture, "tag_v2", {}):
                return 0
            return 2 * 3 * min(picture.width * picture.height, MAX_PICTURE_PIXELS)
    except Exception:  # who reads it will say what is wrong
        return 0


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


def _check_levels(name: str, sizes: tuple[tuple[int, int], ...]) -> None:
    for width, height in sizes:
        if width < 1 or height < 1:
            raise InputError(name, f"a level or tile of {width} x {height} px", "levels with pixels", COPY_AGAIN)


def _one_line(error: Exception) -> str:
    """OpenSlide's own words, without the folder."""
    return " ".join(str(word).rsplit("/", 1)[-1] for word in str(error).split())[:120]


def _positive(*numbers: object) -> tuple[float, ...] | None:
    """The numbers, if all of them are finite and above 0."""
    try:
        values = tuple(float(number) for number in numbers)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return values if all(0 < value < float("inf") for value in values) else None


def _openslide_mpp(properties, vendor: str) -> tuple[float, float] | None:
    mpp = _positive(properties.get("openslide.mpp-x"), properties.get("openslide.mpp-y"))
    if mpp is None:
        resolution = _positive(properties.get("tiff.XResolution"), properties.get("tiff.YResolution"))
        unit = MICRONS.get(properties.get("tiff.ResolutionUnit"))
        mpp = tuple(unit / value for value in resolution) if resolution and unit else None
        vendor = "generic-tiff"
    return None if mpp and vendor == "generic-tiff" and max(mpp) > COARSEST_TAGGED_MPP else mpp


def _tagged_mpp(tags) -> tuple[float, float] | None:
    """From the tags of an untiled TIFF; without a unit (1, or no tag) a resolution says nothing."""
    resolution = _positive(tags.get(X_RESOLUTION), tags.get(Y_RESOLUTION))
    unit = MICRONS.get(TIFF_UNITS.get(tags.get(RESOLUTION_UNIT)))
    if not resolution or not unit:
        return None
    mpp = tuple(unit / value for value in resolution)
    return mpp if max(mpp) <= COARSEST_TAGGED_MPP else None


def _dicom_mpp(header: "pydicom.Dataset") -> tuple[float, float] | None:
    """From PixelSpacing (rows first) in mm, in the shared functional groups."""
    for group in header.get("SharedFunctionalGroupsSequence") or []:
        for measures in group.get("PixelMeasuresSequence") or []:
            down, across = measures.get("PixelSpacing") or (None, None)
            spacing = _positive(across, down)
            return tuple(1000 * value for value in spacing) if spacing else None
    return None


def companions(path: Path, vendor: str) -> tuple[Path, ...]:
    """The file and those that OpenSlide reads beside it: the folder of a MRXS, the other levels of a DICOM series."""
    if vendor == "mirax":
        return (path, *sorted(file for file in path.with_suffix("").rglob("*") if file.is_file()))
    if vendor == "dicom" and pydicom is not None:
        series = dicom_series(path)
        return tuple(file for file in sorted(path.parent.iterdir()) if file == path or dicom_series(file) == series)
    return (path,)


def dicom_series(path: Path) -> str | None:
    """The DICOM series that a file belongs to; None for any other file."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
        return str(header.SeriesInstanceUID)
    except Exception:  # not DICOM, a folder, no permission: not of this series
        return None
