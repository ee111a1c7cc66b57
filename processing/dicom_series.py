"""Which DICOM files are one slide, and which of them may be looked at.

A scanner writes a slide as a series of files: its levels (VOLUME), and pictures of the paper label, of the whole glass,
of the slide made small. These others often show a patient's name: only a VOLUME is a slide, and nothing here reads the
pixels of another, however they are compressed.

A folder may hold the files of many slides. Each file's header is read once, up to what is asked of it, and again only
when the file has changed.
"""

import os
from pathlib import Path
from typing import NamedTuple

from .dicom_elements import VOLUME, WHOLE_SLIDE, check_flavor, class_uid, code, element, slide_flavor
from .dicom_reading import looks_like_dicom
from .input_error import InputError
from .regular_file import open_regular

try:
    import pydicom
    from pydicom.filereader import read_partial
except ImportError:
    pydicom = None

SIZE = ("TotalPixelMatrixColumns", "TotalPixelMatrixRows")
ASKED = ("ImageType", "SOPClassUID", "SeriesInstanceUID", "SpecimenLabelInImage", *SIZE)
LAST_ASKED = 0x00480010  # SpecimenLabelInImage; what follows may list 100,000 frames
_read: dict[str, tuple[tuple[int, int], "Instance | None"]] = {}  # path -> (size and time), what was found then


class Instance(NamedTuple):
    """What the header of a DICOM file says of it.

    `series` is empty where the file names none, `class_uid` where it does not say what it is, `flavor` for all but
    whole slides; `pixels` are those of the whole level.
    """

    series: str
    class_uid: str
    flavor: str
    pixels: int = 0


def instance(path: Path) -> Instance | None:
    """The header of a file; None for what is not DICOM, or too damaged to tell, or not to be opened."""
    key = os.path.abspath(path)
    try:
        state = os.stat(path)
        seen = state.st_size, state.st_mtime_ns
        known = _read.get(key)
        if known is None or known[0] != seen:
            known = _read[key] = seen, _header(path)
    except (InputError, OSError):
        return None
    return known[1]


def _header(path: Path) -> Instance | None:
    with open_regular(path, "a DICOM file") as handle:
        head = handle.read(256)
        if pydicom is None or not looks_like_dicom(head):
            return None
        handle.seek(0)
        try:
            header = read_partial(
                handle, lambda tag, *_: tag > LAST_ASKED, specific_tags=list(map(pydicom.tag.Tag, ASKED)), force=True
            )
            series, uid = code(header, "SeriesInstanceUID", path.name), class_uid(header, path.name)
            if uid != WHOLE_SLIDE:
                return Instance(series, uid, "")
            width, height = (int(element(header, keyword, path.name) or 0) for keyword in SIZE)
            return Instance(series, uid, slide_flavor(header, path.name), width * height)
        except Exception:  # pydicom reports bad bytes by many exception types
            return None


def check_slide(path: Path) -> None:
    """Refuse a DICOM file that may not be looked at: it is a label, or nothing can be learned of it.

    Raises:
        InputError: so it is; or no pydicom.
    """
    if pydicom is None:
        found, remedy = "a DICOM file, but no pydicom", "pip install 'pydicom>=3.0.2'"
        raise InputError(path.name, found, "pydicom 3 or later", remedy)
    found = instance(path)
    if found is None:
        raise InputError(path.name, "a damaged DICOM file", "a complete DICOM slide", "copy or export the slide again")
    check_flavor(found.class_uid, found.flavor, path.name)


def is_volume(found: Instance | None) -> bool:
    """Whether a file holds a slide, or a level of one."""
    return found is not None and found.class_uid == WHOLE_SLIDE and found.flavor == VOLUME


def series_files(path: Path) -> tuple[Path, ...]:
    """The file and the other levels of its slide in the same folder, by name; of what is no such file, itself alone."""
    own = instance(path)
    if not is_volume(own) or not own.series:
        return (path,)
    with os.scandir(path.parent) as entries:
        beside = [path.parent / entry.name for entry in entries if entry.is_file()]
    others = (
        file for file in beside if file != path and is_volume(found := instance(file)) and found.series == own.series
    )
    return tuple(sorted([path, *others]))


__all__ = ["Instance", "check_slide", "instance", "is_volume", "series_files"]
