"""The exact-fact score against figures worked by hand."""

import pytest

from hf_medreport.phantom.findings import KINDS, Fact
from hf_medreport.phantom.parser import Mention
from hf_medreport.phantom.score import score_facts
from hf_medreport.processing.input_error import InputError

HEART = Fact("cardiomegaly", severity="mild")
BIG_HEART = Fact("cardiomegaly", severity="severe")
LEFT = Fact("pleural_effusion", "left", severity="mild")
RIGHT = Fact("pleural_effusion", "right", severity="mild")
NODULE = Fact("nodule", "left", "upper", "small")


def test_worked_by_hand():
    truth = [{HEART, LEFT}, {RIGHT}, set(), {LEFT, RIGHT}]
    stated = [
        {HEART, RIGHT},  # heart right; effusion on the wrong side
        {RIGHT, NODULE},  # effusion right; nodule made up
        {NODULE},  # made up
        {LEFT, Mention("pleural_effusion")},  # one of two, and one incomplete
    ]
    score = score_facts(stated, truth)
    assert score["n"] == 4
    # hits: HEART, RIGHT, LEFT = 3; stated 2 + 2 + 1 + 2 = 7; true 2 + 1 + 0 + 2 = 5; f1 = 6 / 12
    assert score["exact"] == {"precision": 3 / 7, "recall": 3 / 5, "f1": 0.5}
    # kinds stated: {c, e}, {e, n}, {n}, {e} = 6; true: {c, e}, {e}, {}, {e} = 4; both: 2 + 1 + 0 + 1 = 4; f1 = 8 / 10
    kind = score["kind"]
    assert (kind["precision"], kind["recall"], kind["f1"]) == (4 / 6, 1.0, 0.8)
    assert kind["by_kind"]["pleural_effusion"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert kind["by_kind"]["nodule"] == {"precision": 0.0, "recall": None, "f1": 0.0}
    assert kind["by_kind"]["pneumothorax"] == {"precision": None, "recall": None, "f1": None}
    assert list(kind["by_kind"]) == list(KINDS)
    # two nodules made up of seven stated facts
    assert score["hallucination_rate"] == 2 / 7
    # sided and of a present kind: RIGHT in film 1 (only left is true), RIGHT in 2, LEFT in 4; one of three is wrong
    assert score["wrong_side_rate"] == 1 / 3


def test_a_wrong_severity_is_a_kind_but_not_an_exact_hit():
    score = score_facts([{BIG_HEART}], [{HEART}])
    assert score["exact"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert score["kind"]["f1"] == 1.0
    assert score["hallucination_rate"] == 0.0 and score["wrong_side_rate"] is None


def test_an_incomplete_mention_counts_as_stated():
    score = score_facts([{Mention("pleural_effusion", "right")}], [{LEFT}])
    assert score["exact"]["precision"] == 0.0 and score["kind"]["precision"] == 1.0
    assert score["wrong_side_rate"] == 1.0
    assert score_facts([{Mention("nodule")}], [{LEFT}])["hallucination_rate"] == 1.0


def test_perfect_silent_and_empty():
    perfect = score_facts([{HEART, LEFT}, set()], [{HEART, LEFT}, set()])
    assert perfect["exact"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    silent = score_facts([set()], [{HEART}])
    assert silent["exact"] == {"precision": None, "recall": 0.0, "f1": 0.0}
    assert silent["hallucination_rate"] is None
    nothing = score_facts([], [])
    assert nothing["n"] == 0 and nothing["exact"] == {"precision": None, "recall": None, "f1": None}


def test_films_must_pair_up():
    with pytest.raises(InputError, match="predicted: found 1 films; expected 2 as in truth"):
        score_facts([set()], [set(), set()])
