"""Reads the findings out of a report, by vocabulary rather than by template.

A report is cut into sentences and these into clauses, as far as a negation may reach. Each clause is searched for
words that name a kind of finding; the side, zone, grade, size, number, doubt and change near it complete the fact. A
kind under a negation ("no", "without", "has resolved") is not stated. Words that are not known are passed over, so
free text yields what can be read from it, and nothing raises; `facts_from_text` is the strict reading.
"""

import re
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from functools import lru_cache
from itertools import product

from hf_medreport.phantom.findings import KINDS, ZONES, Fact, check_facts, report_order
from hf_medreport.phantom.vocabulary import (
    CHANGE_WORDS,
    CONJUNCTION,
    CONTRAST,
    GRADE_WORDS,
    HEDGES,
    KIND_WORDS,
    NEGATES_AFTER,
    NEGATES_BEFORE,
    NUMBER_WORDS,
    OTHER_SUBJECT,
    PLACE_WORDS,
    SIZE,
    STATEMENT,
    VERB,
    sentences,
)
from hf_medreport.processing.input_error import InputError

__all__ = ["Mention", "facts_from_text", "parse_report"]


@dataclass(frozen=True)
class Mention:
    """A kind that a text states without all the attributes it takes; those missing are None."""

    kind: str
    side: str | None = None
    zone: str | None = None
    severity: str | None = None


@dataclass(frozen=True)
class _Statement:
    """One kind at one place, as one sentence puts it; `sizes` are all diameters in mm that stand beside it."""

    place: Mention
    negated: bool
    hedged: bool
    sizes: tuple[float, ...]
    number: str | None
    change: str | None

    @property
    def size_mm(self) -> int | None:
        limits = KINDS[self.place.kind].sizes
        sizes = [round(size) for size in self.sizes if limits and limits[0] <= round(size) <= limits[1]]
        return max(sizes, default=None)


def _named(sentence: str) -> list[tuple[int, int, str]]:
    """(start, end, kind) of the words that name a kind; "calcified nodule" names no nodule."""
    found = [(m.start(), m.end(), kind) for kind, words in KIND_WORDS.items() for m in words.finditer(sentence)]
    return sorted(
        one
        for one in found
        if not any(one[:2] != two[:2] and two[0] <= one[0] and one[1] <= two[1] for two in found if one[2] != two[2])
    )


def _clauses(sentence: str) -> list[str]:
    """Stretches of the sentence, each as far as a negation may reach.

    A cut has a kind after it. "but" cuts there; "there is" if a kind stands before it too; a comma or "and" if moreover
    each side has its own verb, or the first is negated and the second goes on with "the".
    """
    named = _named(sentence)
    joints = [m.start() for m in CONJUNCTION.finditer(sentence)]
    cuts = {m.start(): "contrast" for m in CONTRAST.finditer(sentence)}
    cuts |= {m.start(): "statement" for m in STATEMENT.finditer(sentence)}
    cuts |= {start: "joint" for start in joints}
    clauses, open_from = [], 0
    for cut, sort in sorted(cuts.items()):
        before, after = sentence[open_from:cut], sentence[cut:]
        if not any(start >= cut for start, _, _ in named):
            break
        if sort != "contrast" and not any(open_from <= start < cut for start, _, _ in named):
            continue
        if sort == "joint":
            after = sentence[cut : min((joint for joint in joints if joint > cut), default=None)]
            new_subject = NEGATES_AFTER.search(before) and re.match(r"\W*(?:and )?the\b", after)
            own_verbs = VERB.search(before) and not re.match(r"\W*(?:and )?n?or\b", after)
            if not VERB.search(after) or not (own_verbs or new_subject):
                continue
        clauses.append(before)
        open_from = cut
    return [*clauses, sentence[open_from:]]


