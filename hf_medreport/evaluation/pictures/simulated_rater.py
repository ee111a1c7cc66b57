"""A rater simulated by known truth, so that learning from raters can be measured where nobody rates.

    rater = SimulatedRater()
    rater.rate(images, facts, level=2, seed=0)      # uint8 (n, 64, 64, 3) -> [3, 1, 2, ...]

It looks with a judge of its own (other pictures, seed and size), never with the one that scores: what is tuned by its
ratings is to be judged by somebody else. A picture is worth `alignment * quality`:

- alignment = P(modality) * P(finding) * (1 + the least of P(side), P(zone), P(grade)) / 2, of what was asked. Another
  organ or finding is worth nothing, the right finding on the wrong side half.
- quality = P(no artefact) + P(a slight one) / 2.

From 0.75 it is excellent (3), from 0.35 acceptable (2), else poor (1): the right picture slightly damaged, or of the
wrong side, is acceptable; of the wrong side and slightly damaged it is poor. A rater of level 3 is then one step off in
5 % of the pictures, of level 2 in 20 %, of level 1 in 50 %.
"""

import os
from collections.abc import Sequence

import numpy as np

from hf_medreport.data.ratings.rows import checked_level
from hf_medreport.evaluation.pictures.judging import ARTEFACT, ARTEFACTS, load_judge, rater_folder
from hf_medreport.phantom.picture.facts import PictureFact
from hf_medreport.processing.input_error import InputError

__all__ = ["ERRORS", "SimulatedRater", "steps_off"]

ERRORS = {3: 0.05, 2: 0.2, 1: 0.5}  # level -> how often a rating is one step off
ACCEPTABLE, EXCELLENT = 0.35, 0.75
DETAILS = ("side", "zone", "grade")
WORTH = dict(zip(ARTEFACTS, (1.0, 0.5, 0.0), strict=True))


class SimulatedRater:
    """A rater who knows what each picture was to show.

    Args:
        judge: folder of a judge that is asked for artefacts; by default the shipped one that was trained apart.
        device: "cpu", "cuda"; by default a GPU where there is one.

    Raises:
        InputError: no judge there, or one that is not asked for artefacts.
    """

    def __init__(self, judge: str | os.PathLike | None = None, device: str | None = None):
        self.judge = load_judge(rater_folder() if judge is None else judge, device)
        if tuple(self.judge.model.config.answers.get(ARTEFACT, ())) != ARTEFACTS:
            remedy = "train one with `artefacts`"
            raise InputError("judge", f"{self.judge.name}, not asked for artefacts", "one that is", remedy)

    def truth(self, images: np.ndarray, facts: Sequence[PictureFact]) -> tuple[np.ndarray, np.ndarray]:
        """Alignment and quality of pictures.

        Args:
            images: uint8 (n, size, size, 3).
            facts: what each was to show.

        Returns:
            float64 (n,) and (n,) in [0, 1].

        Raises:
            InputError: unequal counts, or pictures of another size.
        """
        if len(images) != len(facts):
            raise InputError("facts", str(len(facts)), f"{len(images)}, one a picture", "give both of each")
        shares = {name: _softmax(part) for name, part in self.judge.look(images).logits.items()}
        quality = shares[ARTEFACT] @ [WORTH[answer] for answer in self.judge.model.config.answers[ARTEFACT]]
        alignment = [self._alignment(shares, row, fact) for row, fact in enumerate(facts)]
        return np.array(alignment), quality

    def rate(self, images: np.ndarray, facts: Sequence[PictureFact], *, level: int, seed: int) -> list[int]:
        """Ratings from 1 to 3, with the errors of a level; the same again with the same seed.

        Raises:
            InputError: as `truth`, or a level out of range.
        """
        checked_level(level)
        alignment, quality = self.truth(images, facts)
        worth = alignment * quality
        right = 1 + (worth >= ACCEPTABLE).astype(int) + (worth >= EXCELLENT)
        return steps_off(right, level, seed)

    def _alignment(self, shares: dict[str, np.ndarray], row: int, fact: PictureFact) -> float:
        def share(question: str) -> float:
            return shares[question][row, self.judge.model.config.answers[question].index(getattr(fact, question))]

        details = [share(name) for name in DETAILS if getattr(fact, name) is not None]
        return share("modality") * share("finding") * (1 + min(details, default=1)) / 2


def steps_off(right: Sequence[int], level: int, seed: int) -> list[int]:
    """Ratings with a level's errors: `ERRORS` of them are one step off, up or down as often where there is both.

    >>> steps_off([3, 3, 1, 2], level=3, seed=0)
    [3, 3, 1, 2]
    """
    rng, right = np.random.default_rng(seed), np.asarray(right)
    wrong, up = rng.random((2, len(right)))
    step = np.where(right == 1, 1, np.where(right == 3, -1, np.where(up < 0.5, 1, -1)))
    return (right + step * (wrong < ERRORS[level])).tolist()


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return exponents / exponents.sum(axis=-1, keepdims=True)
