"""16-bit color to its last bit, in the ways that PNG and TIFF store it."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from hf_medreport.processing.deep_color import raw_mode
from hf_medreport.processing.image_reading import read_image, read_with_notes
from tests.processing.film_cases import deep_png

COLOR = np.random.default_rng(0).integers(0, 65536, (10, 12, 3)).astype(np.uint16)
COLOR[0, 0], COLOR[0, 1] = 0, 65535


def tiff(pixels=COLOR, **options) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="rgb", **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        deep_png(COLOR),
        deep_png(COLOR, row_filter=1),
        tiff(),
        tiff(byteorder=">"),
        tiff(compression="zlib", predictor=True),
        tiff(compression="lzw"),
        tiff(tile=(16, 16)),
        tiff(rowsperstrip=2),
    ],
    ids=["png", "png filtered", "tiff", "big-endian", "predictor", "lzw", "tiles", "strips"],
)
def test_every_bit_is_read(data):
    pixels, notes = read_with_notes(data)
    np.testing.assert_array_equal(pixels, COLOR / np.float32(65535))
    assert notes == ()


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_planes_that_pil_misreads_are_refused(compression):
    data = tiff(np.moveaxis(COLOR, -1, 0), planarconfig="separate", compression=compression)
    with pytest.raises(ValueError, match="film: found a TIFF of 16-bit color in planes"):
        read_image(data, name="film")


def test_opacity_and_gray():
    opaque = np.full((10, 12, 1), 65535, np.uint16)
    opaque[5, 5] = 0
    pixels = read_image(deep_png(np.concatenate([COLOR, opaque], axis=2)))
    expected = COLOR / np.float32(65535)
    expected[5, 5] = 0
    np.testing.assert_array_equal(pixels, expected)
    gray = read_image(deep_png(np.concatenate([COLOR[..., :1], opaque], axis=2)))
    np.testing.assert_array_equal(gray, expected[..., 0])


def test_what_is_transparent_counts_for_no_range():
    values = np.full((8, 8, 4), 65535, np.uint16)
    values[0, :3, :3] = np.array([1000, 2000, 3000])[:, None]
    values[1:, :, :3], values[1:, :, 3] = 60_000, 0
    values[0, 3:, :3] = 3000
    np.testing.assert_allclose(read_image(deep_png(values))[0, :3, 0], [0, 0.5, 1], atol=1e-6)


def test_opacity_of_twelve_bits_is_opaque_where_it_is_largest():
    values = np.full((8, 8, 4), 4095, np.uint16)
    values[0, 0, :3] = 0
    assert read_image(deep_png(values))[1, 1].tolist() == [1, 1, 1]


def test_an_image_of_pil_that_is_not_decoded_yet():
    with Image.open(io.BytesIO(deep_png(COLOR))) as picture:
        np.testing.assert_array_equal(read_image(picture), COLOR / np.float32(65535))
        np.testing.assert_array_equal(np.asarray(picture), COLOR >> 8)  # as it was


def test_orientation_and_notes():
    pixels, notes = read_with_notes(tiff(COLOR >> 6, extratags=[(274, "H", 1, 6, True)]))
    assert pixels.shape == (12, 10, 3) and notes == (
        "16-bit color of which 10 bits are used: shown from its smallest to largest",
    )
    np.testing.assert_array_equal(pixels, np.rot90(COLOR >> 6, -1) / np.float32(1023))


def test_other_pictures_have_no_raw_mode():
    assert raw_mode(Image.new("RGB", (8, 8))) == ""
    for picture in (Image.new("L", (8, 8)), Image.new("I;16", (8, 8)), Image.new("RGBA", (8, 8))):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        assert raw_mode(Image.open(buffer)) == ""
