"""Weighted regression: weights by hand, an optimum that is known, resumed to the same bytes, bad rows told."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image

from hf_medreport.data.ratings.table import Rating
from hf_medreport.processing.input_error import InputError
from hf_medreport.rlhf.settings import WeightedRegressionSettings
from hf_medreport.rlhf.weighted_regression import train_weighted_regression, weights_of
from tests.rlhf.runs import clean_picture, files, noisy_pictures, steady_pipeline

TINY = {"max_steps": 4, "batch_size": 4, "lora_rank": 2, "learning_rate": 1e-2, "save_steps": 2, "logging_steps": 3}


def rated(folder, levels=(60, 180), prompt="edema") -> list[Rating]:
    """Two pictures a gray level, the first rated 1 and the last 3."""
    ratings = []
    for number, level in enumerate(levels):
        for count, picture in enumerate(noisy_pictures(2, level, seed=number)):
            path = folder / f"{level}-{count}.png"
            Image.fromarray(picture).save(path)
            ratings.append(Rating(path, 3 if number else 1, "ct", 2, prompt))
    return ratings


def regression(ratings, output, pipe=None, rewards=None, options=None, **changes):
    pipe = pipe or steady_pipeline()
    settings = WeightedRegressionSettings(**TINY | changes)
    train_weighted_regression(pipe, ratings, settings, output, rewards=rewards, **options or {})
    return pipe


def test_weights_by_hand(tmp_path):
    rows = [Rating(tmp_path, 1, None, 1, "a"), Rating(tmp_path, 3, None, 3, "a")]
    # rating x level / 3: 1/3 and 3, of mean 5/3.
    assert weights_of(rows, [], WeightedRegressionSettings(weighting="rating")) == pytest.approx([0.2, 1.8])
    # exp(2 x 0) and exp(2 x 0.5), twice their shares.
    weights = weights_of(rows, [0.0, 0.5], WeightedRegressionSettings(temperature=2.0))
    assert weights == pytest.approx([2 / (1 + np.e), 2 * np.e / (1 + np.e)])
    # A value that is the same for all has no effect.
    assert weights_of(rows, [7.0, 7.5], WeightedRegressionSettings(temperature=2.0)) == pytest.approx(weights)


@pytest.mark.slow
def test_it_goes_to_the_weighted_mean(tmp_path):
    """Of nothing but noise the best guess is the mean of the pictures, each by its weight: here 1 to 9."""
    ratings = rated(tmp_path)
    settings = {"max_steps": 40, "batch_size": 8, "learning_rate": 3e-2, "prompt_dropout": 0.0, "lora_rank": 4}
    pipe = regression(ratings, tmp_path / "run", rewards=[0, 0, 1, 1], temperature=np.log(9), **settings)
    assert clean_picture(pipe, "edema", "ct") == pytest.approx(0.1 * 60 + 0.9 * 180, abs=15)


@pytest.mark.slow
def test_stopped_and_gone_on_with_it_ends_in_the_same_bytes(tmp_path, monkeypatch):
    ratings = rated(tmp_path)
    regression(ratings, tmp_path / "whole")
    pipe, calls = steady_pipeline(), []
    encode = pipe.encode_prompts

    def stopped(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return encode(*arguments)

    monkeypatch.setattr(pipe, "encode_prompts", stopped)
    with pytest.raises(KeyboardInterrupt) as raised:
        regression(ratings, tmp_path / "parts", pipe)
    assert raised.value.__notes__ == ["interrupted: 2 done, 0 failed, 2 left; `resume` goes on"]
    regression(ratings, tmp_path / "parts", pipe, options={"resume": True})
    assert files(tmp_path / "parts") == files(tmp_path / "whole")


def test_pictures_that_cannot_be_used_are_told_and_left_out(tmp_path, caplog):
    ratings = rated(tmp_path)
    ratings[0].image.write_bytes(b"no picture")
    ratings[1].image.unlink()
    ratings.append(Rating(ratings[3].image, 2, "pet", 3, "edema"))
    with caplog.at_level(logging.WARNING):
        regression(ratings, tmp_path / "run", max_steps=1)
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("left out")]
    assert len(told) == 3 and "60-0.png" in told[0] and "60-1.png" in told[1]
    assert told[2].startswith("left out: rated, row 5: modality: found 'pet'")
    with pytest.raises(InputError, match="rated: found none of 2 that can be learned from; expected one or more"):
        regression(ratings[:2], tmp_path / "other")
    with pytest.raises(InputError, match="rated: found none; expected one or more; give some"):
        regression([], tmp_path / "other")


@pytest.mark.parametrize(
    ("rewards", "message"),
    [
        ([1, 2, 3], "rewards: found 3 for 4 pictures; expected one a picture; give as many"),
        ([1, 2, float("nan"), 0], "rewards: found nan for 180-0.png; expected a finite number a picture"),
    ],
)
def test_rewards_that_cannot_be(tmp_path, rewards, message):
    with pytest.raises(InputError) as raised:
        regression(rated(tmp_path), tmp_path / "run", rewards=rewards)
    assert str(raised.value).startswith(message)


def test_accumulated_batches_learn_as_one(tmp_path):
    ratings, shared = rated(tmp_path), {"max_steps": 2, "learning_rate": 1e-3}
    pipes = [
        regression(ratings, tmp_path / "one", **shared),
        regression(ratings, tmp_path / "two", batch_size=2, gradient_accumulation_steps=2, **shared),
    ]
    one, two = ({name: each for name, each in pipe.unet.named_parameters() if "lora" in name} for pipe in pipes)
    assert max((one[name] - two[name]).abs().max() for name in one) < 2e-5
    assert any(bool(torch.any(each != 0)) for name, each in one.items() if "lora_B" in name)
