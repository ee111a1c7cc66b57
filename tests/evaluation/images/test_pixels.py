"""MSE and PSNR by hand, SSIM and MS-SSIM against the definition written out in loops and in closed form."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.evaluation.images.pixels import _pair, ms_ssim, ms_ssim_diversity, mse, psnr, scales, ssim
from hf_medreport.processing.input_error import InputError

SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def noisy(seed: int, *shape: int) -> np.ndarray:
    """Soft blobs with noise, in [0, 1]."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    ground = 0.5 + 0.3 * np.sin(rows / 5 + seed) * np.cos(columns / 7)
    return np.clip(ground.reshape(ground.shape + (1,) * (len(shape) - 2)) + rng.normal(0, 0.1, shape), 0, 1)


def plain_similarity(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """SSIM and its contrast-structure factor, window by window."""
    taps = [math.exp(-((place - 5) ** 2) / (2 * 1.5**2)) for place in range(11)]
    window = np.outer(taps, taps) / sum(taps) ** 2
    whole, structure = [], []
    for row in range(a.shape[0] - 10):
        for column in range(a.shape[1] - 10):
            x, y = a[row : row + 11, column : column + 11], b[row : row + 11, column : column + 11]
            mean_x, mean_y = (window * x).sum(), (window * y).sum()
            variance_x, variance_y = (window * (x - mean_x) ** 2).sum(), (window * (y - mean_y) ** 2).sum()
            covariance = (window * (x - mean_x) * (y - mean_y)).sum()
            structure.append((2 * covariance + 0.0009) / (variance_x + variance_y + 0.0009))
            whole.append(structure[-1] * (2 * mean_x * mean_y + 0.0001) / (mean_x**2 + mean_y**2 + 0.0001))
    return sum(whole) / len(whole), sum(structure) / len(structure)


def halved(a: np.ndarray) -> np.ndarray:
    return np.array(
        [
            [a[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].mean() for j in range(a.shape[1] // 2)]
            for i in range(a.shape[0] // 2)
        ]
    )


def test_mse_and_psnr_by_hand():
    a, b = np.zeros((8, 8)), np.zeros((8, 8))
    b[0, 0], b[3, 3] = 0.8, 0.6  # (0.64 + 0.36) / 64 = 1 / 64
    assert mse(a, b) == pytest.approx(1 / 64)
    assert psnr(a, b) == pytest.approx(10 * math.log10(64))
    assert psnr(a, a + 0.1) == pytest.approx(20)
    assert mse(a, a) == 0 and psnr(a, a) == math.inf


def test_ssim_equals_the_definition_in_loops():
    a, b = noisy(0, 17, 20), noisy(1, 17, 20)
    assert ssim(a, b) == pytest.approx(plain_similarity(a, b)[0], abs=1e-12)


def test_ssim_of_color_is_the_mean_of_its_channels():
    a, b = noisy(0, 16, 16, 3), noisy(1, 16, 16, 3)
    assert ssim(a, b) == pytest.approx(np.mean([ssim(a[..., c], b[..., c]) for c in range(3)]))
    assert ms_ssim(a, b) == pytest.approx(np.mean([ms_ssim(a[..., c], b[..., c]) for c in range(3)]))


def test_constant_pictures_in_closed_form():
    # Flat pictures have no variance: contrast and structure are 1, and what is left is the luminance factor.
    luminance = (2 * 0.2 * 0.6 + 0.0001) / (0.2**2 + 0.6**2 + 0.0001)
    small, large = np.full((12, 12), 0.2), np.full((176, 180), 0.2)
    assert ssim(small, small + 0.4) == pytest.approx(luminance)
    assert ms_ssim(small, small + 0.4) == pytest.approx(luminance)  # one scale, of weight 1
    assert ms_ssim(large, large + 0.4) == pytest.approx(luminance**0.1333)  # the last of five


def test_ms_ssim_equals_the_definition_in_loops():
    a, b = noisy(0, 23, 25), noisy(0, 23, 25) ** 1.3
    first, second = SSIM_WEIGHTS[0] / sum(SSIM_WEIGHTS[:2]), SSIM_WEIGHTS[1] / sum(SSIM_WEIGHTS[:2])
    expected = plain_similarity(a, b)[1] ** first * plain_similarity(halved(a), halved(b))[0] ** second
    assert ms_ssim(a, b) == pytest.approx(expected, abs=1e-12)


def test_a_negative_is_not_alike_at_all():
    a = noisy(0, 24, 24)
    assert ssim(a, 1 - a) < 0 and ms_ssim(a, 1 - a) == 0


@pytest.mark.parametrize(
    ("side", "expected"), [(11, 1), (21, 1), (22, 2), (44, 3), (88, 4), (175, 4), (176, 5), (4000, 5)]
)
def test_scales(side, expected):
    assert scales((side, 5000)) == expected


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(11, 30), st.integers(11, 30))
def test_laws(seed, height, width):
    a, b = noisy(seed, height, width), noisy(seed + 1, height, width)
    for metric in (ssim, ms_ssim):
        assert metric(a, a) == pytest.approx(1) and metric(a, b) == pytest.approx(metric(b, a)) and metric(a, b) < 1


def test_more_noise_is_less_alike():
    a, noise = noisy(0, 48, 48), np.random.default_rng(5).normal(size=(48, 48))
    for metric in (ssim, ms_ssim, psnr):
        values = [metric(a, a + sigma * noise) for sigma in (0.01, 0.05, 0.2)]
        assert values == sorted(values, reverse=True)


def test_diversity_is_the_mean_over_pairs():
    pictures = [noisy(seed, 16, 16) for seed in range(4)]
    every = [ms_ssim(pictures[i], pictures[j]) for j in range(4) for i in range(j)]
    assert ms_ssim_diversity(pictures) == pytest.approx(np.mean(every))
    some = ms_ssim_diversity(pictures, pairs=2, seed=3)
    assert some == ms_ssim_diversity(pictures, pairs=2, seed=3)
    assert any(some == pytest.approx((x + y) / 2) for x in every for y in every if x != y)
    assert ms_ssim_diversity([pictures[0]] * 3) == pytest.approx(1)  # a collapsed set


def test_pairs_are_counted_through():
    assert [_pair(number) for number in range(6)] == [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]
    n = 100_000
    assert _pair(n * (n - 1) // 2 - 1) == (n - 2, n - 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: mse(np.zeros((12, 16)), np.zeros((16, 12))),
            "pair: found 16 x 12 and 12 x 16 px; expected two pictures of one size; "
            "resize one set first, and say how in your report",
        ),
        (
            lambda: ssim(np.zeros((12, 12)), np.zeros((12, 12, 3))),
            "pair: found a gray and a color picture; expected two of one kind; convert one set first",
        ),
        (
            lambda: ms_ssim(np.zeros((10, 12)), np.zeros((10, 12))),
            "picture: found 12 x 10 px; expected at least 11 px a side, the window of SSIM; "
            "leave it out or give it at full size",
        ),
        (
            lambda: ms_ssim_diversity([np.zeros((12, 12))]),
            "pictures: found 1 in the set; expected at least 2, to make a pair; give more of the set",
        ),
    ],
)
def test_bad_pictures(call, message):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == message
