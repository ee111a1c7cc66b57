"""Read one DICOM image as it is meant to be displayed: float32 in [0, 1], black 0, white 1.

The steps are those of the DICOM standard, part 3 (C.7.6.3 pixels, C.11.1 modality, C.11.2 window), in its order:

1. stored values: signed or not, unused high bits removed, decompressed by whatever plug-in pydicom finds;
2. modality: the Modality LUT, or rescale slope and intercept;
3. value of interest: the first VOI LUT, else the first window (LINEAR, LINEAR_EXACT or SIGMOID), else the range
   from the smallest to the largest value of the film;
4. MONOCHROME1 is inverted; padding is black and does not count for the range of step 3.

RGB and YBR are divided by their largest storable value, palettes are looked up. Enhanced multi-frame objects keep
rescale and window in functional groups; those of the frame win over the shared ones, and these over the top level.

Only the elements needed for this are parsed: the patient's data are never read.
"""

import os
import zlib
from typing import BinaryIO

import numpy as np

from .image_checks import MAX_PIXELS, check_finite, check_size, checked_picture, chosen_frame, open_input, stretched
from .input_error import InputError

try:
    import pydicom
    from pydicom.encaps import get_frame
    from pydicom.pixels import apply_color_lut, get_decoder, pixel_array
except ImportError:
    pydicom = None

DEFLATED = b"1.2.840.10008.1.2.1.99"
MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
PIXEL_DATA_TAG = b"\xe0\x7f\x10\x00"
PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
COLORS = ("Red", "Green", "Blue")
READ_AS_RGB = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")  # pydicom converts the YBR ones
ELEMENTS = [
    "SOPClassUID",
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction"),
    *(f"{color}PaletteColorLookupTableDescriptor" for color in COLORS),
    *(f"{color}PaletteColorLookupTableData" for color in COLORS),
    *(f"Segmented{color}PaletteColorLookupTableData" for color in COLORS),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths", *PIXEL_KEYWORDS),
]
EXPORT_AGAIN = "export the file again"
COPY_AGAIN = "copy or export the file again"


def looks_like_dicom(head: bytes) -> bool:
    """Whether a file that starts with these (at least 132) bytes is DICOM, with or without its preamble."""
    if head[128:132] == b"DICM":
        return True
    # No preamble: the first element, of group 2 or 8, stands at once, with its type (explicit) or a short length.
    little, big = head[:2] in (b"\x02\0", b"\x08\0"), head[:2] in (b"\0\x02", b"\0\x08")
    explicit = head[4:6] in (b"AE", b"CS", b"DA", b"LO", b"OB", b"SH", b"TM", b"UI", b"UL")
    return (explicit and (little or big)) or (head[:2] == b"\x08\0" and head[6:8] == b"\0\0" and len(head) >= 132)


def read_dicom(
    source: str | os.PathLike | bytes | BinaryIO,
    *,
    frame: int | None = None,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
) -> np.ndarray:
    """Read one frame of a DICOM file.

    Args:
        source: a path, the bytes of a file, or an open binary file.
        frame: which frame of a multi-frame object, counted from 0; required where there are several.
        max_pixels: a file that claims more rows x columns is refused before its pixels are decoded.
        name: what messages call the file; by default its name.

    Returns:
        float32 in [0, 1], (rows, columns) for monochrome, (rows, columns, 3) for color.

    Raises:
        InputError: not DICOM, damaged, no pixels, no decoder, too large or too small, blank, or no frame chosen.
    """
    if hasattr(source, "read"):
        return _read(source, name or "image", frame, max_pixels)
    handle, name = open_input(source, name)
    with handle:
        return _read(handle, name, frame, max_pixels)


