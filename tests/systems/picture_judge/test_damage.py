"""Known damage: each does what it says, strong ones more than slight ones, and the same again with the same chance."""

import numpy as np
import pytest

from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.picture_judge.damage import DAMAGES, damaged
from tests.evaluation.pictures.made import drawn


def rng(seed=0):
    return np.random.default_rng(seed)


def off(damage, level):
    """How far damaged pictures are from what they were, in gray levels, over several pictures and draws."""
    return np.mean(
        [
            np.abs(damaged(image, damage, level, rng(seed)).astype(int) - image).mean()
            for image in drawn().images[:5]
            for seed in range(4)
        ]
    )


@pytest.mark.parametrize("damage", DAMAGES)
def test_strong_is_worse_than_slight(damage):
    slight, strong = off(damage, "slight"), off(damage, "strong")
    assert 0.3 < slight < strong
    image = drawn().images[0]
    worse = damaged(image, damage, "slight", rng())
    assert worse.shape == image.shape and worse.dtype == np.uint8
    assert np.array_equal(worse, damaged(image, damage, "slight", rng())) and not np.array_equal(worse, image)


def test_each_does_what_it_says():
    image = drawn().images[1]
    blocks = damaged(image, "blocks", "slight", rng()).reshape(len(image) // 2, 2, -1, 2, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()  # blocks of 2 x 2 px
    assert (
        np.abs(np.diff(damaged(image, "blur", "strong", rng()).astype(int), axis=1)).max()
        < np.abs(np.diff(image.astype(int), axis=1)).max()
    )
    for seed in range(6):
        ratio = damaged(image, "contrast", "strong", rng(seed)).std() / image.std()
        assert ratio < 0.35 or ratio > 1.3
    assert set(np.unique(damaged(image, "torn", "strong", rng()))) <= set(np.unique(image))  # taken from elsewhere


def test_gray_stays_gray():
    image = drawn().images[1]
    for damage in DAMAGES:
        worse = damaged(image, damage, "strong", rng())
        assert (worse == worse[..., :1]).all() == (image == image[..., :1]).all()


@pytest.mark.parametrize(
    ("damage", "level", "message"),
    [
        (
            "fog",
            "slight",
            "damage: found 'fog'; expected one of blur, noise, blocks, contrast, torn; name one of these",
        ),
        ("blur", "none", "level: found 'none'; expected slight or strong; name one of the two"),
    ],
)
def test_what_is_refused(damage, level, message):
    with pytest.raises(InputError, match=message):
        damaged(drawn().images[0], damage, level, rng())
