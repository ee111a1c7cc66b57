"""Compressions of slides that nothing here reads, by name: a number says little to who has to convert the slide."""

import re
from pathlib import Path

from PIL.TiffImagePlugin import COMPRESSION, ImageFileDirectory_v2

from .input_error import InputError

try:
    import pydicom
    from pydicom.pixels import get_decoder
except ImportError:
    pydicom = None

# Of TIFF, the tag 259: TIFF 6.0, the registered private ones, and those of Aperio, Hamamatsu and Jetraw.
NAMES = {
    2: "CCITT RLE",
    3: "CCITT Group 3",
    4: "CCITT Group 4",
    6: "JPEG in the old way",
    22610: "JPEG XR of an NDPI",
    33003: "JPEG 2000 (Aperio, YCbCr)",
    33004: "JPEG 2000 (Aperio)",
    33005: "JPEG 2000 (Aperio, RGB)",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy JPEG of a DNG",
    34925: "LZMA",
    34933: "PNG",
    34934: "JPEG XR",
    48124: "Jetraw",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL of a DNG",
}
READ_BY_PIL = (2, 3, 4, 34925, 50000)
READ = "JPEG, LZW, Deflate, Zstandard or no compression, or JPEG 2000 in an Aperio SVS"
CONVERT = "save the slide as one of these with the software that wrote it"


def unread_compression(name: str, words: str) -> InputError | None:
    """The error of a TIFF whose compression is not read, by what OpenSlide says; None where it says something else."""
    match = re.search(r"compression: (\d+)", words)
    return match and _unread(name, int(match[1]))


def unread_picture(name: str, path: Path) -> InputError | None:
    """The same of a TIFF that PIL cannot read; None where its compression is not what is wrong."""
    try:
        with open(path, "rb") as file:
            head = file.read(8)
            directory = ImageFileDirectory_v2(head if head[2:3] in b"*\0" else head + file.read(8))
            file.seek(directory.next)
            directory.load(file)
        number = directory.get(COMPRESSION)
    except Exception:  # a damaged directory, which PIL reports by a dozen exception types
        return None
    return _unread(name, number) if number in NAMES and number not in READ_BY_PIL else None


def _unread(name: str, number: int) -> InputError:
    known = NAMES.get(number)
    return InputError(name, f"pixels compressed as {known or 'nothing known'} (TIFF's {number})", READ, CONVERT)


def check_syntax(header: "pydicom.Dataset", name: str) -> None:
    """Refuse a DICOM file whose frames no plug-in decodes."""
    syntax = getattr(header, "file_meta", {}).get("TransferSyntaxUID")
    try:
        if syntax is None or get_decoder(syntax).is_available:
            return
    except NotImplementedError:
        pass
    found = f"frames in a transfer syntax that nothing here decodes ({pydicom.uid.UID(syntax).name})"
    remedy = "pip install 'hf-medreport[dicom]', or save the slide in another"
    raise InputError(name, found, "JPEG, JPEG-LS, JPEG 2000, RLE or no compression", remedy)
