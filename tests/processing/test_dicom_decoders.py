"""imagecodecs as pydicom's plug-in: the values of the scans that pydicom ships, and damage that ends nothing."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder, pixel_array
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from hf_medreport.processing import dicom_decoders
from hf_medreport.processing.dicom_decoders import LABEL, decode_frame, is_available, register
from hf_medreport.processing.dicom_reading import read_dicom
from tests.processing.dicom_files import jpeg_lossless

# Scans of pydicom's in lossless syntaxes, and the same ones uncompressed or in pydicom's own RLE.
TWINS = {
    "MR_small_jp2klossless": "MR_small",
    "MR_small_jpeg_ls_lossless": "MR_small",
    "SC_rgb_jpeg_gdcm": "SC_rgb_small_odd",
    "GDCMJ2K_TextGBR": None,
    "SC_rgb_gdcm_KY": None,
}
SYNTAXES = [JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless]
NOISE = np.random.default_rng(3).integers(0, 4096, (16, 16)).astype(np.uint16)


def stream_of(name: str):
    dataset = pydicom.dcmread(get_testdata_file(f"{name}.dcm", download=False))
    frame = get_frame(dataset.PixelData, 0, number_of_frames=int(dataset.get("NumberOfFrames") or 1))
    return dataset, frame


def runner(syntax, samples=1, photometric="MONOCHROME2"):
    options = {}
    return SimpleNamespace(
        transfer_syntax=syntax, samples_per_pixel=samples, photometric_interpretation=photometric,
        set_option=options.__setitem__, options=options,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["MR_small_jp2klossless", "MR_small_jpeg_ls_lossless"])
def test_lossless_scans_are_the_uncompressed_one_to_the_bit(name):
    dataset, _ = stream_of(name)
    plain = pydicom.dcmread(get_testdata_file("MR_small.dcm", download=False))
    np.testing.assert_array_equal(pixel_array(dataset, decoding_plugin=LABEL), plain.pixel_array)


@pytest.mark.parametrize("precision", [2, 8, 10, 12, 16])
def test_lossless_jpeg_of_any_precision(precision):
    limit = min(1 << precision, 4096)
    pixels = (NOISE % limit).astype(np.uint16)
    pixels[0, 0] = 1 << (precision - 1) if precision < 13 else 32_000  # near the first prediction
    told = runner(JPEGLosslessSV1)
    decoded = np.frombuffer(decode_frame(jpeg_lossless(pixels, precision), told), "u1" if precision <= 8 else "<u2")
    np.testing.assert_array_equal(decoded.reshape(16, 16), pixels)
    assert told.options == {"bits_allocated": 8 if precision <= 8 else 16, "planar_configuration": 0}


def test_the_reader_takes_this_plug_in_before_others(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "hf_medreport.processing.dicom_reading.pixel_array",
        lambda dataset, **options: asked.append(options["decoding_plugin"]) or pixel_array(dataset, **options),
    )
    for name in ("MR_small_jp2klossless", "MR_small_RLE", "MR_small"):
        read_dicom(get_testdata_file(f"{name}.dcm", download=False))
    assert asked == [LABEL, "", ""]


def test_it_is_registered_once_and_says_what_it_decodes():
    register()
    register()
    assert all(get_decoder(syntax).available_plugins.count(LABEL) == 1 for syntax in SYNTAXES)
    assert all(map(is_available, SYNTAXES)) and not is_available(RLELossless)


def test_without_imagecodecs_nothing_is_offered(monkeypatch):
    monkeypatch.setattr(dicom_decoders, "imagecodecs", None)
    assert not is_available(JPEGLSLossless)


def test_color_is_left_to_pydicom():
    dataset, _ = stream_of("SC_rgb_jpeg_dcmtk")  # YBR
    raw = pixel_array(dataset, decoding_plugin=LABEL, raw=True)
    np.testing.assert_array_equal(raw, pixel_array(dataset, decoding_plugin="pillow", raw=True))


def test_a_stream_without_its_end_is_refused():
    whole = jpeg_lossless(NOISE, 12)
    for cut in (whole[:-2], whole[:150], whole[:-40]):
        with pytest.raises(ValueError, match="truncated"):
            decode_frame(cut, runner(JPEGLosslessSV1))
    assert decode_frame(whole + b"\0\xff\0", runner(JPEGLosslessSV1))  # what writers put behind it


FUZZ = """
import sys
import numpy as np
from tests.processing.test_dicom_decoders import damaged_streams
print(damaged_streams(int(sys.argv[1]), int(sys.argv[2])))
"""


def damaged_streams(seed: int, count: int) -> str:
    """Decode `count` damaged copies of each stream; returns how many gave pixels and how many an exception."""
    generator, pixels, refused = np.random.default_rng(seed), 0, 0
    streams = [(jpeg_lossless(NOISE >> 12 - bits, bits), runner(JPEGLosslessSV1)) for bits in (8, 12)]
    for name in ("MR_small_jpeg_ls_lossless", "MR_small_jp2klossless", "SC_rgb_jpeg_gdcm", "SC_rgb_jpeg_dcmtk"):
        dataset, frame = stream_of(name)
        told = runner(dataset.file_meta.TransferSyntaxUID, dataset.SamplesPerPixel, dataset.PhotometricInterpretation)
        streams.append((frame, told))
    for stream, told in streams:
        for _ in range(count):
            data = bytearray(stream)
            for position in generator.integers(100, len(data) - 2, generator.integers(1, 8)):
                data[position] = generator.integers(0, 256)  # behind the header, whose size the reader has checked
            try:
                decode_frame(bytes(data), told)
                pixels += 1
            except Exception:
                refused += 1
    return f"{pixels} {refused}"


def test_damage_ends_in_pixels_or_an_exception():
    pixels, refused = map(int, damaged_streams(0, 25).split())
    assert pixels + refused == 150 and refused > 10


@pytest.mark.slow
def test_thousands_of_damaged_streams_end_no_process():
    done = subprocess.run([sys.executable, "-c", FUZZ, "1", "700"], capture_output=True, text=True)
    assert done.returncode == 0 and sum(map(int, done.stdout.split())) == 4200, done.stderr[-500:]
