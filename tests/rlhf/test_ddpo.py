"""DDPO: what it learns on toys whose optimum is known, and that a run which was stopped ends in the same bytes."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hf_medreport.files.interruption import Terminated
from hf_medreport.inference.generators import generator_revision
from hf_medreport.processing.input_error import InputError
from hf_medreport.rlhf.ddpo import policy_losses
from hf_medreport.rlhf.trajectories import step_divergences
from tests.diffusion import tiny_pipeline
from tests.rlhf.runs import brightness, ddpo, files, steady_pipeline

WEIGHTS = "adapter/pytorch_lora_weights.safetensors"


def test_loss_by_hand():
    # A good picture gains until its ratio is 1.1, a bad one until 0.9; beyond nothing, on the wrong side all of it.
    ratios, gains = torch.tensor([1.2, 0.5, 0.8, 1.3]), torch.tensor([2.0, 2.0, -1.0, -1.0])
    assert policy_losses(ratios, gains, 0.1).tolist() == pytest.approx([-2.2, -1.0, 0.9, 1.3])


def test_with_kl_it_stops_where_the_closed_form_says():
    """A policy of one step, Normal(m, s), that earns slope x: of reward - b KL the best m is m0 + slope s^2 / b."""
    slope, deviation, weight, start = 2.0, 0.5, 1.25, 0.3
    best = start + slope * deviation**2 / weight
    mean = torch.nn.Parameter(torch.tensor(start))
    optimizer, generator = torch.optim.Adam([mean], lr=0.02), torch.Generator().manual_seed(0)
    trace = []
    for _ in range(250):
        drawn = mean.detach() + deviation * torch.randn(256, generator=generator)
        old = torch.distributions.Normal(mean.detach(), deviation).log_prob(drawn)
        rewards = slope * drawn
        ratios = (torch.distributions.Normal(mean, deviation).log_prob(drawn) - old).exp()
        kl = step_divergences(mean.reshape(1, 1), torch.full((1, 1), start), deviation)
        loss = policy_losses(ratios, rewards - rewards.mean(), 1e-4).mean() + weight * kl.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        trace.append(mean.item())
    assert np.mean(trace[-100:]) == pytest.approx(best, abs=0.02) and best == pytest.approx(0.7)


def test_a_brightness_reward_rises_and_nothing_but_the_adapter_learns(tmp_path):
    pipe = steady_pipeline()
    before = generator_revision(pipe), pipe.scheduler
    ddpo(tmp_path / "run", pipe=pipe, rounds=5, samples_per_prompt=8, rewards_needed=8, learning_rate=2e-2)
    history = json.loads((tmp_path / "run/history.json").read_text())
    assert [line["step"] for line in history] == [1, 2, 3, 4, 5]
    assert history[0]["first_ratio"] == pytest.approx(1, abs=1e-5) and history[0]["kl"] is None
    error = history[0]["reward_std"] / np.sqrt(16)
    assert history[-1]["reward_mean"] > history[0]["reward_mean"] + 3 * error
    pipe.unet.unload_lora()
    assert (generator_revision(pipe), pipe.scheduler) == before


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """The pipeline and the folder of a run of one round."""
    folder = tmp_path_factory.mktemp("learned") / "run"
    return ddpo(folder, rounds=1), folder


def test_what_was_learned_is_loaded_like_any_adapter(learned):
    pipe, folder = learned
    other = steady_pipeline()
    other.load_lora_weights(folder / "adapter")
    drawn = [each("edema", "ct", seeds=[3], num_inference_steps=2, output_type="np").images for each in (pipe, other)]
    assert np.array_equal(*drawn)


def test_batches_that_add_up_learn_as_one(tmp_path):
    shared = {"rounds": 1, "kl_weight": 0.5, "learning_rate": 1e-3, "steps_trained": 1}
    ddpo(tmp_path / "one", batch_size=8, **shared)
    ddpo(tmp_path / "two", batch_size=4, gradient_accumulation_steps=2, **shared)
    one, two = (load_file(tmp_path / name / WEIGHTS) for name in ("one", "two"))
    assert max((one[name] - two[name]).abs().max() for name in one) < 2e-5
    assert any(each.abs().max() > 5e-4 for name, each in one.items() if "lora_B" in name)  # from 0: it did learn


def test_stopped_and_gone_on_with_it_ends_in_the_same_bytes(tmp_path):
    calls = []

    def stopped(images, prompts, modalities):
        calls.append(len(images))
        if len(calls) == 3:
            raise Terminated
        return brightness(images, prompts, modalities)

    stopped.__name__ = "brightness"
    ddpo(tmp_path / "whole", kl_weight=0.1)
    pipe = steady_pipeline()
    with pytest.raises(Terminated) as raised:
        ddpo(tmp_path / "parts", stopped, pipe, kl_weight=0.1)
    assert raised.value.__notes__ == ["interrupted: 2 done, 0 failed, 1 left; `resume` goes on"]
    assert not getattr(pipe.unet, "peft_config", None)
    ddpo(tmp_path / "parts", pipe=pipe, options={"resume": True}, kl_weight=0.1)
    assert files(tmp_path / "parts") == files(tmp_path / "whole")


def test_a_second_run_goes_on_from_an_adapter(learned, tmp_path):
    ddpo(tmp_path / "run", rounds=1, learning_rate=0, options={"adapter": learned[1] / "adapter"})
    assert (tmp_path / "run" / WEIGHTS).read_bytes() == (learned[1] / WEIGHTS).read_bytes()


# --- what cannot be ---


def nothing(images, prompts, modalities):
    return [0.5] * len(images)


class Short:
    """A reward that forgets a picture."""

    def __call__(self, images, prompts, modalities):
        return [0.5] * (len(images) - 1)


def nan(images, prompts, modalities):
    return [0.5, float("nan")] + [0.5] * (len(images) - 2)


def words(images, prompts, modalities):
    return ["good"] * len(images)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reward": nan}, "reward nan: found nan for picture 2 ('edema'); expected a finite number a picture"),
        ({"reward": words}, "reward words: found good for picture 1 ('edema'); expected a finite number a picture"),
        ({"reward": Short()}, "reward Short: found 7 for 8 pictures; expected one a picture"),
        ({"prompts": []}, "prompts: found none; expected one or more to draw for"),
        ({"modalities": ["cxr"]}, "modalities: found 1; expected 2, one a prompt"),
        ({"modalities": ["cxr", "pet"]}, "modality: found 'pet'"),
        ({"prompts": ["a" * 70, "b"]}, "prompt 1: found 83 tokens; expected at most 64"),
        ({"steps_trained": 3}, "steps_trained: found 3; expected at most 2: of 3 steps the last draws nothing"),
        ({"rewards_needed": 40}, "rewards_needed: found 40; expected at most 32, as `rewards_kept` says"),
        ({"options": {"adapter": "gone"}}, "adapter: found no folder gone; expected the folder of an adapter"),
        ({"options": {"resume": True, "overwrite": True}}, "overwrite: found it beside `resume`"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be(tmp_path, changes, message):
    pipe = steady_pipeline()
    with pytest.raises(ValueError) as raised:
        ddpo(tmp_path / "run", pipe=pipe, **{"reward": nothing, "rounds": 1} | changes)
    assert message in str(raised.value)
    assert not getattr(pipe.unet, "peft_config", None)
    assert not (tmp_path / "run/adapter").exists()


@pytest.mark.slow
def test_in_bfloat16_the_first_ratio_is_still_one(tmp_path):
    ddpo(tmp_path / "run", rounds=1, bf16="true")
    (line,) = json.loads((tmp_path / "run/history.json").read_text())
    assert line["first_ratio"] == pytest.approx(1, abs=1e-5)


def test_fp16_wants_a_gpu(tmp_path):
    with pytest.raises(InputError, match="fp16: found it without a GPU"):
        ddpo(tmp_path / "run", fp16=True)


def test_another_generator_or_other_settings_are_no_run_to_go_on_with(learned, tmp_path):
    pipe, folder = learned
    options = {"resume": True}
    with pytest.raises(InputError, match="pipe: found adapters .default.; expected a generator without"):
        ddpo(tmp_path / "other", pipe=pipe)
    with pytest.raises(InputError, match="run: found a run with learning_rate 0.01; expected learning_rate 0.5 as now"):
        ddpo(folder, rounds=1, learning_rate=0.5, options=options)
    wide = tiny_pipeline(sample_size=16)
    with pytest.raises(InputError, match='run with latents "4 of side 8", .*; expected latents "4 of side 16", '):
        ddpo(folder, rounds=1, pipe=wide, options=options)
    with pytest.raises(InputError, match="adapter: found an adapter for another base than .*; expected generator of"):
        ddpo(tmp_path / "other", pipe=tiny_pipeline(seed=1), options={"adapter": folder / "adapter"})
    with pytest.raises(InputError, match="run: found a finished run; expected a new or empty folder"):
        ddpo(folder, rounds=1)


def test_an_older_run_is_overwritten_with_its_checkpoints(tmp_path):
    (tmp_path / "run/checkpoint-9").mkdir(parents=True)
    ddpo(tmp_path / "run", rounds=1, options={"overwrite": True})
    assert [path.name for path in (tmp_path / "run").glob("checkpoint-*")] == ["checkpoint-1"]
