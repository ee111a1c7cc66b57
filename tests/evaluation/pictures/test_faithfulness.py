"""Faithfulness by hand, and Wilson's interval against its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.evaluation.pictures.faithfulness import faithfulness, faithfulness_table, wilson_interval
from hf_medreport.phantom.picture.facts import PictureFact
from hf_medreport.processing.input_error import InputError

FACTS = [
    PictureFact("mri", "subdural hematoma", "left", None, "severe"),
    PictureFact("mri", "infarct", "right"),
    PictureFact("ct", "nodule", "left", "anterior", "mild"),
    PictureFact("ct"),
]
WRONG = {"modality": "oct", "finding": "drusen", "side": "right", "zone": "posterior", "grade": "moderate"}


def said(fact: PictureFact, **other) -> dict[str, str]:
    """A judge that is right, and names something where there is nothing to name."""
    right = {name: getattr(fact, name) or WRONG[name] for name in WRONG}
    return right | other


def test_figures_by_hand():
    answers = [said(FACTS[0]), said(FACTS[1], side="left"), said(FACTS[2], finding="no finding"), said(FACTS[3])]
    scores = faithfulness(FACTS, answers)
    counts = {name: (score["right"], score["n"]) for name, score in scores.items()}
    # side was asked of three, zone of one, grade of two; the third picture is wrong in its finding alone
    expected = {"modality": (4, 4), "finding": (3, 4), "side": (2, 3), "zone": (1, 1), "grade": (2, 2), "all": (2, 4)}
    assert counts == expected
    of_modality = {name: score["accuracy"] for name, score in scores["finding"]["by_modality"].items()}
    assert of_modality == {"mri": 1.0, "ct": 0.5}


def test_the_ceiling_is_what_the_same_judge_says_of_drawn_pictures():
    answers = [said(fact) for fact in FACTS[:2]] + [said(FACTS[2], modality="mri"), said(FACTS[3], modality="mri")]
    ceiling = [said(fact) for fact in FACTS[:3]] + [said(FACTS[3], modality="mri")]
    score = faithfulness(FACTS, answers, ceiling)["modality"]
    assert (score["accuracy"], score["ceiling"]) == (0.5, 0.75) and score["of_ceiling"] == pytest.approx(2 / 3)


def test_what_was_not_asked_has_no_figure():
    score = faithfulness(FACTS[3:], [said(FACTS[3])], [said(FACTS[3])])["zone"]
    assert score == {"n": 0, "right": 0, "accuracy": None, "interval": None, "ceiling": None, "of_ceiling": None}


def test_unequal_counts_are_refused():
    with pytest.raises(InputError, match="answers: found 3; expected 4, one a prompt"):
        faithfulness(FACTS, [WRONG] * 3)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_bounds_are_the_shares_that_are_1_96_deviations_away(counts):
    right, n = counts
    for bound in wilson_interval(right, n):
        if 1e-9 < bound < 1 - 1e-9:
            assert abs(right / n - bound) == pytest.approx(1.959964 * np.sqrt(bound * (1 - bound) / n), rel=1e-5)
    low, high = wilson_interval(right, n)
    assert 0 <= low <= right / n <= high <= 1


def test_none_has_no_interval():
    assert wilson_interval(0, 0) is None


def test_the_table_has_a_line_for_what_was_asked():
    lines = faithfulness_table(faithfulness(FACTS, [said(fact) for fact in FACTS])).splitlines()
    assert [line.split()[0] for line in lines[1:]] == [
        "modality", "finding", "mri", "ct", "side", "zone", "grade", "all"
    ]  # fmt: skip
    assert "1.000" in lines[1]
