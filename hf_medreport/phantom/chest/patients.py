"""Which findings a patient has, and what becomes of them until the next film.

Natural prevalence follows the Indiana University collection: each kind's share of the films is its share of the 3,955
reports (`Kind.reports`), and slight findings and the bases of the lungs come first. What comes together in patients
comes together here (`COMPANIONS`), within those shares.
"""

from dataclasses import replace
from itertools import combinations

import numpy as np

from hf_medreport.phantom.chest.findings import GRADES, KINDS, NUMBERS, SIDES, Fact, conflict, report_order
from hf_medreport.processing.input_error import InputError

__all__ = ["PREVALENCES", "draw_facts", "draw_follow_up"]

PREVALENCES = ("balanced", "natural")
IU_REPORTS = 3955
MOST_FACTS = 5

# A film with the first kind shows the second with this probability, where a side can be shared on the same side.
COMPANIONS = {
    ("interstitial_edema", "cardiomegaly"): 0.5,
    ("interstitial_edema", "pleural_effusion"): 0.3,
    ("pacemaker", "cardiomegaly"): 0.3,
    ("endotracheal_tube", "central_line"): 0.6,
    ("pneumothorax", "rib_fracture"): 0.25,
    ("elevated_diaphragm", "atelectasis"): 0.3,
    ("pleural_effusion", "atelectasis"): 0.25,
}

# Under natural prevalence, how the values of an attribute share the films.
NATURAL_SHARES = {"mild": 0.5, "moderate": 0.35, "severe": 0.15, "single": 0.7, "multiple": 0.3}
NATURAL_SHARES |= {"upper": 0.25, "middle": 0.25, "lower": 0.5, "right": 0.5, "left": 0.5}
BOTH_SIDES_SHARE = 0.2
DOUBTFUL_SHARE = 0.12


def draw_facts(rng: np.random.Generator, prevalence: str = "balanced") -> tuple[Fact, ...]:
    """Draw the findings of one film, at most five, in report order.

    Args:
        rng: the source of chance.
        prevalence: "balanced" for training (0 to 4 kinds; kinds, sides, zones and severities equally frequent) or
            "natural" for testing (most films with none of the kinds, as in the archive).

    Raises:
        InputError: unknown prevalence.
    """
    if prevalence not in PREVALENCES:
        raise InputError("prevalence", repr(prevalence), " or ".join(PREVALENCES), "name one of the two")
    natural = prevalence == "natural"
    wanted = _natural_kinds(rng) if natural else _balanced_kinds(rng)
    facts: list[Fact] = []
    for kind in wanted:
        fact = _draw_fact(rng, kind, natural, beside=facts)
        twin = replace(fact, side=_other(fact.side)) if fact.side and rng.random() < BOTH_SIDES_SHARE else None
        for one in filter(None, (fact, twin)):
            # A fact that cannot be seen moves to the other side: this keeps zones and severities equally frequent,
            # where drawing anew would make the lower zone rare.
            for candidate in (one, replace(one, side=_other(one.side))):
                if len(facts) < MOST_FACTS and not any(conflict(candidate, present) for present in facts):
                    facts.append(candidate)
                    break
    return tuple(report_order(facts))


def _balanced_kinds(rng: np.random.Generator) -> list[str]:
    return [str(kind) for kind in rng.permutation(list(KINDS))[: rng.integers(5)]]


def _natural_kinds(rng: np.random.Generator) -> list[str]:
    """Kinds by their share in the archive; a companion's own share is lessened by what its causes bring."""
    present: list[str] = []
    for kind in sorted(KINDS, key=lambda kind: any(kind == companion for _, companion in COMPANIONS)):
        causes = {cause: chance for (cause, companion), chance in COMPANIONS.items() if companion == kind}
        share = KINDS[kind].reports / IU_REPORTS
        brought = 1 - np.prod([1 - chance * KINDS[cause].reports / IU_REPORTS for cause, chance in causes.items()])
        absent = 1 - (share - brought) / (1 - brought)
        for cause, chance in causes.items():
            absent *= 1 - chance if cause in present else 1
        if rng.random() >= absent:
            present.append(kind)
    return present


def _draw_fact(rng: np.random.Generator, kind: str, natural: bool, beside: list[Fact]) -> Fact:
    def one_of(values: tuple[str, ...]) -> str | None:
        if not values:
            return None
        shares = np.array([NATURAL_SHARES[value] for value in values]) if natural else np.ones(len(values))
        return values[rng.choice(len(values), p=shares / shares.sum())]

    row = KINDS[kind]
    side = one_of(row.sides)
    causes = [fact.side for fact in beside if fact.side and (fact.kind, kind) in COMPANIONS]
    return Fact(
        kind,
        causes[0] if side and causes else side,
        one_of(row.zones),
        one_of(row.severities),
        size_mm=int(rng.integers(row.sizes[0], row.sizes[1] + 1)) if row.sizes else None,
        number=one_of(row.numbers),
        certain=not (row.doubtful and rng.random() < DOUBTFUL_SHARE),
    )


def _other(side: str | None) -> str | None:
    return SIDES[1 - SIDES.index(side)] if side else None


def draw_follow_up(
    rng: np.random.Generator, before: tuple[Fact, ...], prevalence: str = "balanced"
) -> tuple[tuple[Fact, ...], tuple[Fact, ...]]:
    """What a patient's next film shows.

    A chronic finding stays. Another resolves (one in four), stays (one in four), or moves by one grade, by a quarter of
    its size or between single and multiple where it has such; and one new finding may come (one in two).

    Args:
        rng: the source of chance.
        before: the facts of the prior film.
        prevalence: of what is new, see `draw_facts`.

    Returns:
        the facts of the current film, each with its `change`, in report order; and the prior facts that resolved.
    """
    now, resolved = [], []
    for fact in before:
        fate = rng.random()
        if KINDS[fact.kind].chronic or fate < 0.25:
            now.append(replace(fact, change="unchanged"))
        elif fate < 0.5:
            resolved.append(fact)
        else:
            now.append(_changed(fact, worse=fate < 0.75))
    if rng.random() < 0.5:
        for fact in draw_facts(rng, prevalence):
            taken = any(fact.kind == one.kind for one in before)
            if not taken and not KINDS[fact.kind].chronic and not any(conflict(fact, one) for one in now):
                now.append(replace(fact, change="new"))
                break
    # What grew or came would hide another finding: then all that did not resolve stayed as it was.
    if any(conflict(one, other) for one, other in combinations(now, 2)):
        stayed = {fact.key[:3]: fact for fact in before if fact not in resolved}
        now = [replace(fact, change="unchanged") for fact in stayed.values()]
    return tuple(report_order(now)), tuple(report_order(resolved))


def _changed(fact: Fact, worse: bool) -> Fact:
    row, step = KINDS[fact.kind], 1 if worse else -1
    change = "increased" if worse else "decreased"
    if row.severities:
        grade = GRADES.index(fact.severity) + step
        if 0 <= grade < len(GRADES):
            return replace(fact, severity=GRADES[grade], change=change)
    elif row.sizes and fact.size_mm:
        size = round(fact.size_mm * (1.25 if worse else 0.75))
        if row.sizes[0] <= size <= row.sizes[1]:
            return replace(fact, size_mm=size, change=change)
    elif row.numbers and fact.number == NUMBERS[0 if worse else 1]:
        return replace(fact, number=NUMBERS[1 if worse else 0], change=change)
    return replace(fact, change="unchanged")
