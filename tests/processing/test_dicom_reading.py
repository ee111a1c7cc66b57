"""DICOM pixels against truth worked by hand: (stored values, elements) -> what must be displayed."""

import io
import zlib

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_windowing, get_decoder
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from hf_medreport.processing.dicom_reading import read_dicom
from hf_medreport.processing.image_reading import read_image
from hf_medreport.processing.input_error import InputError
from tests.processing.dicom_files import compressed, encapsulated, jpeg_lossless, write_dicom


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
    "padding range written from its upper end": (
        ramp([0, 5, 10, 20, 15]),
        {"PixelPaddingValue": 5, "PixelPaddingRangeLimit": 0},
        [0, 0, 0, 1, 0.5],
    ),
    "negative padding": (ramp([-2000, -1000, 1000, 0], np.int16), {"PixelPaddingValue": -2000}, [0, 0, 1, 0.5]),
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


def test_color(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[0, 0] = [255, 51, 0]
    film = read_dicom(write_dicom(tmp_path / "film.dcm", pixels))
    assert film.shape == (8, 8, 3)
    np.testing.assert_allclose(film[0, 0], [1, 0.2, 0], atol=1e-6)


def test_palette(tmp_path):
    palettes = {}
    for color, second in (("Red", 65535), ("Green", 0), ("Blue", 32768)):
        palettes[f"{color}PaletteColorLookupTableDescriptor"] = [2, 0, 16]
        palettes[f"{color}PaletteColorLookupTableData"] = np.array([0, second], "<u2").tobytes()
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
    path = encapsulated(tmp_path / "film.dcm", pixels, syntax, codestream)
    film = read_dicom(path)
    np.testing.assert_allclose(film[8], np.linspace(0, 1, 16), atol=tolerance + 1 / 255)


@pytest.mark.parametrize(
    "name",
    ["MR_small_RLE", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless", "MR_small_bigendian", "MR_small_implicit"],
)
def test_one_scan_in_every_lossless_syntax(name):
    """pydicom ships the same slice in many transfer syntaxes."""
    path = get_testdata_file(f"{name}.dcm", download=False)
    syntax = pydicom.dcmread(path, specific_tags=[]).file_meta.TransferSyntaxUID
    if not get_decoder(syntax).is_available:
        pytest.skip(f"no plug-in for {syntax.name}")
    plain = read_dicom(get_testdata_file("MR_small.dcm", download=False))
    np.testing.assert_array_equal(read_dicom(path), plain)


def test_jpeg_lossless(tmp_path):
    """Process 14, selection value 1, written here bit by bit."""
    if not get_decoder(JPEGLosslessSV1).is_available:
        pytest.skip("no plug-in for JPEG Lossless")
    pixels = np.random.default_rng(0).integers(0, 4096, (16, 16)).astype(np.uint16)
    path = encapsulated(tmp_path / "film.dcm", pixels, JPEGLosslessSV1, jpeg_lossless(pixels, 12), BitsStored=12)
    expected = (pixels - pixels.min()) / (pixels.max() - pixels.min())
    np.testing.assert_allclose(read_dicom(path), expected, atol=1e-6)


def table(entries, first, bits, words=False):
    """A LUT sequence; its data as numbers (US) or as words of bytes (OW)."""
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries), first, bits])
    item.add_new("LUTData", "OW" if words else "US", np.array(entries, "<u2").tobytes() if words else entries)
    return Sequence([item])


@pytest.mark.parametrize(
    ("pixels", "elements", "expected"),
    [
        # an 8-bit film through a table of 4,096 entries: 255 does not end the table
        (
            ramp([0, 100, 255], np.uint8),
            {"VOILUTSequence": table(list(range(4096)), 0, 12)},
            [0, 100 / 4095, 255 / 4095],
        ),
        (ramp([-2, -1, 0, 1], np.int16), {"VOILUTSequence": table([0, 51, 102, 255], -2, 8)}, [0, 0.2, 0.4, 1]),
        (ramp([0, 1, 2, 3]), {"VOILUTSequence": table([0, 51, 102, 255], 0, 8, words=True)}, [0, 0.2, 0.4, 1]),
        # values before the first and after the last entry take these
        (ramp([0, 1, 2, 9]), {"VOILUTSequence": table([51, 102], 1, 8)}, [0.2, 0.2, 0.4, 0.4]),
        # -4, -2, 0, 2 after rescale
        (
            ramp([0, 1, 2, 3]),
            {"RescaleSlope": 2, "RescaleIntercept": -4, "VOILUTSequence": table([0, 9, 51, 9, 102, 9, 255], -4, 8)},
            [0, 0.2, 0.4, 1],
        ),
        # the table wins over the window
        (
            ramp([0, 1]),
            {"VOILUTSequence": table([51, 255], 0, 8), "WindowCenter": 1, "WindowWidth": 2},
            [0.2, 1],
        ),
    ],
)
def test_value_of_interest_tables(pixels, elements, expected, tmp_path):
    film = read_dicom(write_dicom(tmp_path / "film.dcm", pixels, **elements))
    np.testing.assert_allclose(film[0, : len(expected)], expected, atol=1e-6)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_agree_with_pydicom(function, tmp_path):
    pixels = np.random.default_rng(1).integers(-2000, 2000, (32, 32)).astype(np.int16)
    path = write_dicom(tmp_path / "film.dcm", pixels, WindowCenter=40, WindowWidth=400, VOILUTFunction=function)
    theirs = apply_windowing(pixels, pydicom.dcmread(path))  # from the lowest to the highest storable value
    np.testing.assert_allclose(read_dicom(path), (theirs + 32768) / 65535, atol=1e-6)


