"""Films as they come, ten of each kind, with what a careful reader of the header makes of each.

The values were worked by hand from DICOM PS3.3, before the reader could do any of this. `python -m
tests.processing.film_cases` prints how many of each kind are right.
"""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from PIL import Image
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000, JPEG2000Lossless, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLosslessSV1, JPEGLSLossless

from tests.processing.dicom_files import encapsulated, jpeg_lossless, write_dicom

CT_IMAGE, MR_IMAGE = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


@dataclass
class Case:
    """A film and what is right.

    Attributes:
        kind: of fault.
        make: folder -> what is read.
        row: how the first row begins; `corners`: left to right, top to bottom.
        says: what one of the notes holds; "" of a film that is read without a note; None where it does not matter.
        refused: what the refusal holds.
        either: a refusal of this is right too.
        options: of the reader.
        processor: read by the image processor in place of the reader.
    """

    kind: str
    make: Callable[[Path], object]
    row: list | None = None
    corners: list | None = None
    says: str | None = None
    refused: str | None = None
    either: str | None = None
    options: dict = field(default_factory=dict)
    processor: bool = False


def ramp(values, dtype=np.uint16):
    """An 8 x 8 film whose first row starts with `values`; the rest repeats the last."""
    film = np.full((8, 8), values[-1], dtype)
    film[0, : len(values)] = values
    return film


def dicom(values=(0, 50, 100, 200), dtype=np.uint16, **elements):
    """A chest film by its header, unless `elements` say otherwise; one that is None is left out."""

    def make(folder):
        given = {"Modality": "DX", "BodyPartExamined": "CHEST"} | elements
        pixels = values if isinstance(values, np.ndarray) else ramp(list(values), dtype)
        return write_dicom(folder / "film.dcm", pixels, **{k: v for k, v in given.items() if v is not None})

    return make


def edited(change, values=(0, 50, 100, 200), **elements):
    """A film whose data set `change` alters before it is written again."""

    def make(folder):
        path = dicom(values, **elements)(folder)
        dataset = pydicom.dcmread(path)
        change(dataset)
        dataset.save_as(path)
        return path

    return make


def without(*keywords, **elements):
    """A film that lacks elements."""
    return edited(lambda dataset: [delattr(dataset, keyword) for keyword in keywords], **elements)


def planted(old: bytes, new: bytes, **elements):
    """A film in whose file some bytes are others."""

    def make(folder):
        path = dicom(**elements)(folder)
        data = path.read_bytes()
        assert data.count(old) == 1 and len(old) == len(new)
        path.write_bytes(data.replace(old, new))
        return path

    return make


def table(entries, first=0, bits=8):
    """A lookup table's sequence."""
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", list(entries))
    return Sequence([item])


# --- how it is shown: Presentation LUT ---

SHAPE = "presentation LUT"
M1, INVERSE, IDENTITY = {"PhotometricInterpretation": "MONOCHROME1"}, "INVERSE", "IDENTITY"
WINDOW = {"WindowCenter": 100, "WindowWidth": 100, "VOILUTFunction": "LINEAR_EXACT"}  # 50 to 150
CASES = [
    Case(SHAPE, dicom(PresentationLUTShape=INVERSE), [1, 0.75, 0.5, 0], says="contradict"),
    Case(SHAPE, dicom(PresentationLUTShape=IDENTITY), [0, 0.25, 0.5, 1], says=""),
    Case(SHAPE, dicom(**M1, PresentationLUTShape=INVERSE), [1, 0.75, 0.5, 0], says=""),
    Case(SHAPE, dicom(**M1, PresentationLUTShape=IDENTITY), [0, 0.25, 0.5, 1], says="contradict"),
    Case(SHAPE, dicom(**WINDOW, PresentationLUTShape=INVERSE), [1, 1, 0.5, 0]),
    Case(SHAPE, dicom((65535, 0, 100, 200, 50), PixelPaddingValue=65535, PresentationLUTShape=INVERSE),
        [0, 1, 0.5, 0, 0.75]),
    Case(SHAPE, dicom((0, 1, 2, 3), VOILUTSequence=table([0, 51, 102, 255]), PresentationLUTShape=INVERSE),
        [1, 0.8, 0.6, 0]),
    # The window's output, 0 to 1, is stretched over the table's four entries: 0, 0, 1.5 -> 2, 3.
    Case(SHAPE, dicom(**WINDOW, PresentationLUTSequence=table([255, 204, 51, 0])), [1, 1, 0.2, 0]),
    # A table's output is what is shown: nothing is inverted after it.
    Case(SHAPE, dicom((0, 1, 2, 3), **M1, PresentationLUTSequence=table([0, 51, 102, 255])), [0, 0.2, 0.4, 1]),
    Case(SHAPE, dicom((0, 50, 100, 200), PresentationLUTShape="inverse "), [1, 0.75, 0.5, 0]),
]  # fmt: skip

