"""Read one DICOM image as it is meant to be displayed: float32 in [0, 1], black 0, white 1.

The stored values (PS3.3, C.7.6.3) are signed or not, their unused high bits are removed, and they are decompressed by
imagecodecs, or by whatever plug-in pydicom finds. What becomes of them then stands in `dicom_display`. RGB and YBR are
divided by their largest storable value, palettes are looked up.

Enhanced multi-frame objects keep rescale and window in functional groups; those of the frame win over the shared ones,
and these over the top level. What a file leaves out is taken to be what nearly all files have: one sample a pixel
(three of color), unsigned, all allocated bits stored. Where NumberOfFrames is missing, 0 or 1, the pixels are counted:
a second frame is never dropped.

Only the elements needed for this are parsed: the patient's data are never read.
"""

import os
import zlib
from typing import BinaryIO, NamedTuple

import numpy as np

from .dicom_decoders import INSTALL, LABEL, register
from .dicom_display import COLORS, gray_display, palette_display
from .dicom_elements import EXPORT_AGAIN, WHOLE_SLIDE, check_flavor, class_uid, code, element, slide_flavor, whole
from .image_checks import MAX_PIXELS, check_finite, check_size, checked_picture, chosen_frame, open_input
from .input_error import InputError
from .stream_header import stream_header

try:
    import pydicom
    from pydicom.encaps import get_frame, parse_basic_offsets, parse_fragments
    from pydicom.pixels import get_decoder, pixel_array

    register()
except ImportError:
    pydicom = None

DEFLATED = b"1.2.840.10008.1.2.1.99"
MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
PIXEL_DATA_TAG = b"\xe0\x7f\x10\x00"
ITEM_TAG = b"\xfe\xff\x00\xe0"  # how encapsulated pixels begin
PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
READ_AS_RGB = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")  # pydicom converts the YBR ones
ELEMENTS = [
    *("SOPClassUID", "ImageType", "SpecimenLabelInImage"),
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction"),
    *("PresentationLUTSequence", "PresentationLUTShape"),
    *(f"{color}PaletteColorLookupTableDescriptor" for color in COLORS),
    *(f"{color}PaletteColorLookupTableData" for color in COLORS),
    *(f"Segmented{color}PaletteColorLookupTableData" for color in COLORS),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths", *PIXEL_KEYWORDS),
]
COPY_AGAIN = "copy or export the file again"


class Display(NamedTuple):
    """A frame as it is meant to be seen, (rows, columns) or (rows, columns, 3), and what must be known of it."""

    pixels: np.ndarray
    notes: tuple[str, ...]


def looks_like_dicom(head: bytes) -> bool:
    """Whether a file that starts with these (at least 132) bytes is DICOM, with or without its preamble."""
    if head[128:132] == b"DICM":
        return True
    # No preamble: the first element, of group 2 or 8, stands at once, with its type (explicit) or a short length.
    little, big = head[:2] in (b"\x02\0", b"\x08\0"), head[:2] in (b"\0\x02", b"\0\x08")
    explicit = head[4:6] in (b"AE", b"CS", b"DA", b"LO", b"OB", b"SH", b"TM", b"UI", b"UL")
    return (explicit and (little or big)) or (head[:2] == b"\x08\0" and head[6:8] == b"\0\0" and len(head) >= 132)


def read_dicom(source: str | os.PathLike | bytes | BinaryIO, **options) -> np.ndarray:
    """The pixels alone of what `read_display` reads, with its options."""
    return read_display(source, **options).pixels


