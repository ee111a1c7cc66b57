"""DICOM pixels against truth worked by hand: (stored values, elements) -> what must be displayed."""

import io

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from hf_medreport.processing.dicom_reading import read_dicom
from hf_medreport.processing.image_reading import read_image
from tests.processing.dicom_files import compressed, write_dicom


def ramp(values, dtype=np.uint16):
    """An 8 x 8 film whose first row starts with `values`; the rest repeats the last."""
    film = np.full((8, 8), values[-1], dtype)
    film[0, : len(values)] = values
    return film


CASES = {
    # no window: from the smallest to the largest value
    "monochrome2": (ramp([0, 50, 100, 200]), {}, [0, 0.25, 0.5, 1]),
    "monochrome1 is inverted": (ramp([0, 50, 200]), {"PhotometricInterpretation": "MONOCHROME1"}, [1, 0.75, 0]),
    "8 bits": (ramp([10, 60, 110], np.uint8), {}, [0, 0.5, 1]),
    "10 of 16 bits, rubbish above": (ramp([0, 512, 1023]) | 0x8000, {"BitsStored": 10}, [0, 512 / 1023, 1]),
    "12 bits": (ramp([0, 4095, 2048]), {"BitsStored": 12}, [0, 1, 2048 / 4095]),
    "signed": (ramp([-1000, 0, 1000], np.int16), {}, [0, 0.5, 1]),
    "rescale": (
        ramp([0, 1000, 2000]),
        {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 1000, "WindowWidth": 4001},
        # 2 * 1000 - 1000 = 1000; LINEAR: (1000 - 999.5) / 4000 + 0.5
        [0.000125, 0.500125, 1],
    ),
    # C.11.2.1.2: y = (x - (c - 0.5)) / (w - 1) + 0.5
    "window linear": (ramp([0, 100, 50, 75]), {"WindowCenter": 50, "WindowWidth": 101}, [0.005, 1, 0.505, 0.755]),
    "window linear exact": (
        ramp([0, 100, 50, 75]),
        {"WindowCenter": 50, "WindowWidth": 100, "VOILUTFunction": "LINEAR_EXACT"},
        [0, 1, 0.5, 0.75],
    ),
    "window sigmoid": (
        ramp([0, 100, 50, 75]),
        {"WindowCenter": 50, "WindowWidth": 100, "VOILUTFunction": "SIGMOID"},
        [1 / (1 + np.e**2), 1 / (1 + np.e**-2), 0.5, 1 / (1 + np.e**-1)],
    ),
    "first of several windows": (
        ramp([0, 100, 50]),
        {"WindowCenter": [50, 5000], "WindowWidth": [100, 1], "VOILUTFunction": "LINEAR_EXACT"},
        [0, 1, 0.5],
    ),
    "padding is black and out of the range": (
        ramp([65535, 100, 200, 150]),
        {"PixelPaddingValue": 65535},
        [0, 0, 1, 0.5],
    ),
    "padding range": (
        ramp([0, 5, 10, 20, 15]),
        {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 5},
        [0, 0, 0, 1, 0.5],
    ),
    "padding stays black when inverted": (
        ramp([65535, 100, 200, 150]),
        {"PixelPaddingValue": 65535, "PhotometricInterpretation": "MONOCHROME1"},
        [0, 1, 0, 0.5],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values(name, tmp_path):
    pixels, elements, expected = CASES[name]
    film = read_dicom(write_dicom(tmp_path / "film.dcm", pixels, **elements))
    assert film.dtype == np.float32 and film.shape == (8, 8)
    np.testing.assert_allclose(film[0, : len(expected)], expected, atol=1e-6)


def test_modality_and_voi_tables(tmp_path):
    def table(entries, first, bits=8):
        item = pydicom.Dataset()
        item.LUTDescriptor = [len(entries), first, bits]
        item.LUTData = entries
        item["LUTData"].VR = "US"
        item["LUTDescriptor"].VR = "US"
        return Sequence([item])

    path = write_dicom(
        tmp_path / "film.dcm", ramp([0, 1, 2, 3]),
        ModalityLUTSequence=table([10, 20, 30, 40], 0, 16), VOILUTSequence=table(list(range(0, 255, 5)), 0),
    )  # fmt: skip
    # 0, 1, 2, 3 -> 10, 20, 30, 40 -> 5 times that -> of 255
    np.testing.assert_allclose(read_dicom(path)[0, :4], np.array([50, 100, 150, 200]) / 255, atol=1e-6)


def test_colour(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[0, 0] = [255, 51, 0]
    film = read_dicom(write_dicom(tmp_path / "film.dcm", pixels))
    assert film.shape == (8, 8, 3)
    np.testing.assert_allclose(film[0, 0], [1, 0.2, 0], atol=1e-6)


def test_palette(tmp_path):
    palettes = {}
    for colour, second in (("Red", 65535), ("Green", 0), ("Blue", 32768)):
        palettes[f"{colour}PaletteColorLookupTableDescriptor"] = [2, 0, 16]
        palettes[f"{colour}PaletteColorLookupTableData"] = np.array([0, second], "<u2").tobytes()
    path = write_dicom(
        tmp_path / "film.dcm", ramp([0, 1], np.uint8), PhotometricInterpretation="PALETTE COLOR", **palettes
    )
    film = read_dicom(path)
    np.testing.assert_allclose(film[0, :2], [[0, 0, 0], [1, 0, 32768 / 65535]], atol=1e-4)


def test_frames(tmp_path):
    pixels = np.stack([ramp([0, 1, 2]), ramp([2, 1, 0])])
    path = write_dicom(tmp_path / "film.dcm", pixels)
    np.testing.assert_allclose(read_dicom(path, frame=0)[0, :3], [0, 0.5, 1])
    np.testing.assert_allclose(read_dicom(path, frame=1)[0, :3], [1, 0.5, 0])


def test_rle(tmp_path):
    pixels = ramp([0, 50, 100, 200])
    path = compressed(tmp_path / "film.dcm", pixels, RLELossless)
    np.testing.assert_allclose(read_dicom(path)[0, :4], [0, 0.25, 0.5, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("syntax", "kind", "tolerance"), [(JPEGBaseline8Bit, "JPEG", 0.03), (JPEG2000Lossless, "JPEG2000", 1e-6)]
)
def test_jpeg_family(syntax, kind, tolerance, tmp_path):
    """Compressed by PIL, decompressed by whatever plug-in is installed."""
    pixels = np.tile(np.linspace(0, 255, 16, dtype=np.uint8), (16, 1))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **({"quality": 95} if kind == "JPEG" else {"irreversible": False}))
    codestream = buffer.getvalue()
    if kind == "JPEG2000":
        codestream = codestream[codestream.index(b"\xff\x4f\xff\x51") :]  # bare, as DICOM wants it
    path = write_dicom(tmp_path / "film.dcm", pixels)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([codestream])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    film = read_dicom(path)
    np.testing.assert_allclose(film[8], np.linspace(0, 1, 16), atol=tolerance + 1 / 255)


def test_read_image_takes_dicom_under_any_name(tmp_path):
    path = write_dicom(tmp_path / "film.png", ramp([0, 100, 200]))
    np.testing.assert_allclose(read_image(path)[0, :3], [0, 0.5, 1])
    headless = tmp_path / "headless"
    headless.write_bytes(path.read_bytes()[132:])
    np.testing.assert_allclose(read_image(headless)[0, :3], [0, 0.5, 1])
