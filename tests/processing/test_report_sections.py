"""Sections and sentences of reports; all texts are made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.report_sections import section_spans, select_section, split_sections, split_sentences

INLINE = "FINDINGS: Heart size is normal. No effusion. IMPRESSION: Normal chest."
LINES = """
 EXAMINATION: CHEST (PORTABLE AP)

 INDICATION: Cough for 3 days.

 FINDINGS:
 A 1.5 cm nodule lies in the left upper zone.
 No pneumothorax.

 IMPRESSION:
 1. Left upper zone nodule.
 2. Otherwise normal.
"""


def test_headings_in_one_line():
    assert split_sections(INLINE) == {
        "findings": "Heart size is normal. No effusion.",
        "impression": "Normal chest.",
    }


def test_headings_at_line_starts():
    sections = split_sections(LINES)
    assert list(sections) == ["technique", "indication", "findings", "impression"]
    assert sections["indication"] == "Cough for 3 days."
    assert sections["findings"].startswith("A 1.5 cm nodule") and sections["findings"].endswith("No pneumothorax.")


@pytest.mark.parametrize(
    "heading", ["CHEST, TWO VIEWS", "PORTABLE CHEST", "CHEST, PA AND LATERAL", "AP CHEST RADIOGRAPH"]
)
def test_a_view_heading_opens_findings(heading):
    assert split_sections(f"{heading}: Clear lungs.\nIMPRESSION: Normal.") == {
        "findings": "Clear lungs.",
        "impression": "Normal.",
    }


def test_text_without_headings_is_the_report():
    assert split_sections("Clear lungs. Normal heart.") == {"report": "Clear lungs. Normal heart."}
    assert split_sections(" \n") == {}


def test_a_section_that_comes_twice_is_joined():
    assert split_sections("FINDINGS: One. IMPRESSION: Two. FINDINGS: Three.")["findings"] == "One. Three."


def test_a_word_with_a_colon_is_no_heading():
    assert list(split_sections("FINDINGS: The following findings: none. Measured: 3 cm.")) == ["findings"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("impression", "Normal chest."),
        ("findings+impression", "Heart size is normal. No effusion. Normal chest."),
        ("comparison", None),
        ("findings+comparison", None),
    ],
)
def test_selection_never_takes_another_section(wanted, expected):
    assert select_section(INLINE, wanted) == expected


def test_an_unknown_section_is_refused():
    with pytest.raises(InputError, match="section: found 'impresion'; expected one of findings, impression"):
        select_section(INLINE, "impresion")


def test_sentences_keep_decimals_enumerators_and_titles_whole():
    text = "1. A 1.5 cm nodule, seen by Dr. Who. 2. No effusion! Is it new? Left vs. right.\n\nUnfinished"
    assert [text[start:end] for start, end in split_sentences(text)] == [
        "1. A 1.5 cm nodule, seen by Dr. Who.",
        "2. No effusion!",
        "Is it new?",
        "Left vs. right.",
        "Unfinished",
    ]


@given(st.text(alphabet="aB1.!?: \n\tFINDGS:", max_size=80))
def test_sentence_spans_cover_all_text_in_order(text):
    spans = split_sentences(text)
    covered = "".join(text[start:end] for start, end in spans)
    assert "".join(covered.split()) == "".join(text.split())
    assert all(before[1] <= after[0] for before, after in zip(spans, spans[1:], strict=False))


@given(st.text(max_size=120), st.text(max_size=40))
def test_sections_lose_only_headings(first, second):
    text = f"{first}\nFINDINGS: {second}"
    spans = section_spans(text)
    assert all(0 <= start < end <= len(text) for _, start, end in spans)
    assert all(before[2] <= after[1] for before, after in zip(spans, spans[1:], strict=False))
    assert not second.strip() or spans[-1][2] == len(text)
