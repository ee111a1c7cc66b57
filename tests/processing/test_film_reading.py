"""A film and what is to be known of it, from any source."""

import io

import numpy as np
import pytest
from PIL import Image

from hf_medreport.processing.film_reading import Film, read_film, refuse_mask
from hf_medreport.processing.image_processing_film import FilmImageProcessor
from hf_medreport.processing.image_reading import read_image
from hf_medreport.processing.input_error import InputError
from tests.processing.film_cases import dicom, lies, lying
from tests.tiny import film_array


def test_pictures_without_a_header_are_read_as_they_are(tmp_path):
    path = tmp_path / "film.png"
    Image.fromarray(film_array()).save(path)
    for source in (path, str(path), path.read_bytes(), Image.open(path), film_array()):
        film = read_film(source)
        np.testing.assert_array_equal(film.pixels, film_array() / np.float32(255))
        assert film.notes == () and not film.is_turned
    assert read_film(path, orient="stored").notes == ()
    assert "without a header" in read_film(path, orient="header").notes[0]


def test_an_ordinary_film_is_what_read_image_reads(tmp_path):
    path = dicom()(tmp_path)
    for source in (path, path.read_bytes()):
        np.testing.assert_array_equal(read_film(source).pixels, read_image(path))


def test_a_film_is_turned_because_it_was_asked_for(tmp_path):
    path = lies("H", "L")(tmp_path)
    film = read_film(path, orient="header")
    np.testing.assert_allclose(film.pixels, lying("L", "F") / 100, atol=1e-6)
    assert film.is_turned and film.pixels.flags.c_contiguous and len(film.notes) == 1
    np.testing.assert_allclose(read_film(path, orient="stored").pixels, lying("H", "L") / 100, atol=1e-6)


def test_messages_use_the_name_that_is_given(tmp_path):
    with pytest.raises(InputError, match=r"^row 3: found Modality CT"):
        read_film(dicom(Modality="CT")(tmp_path).read_bytes(), name="row 3")


def test_the_header_is_asked_before_a_pixel_is_decoded(tmp_path, monkeypatch):
    path = dicom(Modality="CT")(tmp_path)
    monkeypatch.setattr("hf_medreport.processing.dicom_reading.pixel_array", lambda *a, **k: pytest.fail("decoded"))
    with pytest.raises(InputError, match="Modality CT"):
        read_film(path)


@pytest.mark.parametrize("orient", ["sideways", "", True])
def test_another_orient_is_refused(orient):
    with pytest.raises(InputError, match="^orient: found .*; expected header or stored"):
        read_film(film_array(), orient=orient)


@pytest.mark.parametrize("frame", ["1", 1.0, True, -1, 1])
def test_another_frame_is_refused(frame):
    with pytest.raises(InputError, match=r"film: found frame .*`frame`"):
        read_film(Image.fromarray(film_array()), frame=frame, name="film")


def test_a_mask_beside_a_turned_film_is_refused(tmp_path):
    refuse_mask(Film(film_array()), "mask.png")
    with pytest.raises(InputError, match="^mask.png: found a mask beside a film that its header turns"):
        refuse_mask(Film(film_array(), (), True), "mask.png")
    with pytest.raises(InputError, match="^masks: found"):
        FilmImageProcessor(size=8)(lies("R", "F")(tmp_path), masks=[film_array()], orient="header")


def test_the_bytes_of_a_file_tell_as_much_as_the_file(tmp_path):
    data = lies("R", "F")(tmp_path).read_bytes()
    assert read_film(data, orient="header").is_turned
    with pytest.raises(InputError, match="no such file"):
        read_film(tmp_path / "gone.dcm")
    buffer = io.BytesIO()
    Image.fromarray(film_array()).save(buffer, "TIFF")
    assert read_film(buffer.getvalue()).notes == ()
