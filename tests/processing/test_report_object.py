"""A report as an object: parts are spans of the text, and JSON gives the same object back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.report_object import ReportObject, Section, Sentence
from hf_medreport.processing.report_sections import split_sections

TEXT = "FINDINGS: Small effusion. Clear.\nIMPRESSION: Effusion."


def mentions(sentence: str) -> list:
    return [{"finding": "effusion"}] if "effusion" in sentence.lower() else []


def test_parts_of_a_report():
    report = ReportObject.parse(TEXT, mentions)
    # "FINDINGS:" takes 9 characters; "Small effusion." stands at 10 to 25, "Clear." at 26 to 32; line 2 starts at 33.
    effusion = ({"finding": "effusion"},)
    assert report.sentences == (
        Sentence("findings", 10, 25, effusion),
        Sentence("findings", 26, 32),
        Sentence("impression", 45, 54, effusion),
    )
    assert report.sections == (Section("findings", 9, 33), Section("impression", 44, 54))
    assert report.section("findings") == "Small effusion. Clear." and report.section("history") is None
    assert report.facts == effusion * 2
    assert ReportObject.parse("") == ReportObject("", (), ())


def test_json_names_the_words():
    content = ReportObject.parse(TEXT, mentions).to_json()
    assert content["sentences"][1] == {"section": "findings", "start": 26, "end": 32, "text": "Clear.", "facts": []}


@given(st.text(alphabet="aB1.: \nFINDGSé", max_size=60), st.text(max_size=60))
def test_json_and_back(first, second):
    text = f"{first}\nIMPRESSION: {second}"
    report = ReportObject.parse(text, mentions)
    assert ReportObject.from_json(json.loads(json.dumps(report.to_json()))) == report
    assert {name: report.section(name) for name in split_sections(text)} == split_sections(text)
    assert all(before.end <= after.start for before, after in zip(report.sentences, report.sentences[1:], strict=False))


def test_json_of_another_form_or_text():
    content = ReportObject.parse(TEXT).to_json()
    with pytest.raises(InputError) as caught:
        ReportObject.from_json({"text": TEXT})
    assert str(caught.value) == (
        'report: found the fields text; expected a report\'s JSON: "text", "sections" and "sentences"'
        "; give what to_json returned"
    )
    with pytest.raises(InputError, match="report: found no object; expected a report's JSON"):
        ReportObject.from_json([])
    with pytest.raises(InputError) as caught:
        ReportObject.from_json(content | {"text": TEXT.replace("Small", "Large")})
    assert str(caught.value).endswith("the text was changed: parse it again")
