"""Distances of sets in closed form, against plain loops and against the root of the matrix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from hf_medreport.evaluation.images.distribution import (
    clip_score,
    frechet_distance,
    inception_score,
    kernel_distance,
    size_warning,
)
from hf_medreport.processing.input_error import InputError


def features(seed: int, n: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, width)) @ rng.normal(size=(width, width)) + rng.normal(size=width)


def with_moments(mean: list[float], deviations: list[float]) -> np.ndarray:
    """A set whose sample mean and covariance, the squared deviations on its diagonal, are exactly these."""
    raw = np.random.default_rng(0).normal(size=(50, len(mean)))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw.T))).T
    return white * deviations + mean


def test_frechet_distance_of_two_gaussians_in_closed_form():
    # Diagonal covariances: the squared distance of the means plus that of the deviations.
    a, b = with_moments([0, 1, 2], [1, 2, 0.5]), with_moments([3, 1, 0], [2, 2, 1.5])
    assert frechet_distance(a, b) == pytest.approx(9 + 0 + 4 + 1 + 0 + 1)
    assert frechet_distance(a, a + [3, 4, 0]) == pytest.approx(25)  # not its square root


def test_frechet_distance_equals_the_root_of_the_matrix():
    a, b = features(0, 60, 6), features(1, 45, 6)
    first, second = np.cov(a.T), np.cov(b.T)
    trace = np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert frechet_distance(a, b) == pytest.approx(np.sum((a.mean(0) - b.mean(0)) ** 2) + trace)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(2, 12), st.integers(1, 8))
def test_laws_of_the_frechet_distance(seed, n, m, width):
    """Also with fewer pictures than features, where covariances are singular."""
    a, b = features(seed, n, width), features(seed + 1, m, width)
    distance = frechet_distance(a, b)
    assert 0 <= distance == pytest.approx(frechet_distance(b, a), rel=1e-6, abs=1e-9)
    assert frechet_distance(a, a[::-1]) == pytest.approx(0, abs=1e-9 * (1 + np.sum(a**2)))
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(width, width)))[0]
    assert frechet_distance(a @ turn, b @ turn) == pytest.approx(distance, rel=1e-6, abs=1e-6)


def test_constant_features_are_no_trouble():
    assert frechet_distance(np.ones((5, 3)), np.zeros((4, 3))) == 3


def plain_discrepancy(a: np.ndarray, b: np.ndarray) -> float:
    def kernel(x, y):
        return (sum(p * q for p, q in zip(x, y, strict=True)) / len(x) + 1) ** 3

    n = len(a)
    within = sum(kernel(s[i], s[j]) for s in (a, b) for i in range(n) for j in range(n) if i != j)
    return within / (n * (n - 1)) - 2 * sum(kernel(x, y) for x in a for y in b) / n**2


def test_kernel_distance_equals_plain_loops_on_its_subsets():
    a, b = features(0, 9, 4), features(1, 8, 4)
    mean, deviation, size = kernel_distance(a, b, subsets=3, seed=7)
    rng = np.random.default_rng(7)
    expected = [
        plain_discrepancy(a[rng.choice(9, 4, replace=False)], b[rng.choice(8, 4, replace=False)]) for _ in range(3)
    ]
    assert size == 4
    assert mean == pytest.approx(np.mean(expected)) and deviation == pytest.approx(np.std(expected))
    assert kernel_distance(a, b, subsets=3, seed=7) == (mean, deviation, size)


def test_kernel_distance_by_hand():
    # Sets of one value each: the kernel within a is (1 + 1)^3 = 8, within b and between 1; 8 + 1 - 2.
    a, b = np.ones((6, 1)), np.zeros((6, 1))
    assert kernel_distance(a, b)[:2] == (7, 0)
    assert kernel_distance(a, a)[:2] == (0, 0)


def test_kernel_distance_is_unbiased():
    """Of two samples of one distribution it is 0 on average, and about as often below."""
    rng = np.random.default_rng(0)
    values = [kernel_distance(*rng.normal(size=(2, 20, 5)), subsets=4)[0] for _ in range(200)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(200)
    assert 0.3 < np.mean(np.array(values) < 0) < 0.8


def test_inception_score_in_closed_form():
    # Sure of each picture and all classes alike: as many as there are classes. Always the same: 1.
    sure = 1000.0 * np.eye(4)[np.arange(40) % 4]
    assert inception_score(sure, splits=1) == (pytest.approx(4), 0)
    assert inception_score(np.tile([1.0, 2.0, 3.0], (10, 1)), splits=2) == (pytest.approx(1), pytest.approx(0))
    # Two pictures, (3/4, 1/4) and (1/4, 3/4), against (1/2, 1/2): exp(3/4 ln 3/2 + 1/4 ln 1/2).
    logits = np.log([[0.75, 0.25], [0.25, 0.75]])
    assert inception_score(logits, splits=1)[0] == pytest.approx(1.5**0.75 * 0.5**0.25)


def test_inception_score_splits_a_shuffled_set():
    logits = features(0, 20, 5)
    order = np.random.default_rng(3).permutation(20)
    halves = [inception_score(logits[order[part]], splits=1)[0] for part in (slice(0, 10), slice(10, 20))]
    mean, deviation = inception_score(logits, splits=2, seed=3)
    assert mean == pytest.approx(np.mean(halves)) and deviation == pytest.approx(np.std(halves))


def test_clip_score_by_hand():
    images, texts = np.array([[3.0, 4], [1, 0], [1, 0], [0, 0]]), np.array([[6.0, 8], [1, 1], [-1, 0], [1, 0]])
    assert clip_score(images, texts).tolist() == pytest.approx([100, 100 / 2**0.5, 0, 0])


def test_size_warning():
    assert size_warning(10_000, 20_000, 2048) is None
    assert size_warning(200, 3000, 2048) == (
        "FID from 200 real and 3000 fake pictures for 2048 features: covariances of such sets are singular and FID is "
        "mostly bias; use KID"
    )
    assert size_warning(2049, 3000, 2048) == (
        "FID from 2049 real and 3000 fake pictures is biased upwards: compare it only at equal counts (10000 are "
        "recommended), or use KID"
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: frechet_distance(np.ones((1, 2)), np.ones((5, 2))),
            "pictures: found 1 in a set; expected at least 2; give more of the set",
        ),
        (
            lambda: kernel_distance(np.ones((5, 2)), np.ones((3, 2))),
            "pictures: found 3 in a set; expected at least 4; give more of the set",
        ),
        (
            lambda: frechet_distance(np.ones((5, 2)), np.ones((5, 3))),
            "features: found widths 2 and 3; expected features of one extractor; extract both sets anew",
        ),
        (
            lambda: kernel_distance(np.full((5, 2), np.nan), np.ones((5, 2))),
            "features: found NaN or infinite values; expected finite features; check the extractor's weights",
        ),
        (
            lambda: inception_score(np.ones((9, 2))),
            "pictures: found 9 in a set; expected at least 10; give more of the set",
        ),
        (
            lambda: clip_score(np.ones((3, 2)), np.ones((2, 2))),
            "texts: found 2; expected 3, one a picture; pair them by name first",
        ),
    ],
)
def test_bad_features(call, message):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value) == message
