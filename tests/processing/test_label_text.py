"""The label string: what RadScribe's tables hold, and its way back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.evaluation.clinical.observations import OBSERVATIONS
from hf_medreport.modeling.configuration_medvill import FINDINGS
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.label_text import LABELS, NO_FINDING, label_text, parse_labels, read_labels


def test_the_names_are_those_of_the_scores_and_of_the_label_head():
    assert (*FINDINGS, NO_FINDING) == LABELS == OBSERVATIONS


@given(st.lists(st.sampled_from(LABELS[:-1]), unique=True))
def test_what_is_written_is_read_back(names):
    assert parse_labels(label_text(names)) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("''", []),
        ("'No Finding'", []),
        ("No Finding", []),
        ("[]", []),
        ("'Cardiomegaly'", ["Cardiomegaly"]),
        ("'Cardiomegaly', 'Edema'", ["Cardiomegaly", "Edema"]),
        ("'Edema','Cardiomegaly'", ["Edema", "Cardiomegaly"]),
        (" 'Edema' , 'Pleural Effusion' ", ["Edema", "Pleural Effusion"]),
        ("Cardiomegaly, Edema", ["Cardiomegaly", "Edema"]),
        ("['Edema']", ["Edema"]),
        ('["Edema", "Fracture"]', ["Edema", "Fracture"]),
        ("'No Finding', 'Support Devices'", ["Support Devices"]),
        ("'Edema', 'Edema'", ["Edema"]),
    ],
)
def test_every_way_of_writing_labels(text, names):
    assert parse_labels(text) == names


def test_no_label_is_an_empty_string():
    assert label_text([]) == label_text(["No Finding"]) == ""


BROKEN = "expected each name in quotes, commas between; mend the label"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("'Edema", f"labels: found broken quotes at 'Edema; {BROKEN}"),
        ("Edema'", f"labels: found broken quotes at Edema'; {BROKEN}"),
        ("'Edema\"", f"labels: found broken quotes at 'Edema\"; {BROKEN}"),
        ("'Edema' 'Fracture'", f"labels: found broken quotes at 'Edema' 'Fracture'; {BROKEN}"),
        ("'Edema, Fracture'", f"labels: found broken quotes at 'Edema; {BROKEN}"),
        (
            "'Cardiomegalie'",
            "labels: found unknown label 'Cardiomegalie'; expected one of CheXpert's 14 names; "
            "did you mean 'Cardiomegaly'?",
        ),
        (
            "'Zebra'",
            f"labels: found unknown label 'Zebra'; expected one of CheXpert's 14 names; known are {', '.join(LABELS)}",
        ),
    ],
)
def test_a_label_that_cannot_be_read_is_said(text, message):
    with pytest.raises(InputError) as error:
        parse_labels(text)
    assert str(error.value) == message


@pytest.mark.parametrize("value", [3, {"Edema": 1}, ["Edema", 3]])
def test_labels_of_another_type_are_no_labels(value):
    with pytest.raises(InputError) as error:
        read_labels(value)
    expected = "a list of CheXpert's names, or these in quotes with commas between"
    assert str(error.value) == f"labels: found labels {value!r:.20}; expected {expected}; correct them"


def test_a_list_and_a_string_say_the_same():
    assert read_labels(["Edema", "No Finding"]) == read_labels("'Edema', 'No Finding'") == ["Edema"]
