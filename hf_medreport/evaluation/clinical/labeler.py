"""What a chest report says of the 14 CheXpert observations, by rule: positive, negative, uncertain, or absent.

The report is cut into sections, these into sentences, and a sentence into clauses, as far as a negation may reach, by
the rules that read the phantom's reports (`phantom.chest.parser`). Every concept of `observations` that a clause names
is a `Mention`. What the clause says of it, `phantom.scope` reads from a table of cues. It is

- not labeled, if it is asked or remembered ("evaluate for", "history of", "the prior film showed"),
- negative after a negation, before "has resolved", or by itself ("normal heart size"),
- uncertain after a doubt ("may represent", "possible"), before one ("cannot be excluded") and as one of two
  alternatives ("atelectasis or infiltrate"), but not as the subject of one ("opacity, which may be pneumonia"),
- positive otherwise.

A report's label is its strongest mention: positive, then uncertain, then negative. "No Finding" is positive in a report
that says something, but none of the twelve pathologies even as possible; devices, and what is no observation, such as
a granuloma, do not count. It is never negative or uncertain.

What it misses: what is said without a known word or not in English, anaphora ("it has grown"), doubts that span
sentences.

    label_report("Small left effusion. No pneumothorax.")["Pleural Effusion"]  # "positive"
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np

from hf_medreport.evaluation.clinical.observations import CONCEPTS, CONTRARY, OBSERVATIONS, PATHOLOGIES, STATUSES
from hf_medreport.phantom.chest.findings import SIDES, ZONES
from hf_medreport.phantom.chest.parser import Named, clauses, named_in, pieces, places
from hf_medreport.phantom.chest.vocabulary import sentences
from hf_medreport.phantom.scope import said_of
from hf_medreport.processing.report_sections import section_spans

__all__ = ["READ", "Mention", "find_mentions", "label_report", "label_reports"]

# What is said of this film; `report` is a text without headings.
READ = ("report", "findings", "impression")
STRENGTH = ("negative", "uncertain", "positive")
NAMES = {name: concept.words for name, concept in CONCEPTS.items() if concept.status != "negative"}
NORMAL = {name: concept for name, concept in CONCEPTS.items() if concept.status == "negative"}

_ALTERNATIVE = re.compile(r"(?: (?!is\b|are\b)\w+){0,4},? (?:versus|vs|or)(?: \w+){0,4} ")
# A piece that says what the one before it (up to the bar) is: ", likely atelectasis", "consistent | with atelectasis".
_EXPLAINS = re.compile(
    r"(?:consistent|compatible|keeping|associated) ?\|with|\|\W*(?:(?:which|that|and|most|more) )*"
    r"(?:likely|possibl|probabl|suspicio|suggest|concern|may|might|could|consistent|compatible|worrisome|perhaps|favor"
    r"|represent|reflect|due|associated)"
)


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
            status = concept.contrary if CONTRARY.search(match[0]) else "negative"
            where = places(match[0], concept.sides, concept.zones) if status else []
            mentions += [Mention(name, concept.observation, status, *place, "", sentence) for place in where]
    return mentions


def _status(clause: str, one: Named, named: list[Named]) -> str | None:
    """What the clause says of what is named there; None where it only asks or remembers."""
    if CONCEPTS[one[2]].status:
        return CONCEPTS[one[2]].status
    said = said_of(clause, one[:2], [other[:2] for other in named])
    if said == "stated":
        return "uncertain" if _alternative(clause, one, named) else "positive"
    return {"denied": "negative", "doubted": "uncertain"}.get(said)


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