def _read(handle: BinaryIO, name: str, frame: int | None, max_pixels: int) -> np.ndarray:
    dataset = _dataset(handle, name, max_pixels)
    height, width = _whole(dataset, "Rows", name), _whole(dataset, "Columns", name)
    check_size(name, height, width, max_pixels)
    frame = chosen_frame(name, frame, _whole(dataset, "NumberOfFrames", name, default=1))
    photometric = str(_element(dataset, "PhotometricInterpretation", name) or "").strip().upper()
    if not photometric:
        raise InputError(name, "no PhotometricInterpretation", "how gray or color is meant", EXPORT_AGAIN)
    stored = _stored_values(dataset, frame, name)
    if photometric in ("MONOCHROME1", "MONOCHROME2"):
        picture = _gray(dataset, stored, frame, photometric == "MONOCHROME1", name)
    elif photometric == "PALETTE COLOR":
        picture = _palette(dataset, stored, name)
    elif photometric not in READ_AS_RGB or stored.ndim != 3:
        found = f"photometric interpretation {photometric[:16]!r} with {stored.ndim} axes of pixels"
        raise InputError(name, found, "MONOCHROME1, MONOCHROME2, PALETTE COLOR, RGB or YBR", EXPORT_AGAIN)
    else:
        picture = stored.astype(np.float32) / (2 ** _whole(dataset, "BitsStored", name) - 1)
    return checked_picture(name, picture)


# --- the file ---------------------------------------------------------------------------------------------------------


def _dataset(handle: BinaryIO, name: str, max_pixels: int) -> "pydicom.Dataset":
    """The elements that matter for the pixels, with a transfer syntax in any case."""
    if pydicom is None:
        raise InputError(name, "a DICOM file, but no pydicom", "pydicom 3 or later", "pip install 'pydicom>=3.0.2'")
    head = handle.read(1024)
    if DEFLATED in head:
        _check_deflated(handle, head, name, limit=64_000_000 + 2 * max_pixels)
    handle.seek(0)
    try:
        dataset = pydicom.dcmread(handle, force=head[128:132] != b"DICM", specific_tags=ELEMENTS)
        class_uid = dataset.file_meta.get("MediaStorageSOPClassUID") or dataset.get("SOPClassUID")
        has_pixels = any(keyword in dataset for keyword in PIXEL_KEYWORDS)
    except Exception as error:  # pydicom reports bad bytes by many exception types
        raise InputError(name, "a damaged DICOM file", "a complete DICOM file", COPY_AGAIN) from error
    if class_uid == MEDIA_DIRECTORY:
        raise InputError(name, "a DICOMDIR (a list of files)", "one DICOM image", "give the images that it lists")
    if not has_pixels:
        handle.seek(0)
        if PIXEL_DATA_TAG in handle.read():
            raise InputError(name, "a truncated DICOM file", "complete pixel data", COPY_AGAIN)
        raise InputError(name, "a DICOM file without pixel data", "a DICOM image", "choose the image of this study")
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little_endian = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = (
            pydicom.uid.ImplicitVRLittleEndian
            if implicit
            else pydicom.uid.ExplicitVRLittleEndian
            if little_endian
            else pydicom.uid.ExplicitVRBigEndian
        )
    return dataset


def _check_deflated(handle: BinaryIO, head: bytes, name: str, limit: int) -> None:
    """Refuse a deflated data set that would inflate beyond `limit` bytes; pydicom inflates without a bound."""
    meta_length = int.from_bytes(head[140:144], "little")
    handle.seek(144 + meta_length)
    inflate, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    try:
        while (chunk := inflate.unconsumed_tail or handle.read(1 << 16)) and not inflate.eof:
            total += len(inflate.decompress(chunk, 1 << 20))
            if total > limit:
                raise InputError(name, f"deflated data of more than {limit} bytes", "a smaller file", EXPORT_AGAIN)
    except zlib.error:
        pass  # reported by the reader as a damaged file


# --- the pixels as stored ---------------------------------------------------------------------------------------------


