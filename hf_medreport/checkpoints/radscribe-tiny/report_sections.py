"""Sections and sentences of a report, as character spans of its text: nothing of the text is ever changed.

Known are the headings of MIMIC-CXR, of the Indiana archive, of CheXpert Plus and of pathology reports.

A heading is a known name followed by a colon: in any case at the start of a line ("   FINDINGS: ...", as MIMIC-CXR
prints them; "findings: ..."), in capitals also inside one ("FINDINGS: ... IMPRESSION: ..."). Names of views ("CHEST,
TWO VIEWS:", "PA AND LATERAL CHEST:") count as findings, which upstream's parser misses. Unknown names, such as the
organs of a structured report ("LUNGS: ..."), stay text of their section.

    split_sections("FINDINGS: Clear. IMPRESSION: Normal.")  # {"findings": "Clear.", "impression": "Normal."}
"""

import re

from .input_error import InputError

# Every heading that is known, by the section it opens.
HEADINGS = {
    "findings": "FINDINGS?|REPORT FINDINGS|FINDINGS (?:AND|/|&) IMPRESSION|FINDINGS/IMPRESSION|RESULTS?|OBSERVATIONS?",
    "impression": "IMPRESSIONS?|CONCLUSIONS?|SUMMARY|OPINION|IMPRESSION AND RECOMMENDATIONS?",
    "indication": "INDICATIONS?|REASON FOR (?:THE |THIS )?(?:EXAM(?:INATION)?|STUDY)|CLINICAL IN(?:FORMATION|DICATION)",
    "history": "HISTORY|(?:CLINICAL|PATIENT|MEDICAL|PREOPERATIVE) HISTORY",
    "technique": (
        "TECHNIQUE|PROCEDURE(?: COMMENTS?)?|EXAMINATION|EXAM|STUDY|(?:RADIOGRAPHIC )?EXAM(?:INATION)? OF (?:THE )?CHEST"
    ),
    "comparison": "COMPARISONS?|COMPARED TO|PRIOR STUDY",
    "recommendation": "RECOMMENDATIONS?|RECOMMENDATION\\(S\\)",
    "notification": "NOTIFICATIONS?|ADDENDUM|WET READ",
    "report": "NARRATIVE",  # CheXpert Plus opens every report so, also one without another heading
    "administrative": "ACCESSION NUMBER|END OF IMPRESSION",
    # pathology
    "specimen": "SPECIMENS?(?: SUBMITTED| RECEIVED)?|SPECIMEN\\(S\\)(?: SUBMITTED| RECEIVED)?|SOURCE OF SPECIMEN",
    "gross": "(?:GROSS|MACROSCOPIC)(?: DESCRIPTION| EXAMINATION)?",
    "microscopic": "MICROSCOPIC(?: DESCRIPTION| EXAMINATION)?",
    "diagnosis": "(?:FINAL |PATHOLOGIC(?:AL)? |FINAL PATHOLOGIC(?:AL)? |HISTOLOGIC(?:AL)? )?DIAGNOS[IE]S",
    "intraoperative": "INTRAOPERATIVE (?:CONSULTATION|DIAGNOSIS)|FROZEN SECTION(?: DIAGNOSIS)?",
    "ancillary": "IMMUNOHISTOCHEMISTRY|IMMUNOHISTOCHEMICAL STAINS?|SPECIAL STAINS?|(?:ANCILLARY|MOLECULAR) STUDIES",
    "synoptic": "SYNOPTIC (?:REPORT|SUMMARY)|TUMOU?R SUMMARY|CANCER CASE SUMMARY",
    "comment": "COMMENTS?|DIAGNOSIS COMMENT",
}
# CheXpert Plus closes a report with "SUMMARY: 2-ABNORMAL, PREVIOUSLY REPORTED.": a code, not an impression.
SUMMARY_CODE = re.compile(r"\s{0,8}\d\s?-")
# It also prints a study's date where others begin the findings: "CHEST 2 VIEWS: 3/14/2015".
ONLY_A_DATE = re.compile(r"\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\s*")
VIEW_WORD = (
    "(?:CHEST|CXR|RADIOGRAPHS?|X|RAYS?|XRAYS?|FILMS?|IMAGES?|VIEWS?|PA|AP|LAT|LATERAL|FRONTAL|PORTABLE|BEDSIDE|SUPINE"
    "|SEMI|SEMIUPRIGHT|SEMIERECT|UPRIGHT|ERECT|SINGLE|ONE|TWO|THREE|FOUR|[1-4]|OF|THE|AND)"
)
VIEW = rf"(?=[^:\n]{{0,60}}?(?:CHEST|CXR|RADIOGRAPH|VIEW)){VIEW_WORD}\b(?:[ ,()/&-]{{1,3}}{VIEW_WORD}\b){{0,14}}\)?"
SECTION_OF = [
    (name, re.compile(rf"(?:{words})\Z", re.IGNORECASE)) for name, words in [*HEADINGS.items(), ("findings", VIEW)]
]
HEADING = re.compile(rf"(?<![\w-])({'|'.join([*HEADINGS.values(), VIEW])})[ \t]{{0,8}}:", re.IGNORECASE)

