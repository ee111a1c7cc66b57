"""Key facts of pathology reports, and how many of them a report shares with its reference.

The facts that a synoptic report must hold (College of American Pathologists' protocols): diagnosis, grade, stage (T, N,
M), margin, size, nodes, biomarkers. Each is read by its words and written in one way, so that equal facts are equal
strings: "well differentiated" and "G1" are grade 1, "2.3 x 1.1 cm" is 23 mm, "two of fifteen lymph nodes" is 2/15.

    pathology_facts("Invasive ductal carcinoma, grade 2, 2.3 cm. ER positive.")
    # diagnosis invasive ductal carcinoma, grade 2, size 23 mm, biomarker ER positive

A fact counts if the reference has the same: a tumor of 23 mm against one of 24 mm is one invented and one missed.

What it misses: facts in words it does not know, what belongs to which of two tumors, and prose on morphology.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hf_medreport.evaluation.score import Score, check_texts
from hf_medreport.phantom.chest.vocabulary import sizes_mm
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.report_sections import section_spans, split_sentences

__all__ = ["FACTS", "KeyFact", "pathology", "pathology_facts"]

FACTS = ("diagnosis", "grade", "T", "N", "M", "margin", "size", "nodes", "biomarker")
# What is asked or remembered.
PASSED_OVER = ("indication", "history", "technique", "comparison")


@dataclass(frozen=True)
class KeyFact:
    """One fact: `kind` is one of `FACTS`, `value` its one way to be written."""

    kind: str
    value: str


_NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_NUMBERS += ["thirteen", "fourteen", "fifteen"]
_COUNT = rf"(?:\d{{1,3}}|{'|'.join(_NUMBERS)}|none)"
_ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4"}
_DIFFERENTIATED = {"well": "1", "moderately": "2", "poorly": "3"}
# What leads to a diagnosis that is not stated: denied, asked, remembered or only suspected.
_NOT_STATED = re.compile(
    r"\b(?:no|not|without|negative for|absence of|free of|rule out|exclude|history of"
    r"|suspicious for|suspicion (?:for|of)|suggest(?:s|ing|ive of)|concerning for)\b[^,;:]*\Z"
)
_NOT_EXCLUDED = re.compile(r"[^,;:]*\b(?:can ?not|could not) be (?:\w+ )?(?:excluded|ruled out)\b")

_CANCER = (
    r"(?:adeno|cystadeno)?carcinomas?|adenomas?|lymphomas?|melanomas?|\w*sarcomas?|gliomas?|glioblastomas?|seminomas?"
    r"|mesotheliomas?|astrocytomas?|oligodendrogliomas?|meningiomas?|thymomas?|neuroblastomas?|carcinoids?"
    r"|fibroadenomas?|papillomas?|blastomas?|leukemias?|myelomas?"
)
_TYPE = (
    r"invasive|infiltrating|in situ|ductal|lobular|mucinous|papillary|tubular|medullary|metaplastic|squamous|cell|small"
    r"|non|large|clear|renal|transitional|urothelial|hepatocellular|basal|acinar|lepidic|endometrioid|serous|mammary"
    r"|follicular|anaplastic|chromophobe|neuroendocrine|adenoid|cystic|hodgkin|diffuse|b|t|signet|ring|malignant"
    r"|metastatic|pleomorphic|tubulovillous|villous|prostatic|colorectal|colonic|pulmonary|gastric|adenosquamous"
)
_DIAGNOSIS = re.compile(rf"\b((?:(?:{_TYPE})[ -]){{0,6}})({_CANCER})((?: in situ)?)\b")
_BENIGN = re.compile(r"\b(?:negative for|no evidence of|no) (?:\w+ )?(?:malignancy|carcinoma|tumou?r|neoplasm)\b")
# Lines that say where the tumor is or is not, not what it is.
_ELSEWHERE = re.compile(r"\b(?:margins?|nodes?|nodal|lymphovascular|perineural)\b")
_GRADE = re.compile(
    r"\b(?:(?:histologic(?:al)?|tumou?r|nottingham|overall|who|fuhrman|figo)[ -])*grade(?: group)?:? (?:is )?(?:of )?"
    r"(?:g ?)?([1-4]|iv|i{1,3})(?: ?(?:-|to) ?(?:g ?)?([1-4]|iv|i{1,3}))?\b(?! ?mm)"
    r"|\bg([1-4])(?: ?(?:-|to) ?g?([1-4]))?\b|\b(high|low|intermediate)[- ]grade\b"
    r"|\bgrade:? (high|low|intermediate)\b|\b(well|moderately|poorly)(?:[- ]to[- ](well|moderately|poorly))?"
    r"[- ]differentiated\b|\b(undifferentiated)\b"
)
_GLEASON = re.compile(r"\bgleason(?: \w+){0,2}:? ?(?:\d{1,2} ?\()?([1-5]) ?\+ ?([1-5])")
_STAGE = re.compile(
    r"(?<![A-Za-z])[yra]{0,2}[pc]?(T)(is|[0-4xX][a-d]?)(?![0-9a-z])"
    r"|(?:(?<![A-Za-z0-9])|(?<=[0-4xXsabcd]))[yra]{0,2}[pc]?(N|M)([0-3xX](?:mi|[a-c])?)(?![0-9a-z])"
)
_MARGIN = re.compile(r"\bmargins?\b")
_NEAR_MARGIN = (
    (
        "negative",
        r"negative|uninvolved|not involved|free|clear(?! cell)|unremarkable"
        r"|no (?:\w+ )?(?:tumou?r|carcinoma|involvement)",
    ),
    ("close", r"close"),
    ("positive", r"positive|involved|involves|involvement|present at|extends? to|at the (?:\w+ )?margin"),
)
# One line may speak of several margins, one part each.
_MARGINS_APART = re.compile(r",(?!\d)|\b(?:but|however|while|whereas|although|except)\b")
# A part that does not name the margin and has these, or a biomarker, speaks of something else.
_NO_MARGIN = re.compile(r"\b(?:nod(?:es?|al)|lymphovascular|perineural|vascular|invasion|extends?|involves)\b")
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d{1,2}(?!\d))")
_SIZED = re.compile(r"\b(?:tumou?r|mass|lesion|nodule|size|measur\w+|greatest|dimension|diameter|focus|carcinoma)\b")
_NOT_THE_TUMOR = re.compile(r"\b(?:margins?|nodes?|specimen|distance|received|segment|fragments?|aggregate|invasion)\b")
_NODES = re.compile(
    rf"\b({_COUNT}) ?(?:/|of|out of) ?(?:the )?({_COUNT})(?: \w+){{0,3}} (?:lymph )?nodes?\b"
    rf"|\bnodes?\b[^.;]*?\(?\b({_COUNT}) ?(?:/|of|out of) ?({_COUNT})\b"
)
_NODES_AS_A_WHOLE = (
    (
        "negative",
        r"\b(?:no|negative)\b[^.;]*\bnod(?:es?|al)\b|\bnod(?:es?|al)\b[^.;]*\b(?:negative|uninvolved|benign)\b",
    ),
    ("positive", r"\bmetasta\w+ [^.;]*\bnodes?\b|\bnodes?\b[^.;]*\b(?:positive|metasta\w+|involved)\b"),
)
_MARKERS = {
    "ER": r"er|estrogen receptors?",
    "PR": r"pr|pgr|progesterone receptors?",
    "HER2": r"her ?-?2(?: ?/ ?neu)?|c-?erbb-?2",
    "Ki-67": r"ki ?-?67|mib-?1",
    "PD-L1": r"pd-?l1",
    "MSI": r"msi(?:-h)?|microsatellite instability",
    "TTF-1": r"ttf ?-?1",
    "Napsin A": r"napsin(?: a)?",
    "GATA3": r"gata ?-?3",
    **{name: name.lower() for name in ("EGFR", "ALK", "KRAS", "BRAF", "ROS1", "IDH1", "MGMT", "PSA", "S100", "SOX10")},
    **{name: name.lower() for name in ("p16", "p40", "p53", "p63", "MLH1", "MSH2", "MSH6", "PMS2", "synaptophysin")},
    **{name: name.lower() for name in ("chromogranin", "calretinin", "vimentin", "desmin", "WT1", "PAX8", "CDX2")},
}
_MARKER = re.compile(
    "|".join(rf"(?<![\w-])(?P<m{n}>{words})(?![\w])" for n, words in enumerate(_MARKERS.values()))
    + r"|(?<![\w-])(?P<other>ck ?-?(?:\d{1,2}(?:/\d{1,2})?|ae1/3)|cd ?-?\d{1,3})(?!\w)"
)
_RESULT = re.compile(
    r"(?:(?P<below><|less than|under)|(?P<above>>|more than|over))? ?(?P<percent>\d{1,3}(?: ?- ?\d{1,3})?) ?%"
    r"|(?P<score>[0-3]\+)|(?P<equivocal>equivocal|indeterminate)"
    r"|(?P<negative>\b(?:negative|absent|wild[- ]type|(?:not|non)[- ]?(?:detected|amplified|expressed|reactive))\b"
    r"|\(-\)|-(?=[,;. ]|$))"
    r"|(?P<positive>\b(?:positive|detected|amplified|mutated|expressed|reactive)\b|\+)"
)
_LIST_RESULT = re.compile(r"\b(positive|negative|immunoreactive) for\b")


def pathology(predictions: list[str], references: list, *, figure: str = "f1") -> Score:
    """Key facts shared by report and reference: micro F1, precision or recall over all facts, 0 to 1; nan (undefined)
    where no text of the set has a fact.

    `per_sample` is the figure of one report, 1 where neither text has a fact; of several references the one with the
    best F1. `details` holds all three, and a table of them for each kind of fact, None where the whole is empty.

    Raises:
        InputError: see `check_texts`; an unknown figure.
    """
    if figure not in ("f1", "precision", "recall"):
        raise InputError("figure", repr(figure), "one of f1, precision, recall", "name a known figure")
    predictions, groups = check_texts(predictions, references)
    said, given = [], []
    for text, group in zip(predictions, groups, strict=True):
        facts = pathology_facts(text)
        said.append(facts)
        given.append(max(map(pathology_facts, group), key=lambda other: _figures([facts], [other])["f1"] or 0.0))
    whole = _figures(said, given)
    each = [_figures([one], [other]) for one, other in zip(said, given, strict=True)]
    empty = [not one and not other for one, other in zip(said, given, strict=True)]
    return Score(
        value=math.nan if whole["f1"] is None else whole[figure] or 0.0,
        per_sample=np.array([1.0 if nothing else row[figure] or 0.0 for row, nothing in zip(each, empty, strict=True)]),
        name=f"pathology_{figure}",
        convention=f"key facts of pathology by rule, equal facts, micro {figure}, 0 to 1",
        details={**whole, "facts": {kind: _figures(_only(said, kind), _only(given, kind)) for kind in FACTS}},
    )


def _only(reports: list[frozenset[KeyFact]], kind: str) -> list[frozenset[KeyFact]]:
    return [frozenset(fact for fact in facts if fact.kind == kind) for facts in reports]


def _figures(said: list[frozenset], given: list[frozenset]) -> dict[str, float | int | None]:
    shared = sum(len(one & other) for one, other in zip(said, given, strict=True))
    stated, true = sum(map(len, said)), sum(map(len, given))
    return {
        "precision": shared / stated if stated else None,
        "recall": shared / true if true else None,
        "f1": 2 * shared / (stated + true) if stated + true else None,
        "stated": stated,
        "true": true,
    }


@lru_cache(maxsize=1 << 16)  # the three figures ask for the same texts
def pathology_facts(text: str) -> frozenset[KeyFact]:
    """The key facts of a pathology report, its history and indication passed over. Never raises on a string."""
    facts: set[KeyFact] = set()
    for section, start, end in section_spans(text):
        if section not in PASSED_OVER:
            part = text[start:end]
            for first, last in split_sentences(part):
                for line in re.split(r"[;\n]", part[first:last]):
                    facts |= _line_facts(line)
    return frozenset(facts)


@lru_cache(maxsize=1 << 16)  # reports repeat their sentences
def _line_facts(line: str) -> frozenset[KeyFact]:
    read = {KeyFact(kind, value) for kind, reader in _READERS for value in reader(line)}
    return frozenset(read | {KeyFact(kind, value) for kind, value in _stage(line)})


def _diagnosis(line: str) -> set[str]:
    line, found = line.lower(), set()
    if _ELSEWHERE.search(line):
        return found
    for match in _DIAGNOSIS.finditer(line):
        if not _NOT_STATED.search(line[: match.start()]) and not _NOT_EXCLUDED.match(line, match.end()):
            words = (match[1] + match[2].rstrip("s") + match[3]).replace("-", " ").replace("infiltrating", "invasive")
            found.add(" ".join(words.split()))
    return found or ({"benign"} if _BENIGN.search(line) else set())


def _grade(line: str) -> set[str]:
    found = set()
    for number, upper, short, above, before, after, low, high, none in _GRADE.findall(line.lower()):
        words = [
            number or short,
            upper or above,
            before or after,
            *(_DIFFERENTIATED.get(word, "") for word in (low, high)),
        ]
        found |= {_ROMAN.get(word, word) for word in (*words, "4" if none else "") if word}
    return found | {f"gleason {first}+{second}" for first, second in _GLEASON.findall(line.lower())}


def _stage(line: str) -> set[tuple[str, str]]:
    return {(match[1] or match[3], (match[2] or match[4]).lower()) for match in _STAGE.finditer(line)}


def _margin(line: str) -> set[str]:
    """What each part of the line says, from where a margin is first named; before it, if nothing is said from there."""
    parts = _MARGINS_APART.split(line.lower())
    first = next((place for place, part in enumerate(parts) if _MARGIN.search(part)), None)
    if first is None:
        return set()
    parts = [
        "" if not _MARGIN.search(part) and (_NO_MARGIN.search(part) or _MARKER.search(part)) else part for part in parts
    ]
    return _said_of_margins(parts[first:]) or _said_of_margins(parts[:first])


def _said_of_margins(parts: list[str]) -> set[str]:
    said = (
        next((value for value, words in _NEAR_MARGIN if re.search(rf"\b(?:{words})\b", part)), "") for part in parts
    )
    return set(said) - {""}


def _size(line: str) -> set[str]:
    line = _DECIMAL_COMMA.sub(".", line.lower())
    if not _SIZED.search(line) and not _DIAGNOSIS.search(line) or _NOT_THE_TUMOR.search(line):
        return set()
    sizes = sizes_mm(line)
    return {f"{round(max(sizes))} mm"} if sizes else set()


def _nodes(line: str) -> set[str]:
    line = line.lower()
    counted = {(match[1] or match[3], match[2] or match[4]) for match in _NODES.finditer(line)}
    if counted:
        return {f"{_number(positive)}/{_number(examined)}" for positive, examined in counted}
    return {next((value for value, words in _NODES_AS_A_WHOLE if re.search(words, line)), "")} - {""}


def _number(word: str) -> str:
    return "0" if word == "none" else str(_NUMBERS.index(word)) if word in _NUMBERS else str(int(word))


def _biomarkers(line: str) -> set[str]:
    """ "name result": the result that follows the name, or that opens the list it stands in ("positive for")."""
    line, found = line.lower(), set()
    named = [(match.start(), match.end(), _marker(match)) for match in _MARKER.finditer(line)]
    for place, (start, end, name) in enumerate(named):
        opened = [match[1] for match in _LIST_RESULT.finditer(line, 0, start)]
        following = named[place + 1][0] if place + 1 < len(named) else len(line)
        result = _RESULT.search(line, end, following)
        if opened and not (result and not _LIST_RESULT.match(line, result.start())):
            found.add(f"{name} {'negative' if opened[-1] == 'negative' else 'positive'}")
            continue
        shared = result or _RESULT.search(line, end)  # "ER and PR positive"
        if shared:
            found.add(f"{name} {_result(shared)}")
    return found


def _marker(match: re.Match) -> str:
    if match["other"]:
        return re.sub(r"[ -]", "", match["other"]).upper()
    return next(name for number, name in enumerate(_MARKERS) if match[f"m{number}"])


def _result(match: re.Match) -> str:
    if match["percent"]:
        bound = "<" if match["below"] else ">" if match["above"] else ""
        return bound + "-".join(str(int(number)) for number in match["percent"].split("-")) + "%"
    return match["score"] or next(name for name in ("equivocal", "negative", "positive") if match[name])


_READERS: tuple[tuple[str, Callable[[str], set[str]]], ...] = (
    ("diagnosis", _diagnosis),
    ("grade", _grade),
    ("margin", _margin),
    ("size", _size),
    ("nodes", _nodes),
    ("biomarker", _biomarkers),
)
