"""Pictures made worse: each way does what it says, and none changes a side."""

import numpy as np
import pytest

from hf_medreport.systems.picture_judge.degrade import KINDS, PatchComponents, degraded, shifted
from tests.evaluation.pictures.made import drawn


@pytest.fixture(scope="module")
def components():
    return PatchComponents.fit(drawn().images)


def rng():
    return np.random.default_rng(0)


def test_all_components_give_the_picture_back_and_fewer_give_less(components):
    image = drawn().images[0]
    assert np.abs(components.decoded(image, 48, 0, rng()).astype(int) - image).max() <= 1
    errors = [np.abs(components.decoded(image, kept, 0, rng()).astype(int) - image).mean() for kept in (1, 8, 16)]
    assert errors[0] > errors[1] > errors[2]
    assert (np.diff(components.spread) <= 1e-6).all()
    np.testing.assert_allclose(components.basis @ components.basis.T, np.eye(48), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_stays_like_itself(components, kind):
    image = drawn().images[1]
    worse = degraded(image, kind, components, rng())
    assert worse.shape == image.shape and worse.dtype == np.uint8
    assert np.array_equal(worse, image) == (kind == "clean")
    like, mirrored = (np.corrcoef(worse.ravel(), other.ravel())[0, 1] for other in (image, image[:, ::-1]))
    assert like > 0.9 and like > mirrored
    assert np.array_equal(worse, degraded(image, kind, components, rng()))


def test_blur_and_noise_keep_gray_gray(components):
    image = drawn().images[1]
    for kind in ("blurred", "noisy"):
        worse = degraded(image, kind, components, rng())
        assert (worse == worse[..., :1]).all()


def test_a_shift_is_of_two_pixels_at_most():
    image = drawn().images[0]
    seen = {shifted(image, np.random.default_rng(seed))[10:20, 10:20].tobytes() for seen, seed in enumerate(range(60))}
    allowed = {image[10 + y : 20 + y, 10 + x : 20 + x].tobytes() for y in range(-2, 3) for x in range(-2, 3)}
    assert seen <= allowed and len(seen) > 10
