"""Slides of each kind against the pixels they were written from."""

import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hf_medreport.processing import slide_sources
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.slide_reading import open_slide
from hf_medreport.processing.slide_sources import on_white, paste, slide_files
from tests.processing.slide_files import array_slide, glass, write_slide_dicom, write_tiff

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (600, 520, 3), dtype=np.uint8)


@pytest.fixture(params=["tiled.tif", "plain.tif", "picture.png", "slide.dcm"])
def noise_path(request, tmp_path):
    """The same pixels as OpenSlide, PIL (twice) and pydicom read them."""
    path = tmp_path / request.param
    if request.param == "tiled.tif":
        return write_tiff(path, NOISE)
    if request.param == "slide.dcm":
        return write_slide_dicom(path, NOISE, tile_px=64)
    Image.fromarray(NOISE).save(path)
    return path


def test_a_picture_is_decoded_once_however_many_read_it(tmp_path, monkeypatch):
    Image.fromarray(NOISE).save(tmp_path / "slide.png")
    decoded, read = [], slide_sources.PictureSource._read
    monkeypatch.setattr(slide_sources.PictureSource, "_read", lambda self: decoded.append(self.name) or read(self))
    assert slide_sources.held_bytes(tmp_path / "slide.png") == 2 * NOISE.nbytes
    with ThreadPoolExecutor(4) as pool:
        slides = list(pool.map(open_slide, [tmp_path / "slide.png"] * 8))
    assert decoded == ["slide.png"]
    assert len({id(slide._source._picture.pixels) for slide in slides}) == 1
    for slide in slides:
        np.testing.assert_array_equal(slide.read(0, 0, 0, *NOISE.shape[1::-1]), NOISE)
        slide.close()
    assert not slide_sources._held  # nobody holds it any more
    Image.fromarray(255 - NOISE).save(tmp_path / "slide.png")
    assert open_slide(tmp_path / "slide.png").read(0, 0, 0, 1, 1)[0, 0, 0] == 255 - NOISE[0, 0, 0]


def test_a_pyramid_is_not_held(tmp_path):
    assert slide_sources.held_bytes(write_tiff(tmp_path / "slide.tif", NOISE)) == 0
    (tmp_path / "slide.svs").write_text("no slide")
    assert slide_sources.held_bytes(tmp_path / "slide.svs") == 0


def test_a_rectangle_is_what_was_written_and_white_outside(noise_path):
    with open_slide(noise_path) as slide:
        assert slide.name == noise_path.name
        assert slide.level_sizes == ((520, 600),) and slide.downsamples == (1.0,)
        np.testing.assert_array_equal(slide.read(30, 250, 0, 300, 70), NOISE[250:320, 30:330])
        corner = slide.read(-5, 595, 0, 15, 20)
        np.testing.assert_array_equal(corner[:5, 5:], NOISE[595:, :10])
        assert (corner[5:] == 255).all() and (corner[:, :5] == 255).all()
        assert (slide.read(5000, 0, 0, 4, 4) == 255).all()


def test_levels_are_read_in_their_own_px(tmp_path):
    with open_slide(write_tiff(tmp_path / "slide.tif", NOISE, (1, 2))) as slide:
        assert slide.level_sizes == ((520, 600), (260, 300)) and slide.downsamples == (1.0, 2.0)
        np.testing.assert_array_equal(slide.read(100, 200, 1, 30, 40), NOISE[200:280:2, 100:160:2])


@pytest.mark.parametrize(
    ("mpp", "slide_mpp", "expected"),
    [
        (0.5, None, 0.5),
        ((0.49, 0.51), None, 0.5),
        (None, None, None),
        (None, 0.25, 0.25),
        (0.5, 0.25, 0.5),  # what the user says fills in what is missing
        (85.0, None, None),  # 300 dots per inch: meant for a printer
    ],
)
@pytest.mark.parametrize("tiled", [True, False])
def test_microns_per_px(tmp_path, mpp, slide_mpp, expected, tiled):
    path = tmp_path / "slide.tif"
    if tiled:
        write_tiff(path, NOISE, mpp=mpp)
    else:
        across, down = mpp if isinstance(mpp, tuple) else (mpp, mpp)
        options = (
            {} if mpp is None else {"resolution_unit": 3, "x_resolution": 1e4 / across, "y_resolution": 1e4 / down}
        )
        Image.fromarray(NOISE).save(path, **options)
    mpp = open_slide(path, slide_mpp).mpp
    assert mpp == (expected and pytest.approx(expected, rel=1e-4))


def test_microns_per_px_of_dicom(tmp_path):
    assert open_slide(write_slide_dicom(tmp_path / "a.dcm", NOISE, 64, spacing_mm=0.00025)).mpp == pytest.approx(0.25)


def test_transparent_pixels_are_laid_on_white(tmp_path):
    rgba = np.full((8, 8, 4), (100, 0, 200, 255), np.uint8)
    rgba[0, 0, 3], rgba[0, 1, 3] = 0, 51
    Image.fromarray(rgba).save(tmp_path / "slide.png")
    # 51 / 255 = 0.2 of the color and 0.8 of white: 100 -> 224, 0 -> 204, 200 -> 244.
    expected = [[255, 255, 255], [224, 204, 244], [100, 0, 200]]
    np.testing.assert_array_equal(open_slide(tmp_path / "slide.png").read(0, 0, 0, 3, 1)[0], expected)
    np.testing.assert_array_equal(on_white(rgba)[0, :3], expected)