def read_display(
    source: str | os.PathLike | bytes | BinaryIO,
    *,
    frame: int | None = None,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
) -> Display:
    """Read one frame of a DICOM file.

    Args:
        source: a path, the bytes of a file, or an open binary file.
        frame: which frame of a multi-frame object, counted from 0; required where there are several.
        max_pixels: a file that claims more rows x columns is refused before its pixels are decoded.
        name: what messages call the file; by default its name.

    Returns:
        `pixels`, float32 in [0, 1], (rows, columns) for monochrome, (rows, columns, 3) for color; and `notes`, such as
        elements that contradict each other.

    Raises:
        InputError: not DICOM, damaged, no pixels, no decoder, too large or too small, blank, or no frame chosen.
    """
    if hasattr(source, "read"):
        return _read(source, name or "image", frame, max_pixels)
    handle, name = open_input(source, name)
    with handle:
        return _read(handle, name, frame, max_pixels)


def _read(handle: BinaryIO, name: str, frame: int | None, max_pixels: int) -> Display:
    dataset, notes = data_set(handle, name, max_pixels, ELEMENTS), []
    if (uid := class_uid(dataset, name)) == WHOLE_SLIDE:
        check_flavor(uid, slide_flavor(dataset, name), name)
    height, width = whole(dataset, "Rows", name), whole(dataset, "Columns", name)
    check_size(name, height, width, max_pixels)
    photometric = code(dataset, "PhotometricInterpretation", name)
    if not photometric:
        raise InputError(name, "no PhotometricInterpretation", "how gray or color is meant", EXPORT_AGAIN)
    pixels = _pixel_module(dataset, photometric, name)
    frame = chosen_frame(name, frame, pixels.NumberOfFrames)
    stored = _stored_values(pixels, frame, name)
    if photometric in MONOCHROME and stored.ndim == 2:
        picture = gray_display(dataset, stored, frame, photometric, name, notes)
    elif photometric == "PALETTE COLOR" and stored.ndim == 2:
        picture = palette_display(dataset, stored, name)
    elif photometric not in READ_AS_RGB or stored.ndim != 3:
        found = f"photometric interpretation {photometric[:16]!r} with {stored.ndim} axes of pixels"
        raise InputError(name, found, "MONOCHROME1, MONOCHROME2, PALETTE COLOR, RGB or YBR", EXPORT_AGAIN)
    else:
        picture = stored.astype(np.float32) / (2 ** whole(dataset, "BitsStored", name, 8 * stored.itemsize) - 1)
    return Display(checked_picture(name, picture), tuple(notes))


# --- the file ---------------------------------------------------------------------------------------------------------


def data_set(
    handle: BinaryIO, name: str, max_pixels: int, elements: list[str], stop_before_pixels: bool = False
) -> "pydicom.Dataset":
    """The named elements of an open file, with a transfer syntax in any case.

    Raises:
        InputError: no pydicom, a damaged file, a DICOMDIR, or no pixels.
    """
    if pydicom is None:
        raise InputError(name, "a DICOM file, but no pydicom", "pydicom 3 or later", "pip install 'pydicom>=3.0.2'")
    head = handle.read(1024)
    if DEFLATED in head:
        _check_deflated(handle, head, name, limit=64_000_000 + 2 * max_pixels)
    handle.seek(0)
    options = {"specific_tags": elements, "stop_before_pixels": stop_before_pixels}
    try:
        dataset = pydicom.dcmread(handle, force=head[128:132] != b"DICM", **options)
        class_uid = dataset.file_meta.get("MediaStorageSOPClassUID") or dataset.get("SOPClassUID")
        has_pixels = stop_before_pixels or any(keyword in dataset for keyword in PIXEL_KEYWORDS)
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