def _stored_values(dataset: "pydicom.Dataset", frame: int, name: str) -> np.ndarray:
    """One frame, decompressed: (rows, columns), or (rows, columns, 3) in RGB."""
    samples = _whole(dataset, "SamplesPerPixel", name, default=1)
    if samples not in (1, 3):
        raise InputError(name, f"SamplesPerPixel {samples}", "1 (gray, palette) or 3 (color)", EXPORT_AGAIN)
    if "PixelData" in dataset:
        allocated, bits = _whole(dataset, "BitsAllocated", name), _whole(dataset, "BitsStored", name)
        if allocated not in (1, 8, 16, 32, 64):
            raise InputError(name, f"BitsAllocated {allocated}", "1, 8, 16, 32 or 64", EXPORT_AGAIN)
        if bits > allocated:
            raise InputError(
                name, f"{bits} bits stored in {allocated}", "BitsStored within BitsAllocated", EXPORT_AGAIN
            )
        high_bit = _element(dataset, "HighBit", name)
        if high_bit is not None and high_bit != bits - 1:
            raise InputError(name, f"HighBit {high_bit} with {bits} bits stored", f"HighBit {bits - 1}", EXPORT_AGAIN)
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        raise InputError(
            name,
            f"pixels compressed as {syntax.name} and no plug-in that decodes them",
            "an installed decoder",
            "pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg, or save it uncompressed",
        )
    try:
        if syntax.is_encapsulated:
            _check_codestream(dataset, frame, name)
        stored = pixel_array(dataset, index=frame)
    except InputError:
        raise
    except Exception as error:  # each plug-in has its own exceptions
        raise InputError(name, "damaged or truncated pixel data", "complete pixel data", COPY_AGAIN) from error
    shape = (dataset.Rows, dataset.Columns) if samples == 1 else (dataset.Rows, dataset.Columns, 3)
    if stored.shape != shape:
        raise InputError(name, f"pixels of shape {stored.shape}", f"{shape}", EXPORT_AGAIN)
    check_finite(name, stored)
    return stored


def _check_codestream(dataset: "pydicom.Dataset", frame: int, name: str) -> None:
    """Refuse a compressed frame whose own header claims another size: a decoder would allocate that one."""
    offsets = (dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths"))
    codestream = get_frame(
        dataset.PixelData,
        frame,
        number_of_frames=int(dataset.get("NumberOfFrames") or 1),
        extended_offsets=offsets if all(offsets) else None,
    )
    claimed = _codestream_size(codestream)
    if claimed not in (None, (dataset.Rows, dataset.Columns)):
        raise InputError(
            name,
            f"a compressed frame that claims {claimed[1]} x {claimed[0]} px",
            f"{dataset.Columns} x {dataset.Rows} px as in its header",
            EXPORT_AGAIN,
        )


def _codestream_size(data: bytes) -> tuple[int, int] | None:
    """(rows, columns) from the header of a JPEG, JPEG-LS or JPEG 2000 stream; None for anything else (RLE)."""

    def number(start: int, length: int) -> int:
        return int.from_bytes(data[start : start + length], "big")

    siz = data.find(b"\xff\x4f\xff\x51", 0, 1024)  # JPEG 2000, bare or in JP2 boxes: SOC, SIZ
    if siz >= 0:
        return number(siz + 12, 4) - number(siz + 20, 4), number(siz + 8, 4) - number(siz + 16, 4)
    position = 2 if data.startswith(b"\xff\xd8") else len(data)
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):  # JPEG-LS, JPEG frames
            return number(position + 5, 2), number(position + 7, 2)
        position += 2 + number(position + 2, 2)
    return None


# --- from stored values to the display --------------------------------------------------------------------------------


def _gray(dataset: "pydicom.Dataset", stored: np.ndarray, frame: int, inverted: bool, name: str) -> np.ndarray:
    padding = _padding(dataset, stored, name)
    if padding.all():
        raise InputError(name, "nothing but padding pixels", "an image with contrast", EXPORT_AGAIN)
    groups = _groups(dataset, frame)
    values = _modality(dataset, groups, stored, name)
    check_finite(name, values)
    gray = _value_of_interest(groups, values, name)
    if gray is None:
        if values[~padding].min() == values[~padding].max():
            inverted = False  # blank: refused by the caller
        gray = stretched(values, ~padding)
    gray = 1 - gray if inverted else gray
    return np.where(padding, np.float32(0), gray)


