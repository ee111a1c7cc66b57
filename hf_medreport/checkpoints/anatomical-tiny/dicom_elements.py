"""Elements of a DICOM file as they come: of any number of values, any type, with the faults that writers have.

A value that cannot be what its element is ends in an `InputError` that names the element, never in another exception.
Three faults leave no doubt of what is meant and are read: a decimal comma, lower case in a code, blanks around it.
"""

import math

from .input_error import InputError

try:
    import pydicom
except ImportError:
    pydicom = None

EXPORT_AGAIN = "export the file again"
WHOLE_SLIDE = "1.2.840.10008.5.1.4.1.1.77.1.6"
VOLUME = "VOLUME"
SHOWS_NO_SLIDE = ("LABEL", "OVERVIEW", "THUMBNAIL", "LOCALIZER", "MACRO")  # the last one is not the standard's


def values_of(dataset: "pydicom.Dataset", keyword: str, name: str) -> list:
    """All values of an element; none where it is absent or empty.

    Raises:
        InputError: bytes that are no text where text is expected.
    """
    try:
        value = dataset.get(keyword)
    except Exception:  # pydicom cannot parse it as its type
        value = _text(dataset, keyword, name)
    if value is None or isinstance(value, str) and not value.strip():
        return []
    several = (pydicom.multival.MultiValue, pydicom.Sequence, list)
    return list(value) if isinstance(value, several) else [value]


def _text(dataset: "pydicom.Dataset", keyword: str, name: str) -> list[str]:
    """What the file holds in place of a value of the element's type."""
    try:
        raw = dataset.get_item(keyword).value
        return [part.strip(" \0") for part in raw.decode("ascii").split("\\")]
    except Exception as error:  # no element any more, no bytes, no text
        raise damaged(keyword, name) from error


def damaged(keyword: str, name: str, expected: str = "a DICOM file that keeps the standard") -> InputError:
    """The error of an element whose value is none."""
    return InputError(name, f"a damaged {keyword}", expected, EXPORT_AGAIN)


def element(dataset: "pydicom.Dataset", keyword: str, name: str) -> object:
    """An element's value, the first of several, or None where it is absent or empty."""
    value = next(iter(values_of(dataset, keyword, name)), None)
    return None if value == "" else value


def code(dataset: "pydicom.Dataset", keyword: str, name: str) -> str:
    """An element that is a code, in capitals without blanks around it; "" where it is absent or empty."""
    return "" if (value := element(dataset, keyword, name)) is None else str(value).strip(" \0").upper()


def whole(dataset: "pydicom.Dataset", keyword: str, name: str, default: int | None = None) -> int:
    """An element that must be a whole number of at least 1."""
    value = element(dataset, keyword, name)
    if value is None:
        value = default
    if value is None or not str(value).strip().isdecimal() or int(str(value)) < 1:
        found = f"no {keyword}" if value is None else f"{keyword} {str(value)[:16]!r}"
        raise InputError(name, found, f"a whole {keyword} of at least 1", EXPORT_AGAIN)
    return int(str(value))


def number(groups: list["pydicom.Dataset"], keyword: str, name: str) -> float | None:
    """The first value of a decimal element in the first group that has it, or None."""
    for group in groups:
        value = element(group, keyword, name)
        if value is not None:
            return as_number(value, keyword, name)
    return None


def as_number(value: object, keyword: str, name: str) -> float:
    """A value as a finite number; a comma in it can only be a decimal point, for DICOM groups no digits."""
    try:
        found = float(value.replace(",", ".") if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise damaged(keyword, name, "a finite number")
    return found


def items(dataset: "pydicom.Dataset", keyword: str, name: str) -> list["pydicom.Dataset"]:
    """The items of a sequence; none where it is absent or empty."""
    found = values_of(dataset, keyword, name) if keyword in dataset else []
    if not all(isinstance(item, pydicom.Dataset) for item in found):
        raise damaged(keyword, name, "a sequence")
    return found


def frame_groups(dataset: "pydicom.Dataset", frame: int, name: str, macros: tuple[str, ...]) -> list["pydicom.Dataset"]:
    """Where the elements of a frame may stand, the most specific place first: the macros of an enhanced object's
    functional groups, of the frame and then of all frames, and the data set itself.
    """
    per_frame = items(dataset, "PerFrameFunctionalGroupsSequence", name)[frame : frame + 1]
    shared = items(dataset, "SharedFunctionalGroupsSequence", name)[:1]
    nested = [item for group in per_frame + shared for macro in macros for item in items(group, macro, name)[:1]]
    return [*nested, dataset]


def slide_flavor(dataset: "pydicom.Dataset", name: str) -> str:
    """What a whole-slide file shows, from ImageType: VOLUME, LABEL, OVERVIEW, THUMBNAIL, ...

    Writers put the values of ImageType in other places than the standard's; a file with too few of them is a VOLUME,
    but not where it says that the paper label is in the picture.
    """
    words = [str(value).strip(" \0").upper() for value in values_of(dataset, "ImageType", name)]
    for word in words:
        if word in SHOWS_NO_SLIDE:
            return word
    if code(dataset, "SpecimenLabelInImage", name) == "YES":
        return "LABEL"
    return VOLUME if len(words) < 3 or VOLUME in words or not words[2] else words[2]


def class_uid(dataset: "pydicom.Dataset", name: str) -> str:
    """What kind of object a file is; "" where it does not say."""
    in_meta = getattr(dataset, "file_meta", None) or pydicom.Dataset()
    return code(dataset, "SOPClassUID", name) or code(in_meta, "MediaStorageSOPClassUID", name)


def check_flavor(uid: str, flavor: str, name: str) -> None:
    """Refuse a whole-slide file that shows something else than a slide, such as the label with the patient's name."""
    if uid == WHOLE_SLIDE and flavor != VOLUME:
        found = f"{'an' if flavor[0] in 'AEIOU' else 'a'} {flavor.lower()[:16]}, no slide"
        expected = f"a {VOLUME}, as ImageType says"
        raise InputError(name, found, expected, "give the slide of this series")
