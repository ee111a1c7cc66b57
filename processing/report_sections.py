"""Sections and sentences of a report, as character spans of its text: nothing of the text is ever changed.

Headings are recognised at the start of a line ("   FINDINGS: ...", as MIMIC-CXR prints them) and inside one line
("FINDINGS: ... IMPRESSION: ..."), in capitals and followed by a colon. View headings ("CHEST, TWO VIEWS:") count as
findings, which upstream's parser misses (spec 002, section 2.8 item 5).

    split_sections("FINDINGS: Clear. IMPRESSION: Normal.")  # {"findings": "Clear.", "impression": "Normal."}
"""

import re

from .input_error import InputError

# Every heading that is known, by the section it opens.
HEADINGS = {
    "findings": "FINDINGS|FINDING|REPORT FINDINGS|RESULT|RESULTS|OBSERVATIONS?",
    "impression": "IMPRESSIONS?|CONCLUSIONS?|SUMMARY|OPINION",
    "indication": "INDICATIONS?|REASON FOR (?:THE )?(?:EXAM|EXAMINATION|STUDY)|CLINICAL (?:INFORMATION|INDICATION)",
    "history": "HISTORY|CLINICAL HISTORY|PATIENT HISTORY",
    "technique": "TECHNIQUE|PROCEDURE|EXAMINATION|EXAM|STUDY",
    "comparison": "COMPARISONS?|COMPARED TO|PRIOR STUDY",
    "recommendation": "RECOMMENDATIONS?|RECOMMENDATION\\(S\\)",
    "notification": "NOTIFICATIONS?|ADDENDUM",
}
VIEW = r"(?:PORTABLE |UPRIGHT |SINGLE |FRONTAL |PA |AP |SEMI-UPRIGHT )*(?:CHEST|RADIOGRAPHS?)\b[A-Z0-9 ,()/&-]*"
SECTION_OF = [(name, re.compile(rf"(?:{words})\Z")) for name, words in HEADINGS.items()]
SECTION_OF.append(("findings", re.compile(rf"(?:{VIEW})\Z")))
WORDS = "|".join([*HEADINGS.values(), VIEW])
# Not in the middle of a word; a heading inside a line follows the end of a sentence or another heading.
HEADING = re.compile(rf"(?:^|(?<=[.:;\n])|(?<=[.:;\n]\s)|(?<=\s\s))[ \t]*({WORDS})[ \t]*:", re.MULTILINE)

ABBREVIATION = re.compile(r"(?:\b(?:Dr|Mr|Mrs|Ms|vs|approx|No|Fig|e\.g|i\.e|St|a\.m|p\.m)|(?:^|\s)\d{1,2})\.\Z")
SENTENCE_END = re.compile(r"[.!?]+[\"')\]]*(?=\s|\Z)")


def section_spans(text: str) -> list[tuple[str, int, int]]:
    """(section, start, end) of every section, in the order of the text and without its heading.

    Text before the first heading, or without any, is the section `report`; blank sections are left out. A section may
    come twice.
    """
    headings = list(HEADING.finditer(text))
    starts = [("report", 0), *((_section(heading[1]), heading.end()) for heading in headings)]
    ends = [*(heading.start() for heading in headings), len(text)]
    spans = [(name, start, end) for (name, start), end in zip(starts, ends, strict=True)]
    return [(name, start, end) for name, start, end in spans if text[start:end].strip()]


def split_sections(text: str) -> dict[str, str]:
    """The text of each section, stripped at both ends; parts of a section that comes twice are joined by a blank."""
    sections: dict[str, str] = {}
    for name, start, end in section_spans(text):
        part = text[start:end].strip()
        sections[name] = f"{sections[name]} {part}" if name in sections else part
    return sections


def select_section(text: str, wanted: str) -> str | None:
    """The wanted section, or None where the report has none: never another one in its place.

    Args:
        wanted: a section's name, or several joined by "+" ("findings+impression"), which must all be there.
    """
    names = wanted.split("+")
    unknown = [name for name in names if name not in HEADINGS]
    if unknown:
        raise InputError("section", f"'{unknown[0]}'", f"one of {', '.join(HEADINGS)}", "name a known section")
    sections = split_sections(text)
    return " ".join(sections[name] for name in names) if all(name in sections for name in names) else None


def split_sentences(text: str) -> list[tuple[int, int]]:
    """(start, end) of every sentence. "1.5 cm", "1. Clear lungs." and "Dr. Who" do not end one; a blank line does."""
    spans = []
    for paragraph in re.finditer(r"(?:.|\n(?!\s*\n))+", text):
        start = paragraph.start()
        for mark in SENTENCE_END.finditer(text, paragraph.start(), paragraph.end()):
            if not ABBREVIATION.search(text, start, mark.start() + 1):
                spans.append((start, mark.end()))
                start = mark.end()
        spans.append((start, paragraph.end()))
    trimmed = []
    for start, end in spans:
        sentence = text[start:end]
        if sentence.strip():
            left = len(sentence) - len(sentence.lstrip())
            trimmed.append((start + left, start + left + len(sentence.strip())))
    return trimmed


def _section(heading: str) -> str:
    return next(name for name, pattern in SECTION_OF if pattern.match(heading.strip()))