def _padding(dataset: "pydicom.Dataset", stored: np.ndarray, name: str) -> np.ndarray:
    """Which pixels are padding, as bool: those between PixelPaddingValue and its range limit."""
    first = _number([dataset], "PixelPaddingValue", name)
    if first is None:
        return np.zeros(stored.shape, bool)
    last = _number([dataset], "PixelPaddingRangeLimit", name)
    ends = [first, first if last is None else last]
    if stored.dtype.kind == "i":  # some devices write the value as unsigned: 63536 for -2000
        half = 2 ** (8 * stored.dtype.itemsize - 1)
        ends = [end - 2 * half if end >= half else end for end in ends]
    return (stored >= min(ends)) & (stored <= max(ends))


def _groups(dataset: "pydicom.Dataset", frame: int) -> list["pydicom.Dataset"]:
    """Where this frame's rescale and window may stand, the most specific place first."""
    per_frame = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])[frame : frame + 1]
    shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
    macros = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
    nested = [item for group in per_frame + shared for macro in macros for item in (group.get(macro) or [])[:1]]
    return [*nested, dataset]


def _modality(dataset: "pydicom.Dataset", groups: list["pydicom.Dataset"], stored: np.ndarray, name: str) -> np.ndarray:
    """Stored values in the units of the modality, Hounsfield units for instance."""
    if dataset.get("ModalityLUTSequence"):
        return _looked_up(dataset.ModalityLUTSequence[0], stored, name)[0]
    slope = _number(groups, "RescaleSlope", name)
    intercept = _number(groups, "RescaleIntercept", name)
    if slope is None and intercept is None:
        return stored
    exact = np.float32 if stored.dtype.itemsize <= 2 else np.float64
    return stored.astype(exact) * exact(1 if slope is None else slope) + exact(intercept or 0)


def _value_of_interest(groups: list["pydicom.Dataset"], values: np.ndarray, name: str) -> np.ndarray | None:
    """The first VOI LUT, else the first window, as float32 in [0, 1]; None where the file has neither."""
    for group in groups:
        if group.get("VOILUTSequence"):
            looked_up, bits = _looked_up(group.VOILUTSequence[0], values, name)
            return (looked_up / np.float32(2**bits - 1)).clip(0, 1)
    center, width = _number(groups, "WindowCenter", name), _number(groups, "WindowWidth", name)
    if center is None or width is None:
        return None
    function = next((group.VOILUTFunction for group in groups if group.get("VOILUTFunction")), "LINEAR")
    narrowest = {"LINEAR": 1, "LINEAR_EXACT": np.nextafter(0, 1), "SIGMOID": np.nextafter(0, 1)}.get(function)
    if narrowest is None:
        expected = "LINEAR, LINEAR_EXACT or SIGMOID"
        raise InputError(name, f"window function {str(function)[:16]!r}", expected, EXPORT_AGAIN)
    if width < narrowest:
        raise InputError(name, f"a window of width {width:g}", "a wider window", EXPORT_AGAIN)
    if function == "SIGMOID":
        return (1 / (1 + np.exp((-4 * (values - center) / width).clip(-80, 80)))).astype(np.float32)
    if function == "LINEAR":  # C.11.2.1.2.1: the window covers whole values, so its ends lie half a value further in
        center, width = center - 0.5, width - 1
    if width == 0:
        return (values > center).astype(np.float32)
    return ((values - center) / width + 0.5).clip(0, 1).astype(np.float32)


def _looked_up(item: "pydicom.Dataset", values: np.ndarray, name: str) -> tuple[np.ndarray, int]:
    """Values mapped through the table of a LUT sequence's item, and the bits of its entries."""
    little_endian = item.original_encoding[1]
    return _mapped(values, item.get("LUTDescriptor"), item.get("LUTData"), little_endian, "lookup table", name)


