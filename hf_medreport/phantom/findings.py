"""What a film can show: the kinds of finding, one finding as a `Fact`, and how sets of them are drawn.

`KINDS` is the single table that the drawer, the grammar, the parser and the score read. Its order is the order in
which a report speaks of the findings: heart, pleura, lungs. Sides are the patient's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from hf_medreport.processing.input_error import InputError

__all__ = ["KINDS", "SIDES", "ZONES", "Fact", "Kind", "check_facts", "conflict", "draw_facts", "report_order"]

SIDES = ("right", "left")
ZONES = ("upper", "middle", "lower")
GRADES = ("mild", "moderate", "severe")
SIZES = ("small", "large")


@dataclass(frozen=True)
class Kind:
    """The attributes a kind of finding takes (an empty tuple: it takes none) and how common it is.

    `share` weighs the kind under natural prevalence, relative to the other kinds.
    """

    organ: str
    share: float
    sides: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()


KINDS: Mapping[str, Kind] = {
    "cardiomegaly": Kind("heart", 0.26, severities=GRADES),
    "pleural_effusion": Kind("pleura", 0.24, SIDES, severities=GRADES),
    "pneumothorax": Kind("pleura", 0.06, SIDES, severities=GRADES),
    "consolidation": Kind("lungs", 0.16, SIDES, ZONES),
    "atelectasis": Kind("lungs", 0.18, SIDES, ZONES),
    "nodule": Kind("lungs", 0.10, SIDES, ZONES, SIZES),
}

# Under natural prevalence: slight findings and the bases of the lungs come first.
NATURAL_COUNTS = (0.40, 0.30, 0.18, 0.09, 0.03)  # of films with 0, 1, 2, 3, 4 facts
NATURAL_WEIGHTS = {"mild": 0.5, "moderate": 0.35, "severe": 0.15, "small": 0.65, "large": 0.35}
NATURAL_WEIGHTS |= {"upper": 0.25, "middle": 0.25, "lower": 0.5, "right": 0.5, "left": 0.5}
BOTH_SIDES_SHARE = 0.2

# The zones of the lung that an effusion of this grade covers with fluid.
FLOODED_ZONES = {"mild": (), "moderate": ("lower",), "severe": ("middle", "lower")}


@dataclass(frozen=True, order=True)
class Fact:
    """One finding. Every attribute that its kind takes is given, every other is None.

    Raises:
        InputError: unknown kind, or an attribute that is missing, forbidden or not one of the kind's values.
    """

    kind: str
    side: str | None = None
    zone: str | None = None
    severity: str | None = None

    def __post_init__(self):
        if self.kind not in KINDS:
            raise InputError("fact", f"kind {self.kind!r}", "one of " + ", ".join(KINDS), "name a known kind")
        kind = KINDS[self.kind]
        for name, allowed in (("side", kind.sides), ("zone", kind.zones), ("severity", kind.severities)):
            value = getattr(self, name)
            if value not in (allowed or (None,)):
                expected = "one of " + ", ".join(allowed) if allowed else f"no {name}"
                raise InputError(f"fact {self.kind}", f"{name} {value!r}", expected, f"correct the {name}")


def report_order(facts: Iterable[Fact]) -> list[Fact]:
    """The facts in the order in which a report states them: kinds as in `KINDS`, then right before left."""
    kinds = list(KINDS)
    return sorted(facts, key=lambda fact: (kinds.index(fact.kind), fact.side != "right", fact.zone or ""))


def conflict(one: Fact, other: Fact) -> bool:
    """Whether two facts contradict or hide each other, so that no film could show both.

    That is so for two facts of one kind and side, for air and fluid in one pleural space, for two findings in one
    zone of a lung, and for a finding in a zone that an effusion floods.
    """
    if one.side != other.side:
        return False
    if one.kind == other.kind:
        return True
    if one.zone and other.zone:
        return one.zone == other.zone
    kinds = {one.kind, other.kind}
    if kinds == {"pleural_effusion", "pneumothorax"}:
        return True
    if "pleural_effusion" in kinds:
        fluid, finding = (one, other) if one.kind == "pleural_effusion" else (other, one)
        return finding.zone in FLOODED_ZONES[fluid.severity]
    return False


def check_facts(facts: Iterable[Fact]) -> None:
    """Raise InputError if any two of the facts contradict or hide each other."""
    for one, other in combinations(facts, 2):
        if conflict(one, other):
            found = " and ".join(" ".join(filter(None, (f.severity, f.side, f.zone, f.kind))) for f in (one, other))
            raise InputError("facts", found, "facts that one film can show together", "drop or move one of them")


def _draw_fact(rng: np.random.Generator, kind: str, natural: bool, side: str | None = None) -> Fact:
    def one_of(values: tuple[str, ...]) -> str | None:
        if not values:
            return None
        weights = np.array([NATURAL_WEIGHTS[value] for value in values]) if natural else np.ones(len(values))
        return values[rng.choice(len(values), p=weights / weights.sum())]

    table = KINDS[kind]
    return Fact(kind, side or one_of(table.sides), one_of(table.zones), one_of(table.severities))


def _other_side(fact: Fact) -> Fact:
    return replace(fact, side=SIDES[1 - SIDES.index(fact.side)]) if fact.side else fact


def draw_facts(rng: np.random.Generator, prevalence: str = "balanced") -> tuple[Fact, ...]:
    """Draw the findings of one film, at most four, in report order.

    Args:
        rng: the source of chance.
        prevalence: "balanced" for training (0 to 4 facts; kinds, sides, zones and severities equally frequent) or
            "natural" for testing (about 40 % of the films normal; common kinds and slight findings more common).

    Raises:
        InputError: unknown prevalence.
    """
    if prevalence not in ("balanced", "natural"):
        raise InputError("prevalence", repr(prevalence), "balanced or natural", "name one of the two")
    natural = prevalence == "natural"
    count = rng.choice(5, p=NATURAL_COUNTS if natural else None)
    shares = np.array([kind.share if natural else 1.0 for kind in KINDS.values()])
    facts: list[Fact] = []
    for kind in rng.choice(list(KINDS), size=len(KINDS), replace=False, p=shares / shares.sum()):
        wanted = [_draw_fact(rng, str(kind), natural)]
        if wanted[0].side and rng.random() < BOTH_SIDES_SHARE:
            wanted.append(_draw_fact(rng, str(kind), natural, _other_side(wanted[0]).side))
        for fact in wanted:
            # A fact that cannot be seen moves to the other lung: this keeps zones and severities equally frequent,
            # where drawing anew would make the lower zone rare.
            for candidate in (fact, _other_side(fact)):
                if len(facts) < count and not any(conflict(candidate, present) for present in facts):
                    facts.append(candidate)
                    break
    return tuple(report_order(facts))
