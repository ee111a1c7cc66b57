"""From the stored values of a DICOM image to its display: float32 in [0, 1], black 0, white 1.

The grayscale pipeline of the DICOM standard, part 3, in its order:

1. modality (C.11.1): the Modality LUT, or rescale slope and intercept;
2. value of interest (C.11.2): the first VOI LUT, else the first window (LINEAR, LINEAR_EXACT or SIGMOID), else the
   range from the smallest to the largest value of the film;
3. presentation (C.11.6): the Presentation LUT, else its shape (INVERSE turns black and white around), else the
   photometric interpretation (MONOCHROME1 does). The standard gives MONOCHROME1 the shape INVERSE and MONOCHROME2
   IDENTITY; where a file says otherwise its shape decides, for that is the last step, and a note tells it.

Padding is black and counts for no range. A step that leaves nothing of the film's contrast is named.
"""

import numpy as np

from .dicom_elements import EXPORT_AGAIN, code, damaged, frame_groups, items, number
from .image_checks import check_finite, stretched
from .input_error import InputError

try:
    import pydicom
    from pydicom.pixels import apply_color_lut
except ImportError:
    pydicom = None

LUT = ("LUTDescriptor", "LUTData")
COLORS = ("Red", "Green", "Blue")
SHAPES = {"IDENTITY": False, "INVERSE": True}
NATURAL = {"MONOCHROME2": "IDENTITY", "MONOCHROME1": "INVERSE"}  # the shape that goes with each
MACROS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")


def gray_display(
    dataset: "pydicom.Dataset", stored: np.ndarray, frame: int, photometric: str, name: str, notes: list[str]
) -> np.ndarray:
    """A monochrome frame as it is meant to be seen.

    Args:
        dataset: of the file.
        stored: (rows, columns), as `dicom_reading` decodes them.
        frame: which one, counted from 0.
        photometric: MONOCHROME1 or MONOCHROME2.
        name: what messages call the file.
        notes: what a reader of the picture must know is added here.

    Raises:
        InputError: a damaged element, or a step that leaves nothing of the contrast.
    """
    padding = _padding(dataset, stored, name)
    if padding.all():
        raise InputError(name, "nothing but padding pixels", "an image with contrast", EXPORT_AGAIN)
    groups = frame_groups(dataset, frame, name, MACROS)
    values = _modality(dataset, groups, stored, name)
    check_finite(name, values)
    _check_contrast("a rescale or Modality LUT", stored[~padding], values[~padding], name)
    gray, what = _value_of_interest(groups, values, name)
    if gray is None:
        gray = stretched(values, ~padding)
    else:
        _check_contrast(what, values[~padding], gray[~padding], name)
    shown = _presented(dataset, gray, photometric, name, notes)
    if stored[~padding].min() == stored[~padding].max():
        return np.zeros_like(shown)  # blank: refused by the caller, with its padding or without
    _check_contrast("a Presentation LUT", gray[~padding], shown[~padding], name)
    return np.where(padding, np.float32(0), shown)


def _check_contrast(what: str, before: np.ndarray, after: np.ndarray, name: str) -> None:
    """Refuse a step after which every pixel is the same, where they differed before."""
    low, high = before.min(), before.max()
    if low < high and after.min() == after.max():
        found = f"{what} that leaves nothing of values from {low:g} to {high:g}"
        raise InputError(name, found, "one that fits the pixels", EXPORT_AGAIN)


def _padding(dataset: "pydicom.Dataset", stored: np.ndarray, name: str) -> np.ndarray:
    """Which pixels are padding, as bool: those between PixelPaddingValue and its range limit."""
    first = number([dataset], "PixelPaddingValue", name)
    if first is None:
        return np.zeros(stored.shape, bool)
    last = number([dataset], "PixelPaddingRangeLimit", name)
    ends = [first, first if last is None else last]
    if stored.dtype.kind == "i":  # some devices write the value as unsigned: 63536 for -2000
        half = 2 ** (8 * stored.dtype.itemsize - 1)
        ends = [end - 2 * half if end >= half else end for end in ends]
    return (stored >= min(ends)) & (stored <= max(ends))


def _modality(dataset: "pydicom.Dataset", groups: list["pydicom.Dataset"], stored: np.ndarray, name: str) -> np.ndarray:
    """Stored values in the units of the modality, Hounsfield units for instance."""
    if tables := items(dataset, "ModalityLUTSequence", name):
        table, first, _ = _table(tables[0], LUT, "lookup table", name)
        return _mapped(stored, table, first)
    slope = number(groups, "RescaleSlope", name)
    intercept = number(groups, "RescaleIntercept", name)
    if slope is None and intercept is None:
        return stored
    exact = np.float32 if stored.dtype.itemsize <= 2 else np.float64
    return stored.astype(exact) * exact(1 if slope is None else slope) + exact(intercept or 0)