def _pixel_module(dataset: "pydicom.Dataset", photometric: str, name: str) -> "pydicom.Dataset":
    """What says how the pixels lie, each element checked, of its own type and there: what is missing has its default.

    Only this goes to pydicom, so that what it reports is about the pixels.
    """
    pixels = pydicom.Dataset()
    pixels.file_meta = dataset.file_meta
    pixels.PhotometricInterpretation = photometric
    pixels.Rows, pixels.Columns = whole(dataset, "Rows", name), whole(dataset, "Columns", name)
    samples = whole(dataset, "SamplesPerPixel", name, default=3 if photometric in READ_AS_RGB else 1)
    if samples not in (1, 3):
        raise InputError(name, f"SamplesPerPixel {samples}", "1 (gray, palette) or 3 (color)", EXPORT_AGAIN)
    pixels.SamplesPerPixel = samples
    if samples == 3:
        pixels.PlanarConfiguration = _one_of((0, 1), dataset, "PlanarConfiguration", name)
    keyword = next(each for each in PIXEL_KEYWORDS if each in dataset)
    pixels[keyword] = _checked_bytes(dataset, keyword, name)
    if keyword != "PixelData":
        pixels.BitsAllocated = 32 if keyword == "FloatPixelData" else 64
    else:
        _set_bits(pixels, dataset, name)
    for each in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if each in dataset:
            pixels[each] = dataset[each]
    pixels.NumberOfFrames = _frames(dataset, pixels, keyword, name)
    return pixels


def _one_of(allowed: tuple[int, ...], dataset: "pydicom.Dataset", keyword: str, name: str) -> int:
    """An element that has one of a few numbers, the first of them where it is missing."""
    value = element(dataset, keyword, name)
    if value is None:
        return allowed[0]
    if str(value).strip() not in map(str, allowed):
        raise InputError(name, f"{keyword} {str(value)[:16]!r}", " or ".join(map(str, allowed)), EXPORT_AGAIN)
    return int(str(value))


def _checked_bytes(dataset: "pydicom.Dataset", keyword: str, name: str) -> "pydicom.DataElement":
    try:
        found = dataset[keyword]
        assert isinstance(found.value, bytes) and found.value
    except Exception as error:
        raise InputError(name, f"no bytes in {keyword}", "complete pixel data", COPY_AGAIN) from error
    return found


def _set_bits(pixels: "pydicom.Dataset", dataset: "pydicom.Dataset", name: str) -> None:
    allocated = whole(dataset, "BitsAllocated", name)
    if allocated not in (1, 8, 16, 32, 64):
        raise InputError(name, f"BitsAllocated {allocated}", "1, 8, 16, 32 or 64", EXPORT_AGAIN)
    bits = whole(dataset, "BitsStored", name, default=allocated)
    if bits > allocated:
        raise InputError(name, f"{bits} bits stored in {allocated}", "BitsStored within BitsAllocated", EXPORT_AGAIN)
    high_bit = element(dataset, "HighBit", name)
    if high_bit is not None and str(high_bit) != str(bits - 1):
        found = f"HighBit {str(high_bit)[:16]} with {bits} bits stored"
        raise InputError(name, found, f"HighBit {bits - 1}", EXPORT_AGAIN)
    pixels.BitsAllocated, pixels.BitsStored, pixels.HighBit = allocated, bits, bits - 1
    pixels.PixelRepresentation = _one_of((0, 1), dataset, "PixelRepresentation", name)


