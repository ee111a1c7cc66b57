"""The strict reading of findings, as the command line takes them: what is read, what is refused, in which words."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.phantom.chest.findings import KINDS, Fact
from hf_medreport.phantom.chest.parser import facts_from_text
from hf_medreport.phantom.chest.patients import draw_facts
from hf_medreport.processing.input_error import InputError

LEFT_SMALL = Fact("pleural_effusion", "left", severity="mild")
RIGHT_SMALL = replace(LEFT_SMALL, side="right")
MILD_HEART = Fact("cardiomegaly", severity="mild")
RIGHT_BASE = Fact("consolidation", "right", "lower")


@pytest.mark.parametrize(
    "text, expected",
    [
        (
            "mild right pleural effusion; 14 mm left upper zone nodule; possible right lower zone consolidation",
            (RIGHT_SMALL, replace(RIGHT_BASE, certain=False), Fact("nodule", "left", "upper", size_mm=14)),
        ),
        ("left upper zone nodule, 1.4 cm.", (Fact("nodule", "left", "upper", size_mm=14),)),
        ("pacemaker in the left chest wall. Mild cardiomegaly\n", (MILD_HEART, Fact("pacemaker", "left"))),
        (
            "small bilateral effusions, unchanged",
            (replace(RIGHT_SMALL, change="unchanged"), replace(LEFT_SMALL, change="unchanged")),
        ),
    ],
)
def test_read(text, expected):
    assert facts_from_text(text) == expected


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_facts_as_words_are_read(seed):
    facts = draw_facts(np.random.default_rng(seed))
    if facts:
        assert facts_from_text("; ".join(map(str, facts))) == facts


KNOWN = (
    "one of cardiomegaly, tortuous aorta, pleural effusion, pneumothorax, consolidation, atelectasis, "
    "interstitial edema, nodule, calcified granuloma, hyperinflation, elevated diaphragm, rib fracture, scoliosis, "
    "endotracheal tube, central line, pacemaker; name a known one"
)
LOW, HIGH = KINDS["nodule"].sizes


@pytest.mark.parametrize(
    "text, message",
    [
        ("", f"no known finding in ''; expected {KNOWN}"),
        ("mild cardiomegaly; a cough", f"no known finding in 'a cough'; expected {KNOWN}"),
        (
            "small effusion",
            "pleural effusion without a side in 'small effusion'; expected one of right, left; add the side, once",
        ),
        (
            "right nodule",
            "nodule without a zone in 'right nodule'; expected one of upper, middle, lower; add the zone, once",
        ),
        (
            "Mild to moderate cardiomegaly",
            "cardiomegaly without a severity in 'mild to moderate cardiomegaly'; "
            "expected one of mild, moderate, severe; add the severity, once",
        ),
        (
            "nodule in the left middle lobe",
            "a left middle lobe in 'nodule in the left middle lobe'; "
            "expected a zone: upper, middle, lower; the left lung has no middle lobe",
        ),
        (
            "-14 mm left upper zone nodule",
            "a size of -14 mm; expected a size above 0, as in 14 mm or 1.4 cm; correct the size",
        ),
        (
            "0 mm left upper zone nodule",
            f"a nodule of 0 mm in '0 mm left upper zone nodule'; expected {LOW} to {HIGH} mm; correct the size",
        ),
        (
            "left upper zone nodule of 50 cm",
            f"a nodule of 500 mm in 'left upper zone nodule of 50 cm'; expected {LOW} to {HIGH} mm; correct the size",
        ),
        (
            "14 mm left pacemaker",
            "a size of pacemaker in '14 mm left pacemaker'; expected no size for this kind; leave out the size",
        ),
        (
            "mild cardiomegaly, no effusion",
            "pleural effusion denied in 'mild cardiomegaly, no effusion'; "
            "expected what is there; leave out what is not there",
        ),
        (
            "possible left pacemaker",
            "a doubtful pacemaker in 'possible left pacemaker'; "
            "expected doubt only about consolidation, atelectasis, nodule; leave out the doubt",
        ),
    ],
)
def test_refused(text, message):
    with pytest.raises(InputError) as error:
        facts_from_text(text)
    assert str(error.value) == f"findings: found {message}"


def test_facts_that_hide_each_other_are_refused():
    with pytest.raises(InputError) as error:
        facts_from_text("small left effusion; small left pneumothorax")
    assert str(error.value) == (
        "facts: found mild left pleural effusion and mild left pneumothorax; "
        "expected facts that one film can show together; drop or move one of them"
    )


@pytest.mark.parametrize(
    "text, found",
    [
        ("1,4 cm left upper zone nodule", "a size of 1,4 cm"),
        ("\u221214 mm left upper zone nodule", "a size of \u221214 mm"),
        ("minus 20 mm left upper zone nodule", "a size of minus 20 mm"),
        ("middle lobe consolidation of the left lung", "a left middle lobe in"),
        ("14 mm left upper zone nodule; 20 mm left upper zone nodule", "several sizes of one nodule in"),
        (
            "moderate left hyperinflation",
            "'left' in 'moderate left hyperinflation', which hyperinflation does not take",
        ),
        ("mild left cardiomegaly", "'left' in 'mild left cardiomegaly', which cardiomegaly does not take up"),
        ("left endotracheal tube", "'left' in"),
        ("small right upper zone pleural effusion", "'upper' in"),
        ("multiple 14 mm right upper zone nodules", "'multiple' in"),
    ],
)
def test_what_no_fact_takes_up_is_refused(text, found):
    with pytest.raises(InputError) as error:
        facts_from_text(text)
    assert error.value.found.startswith(found), error.value.found


def test_two_sizes_at_two_places_are_two_nodules():
    read = facts_from_text("14 mm left upper zone nodule; 20 mm right lower zone nodule")
    assert {(fact.side, fact.size_mm) for fact in read} == {("left", 14), ("right", 20)}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("small left effusion; " * 3000, "62999 characters"),
        ("edema; " * 101, "101 parts"),
        ("a. " * 3000, "3000 parts"),
    ],
)
def test_no_film_shows_thousands_of_things(text, found):
    with pytest.raises(InputError, match=f"findings: found {found}; expected at most .*; name what one film shows"):
        facts_from_text(text.strip())