@pytest.mark.parametrize(
    ("values", "dtype", "padding", "limit", "expected"),
    [
        ([-2000, -1000, 1000, 0], np.int16, 63536, None, [0, 0, 1, 0.5]),
        ([-32768, -1000, 1000, 0], np.int16, 0x8000, None, [0, 0, 1, 0.5]),  # the smallest value
        ([32767, -1000, 1000, 0], np.int16, 0x7FFF, None, [0, 0, 1, 0.5]),  # the largest one, not negative
        ([-128, -100, 100, 0], np.int8, 0x80, None, [0, 0, 1, 0.5]),
        ([-32768, -32760, -1000, 1000, 0], np.int16, 0x8000, 32776, [0, 0, 0, 1, 0.5]),
    ],
)
def test_signed_padding_written_as_unsigned(tmp_path, values, dtype, padding, limit, expected):
    path = write_dicom(tmp_path / "film.dcm", ramp(values, dtype))
    dataset = pydicom.dcmread(path)
    dataset.add_new("PixelPaddingValue", "US", padding)
    if limit:
        dataset.add_new("PixelPaddingRangeLimit", "US", limit)
    dataset.save_as(path)
    np.testing.assert_allclose(read_dicom(path)[0, : len(expected)], expected)


def test_signed_values_of_twelve_bits(tmp_path):
    pixels = (ramp([-5, 0, 5], np.int16) & 0x0FFF).astype(np.int16)  # the four high bits unused
    np.testing.assert_allclose(
        read_dicom(write_dicom(tmp_path / "film.dcm", pixels, BitsStored=12))[0, :3], [0, 0.5, 1]
    )


def test_enhanced_objects_keep_rescale_and_window_with_the_frame(tmp_path):
    def group(macro, **elements):
        item, inner = pydicom.Dataset(), pydicom.Dataset()
        inner.update({keyword: value for keyword, value in elements.items()})
        setattr(item, macro, Sequence([inner]))
        return item

    windows = [
        group("FrameVOILUTSequence", WindowCenter=center, WindowWidth=100, VOILUTFunction="LINEAR_EXACT")
        for center in (50, 100)
    ]
    path = write_dicom(
        tmp_path / "film.dcm", np.stack([ramp([0, 50, 100])] * 2),
        PerFrameFunctionalGroupsSequence=Sequence(windows),
        SharedFunctionalGroupsSequence=Sequence(
            [group("PixelValueTransformationSequence", RescaleSlope=2, RescaleIntercept=0)]
        ),
        WindowCenter=1, WindowWidth=1,
    )  # fmt: skip
    np.testing.assert_allclose(read_dicom(path, frame=0)[0, :3], [0, 1, 1])  # 0, 100, 200 around 50
    np.testing.assert_allclose(read_dicom(path, frame=1)[0, :3], [0, 0.5, 1])


def test_ybr_becomes_rgb(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8) + np.array([0, 128, 128], np.uint8)
    pixels[0, 0] = [76, 85, 255]  # red, by the equations of JPEG
    film = read_dicom(write_dicom(tmp_path / "film.dcm", pixels, PhotometricInterpretation="YBR_FULL"))
    np.testing.assert_allclose(film[0, :2], [[1, 0, 0], [0, 0, 0]], atol=0.005)


def test_planes_of_color(tmp_path):
    planes = np.arange(192, dtype=np.uint8).reshape(3, 8, 8)
    path = write_dicom(tmp_path / "film.dcm", np.moveaxis(planes, 0, -1))
    dataset = pydicom.dcmread(path)
    dataset.PlanarConfiguration, dataset.PixelData = 1, planes.tobytes()
    dataset.save_as(path)
    np.testing.assert_allclose(read_dicom(path), np.moveaxis(planes, 0, -1) / 255, atol=1e-6)


