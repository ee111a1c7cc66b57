"""What a chest report says of the 14 CheXpert observations, by rule: positive, negative, uncertain, or absent.

The report is cut into sections, these into sentences, and a sentence into clauses, as far as a negation may reach, by
the rules that read the phantom's reports (`phantom.parser`). Every concept of `observations` that a clause names is a
`Mention`. It is

- not labeled, if it is asked or remembered ("evaluate for", "history of"),
- negative after a negation, before "has resolved", or by itself ("normal heart size"),
- uncertain after a doubt ("may represent", "possible"), before one ("cannot be excluded") and as one of two
  alternatives ("atelectasis or infiltrate"), but not as the subject of one ("opacity, which may be pneumonia"),
- positive otherwise.

A report's label is its strongest mention: positive, then uncertain, then negative. "No Finding" is positive in a report
that says something, but none of the twelve pathologies even as possible; devices, and what is no observation, such as
a granuloma, do not count. It is never negative or uncertain.

What it misses: what is said without a known word, anaphora ("it has grown"), doubts that span sentences.

    label_report("Small left effusion. No pneumothorax.")["Pleural Effusion"]  # "positive"
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np

from hf_medreport.evaluation.clinical.observations import CONCEPTS, OBSERVATIONS, PATHOLOGIES, STATUSES
from hf_medreport.phantom.chest.findings import SIDES, ZONES
from hf_medreport.phantom.chest.parser import Named, clauses, named_in, pieces, places
from hf_medreport.phantom.chest.vocabulary import ASKS, CONJUNCTION, NEGATES_AFTER, NEGATES_BEFORE, sentences
from hf_medreport.processing.report_sections import section_spans

__all__ = ["READ", "Mention", "find_mentions", "label_report", "label_reports"]

# What is said of this film; `report` is a text without headings.
READ = ("report", "findings", "impression")
STRENGTH = ("negative", "uncertain", "positive")
NAMES = {name: concept.words for name, concept in CONCEPTS.items() if concept.status != "negative"}
NORMAL = {name: concept for name, concept in CONCEPTS.items() if concept.status == "negative"}

# A doubt about one thing: "possible X", "likely X".
_DOUBTS_NOUN = re.compile(
    r"\b(?:possibl[ey]|probabl[ey]|potential(?:ly)?|questionable|equivocal|suspect(?:ed)?|likely|perhaps|presumed)\b"
)
# A doubt about all that it leads to: "may represent X and Y".
_DOUBTS_CLAUSE = re.compile(
    r"\b(?:(?:may|might|could|can|would) (?:\w+ )?(?:be|represent|reflect|relate|indicate|suggest|signify|have)"
    r"|(?:possibly|probably|likely|perhaps) (?:to )?(?:represent|reflect|relate|due|secondary|from)\w*|possibility of"
    r"|unlikely|(?:less|more) likely|(?:more|most) consistent with|versus|vs)\b"
)
# The same, unless it is denied itself: "nothing to suggest X", "no concern for X".
_SUGGESTS = re.compile(
    r"\b(?:suggest(?:s|ed|ing|ive)?|concern(?:s|ing)? (?:for|of)|(?:suspicio(?:us|n)|worrisome|worry) (?:for|of)"
    r"|questions?(?: of)?|favor(?:ed|s|ing)?)\b"
)
_DIFFERENTIAL = re.compile(r"\b(?:differential|considerations? includes?)\b")
_ENDS_DOUBT = re.compile(r"\b(?:with|without|no)\b|^[^,]*, and\b")
_DOUBTED = (
    r"(?:possible|suspected|probable|questionable|questioned|equivocal|uncertain|unlikely|(?:less|more) likely|favored"
    r"|considered|a (?:\w+ )?(?:possibility|consideration|concern)|in the differential|likely(?= present| there|$|,))"
)
_DOUBT_AFTER = re.compile(
    rf"\b(?:is|are|was|were|remains?|seems?|should be|may be|might be|could be) (?:\w+ )?{_DOUBTED}\b(?! to\b)"
    r"|\b(?:may|might|could) (?:also )?be (?:present|developing|there)\b"
    rf"|\b{_DOUBTED}(?=$|,| (?:in|at|on|given|but|and|or|based|by|than)\b)|^(?: \w+){{0,4}} (?:versus|vs)\b"
)
_ALTERNATIVE = re.compile(r"(?: (?!is\b|are\b)\w+){0,4},? (?:versus|vs|or)(?: \w+){0,4} ")
# What may stand between two things that one verb speaks of.
_LISTED = re.compile(
    r"(?: (?!is\b|are\b|has\b|have\b|with\b)\w+){0,4} ?,?(?: (?!is\b|are\b|has\b|have\b|with\b)\w+){0,5} "
)
_LINK = re.compile(r"\b(?:and|or|versus|vs)\b")
# A piece that says what the one before it (up to the bar) is: ", likely atelectasis", "consistent | with atelectasis".
_EXPLAINS = re.compile(
    r"(?:consistent|compatible|keeping|associated) ?\|with|\|\W*(?:(?:which|that|and|most|more) )*"
    r"(?:likely|possibl|probabl|suspicio|suggest|concern|may|might|could|consistent|compatible|worrisome|perhaps|favor"
    r"|represent|reflect|due|associated)"
)
# After a denial, what begins so is stated: "no pneumothorax, small effusion", "no pneumothorax and a small effusion".
# A bare "and" goes on denying: "no pneumothorax and large effusion"; so does a list that ends in "or" or "and".
_STATED_ANEW = re.compile(
    r"(?: ?,|,? (?:and|with)(?= an? )|,? with) (?:an? )?"
    r"(?:stable|unchanged|persistent|chronic|old|small|trace|tiny|mild|minimal|moderate|large)\b"
    r"(?!.*\b(?:or|nor|and)\b)"
)
_WITHIN_LIMITS = re.compile(r" (?:is |are |appears? )?within (?:normal )?limits")
# What is not seen of a device that is there; "in position" says where the device was.
_END_OF_DEVICE = re.compile(r"(?<!\bin )\b(?:tip|end|side port|position|course|portion)\b")


@dataclass(frozen=True)
class Mention:
    """One concept at one place, as one sentence puts it.

    Attributes:
        concept: of `observations.CONCEPTS`.
        observation: that the concept belongs to; None: it belongs to none.
        status: "positive", "negative" or "uncertain".
        side, zone: "right" or "left"; "upper", "middle" or "lower"; None where none is said.
        section: in which it stands; "report" in a text without headings.
        sentence: as `phantom.vocabulary.plain` leaves it.
    """

    concept: str
    observation: str | None
    status: str
    side: str | None
    zone: str | None
    section: str
    sentence: str


def find_mentions(text: str, sections: Iterable[str] = READ) -> list[Mention]:
    """What the sections of a report state, deny or doubt, in the order of the text. Never raises on a string."""
    wanted, mentions = set(sections), []
    for section, start, end in section_spans(text):
        if section in wanted:
            for sentence in sentences(text[start:end]):
                mentions += [replace(one, section=section) for one in _sentence_mentions(sentence)]
    return mentions


def label_report(text: str, sections: Iterable[str] = READ) -> dict[str, str]:
    """Observation -> "positive", "negative", "uncertain" or "absent", all 14, in the order of `OBSERVATIONS`."""
    codes = label_reports([text], sections)[0]
    return {name: STATUSES[code] for name, code in zip(OBSERVATIONS, codes, strict=True)}


def label_reports(texts: Iterable[str], sections: Iterable[str] = READ) -> np.ndarray:
    """The labels of many reports as CheXbert numbers them: int8 (reports, 14), 0 absent, 1 positive, 2 negative,
    3 uncertain; columns as in `OBSERVATIONS`."""
    wanted = set(sections)
    rows = [_label(text, wanted) for text in texts]
    return np.array(rows, dtype=np.int8).reshape(-1, len(OBSERVATIONS))


def _label(text: str, wanted: set[str]) -> list[int]:
    strongest: dict[str, int] = {}
    said = False
    for section, start, end in section_spans(text):
        if section not in wanted:
            continue
        for sentence in sentences(text[start:end]):
            said = said or bool(sentence)
            for observation, strength in _sentence_labels(sentence):
                strongest[observation] = max(strength, strongest.get(observation, 0))
    if said and not any(strongest.get(name, 0) > 0 for name in PATHOLOGIES):
        strongest["No Finding"] = STRENGTH.index("positive")
    return [STATUSES.index(STRENGTH[strongest[name]]) if name in strongest else 0 for name in OBSERVATIONS]


@lru_cache(maxsize=1 << 17)
def _sentence_labels(sentence: str) -> tuple[tuple[str, int], ...]:
    """(observation, strength) of each mention in a `plain` sentence. Cached: reports repeat each other's sentences."""
    found = {(one.observation, STRENGTH.index(one.status)) for one in _sentence_mentions(sentence) if one.observation}
    return tuple(found)


