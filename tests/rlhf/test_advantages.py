"""Advantages: of a prompt's own rewards where there are enough, else of the round's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.rlhf.advantages import advantages


def test_a_prompt_is_held_to_itself():
    # "hard": mean 0.2, deviation 0.1; "easy": mean 0.8, deviation 0.1: the better picture of each counts alike.
    gains = advantages([0.1, 0.3, 0.7, 0.9], ["hard", "hard", "easy", "easy"], {}, kept=8, needed=2)
    assert gains == pytest.approx([-1, 1, -1, 1])


def test_too_few_rewards_of_a_prompt_and_the_round_counts():
    # Of the round: mean 2, deviation sqrt(2 / 3).
    gains = advantages([1, 2, 3], ["a", "b", "c"], {}, kept=8, needed=2)
    assert gains == pytest.approx([-np.sqrt(1.5), 0, np.sqrt(1.5)])


def test_rewards_of_earlier_rounds_count_until_they_are_dropped():
    known = {"a": [5.0, 0.0, 0.0]}
    gains = advantages([2.0], ["a"], known, kept=3, needed=3)  # of 0, 0, 2: mean 2 / 3, deviation sqrt(8) / 3
    assert gains == pytest.approx([np.sqrt(2)]) and known == {"a": [0.0, 0.0, 2.0]}


@given(st.floats(-5, 5), st.integers(1, 6))
def test_equal_rewards_teach_nothing(value, count):
    assert not advantages([value] * count, ["a"] * count, {}, kept=8, needed=2).any()
