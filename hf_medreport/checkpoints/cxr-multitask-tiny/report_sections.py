"""Sections and sentences of a report, as character spans of its text: nothing of the text is ever changed.

Known are the headings of MIMIC-CXR, of the Indiana archive, of CheXpert Plus and of pathology reports, in English.
Those of Spanish, German, French and Portuguese reports open the same sections, and `heading_language` tells which.

A heading is a known name and what sets it apart:

- at the start of a line a colon, in any case ("   FINDINGS: ...", "findings: ..."), a dash ("Findings - clear"), or
  nothing else on its line ("FINDINGS", "## Findings");
- inside a line, after the end of a sentence, a colon: in capitals every name, with a capital the usual ones
  ("Findings: ... Impression: ..."), in lower case the few that models write back;
- in capitals nothing but the sentence that follows ("IMPRESSION Normal chest.").

Marks around it belong to it: of markdown (#, **), HTML (<b>, <br>), lists and numbers. Names of views ("CHEST, TWO
VIEWS:", "PA AND LATERAL CHEST:") count as findings, which upstream's parser misses. Unknown names, such as the organs
of a structured report ("LUNGS: ..."), stay text of their section.

    split_sections("FINDINGS: Clear. IMPRESSION: Normal.")  # {"findings": "Clear.", "impression": "Normal."}
"""

import re
import unicodedata

from .input_error import InputError

# Every heading that is known, by the section it opens; of names that begin alike the longer one first.
HEADINGS = {
    "findings": (
        r"FINDINGS? (?:AND|/|&) IMPRESSIONS?|FINDINGS/IMPRESSION|FINDING\(S\)"
        r"|(?:(?:REPORT|RADIOLOG(?:IC(?:AL)?|Y)|RADIOGRAPHIC|IMAGING|CHEST|KEY) )?FINDINGS?|RESULTS?|OBSERVATIONS?"
    ),
    "impression": (
        r"IMPRESSIONS? AND (?:RECOMMENDATIONS?|PLAN)|SUMMARY|OPINION"
        r"|(?:(?:FINAL|OVERALL|DIAGNOSTIC|RADIOLOG(?:IC(?:AL)?|Y)|RADIOGRAPHIC) )?(?:IMPRESSION|CONCLUSION)(?:\(S\)|S)?"
    ),
    "indication": (
        r"INDICATION(?:\(S\)|S)?|REASON(?: FOR (?:THE |THIS )?(?:EXAM(?:INATION)?|STUDY|REFERRAL|REQUEST|VISIT))?"
        r"|CLINICAL (?:IN(?:FORMATION|DICATIONS?)|QUESTION|DETAILS|DATA|NOTES?|PROBLEM|CONTEXT|CONCERN|STATEMENT)"
        r"|REFERRAL|(?:PRESENTING |CHIEF )?COMPLAINTS?|SYMPTOMS?"
    ),
    "history": r"(?:(?:CLINICAL|PATIENT|MEDICAL|PREOPERATIVE|BRIEF|RELEVANT|PAST MEDICAL) )?(?:HISTORY|HX)",
    "technique": (
        r"TECHNIQUE|PROCEDURE(?: COMMENTS?)?|EXAMINATION|EXAM|STUDY"
        r"|(?:RADIOGRAPHIC )?EXAM(?:INATION)? OF (?:THE )?CHEST"
    ),
    "comparison": r"COMPARISON(?:\(S\)|S)?|COMPARED TO|PRIOR STUDY",
    "recommendation": r"RECOMMENDATION(?:\(S\)|S)?",
    "notification": r"NOTIFICATIONS?|ADDENDUM|WET READ",
    "report": r"NARRATIVE|(?:FINAL )?REPORT",  # CheXpert Plus opens every report so, also one without another heading
    "administrative": r"ACCESSION NUMBER|END OF IMPRESSION",
    # pathology
    "specimen": r"SPECIMENS?(?: SUBMITTED| RECEIVED)?|SPECIMEN\(S\)(?: SUBMITTED| RECEIVED)?|SOURCE OF SPECIMEN",
    "gross": r"(?:GROSS|MACROSCOPIC)(?: DESCRIPTION| EXAMINATION)?",
    "microscopic": r"MICROSCOPIC(?: DESCRIPTION| EXAMINATION)?",
    "diagnosis": r"(?:FINAL |PATHOLOGIC(?:AL)? |FINAL PATHOLOGIC(?:AL)? |HISTOLOGIC(?:AL)? )?DIAGNOS[IE]S",
    "intraoperative": r"INTRAOPERATIVE (?:CONSULTATION|DIAGNOSIS)|FROZEN SECTION(?: DIAGNOSIS)?",
    "ancillary": r"IMMUNOHISTOCHEMISTRY|IMMUNOHISTOCHEMICAL STAINS?|SPECIAL STAINS?|(?:ANCILLARY|MOLECULAR) STUDIES",
    "synoptic": r"SYNOPTIC (?:REPORT|SUMMARY)|TUMOU?R SUMMARY|CANCER CASE SUMMARY",
    "comment": r"COMMENTS?|DIAGNOSIS COMMENT",
}
# Names of other languages that are no English word: those of French that are ("CONCLUSION") stand above.
FOREIGN = {
    "Spanish": {
        "findings": "HALLAZGOS?|INFORME",
        "impression": "IMPRESIÓN(?: DIAGNÓSTICA)?|CONCLUSIÓN|CONCLUSIONES",
        "indication": "INDICACIÓN|INDICACIONES|MOTIVO(?: DE (?:CONSULTA|ESTUDIO))?|DATOS CLÍNICOS",
        "technique": "TÉCNICA",
        "comparison": "COMPARACIÓN",
    },
    "German": {
        "findings": "BEFUNDE?",
        "impression": "BEURTEILUNG|ZUSAMMENFASSUNG",
        "indication": "(?:RECHTFERTIGENDE )?INDIKATION|(?:KLINISCHE )?FRAGESTELLUNG|KLINISCHE ANGABEN|ANAMNESE",
        "technique": "TECHNIK",
        "comparison": "VERGLEICH|VORAUFNAHMEN?|VORUNTERSUCHUNG(?:EN)?",
    },
    "French": {
        "findings": "RÉSULTATS?",
        "impression": "SYNTHÈSE|AU TOTAL",
        "indication": "RENSEIGNEMENTS CLINIQUES|MOTIF",
        "comparison": "COMPARAISON",
    },
    "Portuguese": {
        "findings": "ACHADOS|LAUDO|RELATÓRIO|ANÁLISE",
        "impression": "IMPRESSÃO(?: DIAGNÓSTICA)?|CONCLUSÃO|CONCLUSÕES",
        "indication": "INDICAÇÃO(?: CLÍNICA)?|DADOS CLÍNICOS",
        "comparison": "COMPARAÇÃO",
    },
}


