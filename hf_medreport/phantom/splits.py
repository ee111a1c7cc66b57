"""The splits of the known-truth corpora, and each case's own stream of chance.

Case i of a split depends on (seed, split, i) and on nothing else: not on the order of access, not on the number of
workers. Splits have their own streams, so no patient is in two of them, whatever the seeds.
"""

from dataclasses import dataclass

import numpy as np

from hf_medreport.processing.input_error import InputError

__all__ = ["SPLITS", "Split", "case_stream", "check_cases"]


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


def _whole(number) -> bool:
    return isinstance(number, int | np.integer) and not isinstance(number, bool)


def check_cases(n: int, seed: int, split: str) -> None:
    """Raise InputError unless n is a number of cases, seed one of chance and split a known one."""
    if not _whole(n) or n <= 0:
        raise InputError("n", str(n), "at least 1 case", "ask for one or more cases")
    if not _whole(seed) or seed < 0:
        raise InputError("seed", str(seed), "a whole number from 0", "choose another seed")
    if split not in SPLITS:
        raise InputError("split", repr(split), "one of " + ", ".join(SPLITS), "name a known split")


def case_stream(seed: int, split: str, index: int) -> tuple[int, np.random.SeedSequence]:
    """The number of the patient of a case, and the sequence that its generators are spawned from."""
    sequence = np.random.SeedSequence(seed, spawn_key=(SPLITS[split].stream, index))
    return int(sequence.generate_state(1, np.uint64)[0]), sequence
