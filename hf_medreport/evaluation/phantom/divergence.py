"""Which metric notices a wrong side? What metrics do to a report in which exactly one fact is wrong.

Of each film one report is written, the reference. Beside it stand reports of the same film with one fact changed, in
the same words otherwise, and a report with all facts right in other words. A metric that judges content puts every
changed report below that paraphrase; one that counts shared words puts it above, since one word is changed and not
twenty. No text is edited: each report is written from its facts, and `parse_report` reads them back (a test).

    figures = divergence(n=200, seed=0)
    figures["metrics"]["bleu4"]["below_paraphrase"]["side"]

The films are drawn so that each can undergo every change. All is the phantom's narrow grammar, which the parser behind
the `facts_*` metrics reads without error: that these notice everything here is by construction. In real reports the
words, the errors and the parser's mistakes are more.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hf_medreport.evaluation.registry import METRICS, Metric, metric
from hf_medreport.evaluation.reports.labeled import Labeled
from hf_medreport.phantom.chest.findings import KINDS, SIDES, Fact, conflict
from hf_medreport.phantom.chest.grammar import LARGEST_NODULE_MM, write_report
from hf_medreport.phantom.chest.patients import draw_facts
from hf_medreport.processing.input_error import InputError

__all__ = ["CHANGES", "Case", "divergence", "draw_cases", "table"]

# What is done to one fact of the film.
CHANGES = {
    "side": "on the other side",
    "negation": "said to have resolved",
    "number": "another size, or multiple for single",
    "severity": "another grade",
    "added": "a finding that is not there",
    "removed": "a finding left out",
}
# So that a new size is no rounding of the old.
LEAST_SIZE_CHANGE_MM = 8
# A wording is chosen by this number modulo the number of wordings, which is 2 to 5.
VOICES = 60


@dataclass(frozen=True)
class Case:
    """One film's reports.

    Args:
        facts: what is true of the film.
        reference: its report.
        paraphrase: the same facts in the held-out wordings.
        changed: by change, the facts and the report with one fact wrong.
    """

    facts: tuple[Fact, ...]
    reference: str
    paraphrase: str
    changed: dict[str, tuple[tuple[Fact, ...], str]]


class _Voice:
    """In place of a random generator: the same wording of a sentence, whatever other sentences the report has."""

    def __init__(self, number: int, chance: float):
        self.number, self.chance = number, chance

    def integers(self, count: int) -> int:
        return self.number % count

    def random(self) -> float:
        return self.chance


def draw_cases(n: int = 200, seed: int = 0) -> list[Case]:
    """n films that can each undergo every change; equal for equal arguments.

    Raises:
        InputError: n below 1.
    """
    if n < 1:
        raise InputError("n", str(n), "at least 1", "ask for one or more films")
    rng, cases = np.random.default_rng(seed), []
    while len(cases) < n:
        case = _case(draw_facts(rng), rng)
        if case:
            cases.append(case)
    return cases


def _case(facts: tuple[Fact, ...], rng: np.random.Generator) -> Case | None:
    """The reports of a film; None if one of the changes cannot be made to it."""
    voice = _Voice(int(rng.integers(VOICES)), rng.random())
    changed = {}
    for change, alternatives in _ALTERNATIVES.items():
        possible = alternatives(facts, rng)
        if not possible:
            return None
        changed[change] = possible[rng.integers(len(possible))]
    denied = {"negation": set(facts) - set(changed["negation"])}
    return Case(
        facts,
        write_report(facts, voice),
        write_report(facts, voice, "held_out"),
        {name: (wrong, write_report(wrong, voice, resolved=denied.get(name))) for name, wrong in changed.items()},
    )


Facts = tuple[Fact, ...]


def _with_one(facts: Facts, others: Callable[[Fact], Iterable[Fact]]) -> list[Facts]:
    """The facts with one in place of another, in every way that one film can show."""
    found = []
    for index, fact in enumerate(facts):
        rest = facts[:index] + facts[index + 1 :]
        possible = (other for other in others(fact) if not any(conflict(other, one) for one in rest))
        found += [(*facts[:index], other, *facts[index + 1 :]) for other in possible]
    return found


def _sides(fact: Fact) -> list[Fact]:
    return [replace(fact, side=side) for side in SIDES if fact.side and side != fact.side]


def _severities(fact: Fact) -> list[Fact]:
    return [replace(fact, severity=grade) for grade in KINDS[fact.kind].severities if grade != fact.severity]


def _numbers(fact: Fact) -> list[Fact]:
    """Other counts, and other sizes that go by the same name: a nodule stays a nodule, a mass a mass."""
    row = KINDS[fact.kind]
    found = [replace(fact, number=number) for number in row.numbers if number != fact.number]
    if row.sizes:
        sizes = range(row.sizes[0], row.sizes[1] + 1)
        alike = [size for size in sizes if (size > LARGEST_NODULE_MM) == (fact.size_mm > LARGEST_NODULE_MM)]
        found += [replace(fact, size_mm=s) for s in alike if abs(s - fact.size_mm) >= LEAST_SIZE_CHANGE_MM]
    return found


def _added(facts: Facts, rng: np.random.Generator) -> list[Facts]:
    """The facts and one of another kind, of those that another film happens to show."""
    kinds = {fact.kind for fact in facts}
    new = [fact for fact in draw_facts(rng) if fact.kind not in kinds]
    return [(*facts, fact) for fact in new if not any(conflict(fact, one) for one in facts)]


def _fewer(facts: Facts, rng: np.random.Generator) -> list[Facts]:
    return [facts[:index] + facts[index + 1 :] for index in range(len(facts))]


_ALTERNATIVES: dict[str, Callable[[Facts, np.random.Generator], list[Facts]]] = {
    "side": lambda facts, rng: _with_one(facts, _sides),
    "negation": _fewer,
    "number": lambda facts, rng: _with_one(facts, _numbers),
    "severity": lambda facts, rng: _with_one(facts, _severities),
    "added": _added,
    "removed": _fewer,
}


def divergence(
    n: int = 200, seed: int = 0, metrics: Sequence[str] | None = None, progress: Callable[[list], Iterable] = iter
) -> dict:
    """What metrics do to reports with one fact changed, and to paraphrases.

    All is counted on per-sample scores, so a metric of the whole set (BLEU, CIDEr) is judged a report at a time.

    Args:
        n, seed: of `draw_cases`.
        metrics: names of the registry; None: all that need nothing but the two texts. A macro average differs from the
            micro one only over a set, and is left out then.
        progress: wraps the list of metrics, for a bar.

    Returns:
        `n`, `seed`, `changes` (what each is), and `metrics`: {name: {"identical": mean score of the reference against
        itself, "drop": {change or "paraphrase": 1 - mean score / identical}, "below_paraphrase": {change: share of the
        films whose changed report scores below the paraphrase}}}.

    Raises:
        InputError: an unknown metric, n below 1.
    """
    chosen = [metric(name) for name in metrics] if metrics is not None else _alone()
    cases = draw_cases(n, seed)
    references = [case.reference for case in cases]
    texts = {change: [case.changed[change][1] for case in cases] for change in CHANGES}
    texts |= {"paraphrase": [case.paraphrase for case in cases], "identical": references}
    labeled = {name: Labeled(written, [[one] for one in references]) for name, written in texts.items()}
    figures = {}
    for row in progress(chosen):
        scores = {
            name: (labeled[name].scored(row)[0] if labeled[name].knows(row) else row(written, references)).per_sample
            for name, written in texts.items()
        }
        identical = scores.pop("identical").mean()
        figures[row.name] = {
            "identical": round(float(identical), 4),
            "drop": {name: round(float(1 - values.mean() / identical), 4) for name, values in scores.items()},
            "below_paraphrase": {
                change: round(float((scores[change] < scores["paraphrase"]).mean()), 4) for change in CHANGES
            },
        }
    return {"n": n, "seed": seed, "changes": CHANGES, "metrics": figures}


def _alone() -> list[Metric]:
    return [row for row in METRICS.values() if not row.needs and row.options.get("average") != "macro"]


def table(figures: dict, what: str = "below_paraphrase") -> str:
    """One of "drop" and "below_paraphrase" of `divergence`, in percent, as lines of text."""
    rows = {name: of_metric[what] for name, of_metric in figures["metrics"].items()}
    columns = list(next(iter(rows.values())))
    head = f"{'%':24}" + "".join(f"{column:>12}" for column in columns)
    return "\n".join(
        [head, *(f"{name:24}" + "".join(f"{100 * row[c]:12.0f}" for c in columns) for name, row in rows.items())]
    )