def _any_accent(words: str) -> str:
    """The pattern with each accented letter as one character, as two, or without its accent."""
    for letter in {letter for letter in words if not letter.isascii()}:
        plain, accent = unicodedata.normalize("NFD", letter)
        words = words.replace(letter, f"(?:{letter}|{plain}{accent}?)")
    return words


FOREIGN_NAMES = [
    (language, section, _any_accent(words)) for language, names in FOREIGN.items() for section, words in names.items()
]
# CheXpert Plus closes a report with "SUMMARY: 2-ABNORMAL, PREVIOUSLY REPORTED.": a code, not an impression.
SUMMARY_CODE = re.compile(r"\s{0,8}\d\s?-")
# It also prints a study's date where others begin the findings: "CHEST 2 VIEWS: 3/14/2015".
ONLY_A_DATE = re.compile(r"\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\s*")
VIEW_WORD = (
    "(?:CHEST|CXR|RADIOGRAPHS?|X|RAYS?|XRAYS?|FILMS?|IMAGES?|VIEWS?|PA|AP|LAT|LATERAL|FRONTAL|PORTABLE|BEDSIDE|SUPINE"
    "|SEMI|SEMIUPRIGHT|SEMIERECT|UPRIGHT|ERECT|SINGLE|ONE|TWO|THREE|FOUR|[1-4]|OF|THE|AND)"
)
VIEW = rf"{VIEW_WORD}\b(?:[ ,()/&-]{{1,3}}{VIEW_WORD}\b){{0,14}}\)?"
OF_A_VIEW = re.compile("CHEST|CXR|RADIOGRAPH|VIEW", re.IGNORECASE)

