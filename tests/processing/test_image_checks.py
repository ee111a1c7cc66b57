"""What every reader of images checks: where a picture comes from, its size, its frames, its pixels."""

import os

import numpy as np
import pytest

from hf_medreport.processing.image_checks import (
    check_finite,
    check_size,
    checked_picture,
    chosen_frame,
    open_input,
    stretched,
)
from hf_medreport.processing.input_error import InputError


def refused(act) -> str:
    with pytest.raises(InputError) as raised:
        act()
    return str(raised.value)


def test_a_path_and_bytes_are_opened_and_named(tmp_path):
    (tmp_path / "film.png").write_bytes(b"abc")
    for source, name in ((tmp_path / "film.png", "film.png"), (b"abc", "image")):
        handle, called = open_input(source)
        with handle:
            assert handle.read() == b"abc" and called == name
    assert open_input(b"abc", "row 3")[1] == "row 3"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "found a folder; expected an image file; give the image files in it one by one"),
        (os.mkfifo, "found a device or pipe; expected an image file; save it as a file first"),
        (lambda path: path.touch(), "found an empty file (0 bytes); expected an image file; copy or export the file"),
        (lambda path: None, "found no such file; expected an image file; check the path"),
    ],
    ids=["folder", "pipe", "empty", "none"],
)
def test_sources_without_a_picture(tmp_path, make, message):
    make(tmp_path / "film.png")
    assert refused(lambda: open_input(tmp_path / "film.png")).startswith(f"film.png: {message}")


def test_a_name_that_no_file_can_have():
    assert refused(lambda: open_input("a\0b")).endswith("found an impossible file name; expected an image file; "
        "check the path")  # fmt: skip
    assert ": found file name too long; expected an image file;" in refused(lambda: open_input("n" * 300))


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    def denied(path, *mode):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("os.stat", denied)  # the superuser may read everything
    message = "film.png: found no permission to read it; expected an image file; change its access rights"
    assert refused(lambda: open_input(tmp_path / "film.png")) == message


@pytest.mark.parametrize(
    ("height", "width", "found"),
    [(7, 900, "found an image of 900 x 7 px; expected at least 8 px a side"), (100, 11, "found an image that claims "
        "11 x 100 px; expected at most 1000 pixels")],
)  # fmt: skip
def test_sizes_are_refused_before_anything_is_allocated(height, width, found):
    assert found in refused(lambda: check_size("film.png", height, width, max_pixels=1000))


def test_sizes_at_the_limits_are_taken():
    check_size("film.png", 8, 125, max_pixels=1000)


def test_frames():
    assert [chosen_frame("a", None, 1), chosen_frame("a", 0, 3), chosen_frame("a", 2, 3)] == [0, 0, 2]
    several = "a: found 3 frames; expected one image; choose one with `frame` (0 to 2), or save it as a file of its own"
    assert refused(lambda: chosen_frame("a", None, 3)) == several
    for frame in (3, -1):
        expected = f"a: found frame {frame}; expected a frame from 0 to 2; choose another `frame`"
        assert refused(lambda frame=frame: chosen_frame("a", frame, 3)) == expected


def test_pixels_that_are_no_numbers_are_counted():
    message = refused(lambda: check_finite("a", np.array([[1, np.nan], [np.inf, 0]])))
    assert message.startswith("a: found 2 NaN or infinite pixels; expected finite pixel values")
    check_finite("a", np.array([[1, 2]]))


def test_the_valid_range_is_stretched_and_the_rest_clipped():
    values = np.array([[-100.0, 10.0], [20.0, 30.0]])
    assert stretched(values, values >= 0).tolist() == [[0, 0], [0.5, 1]]
    assert stretched(values).tolist() == [[0, np.float32(110 / 130)], [np.float32(120 / 130), 1]]
    assert stretched(np.full((2, 2), 7.0)).tolist() == [[0, 0], [0, 0]]


def test_a_picture_that_shows_nothing_is_refused():
    blank = "a: found every pixel equal (a blank image); expected an image with contrast"
    assert refused(lambda: checked_picture("a", np.ones((2, 2)))).startswith(blank)
    picture = checked_picture("a", np.eye(3)[:, ::-1])
    assert picture.dtype == np.float32 and picture.flags.c_contiguous
