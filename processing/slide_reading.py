"""Read any slide through one small interface.

OpenSlide reads SVS, NDPI, MRXS, SCN, tiled TIFF and DICOM; a PNG, JPEG or untiled TIFF is a slide of one level; DICOM
that OpenSlide refuses is read frame by frame. Positions are in px of level 0, (x, y) from the top left corner; arrays
are uint8 (height, width, 3) in RGB. What is transparent or outside the slide is white, as glass is.

A damaged tile is an error that names the file and the position, never black pixels. A slide without a resolution has
`mpp` None: nothing is guessed from an objective's power.

    with open_slide("slide.svs") as slide:
        tile = slide.read(4096, 2048, level=0, width=512, height=512)
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from .dicom_reading import looks_like_dicom
from .dicom_series import check_slide
from .image_checks import open_input
from .image_reading import MAGIC
from .input_error import InputError
from .regular_file import open_regular
from .slide_child import detect_format
from .slide_resolution import check_slide_mpp, resolution, told_mpp
from .slide_sources import (
    INSTALL,
    ArraySource,
    DicomSource,
    OpenSlideSource,
    PictureSource,
    openslide,
    slide_files,
)

EXPECTED = "a slide (SVS, NDPI, MRXS, SCN, tiled TIFF, DICOM) or a picture (PNG, JPEG, TIFF)"
STRIP_ROWS = 512  # rows decoded at once; a strip of a 100,000 px slide takes 154 MB


def open_slide(
    path: str | os.PathLike | Image.Image | np.ndarray,
    slide_mpp: float | None = None,
    override_slide_mpp: bool = False,
) -> "Slide":
    """Open a slide.

    Args:
        path: the slide; of a MRXS the `.mrxs` file, of a DICOM series any of its files; or a picture
            in memory, uint8 RGB.
        slide_mpp: microns per level-0 px, where the file does not say.
        override_slide_mpp: `slide_mpp` wins over what the file says.

    Raises:
        InputError: no such file, not a slide, damaged, a level without pixels, px that are not square, or a library
            that is not installed.
    """
    check_slide_mpp(slide_mpp)
    in_memory = isinstance(path, (Image.Image, np.ndarray))
    source = ArraySource(path) if in_memory else _source(Path(path))
    try:
        found = resolution(source.name, source.mpp, source.power, slide_mpp, override_slide_mpp)
    except InputError:
        source.close()
        raise
    origin = path if in_memory else os.fspath(path), slide_mpp, override_slide_mpp
    return Slide(source, found.mpp, origin, found.told, found.notes)


def _source(path: Path):
    """The source that reads this file, chosen by content; only a MRXS, which looks like a JPEG, goes by its name."""
    if path.is_symlink() and not path.exists():
        found, remedy = "a link to nothing", "mount or copy what it points to, or remove it"
        raise InputError(path.name, found, "a link to a slide", remedy)
    handle, name = open_input(path)
    with handle:
        head = handle.read(256)
    kind = next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)
    is_mirax = path.suffix.lower() == ".mrxs"
    if is_mirax and not path.with_suffix("").is_dir():
        raise InputError(
            name,
            "a MRXS without its folder",
            f"the folder {path.stem}/ beside it",
            "copy the folder along with the file",
        )
    if kind in ("PNG", "JPEG") and not is_mirax:
        return PictureSource(path, kind)
    if openslide is None:
        raise InputError(name, "a slide, but no OpenSlide", "openslide-python", INSTALL)
    vendor = detect_format(path)
    if vendor == "dicom" or looks_like_dicom(head):
        check_slide(path)
    if vendor is not None:
        return _openslide_or_dicom(path, vendor)
    if looks_like_dicom(head):
        return DicomSource(path)
    if kind == "TIFF":
        return PictureSource(path, kind)
    is_text = all(byte >= 32 or byte in b"\t\r\n" for byte in head)
    raise InputError(name, "text" if is_text else "bytes of no known kind of slide", EXPECTED, "give the slide itself")


def _openslide_or_dicom(path: Path, vendor: str) -> OpenSlideSource | DicomSource:
    """OpenSlide's source; of DICOM that it knows but cannot decode, ours."""
    try:
        return OpenSlideSource(path, vendor)
    except InputError:
        if vendor != "dicom":
            raise
        return DicomSource(path)