def _sentence_mentions(sentence: str) -> list[Mention]:
    mentions = []
    for clause, named in clauses(sentence, named_in(sentence, NAMES)):
        before, there = "", [(None, None)]
        for words, here in pieces(clause, named):
            for one in here:
                concept, status = CONCEPTS[one[2]], _status(clause, one, named)
                where = places(words, concept.sides, concept.zones)
                if where == [(None, None)] and concept.sides and _EXPLAINS.search(f"{before[-16:]}|{words}"):
                    where = there
                if status:
                    mentions += [Mention(one[2], concept.observation, status, *place, "", sentence) for place in where]
            before, there = words, places(words, SIDES, ZONES)
    for name, concept in NORMAL.items():
        for match in concept.words.finditer(sentence):
            where = places(match[0], concept.sides, concept.zones)
            mentions += [Mention(name, concept.observation, "negative", *place, "", sentence) for place in where]
    return mentions


def _status(clause: str, one: Named, named: list[Named]) -> str | None:
    """What the clause says of what is named there; None where it only asks or remembers."""
    start, end, concept = one
    if CONCEPTS[concept].status:
        return CONCEPTS[concept].status
    if ASKS.search(clause, 0, start):
        return None
    after = _after(clause, one, named)
    doubted_from = _doubted_from(clause, start)
    gone = NEGATES_BEFORE.search(after) and not _END_OF_DEVICE.search(after) or _WITHIN_LIMITS.match(after)
    if gone or _denied_from(clause, end) > doubted_from:
        return "negative"
    doubted = doubted_from >= 0 or _suggested(clause, start) or _DOUBT_AFTER.search(after)
    return "uncertain" if doubted or _alternative(clause, one, named) else "positive"