# --- how it lies: the eight orientations of a frontal film and others ---

SIDES = "orientation"
OPPOSITE = dict(zip("LRFHAP", "RLHFPA", strict=True))
UPRIGHT = [0.2, 0.4, 0.6, 1]  # head right, head left, foot right, foot left of the patient; the middle is 0


def lying(rows: str, columns: str, across: str = "L") -> np.ndarray:
    """The film of `UPRIGHT`'s corners, 8 x 12 px upright, stored so that its rows and columns run to these sides."""
    upright = np.zeros((8, 12), np.uint16)
    upright[0, 0], upright[0, -1], upright[-1, 0], upright[-1, -1] = (round(100 * value) for value in UPRIGHT)
    vertical = {"F", "H"}
    shape = (12, 8) if rows in vertical else (8, 12)
    stored = np.zeros(shape, np.uint16)
    for i in range(shape[0]):
        for j in range(shape[1]):
            along = {rows: j, columns: i}  # steps towards each side
            down = along["F"] if "F" in along else 7 - along["H"]
            right = along[across] if across in along else 11 - along[OPPOSITE[across]]
            stored[i, j] = upright[down, right]
    return stored


def lies(rows, columns, across="L", **elements):
    return dicom(lying(rows, columns, across), PatientOrientation=[rows, columns], **elements)


HEADER = {"orient": "header"}
CASES += [
    Case(SIDES, lies("L", "F"), corners=UPRIGHT, says=""),
    Case(SIDES, lies("R", "F"), refused="mirrored"),
    Case(SIDES, lies("R", "F"), corners=UPRIGHT, says="mirrored", options=HEADER),
    Case(SIDES, lies("F", "R"), corners=UPRIGHT, says="turned", options=HEADER),
    Case(SIDES, lies("H", "R"), corners=UPRIGHT, says="turned", options=HEADER),
    Case(SIDES, lies("R", "H"), refused="turned"),
    Case(SIDES, dicom(lying("R", "F"), ImageOrientationPatient=[-1, 0, 0, 0, 0, -1]), corners=UPRIGHT,
        says="mirrored", options=HEADER),
    Case(SIDES, lies("H", "P", "P"), corners=UPRIGHT, says="turned", options=HEADER),
    Case(SIDES, lies("R", "F"), corners=[0.4, 0.2, 1, 0.6], says="mirrored", options={"orient": "stored"}),
    Case(SIDES, lies("L", "F", Laterality="R", ImageLaterality="L"), corners=UPRIGHT, says="contradict"),
]  # fmt: skip

# --- what it is of: modality and body part ---

PART = "modality"
ANY = {"any_modality": True}
SHOWN = [0, 0.25, 0.5, 1]
CASES += [
    Case(PART, dicom(Modality="CR"), SHOWN, says=""),
    Case(PART, dicom(Modality="rg "), SHOWN, says=""),
    Case(PART, dicom(Modality="OT"), SHOWN, says="OT"),
    Case(PART, dicom(Modality=None), SHOWN, says="no Modality"),
    Case(PART, dicom(Modality="US"), refused="US"),
    Case(PART, dicom(Modality="MG", BodyPartExamined="BREAST"), SHOWN, says="MG", options=ANY),
    Case(PART, edited(lambda d: setattr(d, "SOPClassUID", MR_IMAGE), Modality=None), refused="MR"),
    Case(PART, dicom(BodyPartExamined="KNEE"), refused="KNEE"),
    Case(PART, dicom(BodyPartExamined="Thorax"), SHOWN, says=""),
    Case(PART, dicom(BodyPartExamined=""), SHOWN, says=""),
]

# --- 16 bits of color ---

