"""Reads the findings out of a report, by vocabulary rather than by template.

A report is cut into sentences and these into clauses, as far as a negation may reach. Each clause is searched for
words that name a kind of finding; the side, zone, grade, size, number, doubt and change near it complete the fact. A
kind under a negation ("no", "without", "has resolved") is not stated. Words that are not known are passed over, so
free text yields what can be read from it, and nothing raises; `facts_from_text` is the strict reading.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from hf_medreport.phantom.chest.findings import GRADES, KINDS, NUMBERS, SIDES, ZONES, Fact, check_facts, report_order
from hf_medreport.phantom.chest.vocabulary import (
    CHANGE_WORDS,
    CONJUNCTION,
    CONTRAST,
    GRADE_WORDS,
    HEDGES,
    KIND_WORDS,
    NUMBER_WORDS,
    OTHER_SUBJECT,
    PLACE_WORDS,
    SIZE,
    STATEMENT,
    VERB,
    sentences,
    sizes_mm,
)
from hf_medreport.phantom.scope import DENIES, said_of
from hf_medreport.processing.input_error import InputError

__all__ = ["Mention", "Named", "clauses", "facts_from_text", "is_negated", "named_in", "parse_report", "pieces"]
__all__ += ["places"]

MAX_PARTS = 100  # of what one film is asked to show; there are fewer places on it
MAX_CHARACTERS = 10_000


@dataclass(frozen=True)
class Mention:
    """A kind that a text states without all the attributes it takes; those missing are None."""

    kind: str
    side: str | None = None
    zone: str | None = None
    severity: str | None = None

    @property
    def key(self) -> tuple[str, str | None, str | None, str | None]:
        """(kind, side, zone, severity), as of a `Fact`."""
        return self.kind, self.side, self.zone, self.severity


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


Named = tuple[int, int, str]  # start, end and kind of words that name a kind of finding


def named_in(sentence: str, table: Mapping[str, re.Pattern] = KIND_WORDS) -> list[Named]:
    """What the words of the table name in the sentence, in its order; "calcified nodule" names no nodule."""
    found = [(m.start(), m.end(), kind) for kind, words in table.items() for m in words.finditer(sentence)]
    return sorted(
        one
        for one in found
        if not any(one[:2] != two[:2] and two[0] <= one[0] and one[1] <= two[1] for two in found if one[2] != two[2])
    )


def clauses(sentence: str, named: Iterable[Named]) -> list[tuple[str, list[Named]]]:
    """Stretches of the sentence, each as far as a negation may reach, and what is named in each.

    A cut has a kind after it. "but" cuts there; "there is" if a kind stands before it too; a comma or "and" if moreover
    each side has its own verb, or the first is negated and the second goes on with "the".
    """
    starts = [start for start, _, _ in named]
    joints = [m.start() for m in CONJUNCTION.finditer(sentence)]
    cuts = {m.start(): "contrast" for m in CONTRAST.finditer(sentence)}
    cuts |= {m.start(): "statement" for m in STATEMENT.finditer(sentence)}
    cuts |= {start: "joint" for start in joints}
    limits = [0]
    for cut, sort in sorted(cuts.items()):
        before, after = sentence[limits[-1] : cut], sentence[cut:]
        if not any(start >= cut for start in starts):
            break
        if sort != "contrast" and not any(limits[-1] <= start < cut for start in starts):
            continue
        if sort == "joint":
            after = sentence[cut : min((joint for joint in joints if joint > cut), default=None)]
            new_subject = DENIES.search(before) and re.match(r"\W*(?:and )?the\b", after)
            own_verbs = VERB.search(before) and not re.match(r"\W*(?:and )?n?or\b", after)
            if not VERB.search(after) or not (own_verbs or new_subject):
                continue
        limits.append(cut)
    limits.append(len(sentence))
    return [
        (sentence[low:high], [(start - low, end - low, kind) for start, end, kind in named if low <= start < high])
        for low, high in zip(limits, limits[1:], strict=False)
    ]


def is_negated(clause: str, one: Named, named: Iterable[Named] | None = None) -> bool:
    """Whether the clause denies what is named there; what it asks or remembers counts as denied.

    Args:
        clause: as `clauses` cuts it.
        one: of those that are named in it.
        named: all of them; None: `one` alone.
    """
    return said_of(clause, one[:2], [other[:2] for other in named or [one]]) in ("denied", "asked", "past")


def pieces(clause: str, named: list[Named]) -> list[tuple[str, list[Named]]]:
    """The clause cut at its conjunctions: the words that belong together, and what is named in them.

    A piece that names no kind belongs to the one before it ("in the right upper and left lower zones"), or to the one
    after it if it comes first, unless it speaks of something else ("the left lung is clear").
    """
    if not named:
        return []
    cuts = [0, *(match.start() for match in CONJUNCTION.finditer(clause)), len(clause)]
    found: list[tuple[str, list[Named]]] = []
    open_from = 0
    for start, end in zip(cuts, cuts[1:], strict=False):
        here = [one for one in named if start < one[1] <= end]
        if here:
            found.append((clause[open_from:end], here))
            open_from = end
        elif OTHER_SUBJECT.match(clause[start:end]):
            open_from = end
        elif found:
            words, before = found.pop()
            found.append((words + clause[open_from:end], before))
            open_from = end
    return found


def places(words: str, sides: tuple[str, ...], zones: tuple[str, ...]) -> list[tuple[str | None, str | None]]:
    """The (side, zone) pairs, of these sides and zones, that the words name; None for what is not said."""
    if not sides:
        return [(None, None)]
    found = sorted((m.start(), place) for place, pattern in PLACE_WORDS.items() for m in pattern.finditer(words))
    named_sides = [place for _, place in found if place in sides]
    named_zones = [place for _, place in found if place in zones]
    turns = "".join("s" if place in sides else "z" for _, place in found if place in (*sides, *zones))
    if re.fullmatch("(sz)+|(zs)+", turns):
        return list(dict.fromkeys(zip(named_sides, named_zones, strict=True)))  # "right upper and left lower"
    return list(product(dict.fromkeys(named_sides or [None]), dict.fromkeys(named_zones or [None])))


def _only(table: dict[str, re.Pattern], words: str) -> str | None:
    """The one value of the table that the words name; None if they name none or several ("small to moderate")."""
    named = [value for value, pattern in table.items() if pattern.search(words)]
    return named[0] if len(named) == 1 else None


@lru_cache(maxsize=4096)
def _statements(sentence: str) -> tuple[_Statement, ...]:
    """What a `plain` sentence states and denies, in its order. Cached: reports repeat each other's sentences."""
    statements = []
    for clause, named in clauses(sentence, named_in(sentence)):
        for words, here in pieces(clause, named):
            change, hedged, sizes = _only(CHANGE_WORDS, words), bool(HEDGES.search(words)), sizes_mm(words)
            number, severity = _only(NUMBER_WORDS, words), _only(GRADE_WORDS, words)
            for one in here:
                row = KINDS[one[2]]
                negated, grade = is_negated(clause, one, named), severity if row.severities else None
                count = number if row.numbers else None
                for side, zone in places(words, row.sides, row.zones):
                    place = Mention(one[2], side, zone, grade)
                    statements.append(_Statement(place, negated, hedged, sizes, count, change))
    return tuple(statements)


