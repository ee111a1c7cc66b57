"""The strict reading of findings, as the command line takes them: what is read, what is refused, in which words."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.phantom.findings import KINDS, Fact
from hf_medreport.phantom.parser import facts_from_text
from hf_medreport.phantom.patients import draw_facts
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
            "a size of -14 mm; expected a size above 0; correct the size",
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