class Slide:
    """An open slide; a context manager. Pickled as its path, so a worker that receives one opens it anew.

    Attributes:
        name: the file's name, without folders.
        level_sizes: (width, height) of each level in its own px, the largest first.
        downsamples: how many level-0 px one px of a level spans.
        mpp: microns per level-0 px, or None where nobody says.
        mpp_told: whether a person said that, and not the file.
        notes: what has to be known of it, a line each.
    """

    def __init__(self, source, mpp: float | None, origin: tuple, mpp_told: bool = False, notes: tuple[str, ...] = ()):
        self._source, self._origin, self.mpp_told, self.notes = source, origin, mpp_told, notes
        self.name, self.level_sizes, self.downsamples = source.name, source.level_sizes, source.downsamples
        self.mpp = mpp

    def __reduce__(self):
        return open_slide, self._origin

    def __enter__(self) -> "Slide":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a later read opens it again."""
        self._source.close()

    def read(self, x: int, y: int, level: int, width: int, height: int) -> np.ndarray:
        """A rectangle of one level.

        Args:
            x, y: its top left corner in level-0 px; may lie outside.
            level: 0 is the largest.
            width, height: in px of that level.

        Returns:
            uint8 (height, width, 3).

        Raises:
            InputError: no such level, or damaged pixels.
        """
        self.check_level(level)
        return self._source.region(int(x), int(y), int(level), int(width), int(height))

    def check_level(self, level: int) -> None:
        """Refuse a level that the slide does not have."""
        if not 0 <= level < len(self.level_sizes):
            last = len(self.level_sizes) - 1
            expected = f"a level from 0 to {last}" if last else "level 0, its only one"
            raise InputError(self.name, f"no level {level}", expected, "choose another `level`, or use `mpp`")

    def level_for(self, downsample: float) -> int:
        """The coarsest level that is not coarser than `downsample`; 0 where all are."""
        return max((level for level, own in enumerate(self.downsamples) if own <= downsample), default=0)

    def strips(self, level: int, factor: int = 1) -> Iterator[np.ndarray]:
        """A whole level from top to bottom, uint8 (rows, width, 3) a strip, shrunk by a whole factor (box average)."""
        width, height = self.level_sizes[level]
        rows = factor * max(1, STRIP_ROWS // factor)
        scale = self.level_sizes[0][1] / height
        for top in range(0, height, rows):
            strip = self.read(0, round(top * scale), level, width, min(rows, height - top))
            yield strip if factor == 1 else np.asarray(Image.fromarray(strip).reduce(factor))

    def thumbnail(self, longest_px: int) -> np.ndarray:
        """The whole slide, its longer side `longest_px` or, if that is less, as large as it is."""
        longest = max(self.level_sizes[0])
        wanted = max(1.0, longest / longest_px)
        level = self.level_for(wanted)
        factor = max(1, int(wanted / self.downsamples[level]))
        whole = Image.fromarray(np.concatenate(list(self.strips(level, factor))))
        size = tuple(max(1, round(side / wanted)) for side in self.level_sizes[0])
        return np.asarray(whole.resize(size, Image.Resampling.BOX))

    def fingerprint(self) -> str:
        """sha256 (64 hex digits) of the content of the file and of those that belong to it, names left out."""
        path = self._origin[0]
        return slide_fingerprint(path) if isinstance(path, str) else hashlib.sha256().hexdigest()


def slide_fingerprint(path: str | os.PathLike) -> str:
    """The same of a slide that is not open."""
    total = hashlib.sha256()
    for file in slide_files(Path(path)):
        with open_regular(file, "a slide") as handle:
            total.update(hashlib.file_digest(handle, "sha256").digest())
    return total.hexdigest()


__all__ = ["Slide", "check_slide_mpp", "open_slide", "slide_fingerprint", "told_mpp"]
