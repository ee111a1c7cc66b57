"""Splits of known-truth chests, made as they are read.

Case i of a split depends on (seed, split, i) alone (see `splits`), and its films not on the wordings.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hf_medreport.phantom.chest.anatomy import style_named
from hf_medreport.phantom.chest.film import Film, check_bits, check_size
from hf_medreport.phantom.chest.findings import Fact, check_facts, report_order
from hf_medreport.phantom.chest.frontal import draw_frontal
from hf_medreport.phantom.chest.grammar import write_report
from hf_medreport.phantom.chest.lateral import draw_lateral
from hf_medreport.phantom.chest.patients import draw_facts, draw_follow_up
from hf_medreport.phantom.splits import SPLITS, case_stream, check_cases
from hf_medreport.processing.input_error import InputError

__all__ = ["SPLITS", "ChestCase", "ChestCorpus"]


@dataclass(frozen=True, eq=False)
class ChestCase:
    """One study of one patient: the film with its masks (see `Film`), the facts it was drawn from, and the report.

    Attributes:
        facts: in report order; with a prior film each has its `change`.
        findings: where each fact shows, bool (size, size).
        lateral: the lateral film of the same study, where the corpus draws it.
        prior: the patient's earlier study, where there is one.
        resolved: facts of the prior that this film no longer shows.
    """

    patient_id: str
    image: np.ndarray
    lungs: np.ndarray
    heart: np.ndarray
    findings: dict[Fact, np.ndarray]
    facts: tuple[Fact, ...]
    report: str
    lateral: Film | None = None
    prior: "ChestCase | None" = None
    resolved: tuple[Fact, ...] = ()


class ChestCorpus:
    """A map-style data set of `ChestCase`.

    Args:
        n: number of cases, at least 1.
        seed: a whole number, at least 0.
        size: side of the square films in pixels, 32 to 4096.
        split: "train" (balanced findings), "validation" and "test" (natural prevalence; test in held-out wordings) or
            "held_back_style" (as test, in a look that training never shows).
        prevalence: overrides the split's "balanced" or "natural".
        wordings: overrides the split's "train" or "held_out".
        style: overrides the split's "standard" or "held_back".
        lateral: draw the lateral films too.
        follow_up: share of the cases that have a prior film, 0 to 1.
        bits: 8 or 16 a pixel.
        facts: what every film shows, in place of chance; not with follow-ups.

    Raises:
        InputError: any of these out of range or unknown, or facts that one film cannot show together.
    """

    def __init__(
        self,
        n: int,
        seed: int,
        size: int = 160,
        split: str = "train",
        prevalence: str | None = None,
        wordings: str | None = None,
        style: str | None = None,
        lateral: bool = False,
        follow_up: float = 0.0,
        bits: int = 8,
        facts: Iterable[Fact] | None = None,
    ):
        check_cases(n, seed, split)
        if not 0 <= follow_up <= 1:
            raise InputError("follow_up", str(follow_up), "a share from 0 to 1", "correct it")
        facts = None if facts is None else tuple(report_order(facts))
        if facts is not None and follow_up:
            found = f"{follow_up:g} with given facts"
            raise InputError("follow_up", found, "films that all show the same", "leave out one of the two")
        compared = [str(fact) for fact in facts or () if fact.change]
        if compared:
            expected = "no change since a prior film: there is none"
            raise InputError("facts", compared[0], expected, "leave the change out")
        check_facts(facts or ())
        check_size(size)
        check_bits(bits)
        self.n, self.seed, self.size, self.split = n, seed, size, split
        self.prevalence = SPLITS[split].prevalence if prevalence is None else prevalence
        self.wordings = SPLITS[split].wordings if wordings is None else wordings
        self.style = SPLITS[split].style if style is None else style
        self.lateral, self.follow_up, self.bits, self.facts = lateral, follow_up, bits, facts
        # A wrong name is told now, not from inside a worker.
        style_named(self.style)
        write_report(draw_facts(np.random.default_rng(0), self.prevalence), np.random.default_rng(0), self.wordings)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> ChestCase:
        if not -self.n <= index < self.n:
            raise IndexError(f"case {index} of {self.n}")
        index = int(index) % self.n
        patient, sequence = case_stream(self.seed, self.split, index)
        for_facts, for_words, for_follow_up = map(np.random.default_rng, sequence.spawn(3))

        facts = draw_facts(for_facts, self.prevalence) if self.facts is None else self.facts
        patient_id = f"phantom-{self.split}-{self.seed}-{index:06d}"
        case = {"patient_id": patient_id, "patient": patient, "rng": for_words}
        if for_follow_up.random() >= self.follow_up:
            return self._case(**case, facts=facts, lateral=self.lateral)
        prior = self._case(**case, facts=facts)
        facts, resolved = draw_follow_up(for_follow_up, facts, self.prevalence)
        return self._case(**case, facts=facts, lateral=self.lateral, visit=1, prior=prior, resolved=resolved)

    def _case(self, patient_id, patient, rng, facts, lateral=False, visit=0, prior=None, resolved=()) -> ChestCase:
        film = draw_frontal(facts, patient, self.size, self.style, visit, self.bits)
        return ChestCase(
            patient_id=patient_id,
            image=film.image,
            lungs=film.lungs,
            heart=film.heart,
            findings=film.findings,
            facts=facts,
            report=write_report(facts, rng, self.wordings, resolved=None if prior is None else resolved),
            lateral=draw_lateral(facts, patient, self.size, self.style, visit, self.bits) if lateral else None,
            prior=prior,
            resolved=resolved,
        )