# What stands around a heading: blanks of any kind, ends of lines, marks of markdown, HTML and lists.
BLANK = r"(?:[^\S\n\r\v\f\x1c-\x1e\x85\u2028\u2029]|[\u200b-\u200d\u2060\ufeff]|&nbsp;)"
LINE_END = r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]"
TAG = r"</?[a-z][^<>\n]{0,60}>"
NEW_LINE_TAG = r"</?(?:br|p|div|li|ul|ol|h\d|tr|td|th|section|body|html)\b[^<>\n]{0,60}>"
NUMBER = r"\(?(?:\d{1,2}|[ivx]{1,4}|[a-h])[.)]"
CLOSING = rf"(?:{BLANK}|[*_#]|{TAG}){{0,8}}"
# What follows a heading's name: a sign, the end of its line, or the end of what is set off ("**Findings** Clear.").
TAIL = (
    rf"{CLOSING}(?P<sign>[:\uff1a]|{BLANK}-{{1,2}}{BLANK}|{BLANK}?[\u2013\u2014]|{BLANK}?=)(?:[*_]|{TAG})*"
    rf"|(?:[*_#]|{TAG}){{0,8}}(?={BLANK}*(?:{LINE_END}|\Z|{NEW_LINE_TAG}))"
    r"|(?P<set_off>\*\*|__|[\]>]|</(?:b|strong|em|u)>)"
)
NAMES = "|".join([*HEADINGS.values(), *(words for _, _, words in FOREIGN_NAMES)])
HEADING = re.compile(
    rf"(?<![^\W_])(?<!-)(?:(?P<name>{NAMES})(?:{TAIL})|(?P<view>{VIEW})[ \t]{{0,8}}:"
    rf"|(?-i:(?P<bare>FINDINGS|IMPRESSION|CONCLUSION|INDICATION|COMPARISON|TECHNIQUE)\.?{BLANK}+(?=[A-Z][a-z]|\d\.)))",
    re.IGNORECASE,
)
SECTION_OF = [
    (section, re.compile(rf"(?:{words})\Z", re.IGNORECASE))
    for section, words in [*HEADINGS.items(), *(row[1:] for row in FOREIGN_NAMES), ("findings", VIEW)]
]
ENGLISH = re.compile("|".join(HEADINGS.values()), re.IGNORECASE)
FOREIGN_NAME = re.compile("|".join(words for _, _, words in FOREIGN_NAMES), re.IGNORECASE)
LANGUAGE_OF = [(language, re.compile(words, re.IGNORECASE)) for language, _, words in FOREIGN_NAMES]
# What a heading has before it: from the start of its line, and inside one.
LINE_START = re.compile(
    rf"(?:\A|{LINE_END}|{NEW_LINE_TAG})(?P<marks>(?:{BLANK}|[#*_<>\[+\u2022\u00b7-]|{NUMBER}|{TAG})*)\Z", re.IGNORECASE
)
IN_LINE = re.compile(rf"(?:{BLANK}|[*_<\[]|(?<=[.:;!?] )\d{{1,2}}[.)]|{TAG})*\Z", re.IGNORECASE)
SET_OFF = re.compile(rf"[#*_<\[]|{TAG}", re.IGNORECASE)
# Names that open a section inside a line although only their first letter is a capital.
WITH_A_CAPITAL = re.compile(
    r"(?:\w+ )?(?:finding|impression|conclusion)(?:\(s\)|s)?(?: (?:and|&) \w+)?|indications?|comparisons?|technique"
    rf"|opinion|clinical \w+|history|recommendations?|{FOREIGN_NAME.pattern}",
    re.IGNORECASE,
)
IN_LOWER_CASE = re.compile("findings?|impression|conclusion|indication|comparison")
# A word that goes on: what follows two blanks after it is no heading ("with the  PRIOR STUDY: no change").
GOES_ON = re.compile(
    r"\b(?:an?|the|this|that|these|our|of|to|in|on|at|by|for|from|with|and|or|as|per|see|since|than|below|above|under"
    r"|is|are|was|prior|previous|last)\Z",
    re.IGNORECASE,
)
MARKS = rf"(?:{BLANK}|{LINE_END}|[*_#]{{2}}|{TAG})"
MARKS_FIRST, MARKS_LAST = re.compile(f"{MARKS}*", re.IGNORECASE), re.compile(rf"{MARKS}+\Z", re.IGNORECASE)

