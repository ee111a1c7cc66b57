"""The figures of a classification: worked by hand, against scipy, by law, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from hf_medreport.evaluation.classification import (
    auc,
    brier,
    calibration_error,
    classification_figures,
    majority_figures,
)
from hf_medreport.evaluation.significance import bootstrap_interval
from hf_medreport.processing.input_error import InputError


def test_auc_by_hand():
    """Of six pairs 0.4 beats 0.1 and ties with two, which count half, and 0.8 beats three: 1 + 2 / 2 + 3 = 5."""
    assert auc([0.1, 0.4, 0.4, 0.4, 0.8], [0, 0, 0, 1, 1]) == pytest.approx(5 / 6)
    assert auc([0.2, 0.9], [0, 1]) == 1 and auc([0.9, 0.2], [0, 1]) == 0 and auc([0.3, 0.3], [0, 1]) == 0.5
    assert auc([0.2, 0.9], [1, 1]) is None and auc([0.2], [0]) is None


def test_brier_by_hand():
    """(0.1 squared + 0.2 squared + 0.5 squared) / 3"""
    assert brier([0.9, 0.2, 0.5], [1, 0, 0]) == pytest.approx(0.1)


def test_calibration_error_by_hand():
    # 0 to 0.1: mean 0.04, half are abnormal; 0.5 to 0.6: 0.5, none is; 0.9 to 1: mean 0.975, both are
    probabilities, labels = [0.02, 0.06, 0.5, 0.95, 1.0], [0, 1, 0, 1, 1]
    assert calibration_error(probabilities, labels) == pytest.approx(0.4 * 0.46 + 0.2 * 0.5 + 0.4 * 0.025)
    # 0.1 is in the bin above 0.05's; in one bin they would give |0.15 - 1| / 2
    assert calibration_error([0.1, 0.05], [0, 1]) == pytest.approx((0.1 + 0.95) / 2)


def test_the_other_figures_by_hand():
    """At 0.5 a case is called abnormal: two of three abnormal ones are, and the normal one is not."""
    probabilities, labels = [0.9, 0.5, 0.4, 0.1], [1, 1, 1, 0]
    figures = classification_figures(probabilities, labels)
    assert figures["accuracy"] == 0.75 and figures["specificity"] == 1 and figures["auc"] == 1
    assert figures["sensitivity"] == pytest.approx(2 / 3)
    assert figures["brier"] == brier(probabilities, labels)
    assert figures["calibration_error"] == calibration_error(probabilities, labels)
    assert list(classification_figures(probabilities, labels, ("accuracy", "auc"))) == ["accuracy", "auc", "intervals"]
    assert majority_figures(labels) == {"accuracy": 0.75, "brier": 0.1875}
    # what it is: a classification that gives every case the share of abnormal ones
    same = classification_figures([0.75] * 4, labels)
    assert (same["accuracy"], same["brier"], same["auc"], same["calibration_error"]) == (0.75, 0.1875, 0.5, 0)


def test_a_figure_of_no_cases_is_none():
    figures = classification_figures([0.9, 0.2], [1, 1])
    assert figures["auc"] is figures["specificity"] is figures["intervals"]["auc"] is None
    assert figures["intervals"]["specificity"] is None and figures["sensitivity"] == 0.5


def test_intervals_are_those_of_the_figures():
    """Each set of cases that the bootstrap draws is written out, and its figure taken anew."""
    rng = np.random.default_rng(3)
    labels, probabilities = rng.permutation([0] * 12 + [1] * 8), rng.random(20).round(1)
    intervals = classification_figures(probabilities, labels)["intervals"]
    drawn = np.random.default_rng(0).multinomial(20, np.full(20, 1 / 20), size=1000)
    values = {"auc": [], "calibration_error": [], "sensitivity": []}
    for times in drawn:
        p, y = np.repeat(probabilities, times), np.repeat(labels, times)
        ahead = p[y == 1][:, None] - p[y == 0]  # of every pair
        values["auc"].append(((ahead > 0) + (ahead == 0) / 2).mean())
        values["calibration_error"].append(calibration_error(p, y))
        values["sensitivity"].append((p[y == 1] >= 0.5).mean())
    for name, of_drawn in values.items():
        assert intervals[name] == pytest.approx(np.quantile(of_drawn, [0.025, 0.975])), name
    assert intervals["brier"] == list(bootstrap_interval((probabilities - labels) ** 2))


SCORES = st.lists(st.tuples(st.integers(0, 10), st.integers(0, 1)), min_size=1, max_size=30)


@given(SCORES)
def test_auc_by_law(pairs):
    tenths, labels = np.array(pairs).T
    scores = tenths / 10
    value = auc(scores, labels)
    if labels.min() == labels.max():
        assert value is None
        return
    positive, negative = scores[labels == 1], scores[labels == 0]
    assert value == pytest.approx(mannwhitneyu(positive, negative).statistic / (len(positive) * len(negative)))
    assert auc(-scores, labels) == pytest.approx(1 - value)
    assert auc(scores, 1 - labels) == pytest.approx(1 - value)
    assert auc(scores**3 * 5 - 1, labels) == pytest.approx(value)  # only the order matters


@given(SCORES)
def test_calibration_by_law(pairs):
    """It is at least the gap of the means, and at most the mean distance, which is at most the root of Brier."""
    tenths, labels = np.array(pairs).T
    error = calibration_error(tenths / 10, labels)
    assert abs((tenths / 10).mean() - labels.mean()) - 1e-12 <= error
    assert error <= np.sqrt(brier(tenths / 10, labels)) + 1e-12
    assert brier(labels, labels) == calibration_error(labels, labels) == 0


BAD = {
    "no cases": (
        ([], []),
        "probabilities: found shape (0,) for labels (0,); expected one of each a case; give both of the same cases",
    ),
    "unlike numbers": (
        ([0.5, 0.5], [1]),
        "probabilities: found shape (2,) for labels (1,); expected one of each a case; give both of the same cases",
    ),
    "a table": (
        ([[0.5, 0.5]], [[0, 1]]),
        "probabilities: found shape (1, 2) for labels (1, 2); expected one of each a case; give both of the same cases",
    ),
    "nan": (
        ([0.5, np.nan], [0, 1]),
        "probabilities[1]: found nan; expected 0 to 1; check the model's weights",
    ),
    "a logit": (
        ([0.5, -3.5], [0, 1]),
        "probabilities[1]: found -3.5; expected 0 to 1; check the model's weights",
    ),
    "percent": (
        ([50, 0.1], [0, 1]),
        "probabilities[0]: found 50; expected 0 to 1; check the model's weights",
    ),
    "a label of no class": (
        ([0.5, 0.5], [0, 2]),
        "labels[1]: found 2; expected 0 (normal) or 1 (abnormal); correct the labels",
    ),
    "an unknown label": (
        ([0.5, 0.5], [-100, 1]),
        "labels[0]: found -100; expected 0 (normal) or 1 (abnormal); correct the labels",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("figure", [brier, calibration_error, classification_figures])
def test_no_classification(figure, arguments, message):
    with pytest.raises(InputError) as caught:
        figure(*arguments)
    assert str(caught.value) == message


def test_auc_takes_any_finite_scores():
    assert auc([-3.5, 50], [0, 1]) == 1
    with pytest.raises(InputError) as caught:
        auc([np.inf, 0.5], [0, 1])
    assert str(caught.value) == "probabilities[0]: found inf; expected a finite number; check the model's weights"


def test_a_perfect_ranking_is_1_and_never_more():
    rng = np.random.default_rng(0)
    for _ in range(20):
        labels = np.r_[np.zeros(rng.integers(1, 90), int), np.ones(rng.integers(1, 90), int)]
        figures = classification_figures(0.8 * labels + 0.1 * rng.random(len(labels)), labels, names=("auc",))
        found = [figures["auc"], *(figures["intervals"]["auc"] or ())]
        assert max(found) <= 1 and found == pytest.approx([1.0] * len(found))
