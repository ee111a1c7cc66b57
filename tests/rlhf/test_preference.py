"""Diffusion-DPO: the loss by hand, a margin that rises, the start by the adapter off."""

import json
import math

import pytest
import torch
from PIL import Image

from hf_medreport.data.ratings.pairs import RatedPair
from hf_medreport.processing.input_error import InputError
from hf_medreport.rlhf.preference import preference_losses, train_preference
from hf_medreport.rlhf.settings import PreferenceSettings
from tests.rlhf.runs import files, noisy_pictures, steady_pipeline

TINY = {"max_steps": 8, "batch_size": 4, "lora_rank": 2, "learning_rate": 1e-2, "save_steps": 4, "logging_steps": 1}


@pytest.fixture
def pairs(tmp_path) -> list[RatedPair]:
    """Bright pictures before dark ones."""
    made = []
    for number, pictures in enumerate(zip(noisy_pictures(4, 200), noisy_pictures(4, 60), strict=True)):
        paths = [tmp_path / f"{name}-{number}.png" for name in ("bright", "dark")]
        for path, picture in zip(paths, pictures, strict=True):
            Image.fromarray(picture).save(path)
        made.append(RatedPair("edema", "ct", *paths, 1.0))
    return made


def preference(pairs, output, pipe=None, options=None, **changes):
    pipe = pipe or steady_pipeline()
    train_preference(pipe, pairs, PreferenceSettings(**TINY | changes), output, **options or {})
    return pipe


def test_loss_by_hand():
    now = torch.tensor([0.5, 0.2]), torch.tensor([0.4, 0.5])
    before = torch.tensor([0.6, 0.2]), torch.tensor([0.4, 0.2])
    losses, margins = preference_losses(now, before, strength=20.0)
    assert margins.tolist() == pytest.approx([0.1, 0.3])  # the chosen one's fell; the rejected one's rose
    assert losses.tolist() == pytest.approx([math.log(1 + math.exp(-1)), math.log(1 + math.exp(-3))])


def test_the_margin_rises_from_nothing(pairs, tmp_path):
    preference(pairs, tmp_path / "run", preference_strength=500.0)
    history = json.loads((tmp_path / "run/history.json").read_text())
    assert history[0]["margin"] == 0 and history[0]["loss"] == pytest.approx(math.log(2))
    assert history[-1]["margin"] > history[2]["margin"] > 0 and history[-1]["right"] == 1
    assert history[-1]["loss"] < 0.6 * history[0]["loss"]


@pytest.mark.slow
def test_stopped_and_gone_on_with_it_ends_in_the_same_bytes(pairs, tmp_path, monkeypatch):
    preference(pairs, tmp_path / "whole")
    pipe, calls = steady_pipeline(), []
    encode = pipe.encode_prompts

    def stopped(*arguments):
        calls.append(1)
        if len(calls) == 2 * 6:  # each step looks twice
            raise KeyboardInterrupt
        return encode(*arguments)

    monkeypatch.setattr(pipe, "encode_prompts", stopped)
    with pytest.raises(KeyboardInterrupt):
        preference(pairs, tmp_path / "parts", pipe)
    preference(pairs, tmp_path / "parts", pipe, options={"resume": True})
    assert files(tmp_path / "parts") == files(tmp_path / "whole")


def test_a_pair_with_a_picture_that_is_gone_is_left_out(pairs, tmp_path):
    for pair in pairs:
        pair.rejected.unlink()
    with pytest.raises(InputError, match="pairs: found none of 4 that can be learned from; expected one or more; see"):
        preference(pairs, tmp_path / "run")
    with pytest.raises(InputError, match="pairs: found none; expected one or more; give some"):
        preference([], tmp_path / "run")
