"""Splits of known-truth slides, their words made as they are read and their pixels as they are asked for.

Case i of a split depends on (seed, split, i) alone (see `hf_medreport.phantom.splits`), its drawing not on the
wordings, and its facts and report not on size and style.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hf_medreport.phantom.slide.drawing import MPPS, SIZES, SlideDrawing
from hf_medreport.phantom.slide.findings import SlideFacts
from hf_medreport.phantom.slide.grammar import write_slide_report
from hf_medreport.phantom.slide.patients import draw_slide_facts
from hf_medreport.phantom.slide.stain import look_of
from hf_medreport.phantom.splits import SPLITS, case_stream, check_cases
from hf_medreport.processing.input_error import InputError

__all__ = ["SPLITS", "SlideCase", "SlideCorpus"]


@dataclass(frozen=True, eq=False)
class SlideCase:
    """One slide of one patient: the facts that it shows, its report, and how it is drawn.

    Attributes:
        patient: a whole number that decides about all that the facts leave open in the drawing.
        size: side of the square slide in px.
        mpp: um per px.
        style: "standard" or "held_back".
    """

    case_id: str
    facts: SlideFacts
    report: str
    patient: int
    size: int
    mpp: float
    style: str

    @cached_property
    def drawing(self) -> SlideDrawing:
        """The slide, of which any region can be drawn; made when first asked for."""
        return SlideDrawing(self.facts, self.patient, self.size, self.mpp, self.style)


def _check_scale(size: int, mpp: float) -> None:
    if not isinstance(size, int | np.integer) or isinstance(size, bool) or not SIZES[0] <= size <= SIZES[1]:
        raise InputError("size", repr(size), f"{SIZES[0]} to {SIZES[1]} whole px", "choose another size")
    if not isinstance(mpp, int | float) or isinstance(mpp, bool) or not MPPS[0] <= mpp <= MPPS[1]:
        raise InputError("mpp", repr(mpp), f"{MPPS[0]} to {MPPS[1]} um a pixel", "choose another mpp")


class SlideCorpus:
    """A map-style data set of `SlideCase`.

    Args:
        n: number of cases, at least 1.
        seed: a whole number, at least 0.
        size, mpp: of every slide, see `SlideDrawing`.
        split: "train" (balanced findings), "validation" and "test" (natural prevalence; test in held-out wordings) or
            "held_back_style" (as test, in a look that training never shows).
        prevalence: overrides the split's "balanced" or "natural".
        wordings: overrides the split's "train" or "held_out".
        style: overrides the split's "standard" or "held_back".
        facts: what every slide shows, in place of chance.

    Raises:
        InputError: any of these out of range or unknown.
    """

    def __init__(
        self,
        n: int,
        seed: int,
        size: int = 2048,
        mpp: float = 1.0,
        split: str = "train",
        prevalence: str | None = None,
        wordings: str | None = None,
        style: str | None = None,
        facts: SlideFacts | None = None,
    ):
        check_cases(n, seed, split)
        if facts is not None and not isinstance(facts, SlideFacts):
            raise InputError("facts", type(facts).__name__, "SlideFacts", "give the facts of one slide")
        self.n, self.seed, self.size, self.mpp, self.split, self.facts = n, seed, size, mpp, split, facts
        self.prevalence = SPLITS[split].prevalence if prevalence is None else prevalence
        self.wordings = SPLITS[split].wordings if wordings is None else wordings
        self.style = SPLITS[split].style if style is None else style
        # What is wrong is told now, not from inside a worker.
        _check_scale(size, mpp)
        look_of(self.style, 0)
        rng = np.random.default_rng(0)
        write_slide_report(draw_slide_facts(rng, self.prevalence), rng, self.wordings)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> SlideCase:
        if not -self.n <= index < self.n:
            raise IndexError(f"case {index} of {self.n}")
        index = int(index) % self.n
        patient, sequence = case_stream(self.seed, self.split, index)
        for_facts, for_words = map(np.random.default_rng, sequence.spawn(2))
        facts = draw_slide_facts(for_facts, self.prevalence) if self.facts is None else self.facts
        return SlideCase(
            case_id=f"phantom-slide-{self.split}-{self.seed}-{index:06d}",
            facts=facts,
            report=write_slide_report(facts, for_words, self.wordings),
            patient=patient,
            size=self.size,
            mpp=self.mpp,
            style=self.style,
        )