def _denied_from(clause: str, end: int) -> int:
    """Where the last denial ends that reaches what ends at `end`; -1: there is none."""
    denials = [match.end() for match in NEGATES_AFTER.finditer(clause, 0, end)]
    anew = [match.start() for match in _STATED_ANEW.finditer(clause)]
    return max((denial for denial in denials if not any(denial <= start < end for start in anew)), default=-1)


def _doubted_from(clause: str, start: int) -> int:
    """Where the last doubt ends that leads to `start`; -1: there is none."""
    found = -1
    for match in _DOUBTS_NOUN.finditer(clause, 0, start):
        joint = CONJUNCTION.search(clause, match.end(), start)
        if not joint or joint[0] == "," and " or " in clause[joint.end() :]:
            found = match.end()
    for match in _DOUBTS_CLAUSE.finditer(clause, 0, start):
        if _reaches(clause, match.end(), start):
            found = max(found, match.end())
    return found


def _suggested(clause: str, start: int) -> bool:
    suggested = any(_reaches(clause, match.end(), start) for match in _SUGGESTS.finditer(clause, 0, start))
    return suggested or bool(_DIFFERENTIAL.search(clause, 0, start))


def _reaches(clause: str, doubt: int, start: int) -> bool:
    """Whether a doubt about all that follows still holds at `start`: in a list, up to "with" or a new statement."""
    comma = clause.find(",", doubt, start)
    return not _ENDS_DOUBT.search(clause[doubt:start]) and (comma < 0 or bool(_LINK.search(clause, comma)))


def _after(clause: str, one: Named, named: list[Named]) -> str:
    """What the clause says after this and what is listed with it, up to the next that is named."""
    last = place = named.index(one)
    while place + 1 < len(named):
        gap = clause[named[place][1] : named[place + 1][0]]
        if not _LISTED.fullmatch(gap):
            break
        place += 1
        last = place if _LINK.search(gap) else last
    end = named[last][1]
    return clause[end : next((start for start, _, _ in named if start >= end), None)]


def _alternative(clause: str, one: Named, named: list[Named]) -> bool:
    """Whether this is one of two that the clause leaves open: "atelectasis or infiltrate"."""
    if "unchanged" in clause[: one[0]]:  # "no change in X or Y"
        return False
    place = named.index(one)
    near = named[max(place - 1, 0) : place + 2]
    return any(
        CONCEPTS[first[2]].observation != CONCEPTS[second[2]].observation
        and _ALTERNATIVE.fullmatch(clause[first[1] : second[0]])
        for first, second in pairwise(near)
    )