def test_a_photograph_lies_as_its_exif_says(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # turn by 90 degrees to the right
    Image.fromarray(glass(40, 20, (0, 0, 8, 8))).save(tmp_path / "slide.png", exif=exif)
    with open_slide(tmp_path / "slide.png") as slide:
        assert slide.level_sizes == ((20, 40),)
        assert tuple(slide.read(19, 0, 0, 1, 1)[0, 0]) == (200, 100, 160)


def test_the_fingerprint_is_of_the_content(tmp_path):
    path = write_tiff(tmp_path / "slide.tif", NOISE)
    before = open_slide(path).fingerprint()
    assert len(before) == 64 and int(before, 16) >= 0
    assert open_slide(shutil.copy(path, tmp_path / "renamed.tif")).fingerprint() == before
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    path.write_bytes(changed)
    assert open_slide(path).fingerprint() != before


def test_the_files_of_mirax_vms_and_dicom(tmp_path):
    slide, folder = tmp_path / "slide.mrxs", tmp_path / "slide"
    folder.mkdir()
    for file in (slide, folder / "Slidedat.ini", folder / "Data0000.dat"):
        file.write_bytes(b"1")
    assert slide_files(slide) == (slide, folder / "Data0000.dat", folder / "Slidedat.ini")
    index, part = tmp_path / "slide.vms", tmp_path / "slide(1,0).jpg"
    index.write_text("[Virtual Microscope Specimen]\nImageFile=slide(1,0).jpg\nMapFile=gone.jpg\nNoLayers=1\n")
    part.touch()
    assert slide_files(index) == (index, part)
    first, second, other = (tmp_path / name for name in ("1.dcm", "2.dcm", "3.dcm"))
    for path, series in ((first, "1.2.3"), (second, "1.2.3"), (other, "1.2.4")):
        write_slide_dicom(path, NOISE[:32, :32], series=series)
    assert slide_files(second) == (first, second)


def test_a_worker_gets_its_own_slide(noise_path):
    with open_slide(noise_path, slide_mpp=0.7, override_slide_mpp=True) as slide:
        copy = pickle.loads(pickle.dumps(slide))
        assert copy.mpp == 0.7
        np.testing.assert_array_equal(copy.read(0, 0, 0, 50, 50), slide.read(0, 0, 0, 50, 50))
    np.testing.assert_array_equal(slide.read(0, 0, 0, 9, 9), NOISE[:9, :9])  # a closed slide opens itself again


def test_one_damaged_tile_leaves_the_others_readable(tmp_path):
    path = write_tiff(tmp_path / "slide.tif", NOISE, compression="jpeg")
    slide = open_slide(path)
    before = slide.read(0, 0, 0, 256, 256)
    with tifffile.TiffFile(path) as tiff:
        offset, length = tiff.pages[0].dataoffsets[4], tiff.pages[0].databytecounts[4]  # second row, second column
    content = bytearray(path.read_bytes())
    content[offset : offset + length] = bytes(length)
    path.write_bytes(content)
    slide = open_slide(path)
    with pytest.raises(InputError) as error:
        slide.read(256, 256, 0, 256, 256)
    assert str(error.value) == (
        "slide.tif: found damaged pixels at (256, 256) of level 0 (Not a JPEG file: starts with 0x00 0x00); "
        "expected a complete slide; copy or export the slide again"
    )
    np.testing.assert_array_equal(slide.read(0, 0, 0, 256, 256), before)


def test_level_for_takes_the_coarsest_that_is_not_coarser():
    slide = array_slide(glass(256, 256), (1, 4, 16))
    assert [slide.level_for(downsample) for downsample in (0.5, 1, 3.9, 4, 15, 64)] == [0, 0, 0, 1, 1, 2]


@pytest.mark.parametrize("factor", [1, 3, 7, 1000])
def test_strips_are_the_level_shrunk(factor):
    pixels = RNG.integers(0, 256, (1100, 40, 3), dtype=np.uint8)  # taller than a strip
    strips = np.concatenate(list(array_slide(pixels).strips(0, factor)))
    np.testing.assert_array_equal(strips, np.asarray(Image.fromarray(pixels).reduce(factor)))


def test_thumbnail():
    slide = array_slide(glass(2000, 1000, (1000, 0, 2000, 1000)), (1, 4))
    thumbnail = slide.thumbnail(100)
    assert thumbnail.shape == (50, 100, 3)
    assert (thumbnail[:, :49] == 255).all() and (thumbnail[:, 51:] == (200, 100, 160)).all()
    assert slide.thumbnail(5000).shape == (1000, 2000, 3)  # never larger than the slide


@given(left=st.integers(-30, 30), top=st.integers(-30, 30))
def test_paste_is_what_a_padded_array_would_show(left, top):
    pixels = np.arange(1, 13, dtype=np.uint8).reshape(3, 4, 1).repeat(3, axis=2)
    canvas = np.zeros((5, 6, 3), np.uint8)
    paste(canvas, pixels, left, top)
    padded = np.zeros((105, 106, 3), np.uint8)
    padded[50 + top : 53 + top, 50 + left : 54 + left] = pixels
    np.testing.assert_array_equal(canvas, padded[50:55, 50:56])


def test_a_picture_in_memory_is_a_slide():
    for picture in (NOISE, Image.fromarray(NOISE)):
        with open_slide(picture, slide_mpp=0.5) as slide:
            assert (slide.name, slide.level_sizes, slide.mpp) == ("picture", ((520, 600),), 0.5)
            np.testing.assert_array_equal(
                pickle.loads(pickle.dumps(slide)).read(10, 20, 0, 30, 40), NOISE[20:60, 10:40]
            )
    with pytest.raises(InputError) as error:
        open_slide(NOISE / 255)
    assert str(error.value) == (
        "picture: found an array of shape (600, 520, 3) and float64; expected uint8 (height, width, 3); "
        "convert it to 8-bit RGB"
    )
