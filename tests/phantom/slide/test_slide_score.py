"""The score of slides against figures worked by hand, and its shared arithmetic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.phantom.slide.findings import BENIGN, FIELDS, SlideFacts
from hf_medreport.phantom.slide.patients import draw_slide_facts
from hf_medreport.phantom.slide.score import COUNTS, measure_slides, score_slides, slide_counts, slide_figures
from hf_medreport.processing.input_error import InputError

LUNG = SlideFacts("lung", "adenocarcinoma", 2, "focal", "mild", 4, "negative", 1.5, 1, 3)
COLON = SlideFacts("colon", "adenocarcinoma", 3, "absent", "absent", 20, "positive", 4.0, 2, 6)
BREAST = SlideFacts("breast", BENIGN, inflammation="mild", nodes_examined=0)
TRUTH = [LUNG, COLON, BREAST]
STATED = [
    # 9 pairs, 6 true: grade, mitoses (7 for 4) and size (1.9 for 1.5) are wrong
    LUNG.facts - {("grade", 2), ("mitoses", 4), ("size_cm", 1.5)} | {("grade", 3), ("mitoses", 7), ("size_cm", 1.9)},
    # 5 pairs, 4 true: two grades, of which one is true; no word of the size
    {("site", "colon"), ("diagnosis", "adenocarcinoma"), ("grade", 3), ("grade", 2), ("nodes", (2, 6))},
    # 4 pairs, 2 true: a size where there is none, nodes where none were examined
    {("site", "breast"), ("diagnosis", BENIGN), ("size_cm", 2.0), ("nodes", (0, 3))},
]


def test_worked_by_hand():
    found = score_slides(STATED, TRUTH)
    # 12 hits of 18 stated and of 9 + 9 + 5 = 23 true pairs
    assert found["n"] == 3
    assert found["exact"]["precision"] == pytest.approx(12 / 18)
    assert found["exact"]["recall"] == pytest.approx(12 / 23)
    assert found["exact"]["f1"] == pytest.approx(24 / 41)
    assert found["hallucination_rate"] == pytest.approx(6 / 18)
    by_field = found["exact"]["by_field"]
    assert list(by_field) == list(FIELDS)
    assert by_field["grade"] == {"precision": pytest.approx(1 / 3), "recall": 0.5, "f1": pytest.approx(2 / 5)}
    assert by_field["site"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert by_field["margin"] == {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3)}
    assert by_field["size_cm"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert found["diagnosis_accuracy"] == 1.0
    assert found["grade_accuracy"] == 0.0  # the colon's true grade stands beside a false one
    assert found["size_exact"] == 0.0
    assert found["nodes_exact"] == pytest.approx(2 / 3)
    assert found["number_exactness"] == pytest.approx(2 / 7)  # 2 sizes, 3 nodes, 2 counts
    assert found["size_error_cm"] == pytest.approx(0.4)  # the size of the benign slide has no truth to be far from
    assert found["mitoses_error"] == 3.0


def test_macro_is_the_mean_of_what_is_defined():
    found = score_slides([{("site", "lung")}], [BREAST])
    # The only stated field is wrong; recall is 0 for the 5 fields of a benign slide and 0 / 0 for the others.
    assert found["exact"]["macro"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert found["exact"]["by_field"]["grade"] == {"precision": None, "recall": None, "f1": None}


def test_silence_and_emptiness():
    silent = score_slides([set()], [BREAST])
    assert silent["exact"]["precision"] is None and silent["exact"]["recall"] == 0.0 == silent["exact"]["f1"]
    assert silent["hallucination_rate"] is None and silent["grade_accuracy"] is None
    assert silent["size_error_cm"] is None and silent["nodes_exact"] == 0.0 == silent["diagnosis_accuracy"]
    nothing = score_slides([], [])
    assert nothing["n"] == 0 and nothing["exact"]["f1"] is None and nothing["number_exactness"] is None


def test_slides_must_pair_up():
    with pytest.raises(InputError) as error:
        score_slides([set()], TRUTH)
    assert str(error.value) == "stated: found 1 slides; expected 3 as in truth; give one set a slide"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2**32), min_size=1, max_size=6))
def test_the_truth_is_perfect(seeds):
    truth = [draw_slide_facts(np.random.default_rng(seed)) for seed in seeds]
    found = score_slides([facts.facts for facts in truth], truth)
    assert {found["exact"][name] for name in ("precision", "recall", "f1")} == {1.0}
    assert found["diagnosis_accuracy"] == found["nodes_exact"] == found["number_exactness"] == 1.0
    assert found["hallucination_rate"] == 0.0
    assert {found[name] for name in ("grade_accuracy", "size_exact")} <= {1.0, None}
    assert {found[name] for name in ("size_error_cm", "mitoses_error")} <= {0.0, None}


def test_many_sums_are_measured_at_once():
    counts = slide_counts(STATED, TRUTH)
    assert counts.shape == (3, len(FIELDS), len(COUNTS))
    draws = np.array([[0, 0, 1], [2, 2, 2], [0, 1, 2]])
    sums = counts[draws].sum(axis=1)
    for name in ("exact.f1", "exact.macro.recall", "exact.by_field.grade.precision", "grade_accuracy", "size_error_cm"):
        measured = measure_slides(sums, name)
        for row, total in zip(measured, sums, strict=True):
            one = slide_figures(total)
            for step in name.split("."):
                one = one[step]
            assert one == row if one is not None else np.isnan(row)
    assert np.isnan(measure_slides(sums, "grade_accuracy")[1])  # three times the benign slide