COLOR = "16-bit color"


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def deep_png(pixels: np.ndarray, significant: int | None = None, row_filter: int = 0) -> bytes:
    """A 16-bit PNG of (height, width, 2, 3 or 4), written by hand; filter 1 stores differences to the left."""
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").reshape(height, -1).view(np.uint8).reshape(height, -1)
    if row_filter == 1:
        step = 2 * channels
        rows = np.concatenate([rows[:, :step], rows[:, step:] - rows[:, :-step]], axis=1)
    data = b"".join(bytes([row_filter]) + row.tobytes() for row in rows)
    kind = {2: 4, 3: 2, 4: 6}[channels]
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0))]
    if significant:
        parts.append(chunk(b"sBIT", bytes([significant] * channels)))
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b"")])


def channels(values, count, alpha=None):
    gray = ramp(values)
    planes = [gray] * count + ([] if alpha is None else [np.full_like(gray, alpha)])
    return np.stack(planes, axis=-1)


def tiff(pixels, **options):
    import tifffile

    def make(folder):
        tifffile.imwrite(folder / "film.tif", pixels, photometric="rgb", **options)
        return folder / "film.tif"

    return make


TWELVE = [0, 1024, 2048, 4095]
RED = np.stack([ramp([0, 4095]), ramp([0, 0]), ramp([0, 2048])], axis=-1)
SHARE = [0, 1024 / 4095, 2048 / 4095, 1]
CASES += [
    Case(COLOR, lambda f: deep_png(channels(TWELVE, 3)), SHARE, says="12"),
    Case(COLOR, lambda f: deep_png(channels(TWELVE, 3), significant=12), SHARE),
    Case(COLOR, lambda f: deep_png(channels(TWELVE, 3), row_filter=1), SHARE),
    Case(COLOR, lambda f: deep_png(channels(TWELVE, 3, alpha=65535)), SHARE),
    Case(COLOR, lambda f: deep_png(channels(TWELVE, 1, alpha=65535)), SHARE),
    Case(COLOR, lambda f: deep_png(channels([0, 13107, 65535], 3)), [0, 0.2, 1], says=""),
    Case(COLOR, lambda f: deep_png(channels([0, 100, 1023], 3)), [0, 100 / 1023, 1], says="10"),
    Case(COLOR, lambda f: deep_png(RED), [[0, 0, 0], [1, 0, 2048 / 4095]]),
    Case(COLOR, tiff(channels(TWELVE, 3)), SHARE),
    Case(COLOR, tiff(channels(TWELVE, 3), compression="zlib", byteorder=">"), SHARE),
]

# --- more than one picture ---

FRAMES = "frames"


def pages(kind, name, **options):
    def make(folder):
        first, second = (Image.fromarray(ramp(values, np.uint8)) for values in ([0, 51, 255], [255, 102, 0]))
        first.save(folder / name, kind, save_all=True, append_images=[second], **options)
        return folder / name

    return make


TWO = np.stack([ramp([0, 51, 255]), ramp([255, 102, 0])])


def mpo(folder):
    """Two JPEGs in one file, as cameras of two lenses write them."""
    first, second = (Image.fromarray(np.repeat(ramp(v, np.uint8), 4, axis=0)) for v in ([0, 255], [255, 0]))
    first.save(folder / "film.jpg", "MPO", save_all=True, append_images=[second])
    return folder / "film.jpg"


CASES += [
    Case(FRAMES, pages("TIFF", "film.tif"), refused="`frame"),
    Case(FRAMES, pages("TIFF", "film.tif"), [1, 0.4, 0], options={"frame": 1}),
    Case(FRAMES, pages("PNG", "film.png"), refused="`frame"),
    Case(FRAMES, pages("PNG", "film.png"), [1, 0.4, 0], options={"frame": 1}),
    Case(FRAMES, mpo, refused="2 frames"),
    Case(FRAMES, dicom(TWO), refused="`frame"),
    Case(FRAMES, dicom(TWO), [1, 0.4, 0], options={"frame": 1}),
    Case(FRAMES, without("NumberOfFrames", values=TWO), refused="2 frames"),
    Case(FRAMES, without("NumberOfFrames", values=TWO), [1, 0.4, 0], options={"frame": 1}),
    Case(FRAMES, dicom(TWO), refused="from 0 to 1", options={"frame": 2}),
]

# --- the same in what travels ---