NEVER_LAST = re.compile(r"\b(?:Dr|Mr|Mrs|Ms|Prof|St|vs|approx|e\.g|i\.e|cf)\.\Z", re.IGNORECASE)
BEFORE_A_NUMBER = re.compile(r"\b(?:No|Nr|Fig)\.\Z", re.IGNORECASE)
TIME_OF_DAY = re.compile(r"\b[ap]\.m\.\Z", re.IGNORECASE)
ENUMERATOR = re.compile(r"(?:\A|[\n:;])\s*\d{1,2}\.\Z")
SENTENCE_END = re.compile(r"[.!?]+[\"')\]]*(?=\s|\Z)")
IN_LOWER_CASE = re.compile("findings?|impression|conclusion|indication|comparison")
BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")


def section_spans(text: str) -> list[tuple[str, int, int]]:
    """(section, start, end) of every section, in the order of the text and without its heading.

    Text before the first heading, or without any, is the section `report`; blank sections are left out. A section may
    come twice.
    """
    headings = [heading for heading in HEADING.finditer(text) if _opens_section(text, heading)]
    ends = [*(heading.start() for heading in headings), len(text)]
    starts = [("report", 0)]
    for heading, end in zip(headings, ends[1:], strict=True):
        starts.append((_section(heading[1], text[heading.end() : end]), heading.end()))
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
    paragraph_ends = [*(blank.start() for blank in BLANK_LINE.finditer(text)), len(text)]
    spans, start = [], 0
    for paragraph_end in paragraph_ends:
        for mark in SENTENCE_END.finditer(text, start, paragraph_end):
            if _ends_sentence(text, start, mark):
                spans.append((start, mark.end()))
                start = mark.end()
        spans.append((start, paragraph_end))
        start = paragraph_end
    return [_trimmed(text, start, end) for start, end in spans if text[start:end].strip()]


def _opens_section(text: str, heading: re.Match) -> bool:
    """Whether a known name with a colon stands where a heading may stand."""
    name, before = heading[1], text[max(0, heading.start() - 80) : heading.start()]
    sentence = before.rstrip(" \t")
    if name[-1].isdigit() and text[heading.end() : heading.end() + 1].isdigit():
        return False  # "AP CHEST, 3:45 P.M."
    if not sentence or sentence[-1] == "\n":
        return name.isupper() or name.lower() not in ("chest", "compared to")  # words that may merely start a line
    if name.islower() and sentence[-1] in ".!?":  # within a line of lower case, as many models give reports back
        return bool(IN_LOWER_CASE.fullmatch(name.strip()))
    return name.isupper() and (sentence[-1] in ".:;!?" or len(before) - len(sentence) >= 2)


def _ends_sentence(text: str, start: int, mark: re.Match) -> bool:
    """Whether a full stop (or other mark) of the sentence that began at `start` is its last."""
    if mark[0] != ".":
        return True
    before = text[max(start, mark.end() - 40) : mark.end()]
    after = text[mark.end() : mark.end() + 40].lstrip()
    if BEFORE_A_NUMBER.search(before):
        return not after[:1].isdigit()
    if TIME_OF_DAY.search(before):
        return not after or after[0].isupper()
    return not (NEVER_LAST.search(before) or ENUMERATOR.search(before))


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())


def _section(heading: str, content: str) -> str:
    """The section that a heading opens, by its words and by what follows it."""
    heading = heading.strip()
    if heading.upper() == "SUMMARY" and SUMMARY_CODE.match(content):
        return "administrative"
    name = next(name for name, pattern in SECTION_OF if pattern.match(heading))
    return "technique" if name == "findings" and ONLY_A_DATE.fullmatch(content) else name
