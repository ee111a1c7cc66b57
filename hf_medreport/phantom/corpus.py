"""Splits of known-truth chests, made as they are read.

Case i of a split depends on (seed, split, i) and on nothing else: not on the order of access, not on the number of
workers, and its film not on the wordings. Splits have their own streams of chance, so no patient is in two of them,
whatever the seeds.
"""

from dataclasses import dataclass

import numpy as np

from hf_medreport.phantom.chest import check_size, draw_frontal
from hf_medreport.phantom.findings import Fact, draw_facts
from hf_medreport.phantom.grammar import write_report
from hf_medreport.processing.input_error import InputError

__all__ = ["SPLITS", "ChestCase", "ChestCorpus"]


@dataclass(frozen=True)
class Split:
    """What a split draws with; `stream` keeps its patients apart from those of the others."""

    stream: int
    prevalence: str
    wordings: str
    style: str = "standard"


SPLITS = {
    "train": Split(0, "balanced", "train"),
    "validation": Split(1, "natural", "train"),
    "test": Split(2, "natural", "held_out"),
    "held_back_style": Split(3, "natural", "held_out", style="held_back"),
}


@dataclass(frozen=True, eq=False)
class ChestCase:
    """One patient: film uint8 (size, size), masks bool (size, size), the facts it was drawn from, and the report."""

    patient_id: str
    image: np.ndarray
    lungs: np.ndarray
    heart: np.ndarray
    facts: tuple[Fact, ...]
    report: str


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

    Raises:
        InputError: any of these out of range or unknown.
    """

    def __init__(
        self,
        n: int,
        seed: int,
        size: int = 160,
        split: str = "train",
        prevalence: str | None = None,
        wordings: str | None = None,
    ):
        if n <= 0:
            raise InputError("n", str(n), "at least 1 case", "ask for one or more cases")
        if seed < 0:
            raise InputError("seed", str(seed), "a whole number from 0", "choose another seed")
        if split not in SPLITS:
            raise InputError("split", repr(split), "one of " + ", ".join(SPLITS), "name a known split")
        check_size(size)
        self.n, self.seed, self.size, self.split = n, seed, size, split
        self.prevalence = prevalence or SPLITS[split].prevalence
        self.wordings = wordings or SPLITS[split].wordings
        self.style = SPLITS[split].style
        # A wrong name is told now, not from inside a worker.
        write_report(draw_facts(np.random.default_rng(0), self.prevalence), np.random.default_rng(0), self.wordings)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> ChestCase:
        if not -self.n <= index < self.n:
            raise IndexError(f"case {index} of {self.n}")
        index = int(index) % self.n
        chance = np.random.SeedSequence(self.seed, spawn_key=(SPLITS[self.split].stream, index))
        for_facts, for_film, for_words = map(np.random.default_rng, chance.spawn(3))
        facts = draw_facts(for_facts, self.prevalence)
        film = draw_frontal(facts, for_film, self.size, self.style)
        return ChestCase(
            patient_id=f"phantom-{self.split}-{self.seed}-{index:06d}",
            image=film.image,
            lungs=film.lungs,
            heart=film.heart,
            facts=facts,
            report=write_report(facts, for_words, self.wordings),
        )