TRAVELS = "processor"
CASES += [
    Case(TRAVELS, lies("R", "F"), refused="mirrored", processor=True),
    Case(TRAVELS, lies("R", "F"), corners=UPRIGHT, options=HEADER, processor=True),
    Case(TRAVELS, lies("F", "L"), corners=UPRIGHT, options=HEADER, processor=True),
    Case(TRAVELS, dicom(Modality="CT"), refused="CT", processor=True),
    Case(TRAVELS, dicom(Modality="CT"), SHOWN, options=ANY, processor=True),
    Case(TRAVELS, dicom(BodyPartExamined="HAND"), refused="HAND", processor=True),
    Case(TRAVELS, pages("TIFF", "film.tif"), [1, 0.4, 0], options={"frame": 1}, processor=True),
    Case(TRAVELS, dicom(TWO), refused="`frame", processor=True),
    Case(TRAVELS, dicom(PresentationLUTShape=INVERSE), [1, 0.75, 0.5, 0], processor=True),
    Case(TRAVELS, lies("L", "F"), refused="orient", options={"orient": "sideways"}, processor=True),
]

# --- odd elements: a picture or a refusal, never another exception ---

ODD = "odd element"


def odd(keyword, vr, value, **elements):
    return edited(lambda dataset: dataset.add_new(keyword, vr, value), **elements)


CASES += [
    Case(ODD, dicom(**WINDOW | {"VOILUTFunction": ["LINEAR_EXACT", "SIGMOID"]}), [0, 0, 0.5, 1]),
    Case(ODD, odd("WindowCenter", "SQ", [], WindowWidth=100), None, either=""),
    Case(ODD, odd("RescaleSlope", "DS", ["1", "2"], RescaleIntercept=0), SHOWN),
    Case(ODD, odd("VOILUTSequence", "LO", "none"), SHOWN, either="VOILUTSequence"),
    Case(ODD, odd("ModalityLUTSequence", "UT", "none"), SHOWN, either="ModalityLUTSequence"),
    Case(ODD, odd("PhotometricInterpretation", "CS", ["MONOCHROME2", "RGB"]), SHOWN),
    Case(ODD, odd("Rows", "LO", "eight"), refused="Rows"),
    Case(ODD, odd("PixelPaddingValue", "OB", b"\x01\x02"), SHOWN, either="PixelPaddingValue"),
    Case(ODD, odd("PatientOrientation", "FD", [1.0, 2.0]), SHOWN, either="PatientOrientation"),
    Case(ODD, odd("SharedFunctionalGroupsSequence", "DS", "1.5"), SHOWN, either="SharedFunctionalGroupsSequence"),
]

# --- the true cause ---

CAUSE = "cause"
GRADIENT = np.tile(np.linspace(0, 255, 16, dtype=np.uint8), (16, 1))


def jpeg(kind="JPEG", **options):
    buffer = io.BytesIO()
    Image.fromarray(GRADIENT).save(buffer, kind, **options)
    return buffer.getvalue()


def packed(syntax, stream, pixels=GRADIENT, **elements):
    given = {"Modality": "DX"} | elements
    return lambda folder: encapsulated(folder / "film.dcm", pixels, syntax, stream, **given)


def relabeled(folder):
    """Compressed pixels in a file that says they are not."""
    path = packed(JPEGBaseline8Bit, jpeg())(folder)
    data = path.read_bytes()
    old = b"1.2.840.10008.1.2.4.50"
    path.write_bytes(data.replace(old, b"1.2.840.10008.1.2.1".ljust(len(old), b"\0"), 1))
    return path


CASES += [
    Case(CAUSE, without("SamplesPerPixel"), SHOWN),
    Case(CAUSE, without("PixelRepresentation"), SHOWN),
    Case(CAUSE, without("BitsStored", "HighBit"), SHOWN),
    Case(CAUSE, planted(b"50.0\\100.0", b"50,0\\100,0", WindowCenter=[50, 100], WindowWidth=[101, 1]),
        [0.005, 0.505, 1, 1]),
    Case(CAUSE, dicom(**WINDOW | {"VOILUTFunction": "linear_exact"}), [0, 0, 0.5, 1]),
    Case(CAUSE, dicom(WindowCenter=5000, WindowWidth=10), refused="window"),
    Case(CAUSE, odd("NumberOfFrames", "IS", "0"), SHOWN, either="NumberOfFrames"),
    Case(CAUSE, packed(JPEG2000Lossless, jpeg()), [0], either="JPEG 2000"),
    Case(CAUSE, relabeled, [0], either="transfer syntax"),
    Case(CAUSE, lambda f: imagecodecs.jpeg8_encode(GRADIENT.astype(np.uint16) * 16, bitspersample=12), [0],
        either="12 bits"),
]  # fmt: skip

# --- compressed pixels, to the bit ---