def _pieces(clause: str) -> list[tuple[str, list[tuple[str, bool]]]]:
    """The clause cut at its conjunctions into (words, [(kind, negated)]).

    A piece that names no kind belongs to the one before it ("in the right upper and left lower zones"), or to the one
    after it if it comes first, unless it speaks of something else ("the left lung is clear").
    """
    named = _named(clause)
    if not named:
        return []
    negated_from = min((match.start() for match in NEGATES_AFTER.finditer(clause)), default=len(clause))
    negated_to = max((match.start() for match in NEGATES_BEFORE.finditer(clause)), default=0)
    cuts = [0, *(match.start() for match in CONJUNCTION.finditer(clause)), len(clause)]
    pieces: list[tuple[str, list[tuple[str, bool]]]] = []
    open_from = 0
    for start, end in zip(cuts, cuts[1:], strict=False):
        here = [one for one in named if start < one[1] <= end]
        if here:
            kinds = [(kind, last > negated_from or first < negated_to) for first, last, kind in here]
            pieces.append((clause[open_from:end], kinds))
            open_from = end
        elif OTHER_SUBJECT.match(clause[start:end]):
            open_from = end
        elif pieces:
            words, kinds = pieces.pop()
            pieces.append((words + clause[open_from:end], kinds))
            open_from = end
    return pieces


def _places(words: str, kind: str) -> list[tuple[str | None, str | None]]:
    """The (side, zone) pairs that the words name for this kind; None for what is not said."""
    sides, zones = KINDS[kind].sides, KINDS[kind].zones
    if not sides:
        return [(None, None)]
    named = sorted((m.start(), place) for place, pattern in PLACE_WORDS.items() for m in pattern.finditer(words))
    named_sides = [place for _, place in named if place in sides]
    named_zones = [place for _, place in named if place in zones]
    turns = "".join("s" if place in sides else "z" for _, place in named if place in (*sides, *zones))
    if re.fullmatch("(sz)+|(zs)+", turns):
        return list(dict.fromkeys(zip(named_sides, named_zones, strict=True)))  # "right upper and left lower"
    return list(product(dict.fromkeys(named_sides or [None]), dict.fromkeys(named_zones or [None])))


def _only(table: dict[str, re.Pattern], words: str) -> str | None:
    """The one value of the table that the words name; None if they name none or several ("small to moderate")."""
    named = [value for value, pattern in table.items() if pattern.search(words)]
    return named[0] if len(named) == 1 else None


def _sizes(words: str) -> tuple[float, ...]:
    """The largest diameter in mm of each size in the words: "1.4 x 1.1 cm" is 14."""
    return tuple(
        max(float(number) for number in re.findall(r"\d+(?:\.\d+)?", diameters)) * (10 if unit[0] == "c" else 1)
        for diameters, unit in SIZE.findall(words)
    )


@lru_cache(maxsize=4096)
def _statements(sentence: str) -> tuple[_Statement, ...]:
    """What a `plain` sentence states and denies, in its order. Cached: reports repeat each other's sentences."""
    statements = []
    if not any(words.search(sentence) for words in KIND_WORDS.values()):
        return ()
    for clause in _clauses(sentence):
        for words, kinds in _pieces(clause):
            change, hedged, sizes = _only(CHANGE_WORDS, words), bool(HEDGES.search(words)), _sizes(words)
            number, severity = _only(NUMBER_WORDS, words), _only(GRADE_WORDS, words)
            for kind, negated in kinds:
                grade = severity if KINDS[kind].severities else None
                count = number if KINDS[kind].numbers else None
                for side, zone in _places(words, kind):
                    place = Mention(kind, side, zone, grade)
                    statements.append(_Statement(place, negated, hedged, sizes, count, change))
    return tuple(statements)


def _says_no_more(one: Mention, other: Mention) -> bool:
    return all(mine in (None, theirs) for mine, theirs in zip(astuple(one), astuple(other), strict=True))


def _missing(place: Mention) -> list[str]:
    row = KINDS[place.kind]
    needs = {"side": row.sides, "zone": row.zones, "severity": row.severities}
    return [name for name, values in needs.items() if values and getattr(place, name) is None]


