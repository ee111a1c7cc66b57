"""Splits of known-truth pictures, made as they are read.

Case i of a split depends on (seed, split, i) alone (see `hf_medreport.phantom.splits`); its picture not on the
wordings, and its fact and prompt not on size and style.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hf_medreport.phantom.ct.drawing import draw_ct
from hf_medreport.phantom.fundus.drawing import draw_fundus
from hf_medreport.phantom.mri.drawing import draw_mri
from hf_medreport.phantom.oct.drawing import draw_oct
from hf_medreport.phantom.picture.canvas import Picture, check_size, check_style
from hf_medreport.phantom.picture.facts import MODALITIES, PictureFact, draw_fact
from hf_medreport.phantom.picture.film import draw_film
from hf_medreport.phantom.picture.prompts import write_prompt
from hf_medreport.phantom.splits import SPLITS, case_stream, check_cases
from hf_medreport.processing.input_error import InputError

__all__ = ["SPLITS", "PictureCase", "PictureCorpus", "draw_picture"]

DRAWERS = {"cxr": draw_film, "ct": draw_ct, "mri": draw_mri, "oct": draw_oct, "fundus": draw_fundus}


@dataclass(frozen=True, eq=False)
class PictureCase:
    """One picture of one patient.

    Attributes:
        image: uint8 (size, size), of a fundus (size, size, 3).
        mask: where the finding shows, bool (size, size).
        fact: what it was drawn from.
        prompt: the fact in words.
    """

    case_id: str
    image: np.ndarray
    mask: np.ndarray
    fact: PictureFact
    prompt: str


def draw_picture(fact: PictureFact, patient: int, size: int, style: str = "standard") -> Picture:
    """Draw a patient's picture of this fact.

    Args:
        patient: a whole number from 0: who it is. One patient's pictures of two facts differ by the facts alone.
        size: side in px, 32 to 1024.
        style: "standard", or "held_back" for a look that training never shows.

    Raises:
        InputError: size out of range, or unknown style.
    """
    check_size(size)
    return DRAWERS[fact.modality](fact, patient, size, style)


class PictureCorpus:
    """A map-style data set of `PictureCase`.

    Args:
        n: number of cases, at least 1.
        seed: a whole number, at least 0.
        size: side of the square pictures in px.
        modalities: which take turns; all five by default.
        split: "train", "validation", "test" (in held-out wordings) or "held_back_style" (as test, in a look that
            training never shows). Findings are equally frequent in all.
        wordings: overrides the split's "train" or "held_out".
        style: overrides the split's "standard" or "held_back".
        fact: what every picture shows, in place of chance.

    Raises:
        InputError: any of these out of range or unknown.
    """

    def __init__(
        self,
        n: int,
        seed: int,
        size: int = 64,
        modalities: Iterable[str] = tuple(MODALITIES),
        split: str = "train",
        wordings: str | None = None,
        style: str | None = None,
        fact: PictureFact | None = None,
    ):
        check_cases(n, seed, split)
        check_size(size)
        self.n, self.seed, self.size, self.split, self.fact = n, seed, size, split, fact
        self.modalities = tuple(modalities) if fact is None else (fact.modality,)
        self.wordings = SPLITS[split].wordings if wordings is None else wordings
        self.style = SPLITS[split].style if style is None else style
        # What is wrong is told now, not from inside a worker.
        if not self.modalities:
            raise InputError("modalities", "none", f"some of {', '.join(MODALITIES)}", "name one or more")
        check_style(self.style)
        rng = np.random.default_rng(0)
        for modality in self.modalities:
            write_prompt(self._fact(rng, modality), rng, self.wordings)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> PictureCase:
        if not -self.n <= index < self.n:
            raise IndexError(f"case {index} of {self.n}")
        index = int(index) % self.n
        patient, sequence = case_stream(self.seed, self.split, index)
        for_facts, for_words = map(np.random.default_rng, sequence.spawn(2))
        fact = self._fact(for_facts, self.modalities[index % len(self.modalities)])
        picture = draw_picture(fact, patient, self.size, self.style)
        return PictureCase(
            case_id=f"phantom-{fact.modality}-{self.split}-{self.seed}-{index:06d}",
            image=picture.image,
            mask=picture.mask,
            fact=fact,
            prompt=write_prompt(fact, for_words, self.wordings),
        )

    def _fact(self, rng: np.random.Generator, modality: str) -> PictureFact:
        if self.fact is not None:
            return self.fact
        if modality not in MODALITIES:
            raise InputError("modalities", repr(modality), f"some of {', '.join(MODALITIES)}", "name known ones")
        return draw_fact(rng, modality)