def _palette(dataset: "pydicom.Dataset", stored: np.ndarray, name: str) -> np.ndarray:
    """Palette indices as RGB in [0, 1]."""
    if "SegmentedRedPaletteColorLookupTableData" in dataset:
        entries, first, _ = dataset.RedPaletteColorLookupTableDescriptor
        indices = stored.astype(np.int64).clip(first, first + (entries or 65536) - 1)
        colors = apply_color_lut(indices, dataset)
        return colors / np.float32(np.iinfo(colors.dtype).max)
    channels = []
    for color in COLORS:
        descriptor = dataset.get(f"{color}PaletteColorLookupTableDescriptor")
        data = dataset.get(f"{color}PaletteColorLookupTableData")
        channel, bits = _mapped(stored, descriptor, data, dataset.original_encoding[1], "palette", name)
        channels.append((channel / np.float32(2**bits - 1)).clip(0, 1))
    return np.stack(channels, axis=-1)


def _mapped(
    values: np.ndarray, descriptor: object, data: object, little_endian: bool, what: str, name: str
) -> tuple[np.ndarray, int]:
    """Map values through a table given by its descriptor (entries, first value mapped, bits) and its data.

    pydicom's own functions index with the dtype of the pixels, which overflows where an 8-bit film has a longer table.
    """
    try:
        entries, first, bits = (int(number) for number in descriptor)
        entries = entries % 65536 or 65536  # 0 stands for 65536, which does not fit in 16 bits
        if isinstance(data, bytes):
            packed = np.uint8 if len(data) < 2 * entries else np.dtype("<u2" if little_endian else ">u2")
            table = np.frombuffer(data, packed, count=entries)
        else:
            table = np.asarray(data, np.uint16)
        if table.size < entries or not 1 <= bits <= 16:
            raise ValueError("shorter than its descriptor says")
    except (TypeError, ValueError) as error:
        raise InputError(name, f"a damaged {what}", "a table as long as its descriptor says", EXPORT_AGAIN) from error
    if first >= 32768 and values.min() < 0:
        first -= 65536  # a negative start, written as unsigned
    index = (np.rint(values).astype(np.int64) - first).clip(0, entries - 1)
    return table[index].astype(np.float32), bits


# --- elements, checked ------------------------------------------------------------------------------------------------


def _element(dataset: "pydicom.Dataset", keyword: str, name: str) -> object:
    """An element's value, the first of several, or None where it is absent or empty."""
    try:
        value = dataset.get(keyword)
    except Exception as error:  # the value cannot be parsed as its type
        raise InputError(name, f"a damaged {keyword}", "a DICOM file that keeps the standard", EXPORT_AGAIN) from error
    if isinstance(value, pydicom.multival.MultiValue):
        value = value[0] if len(value) else None
    return None if value == "" else value


def _whole(dataset: "pydicom.Dataset", keyword: str, name: str, default: int | None = None) -> int:
    """An element that must be a whole number of at least 1."""
    value = _element(dataset, keyword, name)
    if value is None:
        value = default
    if value is None or not str(value).isdigit() or int(value) < 1:
        found = f"no {keyword}" if value is None else f"{keyword} {str(value)[:16]!r}"
        raise InputError(name, found, f"a whole {keyword} of at least 1", EXPORT_AGAIN)
    return int(value)


def _number(groups: list["pydicom.Dataset"], keyword: str, name: str) -> float | None:
    """The first value of a decimal element in the first group that has it, or None."""
    for group in groups:
        value = _element(group, keyword, name)
        if value is not None:
            try:
                number = float(value)
            except (TypeError, ValueError):
                number = float("nan")
            if not np.isfinite(number):
                raise InputError(name, f"a damaged {keyword}", "a finite number", EXPORT_AGAIN)
            return number
    return None
