"""What metrics refuse, with the exact line, and what they accept."""

import pytest

from hf_medreport.evaluation.score import check_texts
from hf_medreport.processing.input_error import InputError

LISTS = "expected a list of strings; give one text a sample"
STRINGS = "expected a string; write a missing report as an empty string"


@pytest.mark.parametrize(
    "predictions, references, line",
    [
        ("abc", ["a", "b", "c"], f"predictions: found a str; {LISTS}"),
        (None, ["a"], f"predictions: found a NoneType; {LISTS}"),
        ({"id": "a"}, ["a"], f"predictions: found a dict; {LISTS}"),
        ({"a"}, ["a"], f"predictions: found a set; {LISTS}"),
        (["a"], b"a", f"references: found a bytes; {LISTS}"),
        (["a"], 1.5, f"references: found a float; {LISTS}"),
        (
            [],
            [],
            "predictions: found an empty list; expected at least one text; check that the file or split holds rows",
        ),
        (
            ["a"],
            [],
            "references: found an empty list; expected at least one text; check that the file or split holds rows",
        ),
        (["a", "b"], ["a"], "references: found 1; expected 2, one for each prediction; pair them by id first"),
        (["a", None], ["a", "b"], f"predictions[1]: found a NoneType; {STRINGS}"),
        ([["a"]], ["a"], f"predictions[0]: found a list; {STRINGS}"),
        (["a"], [float("nan")], f"references[0]: found a float; {STRINGS}"),
        (["a"], [{"a": 1}], f"references[0]: found a dict; {STRINGS}"),
        (["a"], [b"a"], f"references[0]: found a bytes; {STRINGS}"),
        (["a", "b"], ["a", ["b", 7]], f"references[1][1]: found a int; {STRINGS}"),
        (["a"], [[]], "references[0]: found an empty list; expected a string or a list of strings; drop the sample"),
    ],
)
def test_refused(predictions, references, line):
    with pytest.raises(InputError) as caught:
        check_texts(predictions, references)
    assert str(caught.value) == line


def test_accepted():
    assert check_texts(("a", ""), iter(["b", ("c", "d")])) == (["a", ""], [["b"], ["c", "d"]])