def _frames(dataset: "pydicom.Dataset", pixels: "pydicom.Dataset", keyword: str, name: str) -> int:
    """How many frames there are: as NumberOfFrames says or, where it says none or one, as many as the pixels hold."""
    told = element(dataset, "NumberOfFrames", name)
    told = 0 if told is None or str(told).strip() == "0" else whole(dataset, "NumberOfFrames", name)
    if told > 1:
        return told
    data = pixels[keyword].value
    if _is_encapsulated(data):
        return max(1, _encapsulated_frames(data))
    samples = 2 if pixels.PhotometricInterpretation == "YBR_FULL_422" else pixels.SamplesPerPixel
    bits = pixels.Rows * pixels.Columns * samples * pixels.BitsAllocated
    return max(1, 8 * len(data) // bits)


def _encapsulated_frames(data: bytes) -> int:
    """How many frames compressed pixels hold; 1 where they are damaged, which their decoder finds."""
    try:
        offsets = parse_basic_offsets(data)
        count, starts = parse_fragments(data)
        if len(offsets) > 1:
            return len(offsets)
        streams = [stream_header(data[start + 8 : start + 8 + 4096]) for start in starts[1:]]  # the first is the table
        return 1 + sum(stream is not None for stream in streams[1:])
    except Exception:
        return 1


def _stored_values(pixels: "pydicom.Dataset", frame: int, name: str) -> np.ndarray:
    """One frame, decompressed: (rows, columns), or (rows, columns, 3) in RGB."""
    syntax = pixels.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
        available = decoder.is_available
    except NotImplementedError:
        available = False
    if not available:
        found = f"pixels compressed as {syntax.name} and no plug-in that decodes them"
        raise InputError(name, found, "an installed decoder", f"{INSTALL}, or save it uncompressed")
    _check_syntax(pixels, syntax, frame, name)
    plugin = LABEL if LABEL in decoder.available_plugins else ""
    try:
        stored = pixel_array(pixels, index=frame, decoding_plugin=plugin)
    except Exception as error:  # each plug-in has its own exceptions
        raise InputError(name, "damaged or truncated pixel data", "complete pixel data", COPY_AGAIN) from error
    shape = (pixels.Rows, pixels.Columns, 3)[: 2 if pixels.SamplesPerPixel == 1 else 3]
    if stored.shape != shape:
        raise InputError(name, f"pixels of shape {stored.shape}", f"{shape}", EXPORT_AGAIN)
    check_finite(name, stored)
    return stored


def _check_syntax(pixels: "pydicom.Dataset", syntax: "pydicom.uid.UID", frame: int, name: str) -> None:
    """Refuse pixels that are not what the transfer syntax says, and a compressed frame whose own header claims another
    size: a decoder would allocate that one.
    """
    data = pixels[next(each for each in PIXEL_KEYWORDS if each in pixels)].value
    expected = "the transfer syntax of its pixels"
    if _is_encapsulated(data) != syntax.is_encapsulated:
        state = "uncompressed" if syntax.is_encapsulated else "compressed"
        raise InputError(name, f"{state} pixels with the transfer syntax {syntax.name}", expected, EXPORT_AGAIN)
    if not syntax.is_encapsulated:
        return
    stream = _codestream(pixels, frame, name)
    claimed = stream_header(stream)
    if claimed is None:
        return  # RLE, or damaged
    if claimed.kind != next((kind for kind in ("JPEG-LS", "JPEG 2000", "RLE") if kind in syntax.name), "JPEG"):
        raise InputError(name, f"{claimed.kind} pixels with the transfer syntax {syntax.name}", expected, EXPORT_AGAIN)
    if (claimed.rows, claimed.columns) != (pixels.Rows, pixels.Columns):
        found = f"a compressed frame that claims {claimed.columns} x {claimed.rows} px"
        raise InputError(name, found, f"{pixels.Columns} x {pixels.Rows} px as in its header", EXPORT_AGAIN)


def _is_encapsulated(data: bytes) -> bool:
    """Whether pixels are items, one after the other: a table of offsets and at least one fragment."""
    second = 8 + int.from_bytes(data[4:8], "little")
    return data.startswith(ITEM_TAG) and data[second : second + 4] == ITEM_TAG


def _codestream(pixels: "pydicom.Dataset", frame: int, name: str) -> bytes:
    offsets = (pixels.get("ExtendedOffsetTable"), pixels.get("ExtendedOffsetTableLengths"))
    try:
        return get_frame(
            pixels.PixelData,
            frame,
            number_of_frames=pixels.NumberOfFrames,
            extended_offsets=offsets if all(offsets) else None,
        )
    except Exception as error:  # fragments that cannot be told apart
        raise InputError(name, "damaged or truncated pixel data", "complete pixel data", COPY_AGAIN) from error
