"""Figures of scores by hand, and kappa beside scikit-learn's."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from hf_medreport.data.ratings.table import Rating
from hf_medreport.training.reward_models.figures import (
    among_raters,
    as_rating,
    kappas,
    pairwise,
    reliability,
    reward_figures,
)


def rated(*ratings: int, prompts="aabb", rater: str = "one") -> list[Rating]:
    return [Rating(Path(f"{k}.png"), value, None, 3, prompts[k], rater) for k, value in enumerate(ratings)]


def test_pairs_of_a_prompt_by_hand():
    # Prompt a: 3 above 1 is right. Prompt b: 2 and 1 score alike, which counts half. Across prompts nothing counts.
    told = pairwise(np.array([0.9, 0.2, 0.5, 0.5]), rated(3, 1, 2, 1))
    assert told["pairwise"] == 0.75 and told["pairs"] == 2
    assert 0.5 <= told["pairwise_interval"][0] <= 0.75 <= told["pairwise_interval"][1] <= 1
    nothing = pairwise(np.array([0.1, 0.2, 0.3, 0.4]), rated(2, 2, 3, 3))
    assert nothing == {"pairwise": None, "pairwise_interval": None, "pairs": 0}
    twice = [*rated(3, 2, prompts="aa"), *rated(1, 2, prompts="aa", rater="two")]  # a picture is no pair with itself
    # One rater holds the first picture for the better, the other the second: against each of both, 2 of 4 are right.
    assert pairwise(np.array([0.9, 0.1, 0.9, 0.1]), twice)["pairwise"] == 0.5


def test_reliability_and_its_error_by_hand():
    scores, wanted = np.array([0.05, 0.07, 0.55, 1.0]), np.array([0.0, 0.5, 0.5, 1.0])
    bins = reliability(scores, wanted)
    assert [(one["from"], one["to"], one["n"]) for one in bins] == [(0, 0.1, 2), (0.5, 0.6, 1), (0.9, 1.0, 1)]
    assert bins[0]["score"] == pytest.approx(0.06) and bins[0]["rating"] == 0.25
    figures = reward_figures(scores, rated(1, 2, 2, 3))
    assert figures["calibration_error"] == pytest.approx((2 * 0.19 + 0.05) / 4)


def test_a_constant_is_right_by_chance_and_a_perfect_score_always():
    ratings = rated(3, 1, 3, 2)
    constant, perfect = reward_figures(np.full(4, 0.6), ratings), reward_figures(np.array([1, 0, 1, 0.5]), ratings)
    assert constant["auc"] == constant["pairwise"] == 0.5 and constant["raters"]["one"]["kappa"] == 0
    assert perfect["auc"] == perfect["pairwise"] == perfect["raters"]["one"]["kappa"] == 1
    assert perfect["calibration_error"] == 0
    only_good = reward_figures(np.array([0.5, 0.6, 0.7, 0.8]), rated(3, 3, 3, 3))
    assert only_good["auc"] is None and only_good["pairwise"] is None


def test_scores_as_ratings():
    assert as_rating(np.array([0, 0.24, 0.26, 0.74, 0.76, 1])).tolist() == [1, 1, 2, 2, 3, 3]


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=2, max_size=40))
@settings(max_examples=30, deadline=None)
def test_kappa_is_scikit_learns(pairs):
    one, other = zip(*pairs, strict=True)
    table = np.zeros((3, 3))
    np.add.at(table, (np.array(one) - 1, np.array(other) - 1), 1)
    if len({*one, *other}) == 1:
        assert np.isnan(kappas(table))[0]
    else:
        assert kappas(table)[0] == pytest.approx(cohen_kappa_score(one, other, weights="quadratic", labels=[1, 2, 3]))


def test_raters_among_themselves():
    ratings = [*rated(3, 1, 2, 1), *rated(3, 1, 2, 1, rater="two")[:3], *rated(1, rater="three", prompts="c")]
    told = among_raters(ratings)
    assert set(told) == {"one and two"} and told["one and two"]["kappa"] == 1 and told["one and two"]["n"] == 3
