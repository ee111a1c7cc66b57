"""Rewards of a run: what is added up, and what is refused."""

import math

import pytest

from hf_medreport.processing.input_error import InputError
from hf_medreport.training.reinforce.rewards import Rewards, named_rewards


def function(values, name="mine"):
    def reward(prompts, completions, **columns):
        return values

    reward.__name__ = name
    return reward


def refused(act) -> str:
    with pytest.raises(InputError) as raised:
        act()
    return str(raised.value)


def test_a_weighted_sum_of_what_is_judged():
    rewards = Rewards([function([1.0, None, None]), function([2.0, 3.0, None], "other")], [1.0, 0.5])
    totals, each = rewards(["a", "b", "c"], ["x"] * 3, [True] * 3)
    assert totals[:2] == [2.0, 1.5] and math.isnan(totals[2])
    assert each == {"mine": [1.0, None, None], "other": [2.0, 3.0, None]}


def test_what_a_function_is_given():
    def reward(prompts, completions, reference, ended):
        return [float(text == true and end) for text, true, end in zip(completions, reference, ended, strict=True)]

    assert Rewards([reward], [2.0])(["a", "b", "c"], ["a", "b", "d"], [True, False, True])[0] == [2.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.5, math.nan], "reward 'mine': found nan for report 2 of 2; expected a finite number, or None; return None"),
        ([math.inf, 0], "reward 'mine': found inf for report 1 of 2; expected a finite number, or None; return None"),
        ([0.5], "reward 'mine': found 1 values for 2 reports; expected one a report; return a list as long as"),
        ([0.5] * 3, "reward 'mine': found 3 values for 2 reports; expected one a report; return a list as long as"),
        (0.5, "reward 'mine': found 1 values for 2 reports; expected one a report; return a list as long as"),
    ],
)
def test_what_no_report_can_learn_from(values, message):
    assert refused(lambda: Rewards([function(values)], [1.0])(["a", "b"], ["x", "y"], [True] * 2)).startswith(message)


@pytest.mark.parametrize(
    ("names", "weights", "message"),
    [
        ([], [], "rewards: found none; expected names, each once; see `report_reward`"),
        (["rougeL", "rougeL"], [], "rewards: found rougeL, rougeL; expected names, each once; see `report_reward`"),
        (["composit"], [], "reward: found 'composit'; expected one of composite, slide_composite, bleu1, "),
        (["bertscore"], [], "metric bertscore: found no option 'model'; expected an encoder's folder"),
        (["composite"], [1, 2], "reward_weights: found 2 weights for 1 rewards; expected one a reward; give as many"),
        (["composite"], [0.0], "reward_weights: found 0; expected finite numbers, none of them 0; leave that reward"),
        (["composite"], [math.nan], "reward_weights: found nan; expected finite numbers, none of them 0; leave that"),
    ],
)
def test_names_and_weights_that_do_not_go(names, weights, message):
    assert refused(lambda: named_rewards(names, weights, [])).startswith(message)


def test_named_rewards_weigh_one_each():
    rewards = named_rewards(["rougeL", "composite"], [], ["Clear lungs."])
    totals, each = rewards(["No effusion.", ""], ["No effusion.", "No effusion."], [True, True])
    assert totals == [2.0, -1.0] and list(each) == ["rougeL", "composite"]
