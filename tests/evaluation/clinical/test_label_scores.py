"""Label scores worked by hand, under each convention."""

import numpy as np
import pytest

from hf_medreport.evaluation.clinical.label_scores import chexpert, score_labels
from hf_medreport.evaluation.clinical.observations import FIVE, OBSERVATIONS
from hf_medreport.processing.input_error import InputError


def codes(**reports):
    """One row for each report: {observation: code}, blanks in names written as underscores."""
    rows = np.zeros((len(reports), 14), dtype=int)
    for row, labels in zip(rows, reports.values(), strict=True):
        for name, code in labels.items():
            row[OBSERVATIONS.index(name.replace("_", " "))] = code
    return rows


# report a: effusion right, edema invented; b: uncertain edema against stated; c: denied against absent
PREDICTED = codes(a={"Pleural_Effusion": 1, "Edema": 1}, b={"Edema": 3, "Fracture": 1}, c={"Pneumonia": 2})
REFERENCE = codes(a={"Pleural_Effusion": 1, "Atelectasis": 1}, b={"Edema": 1, "Fracture": 1}, c={})


@pytest.mark.parametrize(
    "options, value, per_sample",
    [
        # hits: effusion, edema of b, fracture; said 4, given 4
        ({}, 3 / 4, [1 / 2, 1, 1]),
        ({"figure": "precision"}, 3 / 4, [1 / 2, 1, 1]),
        # b's edema is not said: hits 2, said 3, given 4
        ({"uncertain": "negative"}, 4 / 7, [1 / 2, 2 / 3, 1]),
        ({"uncertain": "negative", "figure": "precision"}, 2 / 3, [1 / 2, 1, 1]),
        ({"uncertain": "negative", "figure": "recall"}, 2 / 4, [1 / 2, 1 / 2, 1]),
        # b's edema is left out: hits 2, said 3, given 3
        ({"uncertain": "ignored"}, 2 / 3, [1 / 2, 1, 1]),
        # effusion 1, edema 2/3, fracture 1, atelectasis 0 and ten that nobody has
        ({"average": "macro"}, (1 + 2 / 3 + 1) / 14, [1 / 2, 1, 1]),
        # without the fracture
        ({"observations": 5}, 2 / 3, [1 / 2, 1, 1]),
        ({"observations": 5, "average": "macro"}, (1 + 2 / 3) / 5, [1 / 2, 1, 1]),
    ],
)
def test_by_hand(options, value, per_sample):
    score = score_labels(PREDICTED, REFERENCE, **options)
    assert score.value == pytest.approx(value)
    np.testing.assert_allclose(score.per_sample, per_sample)


def test_details_by_hand():
    details = score_labels(PREDICTED, REFERENCE).details
    assert details["micro"] == {"precision": 0.75, "recall": 0.75, "f1": 0.75}
    assert details["observations"]["Edema"] == pytest.approx({"precision": 0.5, "recall": 1, "f1": 2 / 3, "support": 1})
    assert list(details["observations"]) == list(OBSERVATIONS)
    assert list(score_labels(PREDICTED, REFERENCE, observations=5).details["observations"]) == list(FIVE)


def test_nothing():
    nothing, something = codes(a={}), codes(a={"Edema": 1})
    for figure in ("f1", "precision", "recall"):
        assert score_labels(nothing, nothing, figure=figure).per_sample == [1]
        assert score_labels(nothing, something, figure=figure).per_sample == [0]
        assert score_labels(something, nothing, figure=figure).per_sample == [0]
        assert score_labels(nothing, something, figure=figure).value == 0
        undefined = score_labels(nothing, nothing, figure=figure)
        assert np.isnan(undefined.value) and undefined.details["micro"][figure] is None
        assert score_labels(nothing, nothing, figure=figure, average="macro").value == 0


def test_reports_by_hand():
    said = ["Small left effusion. No pneumothorax.", "The lungs are clear."]
    given = ["Small right effusion and mild edema.", "No acute disease."]
    score = chexpert(said, given)  # hits effusion, no finding; said 2, given 3
    assert (score.name, score.value) == ("chexpert_f1", pytest.approx(4 / 5))
    assert score.convention == (
        "CheXpert labels by rule, 14 observations, micro f1, uncertain counts as positive, as in f1chexbert, 0 to 1"
    )
    five = chexpert(said, given, observations=5, average="macro", figure="recall")
    assert (five.name, five.value) == ("chexpert5_macro_recall", pytest.approx(1 / 5))


def test_the_best_reference_counts():
    score = chexpert(["Small effusion."], [["Pneumothorax.", "Effusion and edema.", "No effusion."]])
    assert score.value == score.per_sample[0] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "predicted, reference, options, message",
    [
        (PREDICTED[:, :5], REFERENCE, {}, "predicted: found 3x5; expected reports x 14 labels; give one row a report"),
        (PREDICTED[:0], REFERENCE, {}, "predicted: found 0x14; expected reports x 14 labels; give one row a report"),
        (PREDICTED, REFERENCE + 3, {}, "reference: found a label 4; expected 0 absent, 1 positive, 2 negative, 3"),
        (PREDICTED, REFERENCE[:2], {}, "reference: found 2 rows; expected 3, one for each prediction; pair them by id"),
        (PREDICTED, REFERENCE, {"figure": "f2"}, "figure: found 'f2'; expected one of f1, precision, recall; name a"),
        (PREDICTED, REFERENCE, {"average": "mean"}, "average: found 'mean'; expected one of micro, macro; name a"),
        (PREDICTED, REFERENCE, {"observations": 13}, "observations: found 13; expected one of 14, 5; name a known"),
        (PREDICTED, REFERENCE, {"uncertain": "u"}, "uncertain: found 'u'; expected one of positive, negative, ignored"),
    ],
)
def test_refused(predicted, reference, options, message):
    with pytest.raises(InputError) as caught:
        score_labels(predicted, reference, **options)
    assert str(caught.value).startswith(message)


def test_an_unknown_option_is_refused_before_the_work():
    with pytest.raises(InputError, match="figure: found 'f3'"):
        chexpert(["a"], ["b"], figure="f3")