def test_segmented_palette(tmp_path):
    def segments(last):  # one discrete entry of 0, then a line of 255 entries up to `last`
        return np.array([0, 1, 0, 1, 255, last], "<u2").tobytes()

    palettes = {}
    for color, last in (("Red", 65535), ("Green", 255), ("Blue", 0)):
        palettes[f"{color}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        palettes[f"Segmented{color}PaletteColorLookupTableData"] = segments(last)
    pixels = ramp([0, 255, 51], np.uint8)
    path = write_dicom(tmp_path / "film.dcm", pixels, PhotometricInterpretation="PALETTE COLOR", **palettes)
    np.testing.assert_allclose(
        read_dicom(path)[0, :3], [[0, 0, 0], [1, 255 / 65535, 0], [0.2, 51 / 65535, 0]], atol=1e-5
    )


def test_float_pixels(tmp_path):
    path = write_dicom(tmp_path / "film.dcm", ramp([0, 1]))
    dataset = pydicom.dcmread(path)
    del dataset.PixelData, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation
    dataset.BitsAllocated, dataset.FloatPixelData = 32, ramp([-1, 0, 3], "<f4").tobytes()
    dataset.save_as(path)
    np.testing.assert_allclose(read_dicom(path)[0, :3], [0, 0.25, 1])


def test_a_deflated_bomb_is_refused_while_small(tmp_path):
    data = write_dicom(tmp_path / "film.dcm", ramp([0, 1]), syntax=DeflatedExplicitVRLittleEndian).read_bytes()
    np.testing.assert_allclose(read_dicom(data)[0, :2], [0, 1])
    start = 144 + int.from_bytes(data[140:144], "little")
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = data[:start] + b"".join(deflate.compress(bytes(1 << 20)) for _ in range(80)) + deflate.flush()
    with pytest.raises(InputError, match="found deflated data of more than 64020000 bytes"):
        read_dicom(bomb, max_pixels=10_000)


def test_a_compressed_frame_may_not_claim_another_size(tmp_path):
    buffer = io.BytesIO()
    Image.new("L", (16, 16), 7).save(buffer, "JPEG")
    codestream = bytearray(buffer.getvalue())
    header = codestream.index(b"\xff\xc0")
    codestream[header + 5 : header + 9] = (60_000).to_bytes(2, "big") * 2
    path = encapsulated(tmp_path / "film.dcm", np.zeros((16, 16), np.uint8), JPEGBaseline8Bit, bytes(codestream))
    with pytest.raises(InputError, match="a compressed frame that claims 60000 x 60000 px; expected 16 x 16 px"):
        read_dicom(path)


@pytest.mark.parametrize(
    ("elements", "found"),
    [
        ({"NumberOfFrames": -1}, "NumberOfFrames '-1'"),
        ({"NumberOfFrames": 3}, "3 frames"),
        ({"HighBit": 12}, "HighBit 12 with 16 bits stored"),
        ({"BitsAllocated": 12}, "BitsAllocated 12"),
        ({"SamplesPerPixel": 2}, "SamplesPerPixel 2"),
        ({"PhotometricInterpretation": ""}, "no PhotometricInterpretation"),
        ({"VOILUTFunction": "CUBIC", "WindowCenter": 1, "WindowWidth": 2}, "window function 'CUBIC'"),
        ({"WindowCenter": "nan", "WindowWidth": "2"}, "a damaged WindowCenter"),
        ({"VOILUTSequence": table([0, 1], 0, 99)}, "a damaged lookup table"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of the same damage
def test_damaged_elements_are_named(elements, found, tmp_path):
    with pytest.raises(InputError) as error:
        read_dicom(write_dicom(tmp_path / "film.dcm", ramp([0, 1, 2]), **elements))
    assert error.value.found == found and "Planted" not in str(error.value)


def test_a_file_without_pydicom(tmp_path, monkeypatch):
    path = write_dicom(tmp_path / "film.dcm", ramp([0, 1]))
    monkeypatch.setattr("hf_medreport.processing.dicom_reading.pydicom", None)
    with pytest.raises(InputError, match="found a DICOM file, but no pydicom; .*pip install"):
        read_image(path)


@pytest.mark.parametrize("name", ["MR_small", "MR_small_RLE", "MR_small_jp2klossless", "SC_rgb_jpeg_dcmtk"])
@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of damaged elements
def test_damaged_bytes_end_in_one_message(name):
    with open(get_testdata_file(f"{name}.dcm", download=False), "rb") as file:
        whole = file.read()
    generator = np.random.default_rng(0)
    for _ in range(100):
        data = bytearray(whole)
        for position in generator.integers(128, 2000, generator.integers(1, 6)):
            data[position] = generator.integers(0, 256)
        try:
            film = read_image(bytes(data), frame=0)
            assert 0 <= film.min() < film.max() <= 1
        except InputError as error:
            assert "\n" not in str(error)


def test_read_image_takes_dicom_under_any_name(tmp_path):
    path = write_dicom(tmp_path / "film.png", ramp([0, 100, 200]))
    np.testing.assert_allclose(read_image(path)[0, :3], [0, 0.5, 1])
    headless = tmp_path / "headless"
    headless.write_bytes(path.read_bytes()[132:])
    np.testing.assert_allclose(read_image(headless)[0, :3], [0, 0.5, 1])
