"""Pictures against truth worked by hand."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from hf_medreport.processing.image_reading import read_image, read_mask, read_pixels
from hf_medreport.processing.input_error import InputError


def gray(values, dtype=np.uint8):
    """An 8 x 8 picture whose first row starts with `values`; the rest repeats the last."""
    picture = np.full((8, 8), values[-1], dtype)
    picture[0, : len(values)] = values
    return picture


def saved(tmp_path, picture, name="film.png", **options):
    Image.fromarray(picture).save(tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize("name", ["film.png", "film.tif"])
def test_eight_bits(tmp_path, name):
    np.testing.assert_allclose(read_image(saved(tmp_path, gray([0, 51, 255]), name))[0, :3], [0, 0.2, 1])


def test_jpeg(tmp_path):
    film = read_image(saved(tmp_path, np.repeat(gray([40, 200]), 4, axis=0), "film.jpg", quality=95))
    assert film.shape == (32, 8) and abs(film[16, 4] - 200 / 255) < 0.02


@pytest.mark.parametrize("name", ["film.png", "film.tif"])
def test_sixteen_bits_are_stretched_over_the_films_own_range(tmp_path, name):
    film = read_image(saved(tmp_path, gray([1000, 1500, 2000], np.uint16), name))
    np.testing.assert_allclose(film[0, :3], [0, 0.5, 1])


def test_float_tiff(tmp_path):
    film = read_image(saved(tmp_path, gray([-1.0, 0.0, 3.0], np.float32), "film.tif"))
    np.testing.assert_allclose(film[0, :3], [0, 0.25, 1])


def test_transparent_pixels_are_black(tmp_path):
    rgba = np.full((8, 8, 4), 255, np.uint8)
    rgba[0, 0, 3], rgba[0, 1, 3] = 0, 51
    np.testing.assert_allclose(read_image(saved(tmp_path, rgba))[0, :3], [[0] * 3, [0.2] * 3, [1] * 3], atol=1e-6)


def test_palette_and_one_bit(tmp_path):
    picture = Image.fromarray(np.stack([gray([0, 255])] * 3, axis=-1)).convert("P")
    picture.save(tmp_path / "palette.png")
    np.testing.assert_allclose(read_image(tmp_path / "palette.png")[0, :2], [[0] * 3, [1] * 3])
    Image.fromarray(gray([0, 1]).astype(bool)).save(tmp_path / "bit.png")
    np.testing.assert_allclose(read_image(tmp_path / "bit.png")[0, :2], [0, 1])


def test_orientation_of_the_camera_is_applied(tmp_path):
    picture = Image.fromarray(np.repeat(np.repeat(np.eye(2, dtype=np.uint8) * 255, 8, 0), 12, 1))
    exif = picture.getexif()
    exif[0x0112] = 6  # turned: the top of the scene is at the right of the stored picture
    picture.save(tmp_path / "turned.png", exif=exif)
    film = read_image(tmp_path / "turned.png")
    assert film.shape == (24, 16) and film[0, 0] == 0 and film[0, -1] == 1


def test_the_name_does_not_decide(tmp_path):
    path = saved(tmp_path, np.repeat(gray([0, 255]), 2, axis=1), "film.jpg", quality=95)
    path = path.rename(tmp_path / "film.png")
    assert read_image(path).shape == (8, 16)


def test_pages_of_a_tiff(tmp_path):
    pages = [Image.fromarray(gray([0, value, 255])) for value in (51, 102)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    assert read_image(tmp_path / "pages.tif", frame=1)[0, 1] == np.float32(0.4)


def test_a_picture_of_pil_and_an_array_are_read_alike():
    picture = gray([0, 51, 255])
    np.testing.assert_array_equal(read_image(Image.fromarray(picture)), read_image(picture))


@given(hnp.arrays(np.uint8, (9, 8), elements=st.integers(0, 255)))
def test_bytes_survive_the_round_trip(array):
    if array.min() < array.max():
        np.testing.assert_array_equal(np.rint(read_image(array) * 255).astype(np.uint8), array)


@pytest.mark.parametrize("values", [[0, 1], [0, 255]])
def test_masks_of_0_1_and_of_0_255_are_the_same(tmp_path, values):
    np.testing.assert_array_equal(read_mask(saved(tmp_path, gray(values)))[0, :2], [0, 1])


def test_an_empty_mask_is_a_mask():
    assert read_mask(np.zeros((8, 8), np.uint8)).max() == 0


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_the_orientation_of_a_tiff_is_applied_once(tmp_path, compression):
    picture = np.full((8, 16), 100, np.uint8)
    picture[0, :3] = [0, 50, 200]
    path = saved(tmp_path, picture, "film.tif", tiffinfo={274: 6}, compression=compression)
    film = read_image(path)
    assert film.shape == (16, 8)
    np.testing.assert_allclose(film[:3, -1] * 255, [0, 50, 200], atol=1e-4)
    # Through bytes: opened by name, PIL 12.3 maps an uncompressed TIFF with its sides exchanged.
    with Image.open(io.BytesIO(path.read_bytes())) as opened:
        np.testing.assert_array_equal(read_image(opened), film)


def test_white_is_zero_in_a_deep_tiff(tmp_path):
    path = saved(tmp_path, gray([0, 50, 200], np.uint16), "film.tif", tiffinfo={262: 0})  # PIL does not invert these
    np.testing.assert_allclose(read_image(path)[0, :3], [1, 0.75, 0])


def test_transparency_of_gray_palette_and_cmyk(tmp_path):
    picture = Image.fromarray(gray([0, 51, 255]))
    picture.save(tmp_path / "trns.png", transparency=255)  # that gray is transparent, so black
    np.testing.assert_allclose(read_image(tmp_path / "trns.png")[0, :3], [0, 0.2, 0], atol=1e-6)
    picture.convert("P").save(tmp_path / "palette.png", transparency=1)
    assert read_image(tmp_path / "palette.png").shape == (8, 8, 3)
    ink = Image.merge("CMYK", [Image.fromarray(gray([255, 0])), *[Image.new("L", (8, 8))] * 3])
    ink.save(tmp_path / "ink.tif")
    np.testing.assert_allclose(read_image(tmp_path / "ink.tif")[0, :2], [[0, 1, 1], [1, 1, 1]])  # cyan, paper


def test_a_claimed_size_is_refused_before_any_pixel_is_decoded(tmp_path, monkeypatch):
    path = saved(tmp_path, np.tile(gray([0, 255]), (4, 4)))
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", lambda self: pytest.fail("decoded"))
    with pytest.raises(InputError, match="film.png: found an image that claims 32 x 32 px; expected at most 1000"):
        read_image(path, max_pixels=1000)


@pytest.mark.filterwarnings("ignore::UserWarning")  # PIL's, of damaged metadata
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_damaged_bytes_end_in_one_message(kind):
    """Whatever bytes are changed: a picture in [0, 1] or an InputError of one line."""
    generator = np.random.default_rng(0)
    buffer = io.BytesIO()
    Image.fromarray(generator.integers(0, 255, (24, 20, 3), dtype=np.uint8)).save(buffer, kind)
    for _ in range(150):
        data = bytearray(buffer.getvalue())
        for position in generator.integers(0, min(len(data), 400), generator.integers(1, 6)):
            data[position] = generator.integers(0, 256)
        if generator.random() < 0.2:
            del data[generator.integers(1, len(data)) :]
        try:
            film = read_image(bytes(data), frame=0)
            assert 0 <= film.min() < film.max() <= 1
        except InputError as error:
            assert "\n" not in str(error)


def test_pixels_of_8_bits_stay_as_they_are_and_all_others_are_those_of_read_image():
    gray = np.arange(256, dtype=np.uint8).reshape(16, 16)
    color = np.stack([gray, gray.T, 255 - gray], axis=-1)
    for opaque in (gray, color):
        pixels = read_pixels(opaque)
        assert pixels.dtype == np.uint8 and (pixels == opaque).all()
        assert (pixels.astype(np.float32) / 255 == read_image(opaque)).all()
    transparent = np.concatenate([color, gray[..., None]], axis=-1)
    for other in (transparent, gray.astype(np.uint16) * 9, gray > 3, gray.astype(np.float64) / 255):
        pixels = read_pixels(other)
        assert pixels.dtype == np.float32 and (pixels == read_image(other)).all()


def test_pixels_that_show_nothing_are_refused():
    with pytest.raises(InputError, match="^film: found every pixel equal"):
        read_pixels(np.full((16, 16), 7, np.uint8), name="film")


def test_a_picture_may_come_smaller_by_whole_factors(tmp_path):
    # 40 x 64 px, each 2 x 2 of them (4 x 4 in the JPEG) alike
    blocks = np.random.default_rng(0).integers(0, 256, (20, 32)).astype(np.uint8)
    gray = np.kron(blocks, np.ones((2, 2), np.uint8))
    Image.fromarray(gray).save(tmp_path / "film.png")
    assert (read_pixels(tmp_path / "film.png", at_least=20) == blocks).all()
    assert (read_pixels(tmp_path / "film.png", at_least=21) == gray).all()  # half of it would be too short
    Image.fromarray(np.stack([gray] * 3, -1)).save(tmp_path / "color.png")
    assert read_pixels(tmp_path / "color.png", at_least=13).shape == (14, 22, 3)  # by 3, the last ones of a pixel less
    Image.fromarray(gray.astype(np.uint16)).save(tmp_path / "deep.png")
    assert read_pixels(tmp_path / "deep.png", at_least=8).shape == (40, 64)  # of 8 bits alone
    smooth = np.add.outer(np.arange(64), np.arange(96)).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "film.jpg", quality=100)
    small = read_pixels(tmp_path / "film.jpg", at_least=16)
    assert small.shape == (16, 24) and np.abs(small - smooth.reshape(16, 4, 24, 4).mean((1, 3))).max() < 2
