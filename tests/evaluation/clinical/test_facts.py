"""Facts of two texts, by hand."""

import math

import pytest

from hf_medreport.evaluation.clinical.facts import facts
from hf_medreport.processing.input_error import InputError

TRUE = "There is a small left pleural effusion. A 14 mm right upper zone nodule is seen. No pneumothorax."


@pytest.mark.parametrize(
    "said, exact, whole",
    [
        (TRUE, 1, 1),
        ("14 mm nodule in the right upper zone. Left pleural effusion, small.", 1, 1),  # other words
        (TRUE.replace("left", "right"), 1 / 2, 1 / 2),
        (TRUE.replace("small", "large"), 1 / 2, 1 / 2),
        (TRUE.replace("14 mm", "40 mm"), 1, 1 / 2),
        (TRUE.replace("A 14 mm", "A possible 14 mm"), 1, 1 / 2),
        (TRUE.replace("There is a", "No"), 2 / 3, 2 / 3),  # one of one stated, of two true
        (TRUE + " Mild scoliosis, convex to the left.", 4 / 5, 4 / 5),
        ("Left pleural effusion.", 0, 0),  # without a grade it is another statement
        ("", 0, 0),
    ],
)
def test_by_hand(said, exact, whole):
    for level, value in (("exact", exact), ("whole", whole)):
        score = facts([said], [TRUE], level=level)
        assert score.value == score.per_sample[0] == pytest.approx(value)


def test_the_figures_of_a_set():
    said = ["Small left pleural effusion. Mild cardiomegaly.", "", "The lungs are clear."]
    true = ["Small left pleural effusion.", TRUE, ["Mild cardiomegaly.", "Normal chest."]]
    score = facts(said, true, figure="recall")
    # hits 1, stated 2, true 1 + 2 + 0
    assert score.details == pytest.approx(
        {"f1": 2 / 5, "precision": 1 / 2, "recall": 1 / 3, "hits": 1, "stated": 2, "true": 3}
    )
    assert score.value == pytest.approx(1 / 3) and score.per_sample.tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("figure", ["f1", "precision", "recall"])
def test_nothing_stated_is_undefined(figure):
    score = facts(["The lungs are clear."], ["Normal chest."], figure=figure)
    assert math.isnan(score.value) and score.per_sample == [1] and score.details[figure] is None
    assert facts([""], [TRUE], figure=figure).value == facts([TRUE], [""], figure=figure).value == 0


def test_bad_options():
    with pytest.raises(InputError, match="level: found 'kind'; expected one of exact, whole; name a known level"):
        facts(["a"], ["a"], level="kind")
    with pytest.raises(InputError, match="figure: found 'auc'; expected one of f1, precision, recall"):
        facts(["a"], ["a"], figure="auc")
