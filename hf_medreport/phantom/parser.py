"""Reads the findings out of a report, by vocabulary rather than by template.

A report is cut into clauses; each clause is searched for words that name a kind of finding, and the side, zone and
severity words near it complete the fact. A kind under a negation ("no", "without", "is not seen") is not stated.
Words that are not known are passed over, so free text yields what can be read from it, and nothing raises.
"""

import re
from dataclasses import dataclass
from itertools import product

from hf_medreport.phantom.findings import KINDS, Fact

__all__ = ["Mention", "parse_report"]


@dataclass(frozen=True)
class Mention:
    """A kind that a text states without all the attributes it takes; those missing are None."""

    kind: str
    side: str | None = None
    zone: str | None = None
    severity: str | None = None


def _words(pattern: str) -> re.Pattern:
    return re.compile(rf"\b(?:{pattern})\b")


KIND_WORDS = {
    "cardiomegaly": _words(
        r"cardiomegaly|enlarge(?:d|ment)(?:(?! and) \w+){0,4} (?:heart|cardiac)"
        r"|(?:heart|cardiac)(?:(?! and) \w+){0,5} enlarge(?:d|ment)"
    ),
    "pleural_effusion": _words(r"(?<!pericardial )effusions?|pleural fluid"),
    "pneumothorax": _words(r"pneumothora(?:x|xes|ces)"),
    "consolidation": _words(r"consolidations?|consolidative|airspace disease"),
    "atelectasis": _words(r"atelecta(?:sis|ses|tic)"),
    "nodule": _words(r"nodules?|nodular"),
}
PLACE_WORDS = {
    "right": _words("right|bilateral|bilaterally|both|bibasilar|biapical"),
    "left": _words("left|bilateral|bilaterally|both|bibasilar|biapical"),
    "upper": _words("upper|apex|apical|apices|biapical"),
    "middle": _words("middle|mid|midlung|lingula"),
    "lower": _words("lower|base|bases|basal|basilar|bibasilar"),
}
SEVERITY_WORDS = {
    "mild": _words("mild|mildly|small|trace|tiny|minimal|slight|slightly"),
    "moderate": _words("moderate|moderately"),
    "severe": _words("severe|severely|large|massive|marked|markedly"),
    "small": _words("small|tiny|subcentimeter"),
    "large": _words("large"),
}

SENTENCE_END = re.compile(r"\.(?!\d)|[!?;:\n]")
# What follows these words is stated anew, whatever was negated before.
CLAUSE_BREAK = _words("but|however|although|though|except|aside from|apart from|other than|there is|there are")
CONJUNCTION = re.compile(r",|\b(?:and|with|plus)\b")
# These look like negations but leave the finding standing.
NO_NEGATION = _words(
    "no (?:significant |interval |substantial )*changes?|not (?:significantly |substantially )?changed|not only"
    r"|(?:can ?not|could not|not) be (?:\w+ )?excluded|(?:can ?not|does not|not) (?:\w+ )?exclude"
)
NEGATES_AFTER = _words("no|not|without|free of|negative for|absence of|absent|denies|resolved|resolution of")
NEGATES_BEFORE = _words(
    r"(?:is|are|was|were) (?:no longer|not|absent)|(?:has|have) (?:\w+ )?(?:resolved|cleared)|ruled out"
)


def _clauses(text: str) -> list[str]:
    """Lower-case stretches of text, each as far as a negation may reach."""
    clauses = []
    for sentence in SENTENCE_END.split(text.lower()):
        sentence = " ".join(re.sub(r"[-/]", " ", sentence).split())
        sentence = NO_NEGATION.sub("", sentence)
        breaks = [match.start() for match in CLAUSE_BREAK.finditer(sentence)]
        clauses += [sentence[start:end] for start, end in zip([0, *breaks], [*breaks, len(sentence)], strict=True)]
    return clauses


def _pieces(clause: str) -> list[tuple[str, list[str]]]:
    """The clause cut at its conjunctions into (words, kinds stated in them).

    A piece that names no kind belongs to the one before it ("in the right upper and left lower zones"). A kind under
    a negation counts as named, so that its attributes go to nothing else, but not as stated.
    """
    negated_from = min((match.start() for match in NEGATES_AFTER.finditer(clause)), default=len(clause))
    negated_to = max((match.start() for match in NEGATES_BEFORE.finditer(clause)), default=0)
    named = [(match, kind) for kind, words in KIND_WORDS.items() for match in words.finditer(clause)]
    cuts = [0, *(match.start() for match in CONJUNCTION.finditer(clause)), len(clause)]
    pieces: list[tuple[str, list[str]]] = []
    open_from = 0
    for start, end in zip(cuts, cuts[1:], strict=False):
        here = [(match, kind) for match, kind in named if start < match.end() <= end]
        if here:
            stated = [k for match, k in here if match.end() <= negated_from and match.start() >= negated_to]
            pieces.append((clause[open_from:end], stated))
            open_from = end
        elif pieces:
            words, stated = pieces.pop()
            pieces.append((words + clause[start:end], stated))
            open_from = end
    return pieces


def _places(words: str, kind: str) -> list[tuple[str | None, str | None]]:
    """The (side, zone) pairs that the words name for this kind; None for what is not said."""
    sides, zones = KINDS[kind].sides, KINDS[kind].zones
    named = sorted((m.start(), place) for place, pattern in PLACE_WORDS.items() for m in pattern.finditer(words))
    named_sides = list(dict.fromkeys(place for _, place in named if place in sides))
    named_zones = list(dict.fromkeys(place for _, place in named if place in zones))
    turns = "".join("s" if place in sides else "z" for _, place in named if place in (*sides, *zones))
    if turns in ("szsz", "zszs") and len(named_sides) == len(named_zones) == 2:
        return list(zip(named_sides, named_zones, strict=True))  # "right upper and left lower"
    return list(product(named_sides or [None], named_zones or [None]))


def _severity(words: str, kind: str) -> str | None:
    """The one severity that the words name; None if they name none or several."""
    named = [severity for severity in KINDS[kind].severities if SEVERITY_WORDS[severity].search(words)]
    return named[0] if len(named) == 1 else None


def _complete(kind: str, side: str | None, zone: str | None, severity: str | None) -> Fact | Mention:
    needs = KINDS[kind]
    missing = (needs.sides and not side) or (needs.zones and not zone) or (needs.severities and not severity)
    return (Mention if missing else Fact)(kind, side, zone, severity)


def _says_no_more(mention: Mention, other: Fact | Mention) -> bool:
    pairs = ((mention.side, other.side), (mention.zone, other.zone), (mention.severity, other.severity))
    return mention != other and mention.kind == other.kind and all(one in (None, two) for one, two in pairs)


def parse_report(text: str) -> frozenset[Fact | Mention]:
    """What a report states, from all its sections together.

    A complete statement becomes a `Fact`. One that lacks an attribute of its kind (an effusion without a side, a
    severity that is missing or hedged as "small to moderate") becomes a `Mention`, unless another statement of the
    text says the same and more, as the findings do for the impression. Never raises.
    """
    stated = {
        _complete(kind, side, zone, _severity(words, kind))
        for clause in _clauses(text)
        for words, kinds in _pieces(clause)
        for kind in kinds
        for side, zone in _places(words, kind)
    }
    return frozenset(
        one for one in stated if isinstance(one, Fact) or not any(_says_no_more(one, other) for other in stated)
    )
