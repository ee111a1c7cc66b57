"""The best of n: until enough pass, no longer than allowed, and the policy chooses."""

from types import SimpleNamespace

import numpy as np
import pytest

from hf_medreport.processing.input_error import InputError
from hf_medreport.rlhf.rounds.candidates import (
    Candidate,
    GeneratorReward,
    best_of,
    checked_scores,
    draw_candidates,
    figures_of,
    picture_name,
)
from hf_medreport.rlhf.rounds.loop_settings import LoopSettings

SETTINGS = LoopSettings(phantom_prompts=2, num_candidates=2, max_attempts=4, quality_threshold=0.5, batch_size=2)


class Pipe:
    """A picture as bright as its seed says: 255 of even seeds of the prompt "good", 51 of all others."""

    text_encoder = SimpleNamespace(config=SimpleNamespace(modalities=[]))

    def __init__(self):
        self.seeds = []

    def __call__(self, prompts, modalities, *, seeds, **_):
        assert len(prompts) <= 2 and modalities is None
        self.seeds += seeds
        bright = [
            1.0 if prompt == "good" and seed % 2 == 0 else 0.2 for prompt, seed in zip(prompts, seeds, strict=True)
        ]
        return SimpleNamespace(images=np.ones((len(seeds), 4, 4, 3)) * np.array(bright)[:, None, None, None])


class Model:
    def __init__(self, score):
        self.score = score


def reward() -> GeneratorReward:
    bright = Model(lambda images, prompts: images.mean(axis=(1, 2, 3)) / 255)
    return GeneratorReward(bright, Model(lambda images, prompts, names: np.linspace(0.9, 0.1, len(images))))


def test_attempts_end_when_enough_passed_or_at_the_last_one(caplog):
    pipe = Pipe()
    found = draw_candidates(pipe, ["good", "bad"], [None, None], reward(), SETTINGS, 100)
    assert [[one.passed for one in those] for those in found] == [[True, False, True], [False] * 4]
    # Seeds of a prompt lie together, so that the number of attempts at one does not move those of another.
    assert [[one.seed for one in those] for those in found] == [[100, 101, 102], [104, 105, 106, 107]]
    assert pipe.seeds == [100, 104, 101, 105, 102, 106, 107]
    figures = figures_of(found, SETTINGS)
    assert figures["attempts"] == 7 and figures["pass_rate"] == 2 / 7 and figures["prompts_without_candidate"] == 1
    assert figures["reward_of_chosen"] == pytest.approx((1.0 * 0.9 + 0.2 * 0.1) / 2)
    assert caplog.messages == [
        "of 1 of 2 prompts no picture reached a quality of 0.5 in 4 attempts: the best is kept and marked"
    ]


def candidate(selector: float, policy: float, passed: bool) -> Candidate:
    return Candidate(2, 0, 0, np.zeros((4, 4, 3), np.uint8), selector, policy, passed)


def test_the_policy_chooses_among_those_that_passed():
    one, other, failed = candidate(0.9, 0.3, True), candidate(0.6, 0.5, True), candidate(0.4, 0.99, False)
    assert best_of([one, other, failed]) is other
    assert best_of([failed, candidate(0.1, 1.0, False)]) is failed
    assert picture_name(other, "cxr") == "cxr_0003_selector_0.60_policy_0.50.png"
    assert picture_name(other, "a/b") == "a-b_0003_selector_0.60_policy_0.50.png"
    assert picture_name(other, None) == "picture_0003_selector_0.60_policy_0.50.png"


def test_the_reward_is_the_product():
    images = np.full((2, 4, 4, 3), 51, np.uint8)
    assert reward()(images, ["a", "b"]) == pytest.approx([0.2 * 0.9, 0.2 * 0.1])


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([0.5, np.nan], "selector: found a score of nan; expected a finite number a picture; train it again"),
        ([0.5], "selector: found scores of shape (1,); expected 2, one a picture; mend the model"),
    ],
)
def test_scores_that_are_none(scores, message):
    with pytest.raises(InputError) as error:
        checked_scores("selector", scores, 2)
    assert str(error.value) == message