def _merged(statements: Iterable[_Statement]) -> list[Fact | Mention]:
    """One fact a place, with what any of its statements says; doubt in one of them is doubt.

    A statement that says no more than another adds its size, number and change to it and is not a finding of its own.
    """
    stated = [statement for statement in statements if not statement.negated]
    merged: list[Fact | Mention] = []
    for place in dict.fromkeys(statement.place for statement in stated):
        if any(place != other.place and _says_no_more(place, other.place) for other in stated):
            continue
        if _missing(place):
            merged.append(place)
            continue
        here = [statement for statement in stated if statement.place == place]
        said = here + [one for one in stated if one.place != place and _says_no_more(one.place, place)]
        size, number, change = (
            next((getattr(one, name) for one in said if getattr(one, name) is not None), None)
            for name in ("size_mm", "number", "change")
        )
        certain = not (KINDS[place.kind].doubtful and any(one.hedged for one in here))
        merged.append(Fact(*astuple(place), size, number, certain, change))
    return merged


def parse_report(text: str) -> frozenset[Fact | Mention]:
    """What a report states, from all its sections together.

    A complete statement becomes a `Fact`, one for each (kind, side, zone, severity), with the size, number, doubt and
    change that any sentence gives it. One that lacks an attribute of its kind (an effusion without a side, a severity
    that is missing or hedged as "small to moderate") becomes a `Mention`, unless another statement of the text says the
    same and more, as the findings do for the impression. What is denied, asked ("rule out") or remembered ("history
    of") is not stated. Never raises.
    """
    return frozenset(_merged(statement for sentence in sentences(text) for statement in _statements(sentence)))


def facts_from_text(text: str) -> tuple[Fact, ...]:
    """The findings that a text asks for, read strictly, in report order.

    Args:
        text: parts separated by ";" or ".", each naming at least one finding with all that its kind takes, as in
            "moderate right pleural effusion; 14 mm left upper zone nodule; possible right lower zone consolidation".

    Raises:
        InputError: a part names no known kind, denies one, lacks an attribute, has one that its kind does not take or
            that is impossible; or two of the facts cannot be seen on one film.
    """
    negative = re.search(rf"(?<!\w)-\s?{SIZE.pattern}", text.lower())
    if negative:
        raise InputError("findings", f"a size of {negative[0]}", "a size above 0", "correct the size")
    parts = sentences(text)
    for part in parts or [text]:
        _check_part(part)
    facts = tuple(report_order(_merged(statement for part in parts for statement in _statements(part))))
    check_facts(facts)
    return facts


def _check_part(part: str) -> None:
    statements = _statements(part)
    if not statements:
        known = ", ".join(kind.replace("_", " ") for kind in KINDS)
        raise InputError("findings", f"no known finding in {part!r}", f"one of {known}", "name a known one")
    if re.search(r"\bleft (?:\w+ and )?middle lobe", part):
        expected = "a zone: " + ", ".join(ZONES)
        raise InputError("findings", f"a left middle lobe in {part!r}", expected, "the left lung has no middle lobe")
    for statement in statements:
        name, row = statement.place.kind.replace("_", " "), KINDS[statement.place.kind]
        if statement.negated:
            raise InputError("findings", f"{name} denied in {part!r}", "what is there", "leave out what is not there")
        for missing in _missing(statement.place):
            values = {"side": row.sides, "zone": row.zones, "severity": row.severities}[missing]
            found, expected = f"{name} without a {missing} in {part!r}", "one of " + ", ".join(values)
            raise InputError("findings", found, expected, f"add the {missing}, once")
        if statement.hedged and not row.doubtful:
            expected = "doubt only about " + ", ".join(kind for kind, row in KINDS.items() if row.doubtful)
            raise InputError("findings", f"a doubtful {name} in {part!r}", expected, "leave out the doubt")
        if statement.sizes and not row.sizes:
            raise InputError("findings", f"a size of {name} in {part!r}", "no size for this kind", "leave out the size")
        for size in statement.sizes:
            low, high = row.sizes
            if not low <= round(size) <= high:
                found, expected = f"a {name} of {size:g} mm in {part!r}", f"{low} to {high} mm"
                raise InputError("findings", found, expected, "correct the size")