def _says_no_more(one: Mention, other: Mention) -> bool:
    return all(mine in (None, theirs) for mine, theirs in zip(one.key, other.key, strict=True))


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
        merged.append(Fact(*place.key, size, number, certain, change))
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
        InputError: more than `MAX_PARTS` parts or `MAX_CHARACTERS`; a part names no known kind, denies one, lacks an
            attribute, has one that its kind does not take or that is impossible; or two of the facts cannot be seen on
            one film.
    """
    if len(text) > MAX_CHARACTERS:
        expected = f"at most {MAX_CHARACTERS}"
        raise InputError("findings", f"{len(text)} characters", expected, "name what one film shows")
    odd = re.search(rf"(?:(?<!\w)[-\u2212\u2013] ?|\bminus |\d,){SIZE.pattern}", text.lower())
    if odd:
        raise InputError("findings", f"a size of {odd[0]}", "a size above 0, as in 14 mm or 1.4 cm", "correct the size")
    parts = sentences(text)
    if len(parts) > MAX_PARTS:
        raise InputError("findings", f"{len(parts)} parts", f"at most {MAX_PARTS}", "name what one film shows")
    for part in parts or [text]:
        _check_part(part)
    facts = tuple(report_order(_merged(statement for part in parts for statement in _statements(part))))
    for part in parts:
        places = {statement.place for statement in _statements(part)}
        _check_nothing_lost(part, [fact for fact in facts if Mention(*fact.key) in places])
    check_facts(facts)
    return facts


def _check_nothing_lost(part: str, facts: list[Fact]) -> None:
    """Refuse words that no fact of the part took up: strictly read, what is asked for is drawn."""
    if "middle lobe" in part and any((fact.side, fact.zone) == ("left", "middle") for fact in facts):
        expected = "a zone: " + ", ".join(ZONES)
        raise InputError("findings", f"a left middle lobe in {part!r}", expected, "the left lung has no middle lobe")
    names = " and ".join(sorted({fact.kind.replace("_", " ") for fact in facts}))
    tables = {"side": PLACE_WORDS, "zone": PLACE_WORDS, "severity": GRADE_WORDS, "number": NUMBER_WORDS}
    for attribute, table in tables.items():
        values = {"side": SIDES, "zone": ZONES, "severity": GRADES, "number": NUMBERS[1:]}[attribute]
        for value in values:
            word = table[value].search(part)
            if word and all(getattr(fact, attribute) != value for fact in facts):
                found = f"{word[0]!r} in {part!r}, which {names} does not take up"
                raise InputError("findings", found, "what the finding takes", "say it of one finding, or leave it out")
    asked = {round(size) for statement in _statements(part) for size in statement.sizes}
    lost = asked - {fact.size_mm for fact in facts}
    if lost:
        found = f"several sizes of one {names} in {part!r}"
        raise InputError("findings", found, "one size", "leave out all but one, or name another place")


def _check_part(part: str) -> None:
    statements = _statements(part)
    if not statements:
        known = ", ".join(kind.replace("_", " ") for kind in KINDS)
        raise InputError("findings", f"no known finding in {part!r}", f"one of {known}", "name a known one")
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
