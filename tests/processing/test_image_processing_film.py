"""Films become squares: stretched, padded or cropped, scaled, and maps of the square go back onto the film."""

import numpy as np
import pytest

from hf_medreport.processing.image_processing_film import UNSCALED, FilmImageProcessor
from hf_medreport.processing.input_error import InputError


def wide() -> np.ndarray:
    """A film of 8 x 16 px: black, gray, gray, white, a quarter each from left to right."""
    return np.repeat(np.float32([[0, 0.4, 0.4, 1]]), 8, axis=0).repeat(4, axis=1)


@pytest.mark.parametrize(
    ("fit", "first_row", "middle_row"),
    [
        ("stretch", [0, 0.4, 0.4, 1], [0, 0.4, 0.4, 1]),
        ("pad", [0, 0, 0, 0], [0, 0.4, 0.4, 1]),  # a quarter of black above, a quarter below
        ("crop", [0.4] * 4, [0.4] * 4),  # the middle half
    ],
)
def test_every_fit_of_a_wide_film(fit, first_row, middle_row):
    pixels = FilmImageProcessor(size=16, fit=fit, **UNSCALED)(wide(), return_tensors="np")["pixel_values"]
    assert pixels.shape == (1, 3, 16, 16) and (pixels[:, 0] == pixels[:, 2]).all()
    for row, expected in ((0, first_row), (8, middle_row)):
        assert pixels[0, 0, row, 1::4] == pytest.approx(expected, abs=0.06)  # bicubic: not sharp at the edges


def test_a_tall_film_is_padded_left_and_right():
    pixels = FilmImageProcessor(size=16, fit="pad", **UNSCALED)(wide().T, return_tensors="np")["pixel_values"][0, 0]
    assert (pixels[:, :3] == 0).all() and (pixels[:, 13:] == 0).all() and pixels[14, 8] == pytest.approx(1, abs=0.05)


def test_masks_are_fitted_as_the_film_is():
    mask = np.ones((8, 16), np.uint8)
    mask[:, :8] = 0
    masks = FilmImageProcessor(size=16, mask_size=4, fit="pad")([wide()], masks=mask)["anatomical_masks"]
    assert masks[0, 0].tolist() == [[0] * 4, [0, 0, 1, 1], [0, 0, 1, 1], [0] * 4]


def test_colors_are_scaled_channel_by_channel():
    film = np.zeros((8, 8, 3), np.float32)
    film[4:], film[..., 1] = 1, 0.5
    processor = FilmImageProcessor(size=8, image_mean=[0, 0.5, 1], image_std=[1, 2, 0.5])
    pixels = processor(film, return_tensors="np")["pixel_values"][0]
    assert pixels[:, 0, 0] == pytest.approx([0, 0, -2], abs=1e-2)
    assert pixels[:, -1, 0] == pytest.approx([1, 0, 0], abs=1e-2)


@pytest.mark.parametrize(("name", "known"), [("fit", "stretch, pad, crop"), ("resample", "bicubic, bilinear")])
def test_unknown_ways_are_refused(name, known):
    with pytest.raises(InputError) as raised:
        FilmImageProcessor(**{name: "squeeze"})
    assert str(raised.value) == f"{name}: found 'squeeze'; expected one of {known}; choose one of them"


class TestOnFilm:
    """A map of 4 x 4, numbered 0 to 15, of a film twice as wide as high."""

    GRID = np.arange(16).reshape(4, 4)

    def on_film(self, fit, height=50, width=100):
        return FilmImageProcessor(fit=fit).on_film(self.GRID, height, width).tolist()

    def test_of_a_stretched_film_it_is_the_map(self):
        assert self.on_film("stretch") == self.GRID.tolist() == self.on_film("pad", 100, 100)

    def test_of_a_padded_film_the_padding_is_cut_off(self):
        assert self.on_film("pad") == [[4, 5, 6, 7], [8, 9, 10, 11]]
        assert self.on_film("pad", 100, 50) == [[1, 2], [5, 6], [9, 10], [13, 14]]

    def test_of_a_cropped_film_there_is_nothing_where_it_was_cut(self):
        assert self.on_film("crop") == [[0, 0, *row, 0, 0] for row in self.GRID.tolist()]
