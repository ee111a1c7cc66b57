"""Quality on pictures whose noise, contrast and slope are known."""

import math

import numpy as np
import pytest

from hf_medreport.evaluation.images.quality import contrast, noise, sharpness, snr, uniformity


def test_the_noise_that_was_added_is_found_on_any_smooth_ground():
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:256, :256] / 256
    for ground in (0.5 + 0 * rows, 0.3 + 0.4 * rows, 0.2 + 0.3 * rows * columns):
        picture = ground + rng.normal(0, 0.02, ground.shape)
        assert noise(picture) == pytest.approx(0.02, rel=0.02)
        assert snr(picture) == pytest.approx(ground.mean() / 0.02, rel=0.02)


def test_noise_of_one_bright_pixel_by_hand():
    picture = np.zeros((8, 8))
    picture[4, 4] = 1
    # The mask's magnitudes add up to 16, over 6 x 6 places, scaled by sqrt(pi / 2) / 6.
    assert noise(picture) == pytest.approx(math.sqrt(math.pi / 2) / 6 * 16 / 36)


def test_a_picture_without_noise_has_infinite_snr():
    assert snr(np.full((8, 8), 0.5)) == math.inf


def test_contrast_and_sharpness_by_hand():
    halves = np.zeros((16, 16))
    halves[:, 8:] = 1
    assert contrast(halves) == 0.5 and contrast(np.full((8, 8), 0.3)) == pytest.approx(0, abs=1e-12)
    # Of the 14 inner columns the two at the edge have slope 1/2.
    assert sharpness(halves) == pytest.approx(2 / 14 * 0.25) == pytest.approx(sharpness(halves.T))
    ramp = np.tile(np.arange(20) * 0.03, (10, 1))
    assert sharpness(ramp) == pytest.approx(0.03**2)


def test_uniformity_by_hand():
    halves = np.zeros((4, 4))
    halves[:, 3:] = 1
    assert uniformity(halves) == 0.75**2 + 0.25**2 and uniformity(np.full((8, 8), 0.3)) == 1
    assert uniformity(np.arange(256).reshape(16, 16) / 255) == pytest.approx(1 / 256)


def test_blur_lowers_sharpness_and_color_counts_as_luma():
    rng = np.random.default_rng(0)
    picture = rng.random((32, 32))
    blurred = (picture + np.roll(picture, 1, axis=0) + np.roll(picture, 1, axis=1)) / 3
    assert sharpness(blurred) < sharpness(picture) and contrast(blurred) < contrast(picture)
    green = np.zeros((32, 32, 3))
    green[..., 1] = picture
    assert contrast(green) == pytest.approx(0.587 * contrast(picture))
    assert sharpness(green) == pytest.approx(0.587**2 * sharpness(picture))
