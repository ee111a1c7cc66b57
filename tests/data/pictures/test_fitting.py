"""A picture of any size as a square: nothing stretched, nothing flipped, values within [-1, 1]."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.data.pictures.fitting import check_fit, fitted
from hf_medreport.processing.input_error import InputError


def disc(height, width, radius):
    y, x = np.mgrid[:height, :width]
    return np.where((y - height / 2 + 0.5) ** 2 + (x - width / 2 + 0.5) ** 2 < radius**2, 255, 0).astype(np.uint8)


@pytest.mark.parametrize("fit, radius", [("pad", 16), ("crop", 32)])  # 50 px of 200 or 100 that become 64
@pytest.mark.parametrize("shape", [(100, 200), (200, 100)])
def test_a_circle_stays_a_circle(fit, radius, shape):
    [square] = fitted(disc(*shape, 50), 64, fit)
    rows, columns = (square > 0).any(1).sum(), (square > 0).any(0).sum()
    assert abs(rows - 2 * radius) <= 1 and abs(columns - 2 * radius) <= 1
    assert abs((square > 0).sum() / (np.pi * radius**2) - 1) < 0.03


def test_the_bars_of_a_padded_picture_are_black():
    [square] = fitted(np.full((8, 16), 255, np.uint8), 8, "pad")
    assert (square[2:6] == 1).all() and (square[:2] == -1).all() and (square[6:] == -1).all()


def test_the_middle_of_a_cropped_picture_stays():
    pixels = np.zeros((8, 20), np.uint8)
    pixels[:, 6:14] = 255
    assert (fitted(pixels, 8, "crop") == 1).all()


def test_whole_factors_are_averaged():
    pixels = np.array([[0, 100, 255, 255], [100, 200, 255, 255]] * 2, np.uint8)
    # (0 + 100 + 100 + 200) / 4 = 100
    assert np.allclose(fitted(pixels, 2, "pad")[0], [[100 / 127.5 - 1, 1]] * 2, atol=1e-6)


def test_color_has_three_planes_and_gray_one():
    pixels = np.stack([disc(30, 40, 10), disc(30, 40, 5), disc(30, 40, 2)], axis=-1)
    colored = fitted(pixels, 16, "pad")
    assert colored.shape == (3, 16, 16) and colored.flags["C_CONTIGUOUS"]
    for plane in range(3):
        assert np.array_equal(colored[plane : plane + 1], fitted(pixels[..., plane], 16, "pad"))


sides = st.integers(1, 90)


@settings(max_examples=60, deadline=None)
@given(sides, sides, st.integers(8, 40), st.sampled_from(["pad", "crop"]), st.integers(0, 2**32 - 1))
def test_any_size_keeps_left_and_right_and_the_range(height, width, size, fit, seed):
    rng = np.random.default_rng(seed)
    ramp = np.sort(rng.integers(0, 256, width)).astype(np.uint8)
    pixels = np.repeat(ramp[None], height, axis=0)
    [square] = fitted(pixels, size, fit)
    assert square.shape == (size, size) and square.dtype == np.float32
    assert square.min() >= -1 and square.max() <= 1
    seen = square[size // 2]
    inside = seen[(size - max(1, round(width * size / max(height, width)))) // 2 :] if fit == "pad" else seen
    inside = inside[: max(1, round(width * size / max(height, width)))] if fit == "pad" else inside
    assert (np.diff(inside) >= -1e-6).all()  # darker on the left, as it was
    deep = fitted(pixels.astype(np.float32) / 255, size, fit)
    assert np.abs(deep - square).max() <= 1.5 / 127.5


@pytest.mark.parametrize(
    "size, fit, message",
    [
        (256, "stretch", "fit: found 'stretch'; expected one of pad, crop; choose one of them"),
        (7, "pad", "size: found 7; expected a whole number of at least 8 px; correct it"),
        (64.5, "pad", "size: found 64.5; expected a whole number of at least 8 px; correct it"),
        (True, "pad", "size: found True; expected a whole number of at least 8 px; correct it"),
    ],
)
def test_what_no_square_can_be_made_of(size, fit, message):
    with pytest.raises(InputError) as raised:
        check_fit(size, fit)
    assert str(raised.value) == message