def _value_of_interest(groups: list["pydicom.Dataset"], values: np.ndarray, name: str) -> tuple[np.ndarray | None, str]:
    """The first VOI LUT, else the first window, as float32 in [0, 1], and what it was; None where there is neither."""
    for group in groups:
        if tables := items(group, "VOILUTSequence", name):
            table, first, bits = _table(tables[0], LUT, "lookup table", name)
            return (_mapped(values, table, first) / np.float32(2**bits - 1)).clip(0, 1), "a VOI LUT"
    center, width = number(groups, "WindowCenter", name), number(groups, "WindowWidth", name)
    if center is None or width is None:
        return None, ""
    function = next(filter(None, (code(group, "VOILUTFunction", name) for group in groups)), "LINEAR")
    function = function.replace(" ", "_")
    narrowest = {"LINEAR": 1, "LINEAR_EXACT": np.nextafter(0, 1), "SIGMOID": np.nextafter(0, 1)}.get(function)
    if narrowest is None:
        expected = "LINEAR, LINEAR_EXACT or SIGMOID"
        raise InputError(name, f"window function {function[:16]!r}", expected, EXPORT_AGAIN)
    if width < narrowest:
        raise InputError(name, f"a window of width {width:g}", "a wider window", EXPORT_AGAIN)
    return _windowed(values, center, width, function), f"a window of center {center:g} and width {width:g}"


def _windowed(values: np.ndarray, center: float, width: float, function: str) -> np.ndarray:
    if function == "SIGMOID":
        return (1 / (1 + np.exp((-4 * (values - center) / width).clip(-80, 80)))).astype(np.float32)
    if function == "LINEAR":  # C.11.2.1.2.1: the window covers whole values, so its ends lie half a value further in
        center, width = center - 0.5, width - 1
    if width == 0:
        return (values > center).astype(np.float32)
    return ((values - center) / width + 0.5).clip(0, 1).astype(np.float32)


def _presented(
    dataset: "pydicom.Dataset", gray: np.ndarray, photometric: str, name: str, notes: list[str]
) -> np.ndarray:
    """The output of the step before, in [0, 1], as brightness."""
    if tables := items(dataset, "PresentationLUTSequence", name):
        table, first, bits = _table(tables[0], LUT, "lookup table", name)
        # C.11.6.1: the range of the step before is stretched over that of the table.
        shown = _mapped(first + gray * np.float32(len(table) - 1), table, first)
        return (shown / np.float32(2**bits - 1)).clip(0, 1)
    natural = NATURAL[photometric]
    shape = code(dataset, "PresentationLUTShape", name) or natural
    if shape not in SHAPES:
        found = f"PresentationLUTShape {shape[:16]!r}"
        raise InputError(name, found, "IDENTITY or INVERSE, which a screen can show", EXPORT_AGAIN)
    if shape != natural:
        notes.append(f"{photometric} and PresentationLUTShape {shape} contradict each other: shown as {shape} says")
    return 1 - gray if SHAPES[shape] else gray


def palette_display(dataset: "pydicom.Dataset", stored: np.ndarray, name: str) -> np.ndarray:
    """Palette indices (rows, columns) as RGB in [0, 1]."""
    if "SegmentedRedPaletteColorLookupTableData" in dataset:
        try:
            entries, first, _ = dataset.RedPaletteColorLookupTableDescriptor
            indices = stored.astype(np.int64).clip(first, first + (entries or 65536) - 1)
            colors = apply_color_lut(indices, dataset)
        except Exception as error:  # pydicom's check of such tables has its own exceptions
            raise damaged("palette", name) from error
        return colors / np.float32(np.iinfo(colors.dtype).max)
    channels = []
    for color in COLORS:
        keywords = [f"{color}PaletteColorLookupTable{part}" for part in ("Descriptor", "Data")]
        table, first, bits = _table(dataset, keywords, "palette", name)
        channels.append((_mapped(stored, table, first) / np.float32(2**bits - 1)).clip(0, 1))
    return np.stack(channels, axis=-1)


def _table(item: "pydicom.Dataset", keywords: tuple[str, str], what: str, name: str) -> tuple[np.ndarray, int, int]:
    """A table by its descriptor and its data: uint16 or uint8 entries, the first value mapped, bits of an entry.

    pydicom's own functions index with the dtype of the pixels, which overflows where an 8-bit film has a longer table.
    """
    try:
        descriptor, data = (item.get(keyword) for keyword in keywords)
        entries, first, bits = (int(number) for number in descriptor)
        entries = entries % 65536 or 65536  # 0 stands for 65536, which does not fit in 16 bits
        if isinstance(data, bytes):
            words = "<u2" if item.original_encoding[1] else ">u2"
            table = np.frombuffer(data, np.uint8 if len(data) < 2 * entries else np.dtype(words), count=entries)
        else:
            table = np.asarray(data, np.uint16)
        if table.ndim != 1 or len(table) < entries or not 1 <= bits <= 16 or not -32768 <= first <= 65535:
            raise ValueError("shorter than its descriptor says")
    except Exception as error:  # values that pydicom cannot parse, none, too few, of another type
        raise InputError(name, f"a damaged {what}", "a table as long as its descriptor says", EXPORT_AGAIN) from error
    return table[:entries], first, bits


def _mapped(values: np.ndarray, table: np.ndarray, first: int) -> np.ndarray:
    """Values through a table, as float32; those before and after its range take its first and last entry."""
    if first >= 32768 and values.min() < 0:
        first -= 65536  # a negative start, written as unsigned
    index = np.rint(values.astype(np.float64)).clip(first, first + len(table) - 1) - first
    return table[index.astype(np.int64)].astype(np.float32)
