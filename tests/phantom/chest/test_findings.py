"""Facts validate themselves, and what no film can show together is known."""

import pytest

from hf_medreport.phantom.chest.findings import KINDS, Fact, check_facts, conflict, report_order
from hf_medreport.processing.input_error import InputError

CHEXPERT = {"Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Lesion", "Edema", "Consolidation", "Atelectasis"}
CHEXPERT |= {"Pneumothorax", "Pleural Effusion", "Fracture", "Support Devices"}


@pytest.mark.parametrize(
    "arguments, named",
    [
        ({"kind": "goitre"}, "kind 'goitre'"),
        ({"kind": "pleural_effusion", "severity": "mild"}, "side None"),
        ({"kind": "pleural_effusion", "side": "both", "severity": "mild"}, "side 'both'"),
        ({"kind": "pleural_effusion", "side": "left", "zone": "lower", "severity": "mild"}, "zone 'lower'"),
        ({"kind": "pleural_effusion", "side": "left", "severity": "small"}, "severity 'small'"),
        ({"kind": "cardiomegaly", "side": "left", "severity": "mild"}, "side 'left'"),
        ({"kind": "cardiomegaly"}, "severity None"),
        ({"kind": "consolidation", "side": "left", "zone": "apical"}, "zone 'apical'"),
        ({"kind": "consolidation", "side": "left", "zone": "middle lobe"}, "a left middle lobe"),
        ({"kind": "consolidation", "side": "left"}, "zone None"),
        ({"kind": "nodule", "side": "left", "zone": "upper", "severity": "mild"}, "severity 'mild'"),
        ({"kind": "nodule", "side": "left", "zone": "upper", "size_mm": -4}, "size_mm -4"),
        ({"kind": "nodule", "side": "left", "zone": "upper", "size_mm": 0}, "size_mm 0"),
        ({"kind": "nodule", "side": "left", "zone": "upper", "size_mm": 49}, "size_mm 49"),
        ({"kind": "nodule", "side": "left", "zone": "upper", "size_mm": 14.5}, "size_mm 14.5"),
        ({"kind": "nodule", "side": "left", "zone": "upper", "size_mm": "14"}, "size_mm '14'"),
        ({"kind": "tortuous_aorta", "size_mm": 20}, "size_mm 20"),
        ({"kind": "rib_fracture", "side": "left", "number": "three"}, "number 'three'"),
        ({"kind": "pacemaker", "side": "left", "number": "single"}, "number 'single'"),
        ({"kind": "pacemaker", "side": "left", "certain": False}, "certain False"),
        ({"kind": "tortuous_aorta", "change": "worse"}, "change 'worse'"),
    ],
)
def test_a_fact_refuses_what_its_kind_does_not_take(arguments, named):
    with pytest.raises(InputError) as error:
        Fact(**arguments)
    assert error.value.found == named
    assert "\n" not in str(error.value)


def test_the_whole_message_of_an_impossible_finding():
    with pytest.raises(InputError) as error:
        Fact("consolidation", "left", "middle lobe")
    assert str(error.value) == (
        "fact consolidation: found a left middle lobe; expected a zone: upper, middle, lower; "
        "the left lung has no middle lobe"
    )
    with pytest.raises(InputError, match="size_mm -4; expected 12 to 48 whole mm; correct the size_mm"):
        Fact("nodule", "left", "upper", size_mm=-4)
    with pytest.raises(InputError, match="size_mm 20; expected no size"):
        Fact("tortuous_aorta", size_mm=20)


def test_the_table_has_fourteen_kinds_and_more_under_names_that_others_use():
    assert len(KINDS) >= 14
    assert {row.chexpert for row in KINDS.values()} - {None} == CHEXPERT


def test_facts_can_be_sorted_hashed_and_read():
    effusion = Fact("pleural_effusion", "left", severity="mild")
    heart = Fact("cardiomegaly", severity="mild")
    nodule = Fact("nodule", "right", "upper", size_mm=14, certain=False, change="new")
    assert report_order([nodule, effusion, heart]) == [heart, effusion, nodule]  # heart, pleura, lungs
    assert len({effusion, Fact("pleural_effusion", "left", severity="mild")}) == 1
    assert nodule.key == ("nodule", "right", "upper", None)
    assert str(nodule) == "possible new 14 mm right upper nodule"
    assert str(Fact("rib_fracture", "left", number="multiple")) == "multiple left rib fracture"


def effusion(side, severity):
    return Fact("pleural_effusion", side, severity=severity)


LOW, HIGH = Fact("consolidation", "left", "lower"), Fact("nodule", "left", "upper", size_mm=20)
BOX, BROKEN = Fact("pacemaker", "left"), Fact("rib_fracture", "left")
RAISED = Fact("elevated_diaphragm", "left")


@pytest.mark.parametrize(
    "one, other, expected",
    [
        (effusion("left", "mild"), effusion("left", "severe"), True),
        (effusion("left", "mild"), effusion("right", "severe"), False),
        (effusion("left", "mild"), Fact("pneumothorax", "left", severity="mild"), True),
        (effusion("left", "mild"), LOW, False),
        (effusion("left", "moderate"), LOW, True),
        (effusion("right", "severe"), LOW, False),
        (effusion("left", "severe"), HIGH, False),
        (effusion("left", "severe"), BROKEN, True),
        (effusion("left", "moderate"), BROKEN, False),
        (effusion("left", "mild"), RAISED, True),
        (effusion("right", "mild"), RAISED, False),
        (LOW, Fact("atelectasis", "left", "lower"), True),
        (LOW, HIGH, False),
        (BOX, HIGH, True),
        (BOX, LOW, False),
        (BOX, Fact("nodule", "right", "upper", size_mm=20), False),
        (BOX, Fact("pacemaker", "right"), True),
        (BOX, Fact("central_line", "left"), False),
        (BROKEN, Fact("rib_fracture", "right"), False),
        (Fact("scoliosis", "left", severity="mild"), Fact("scoliosis", "right", severity="mild"), True),
        (RAISED, Fact("hyperinflation"), True),
        (Fact("cardiomegaly", severity="mild"), Fact("cardiomegaly", severity="severe"), True),
        (Fact("cardiomegaly", severity="mild"), Fact("tortuous_aorta"), False),
    ],
    ids=str,
)
def test_conflicts_by_hand(one, other, expected):
    assert conflict(one, other) == conflict(other, one) == expected


def test_a_conflict_is_refused_by_name():
    with pytest.raises(InputError) as error:
        check_facts([effusion("left", "mild"), LOW, effusion("left", "severe")])
    assert str(error.value) == (
        "facts: found mild left pleural effusion and severe left pleural effusion; expected facts that one film can "
        "show together; drop or move one of them"
    )