NEVER_LAST = re.compile(r"\b(?:Dr|Mr|Mrs|Ms|Prof|St|vs|approx|e\.g|i\.e|cf)\.\Z", re.IGNORECASE)
BEFORE_A_NUMBER = re.compile(r"\b(?:No|Nr|Fig)\.\Z", re.IGNORECASE)
TIME_OF_DAY = re.compile(r"\b[ap]\.m\.\Z", re.IGNORECASE)
ENUMERATOR = re.compile(r"(?:\A|[\n:;])\s*\d{1,2}\.\Z")
SENTENCE_END = re.compile(r"[.!?]+[\"')\]]*(?=\s|\Z)")
BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")


def section_spans(text: str) -> list[tuple[str, int, int]]:
    """(section, start, end) of every section, in the order of the text and without its heading.

    Text before the first heading, or without any, is the section `report`; blank sections are left out. A section may
    come twice.
    """
    found = [(_start(text, heading), heading) for heading in HEADING.finditer(text)]
    headings = [(start, heading) for start, heading in found if start is not None]
    ends = [*(start for start, _ in headings), len(text)]
    spans = [("report", 0, ends[0])]
    for (_, heading), end in zip(headings, ends[1:], strict=True):
        spans.append((_section(_name(heading), text[heading.end() : end]), heading.end(), end))
    return [(name, start, end) for name, start, end in spans if _without_marks(text[start:end])]


def split_sections(text: str) -> dict[str, str]:
    """The text of each section without blanks and marks at both ends; parts of a section that comes twice are joined
    by a blank."""
    sections: dict[str, str] = {}
    for name, start, end in section_spans(text):
        part = _without_marks(text[start:end])
        sections[name] = f"{sections[name]} {part}" if name in sections else part
    return sections


def heading_language(text: str) -> str | None:
    """ "Spanish", "German", "French" or "Portuguese" where a heading is of that language and no English one; else None.

    Sections are found in these languages; what a report says is read in English only.
    """
    if not FOREIGN_NAME.search(text):
        return None
    names = [_name(heading) for heading in HEADING.finditer(text) if _start(text, heading) is not None]
    foreign = [name for name in names if not ENGLISH.fullmatch(name)]
    return next((language for language, words in LANGUAGE_OF if any(map(words.fullmatch, foreign))), None)


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


def _name(heading: re.Match) -> str:
    return heading["name"] or heading["view"] or heading["bare"]


def _start(text: str, heading: re.Match) -> int | None:
    """Where a heading begins, with the marks before it; None where a known name is no heading."""
    name, window = _name(heading), max(0, heading.start() - 80)
    if name[-1].isdigit() and text[heading.end() : heading.end() + 1].isdigit():
        return None  # "AP CHEST, 3:45 P.M."
    if heading["view"] and not OF_A_VIEW.search(name):
        return None  # "two of the four:"
    colon = bool(heading["view"]) or heading["sign"] in (":", "\uff1a")
    lead = LINE_START.search(text, window, heading.start())
    if lead:
        before = text[window : lead.start()].rstrip(" \t")[-1:]
        opens = colon or name[0].isupper() or SET_OFF.search(lead[0])
        opens = opens or IN_LOWER_CASE.fullmatch(name) and before in (*".!?:\n\r", "")
        words_of_a_line = name.lower() in ("chest", "compared to") and not name.isupper()
        return lead.start("marks") if opens and not words_of_a_line else None
    lead = IN_LINE.search(text, window, heading.start())
    opens = _opens_in_line(text[window : lead.start()], lead[0], name, colon or bool(heading["bare"]))
    return lead.start() if opens else None


def _opens_in_line(before: str, lead: str, name: str, with_colon: bool) -> bool:
    """Whether a name that does not start its line stands where a heading may stand.

    Args:
        before: what the line says up to the name.
        lead: blanks and marks between them.
    """
    sentence = before.rstrip("\"')]")
    end = sentence[-1:]
    if SET_OFF.search(lead):
        return end in ".:;!?" or name[0].isupper()
    if not with_colon:
        return False
    if name.islower():  # within a line of lower case, as many models give reports back
        return end in ".!?" and bool(IN_LOWER_CASE.fullmatch(name.strip()))
    if not name.isupper():
        return end in ".!?" and bool(WITH_A_CAPITAL.fullmatch(name))
    return end in ".:;!?" or len(lead) >= 2 and not GOES_ON.search(sentence)


def _without_marks(part: str) -> str:
    first = MARKS_FIRST.match(part).end()
    last = MARKS_LAST.search(part, max(first, len(part) - 80))
    return part[first : last.start() if last else len(part)].strip()


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