STREAM = "compressed"
NOISE = np.random.default_rng(5).integers(0, 4096, (16, 16)).astype(np.uint16)
NOISE[0, :3] = [0, 1024, 4095]
LOW = (NOISE >> 4).astype(np.uint8)
LOSSLESS = [0, 1024 / 4095, 1]
TWELVE_BITS = {"BitsStored": 12}
CASES += [
    Case(STREAM, packed(JPEGLosslessSV1, jpeg_lossless(NOISE, 12), NOISE, **TWELVE_BITS), LOSSLESS),
    Case(STREAM, packed(JPEGLosslessSV1, jpeg_lossless(LOW, 8), LOW), [0, 64 / 255, 1]),
    Case(STREAM, packed(JPEGLosslessSV1, jpeg_lossless(NOISE * 8 + 99, 16), NOISE * 8 + 99), LOSSLESS),
    Case(STREAM, packed(JPEGLosslessSV1, jpeg_lossless(NOISE >> 2, 10), NOISE >> 2, BitsStored=10),
        [0, 256 / 1023, 1]),
    Case(STREAM, packed(JPEGLSLossless, imagecodecs.jpegls_encode(NOISE), NOISE, **TWELVE_BITS), LOSSLESS),
    Case(STREAM, packed(JPEGLSLossless, imagecodecs.jpegls_encode(LOW), LOW), [0, 64 / 255, 1]),
    Case(STREAM, packed(JPEG2000Lossless, imagecodecs.jpeg2k_encode(NOISE, codecformat="j2k", reversible=True),
        NOISE, **TWELVE_BITS), LOSSLESS),
    Case(STREAM, packed(JPEG2000, imagecodecs.jpeg2k_encode(LOW, codecformat="j2k", reversible=True), LOW),
        [0, 64 / 255, 1]),
    Case(STREAM, packed(JPEGExtended12Bit, imagecodecs.jpeg8_encode(NOISE * 0 + NOISE[:, :1], bitspersample=12,
        level=100), NOISE, **TWELVE_BITS), None),
    Case(STREAM, packed(JPEGLosslessSV1, jpeg_lossless(NOISE, 12)[:200], NOISE, **TWELVE_BITS), refused="damaged"),
]  # fmt: skip


def wrong(case: Case, folder: Path) -> str | None:
    """What is not right with what the reader makes of a case; None where all is."""
    from hf_medreport.processing.input_error import InputError

    try:
        notes, picture = _read(case, case.make(folder))
    except InputError as error:
        accepted = [each for each in (case.refused, case.either) if each is not None]
        return None if any(each in str(error) for each in accepted) else f"refused: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if case.refused is not None:
        return "not refused"
    if case.says is not None and not (any(case.says in note for note in notes) if case.says else not notes):
        return f"notes {notes}"
    gray = picture.mean(axis=-1) if picture.ndim == 3 and not isinstance((case.row or [0])[-1], list) else picture
    if case.corners is not None:
        found = [gray[0, 0], gray[0, -1], gray[-1, 0], gray[-1, -1]]
        return None if np.allclose(found, case.corners, atol=1e-3) else f"corners {np.round(found, 3)}"
    if case.row is not None and not np.allclose(gray[0, : len(case.row)], case.row, atol=2e-3):
        return f"row {np.round(gray[0, : len(case.row)], 3)}"
    return None


def _read(case: Case, source) -> tuple[tuple, np.ndarray]:
    from hf_medreport.processing.film_reading import read_film
    from hf_medreport.processing.image_processing_film import FilmImageProcessor

    if not case.processor:
        film = read_film(source, **case.options)
        return film.notes, film.pixels
    upright = case.corners is not None
    plain = {"image_mean": (0, 0, 0), "image_std": (1, 1, 1), "fit": "crop" if upright else "stretch"}
    processor = FilmImageProcessor(size=8, **plain)
    if upright:  # the corners are what a crop would lose
        processor.square = lambda plane: plane[np.ix_([*range(4), *range(-4, 0)], [*range(4), *range(-4, 0)])]
    return (), processor(source, **case.options)["pixel_values"][0][0]


def main() -> None:
    import tempfile
    from collections import Counter

    right, all_of = Counter(), Counter(case.kind for case in CASES)
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            why = wrong(case, Path(folder))
        right[case.kind] += why is None
        if why is not None:
            print(f"  {case.kind}: {why}")
    for kind, count in all_of.items():
        print(f"{kind:20} {right[kind]} of {count}")


if __name__ == "__main__":
    main()
