"""How good scores are against ratings that they were not trained on.

- `auc`: how often a picture rated 3 scores higher than one rated 1; ratings of 2 are left out.
- `pairwise`: of pairs of pictures of one prompt that are rated unequally, how often the better scores higher. Ties count
  half. Interval by the bootstrap over prompts.
- `calibration_error`: over ten bins of the score, the mean of |mean score - mean rating from 0 to 1|, weighted by the
  bin's ratings; the bins stand in `reliability`.
- `raters`: Cohen's kappa with quadratic weights of the score, cut into 1, 2 and 3 at 1/4 and 3/4, and each rater.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from hf_medreport.data.ratings.agreement import agreement
from hf_medreport.data.ratings.table import Rating
from hf_medreport.evaluation.classification import classification_figures
from hf_medreport.evaluation.significance import bootstrap_interval

__all__ = ["MODEL", "as_rating", "pairwise", "reliability", "reward_figures"]

BINS = 10
CUTS = (0.25, 0.75)  # between 1, 2 and 3: halfway between 0, 1/2 and 1
MODEL = "this model"  # as a rater


def as_rating(scores: np.ndarray) -> np.ndarray:
    """Scores in [0, 1] as ratings 1, 2 and 3."""
    return 1 + np.digitize(scores, CUTS)


def reward_figures(scores: np.ndarray, ratings: Sequence[Rating]) -> dict:
    """All figures of the module.

    Args:
        scores: (n,) in [0, 1].
        ratings: what was scored, n of them.
    """
    scores = np.asarray(scores, dtype=np.float64)
    ends = np.array([rating.rating != 2 for rating in ratings])
    good = np.array([rating.rating == 3 for rating in ratings])
    ranks = classification_figures(scores[ends], good[ends].astype(int), ("auc",)) if ends.any() else None
    bins = reliability(scores, np.array([rating.normalized for rating in ratings]))
    ours = [
        Rating(rating.image, int(value), rating.modality, 3, rating.prompt, MODEL)
        for rating, value in zip(ratings, as_rating(scores), strict=True)
    ]
    agreed = agreement([*ours, *ratings])
    return {
        "auc": ranks and ranks["auc"],
        "auc_interval": ranks and ranks["intervals"]["auc"],
        **pairwise(scores, ratings),
        "calibration_error": sum(one["n"] * abs(one["score"] - one["rating"]) for one in bins) / len(scores),
        "reliability": bins,
        "mean_score": float(scores.mean()),
        "raters": {pair: told for pair, told in agreed.items() if MODEL in pair.split(" and ")},
    }


def pairwise(scores: np.ndarray, ratings: Sequence[Rating]) -> dict:
    """{"pairwise", "pairwise_interval", "pairs"}; None, None and 0 where there is no pair."""
    by_prompt: dict[str, list[int]] = {}
    for number, rating in enumerate(ratings):
        by_prompt.setdefault(" ".join(rating.prompt.split()), []).append(number)
    rows = []  # of each prompt: how many pairs are right, and how many there are
    for numbers in by_prompt.values():
        right = count = 0
        for one, other in combinations(numbers, 2):
            step = ratings[one].rating - ratings[other].rating
            if step and ratings[one].image != ratings[other].image:
                right += (np.sign(scores[one] - scores[other]) * np.sign(step) + 1) / 2
                count += 1
        rows.append((right, count))
    rows = np.array(rows, dtype=np.float64)
    if not rows[:, 1].sum():
        return {"pairwise": None, "pairwise_interval": None, "pairs": 0}
    interval = bootstrap_interval(rows, _share)
    return {
        "pairwise": float(rows[:, 0].sum() / rows[:, 1].sum()),
        "pairwise_interval": interval and list(interval),
        "pairs": int(rows[:, 1].sum()),
    }


def _share(means: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return means[:, 0] / means[:, 1]


def reliability(scores: np.ndarray, wanted: np.ndarray) -> list[dict]:
    """Of each bin of the score that holds any: its bounds, how many, mean score and mean rating from 0 to 1."""
    numbers = np.minimum((scores * BINS).astype(int), BINS - 1)
    table = []
    for number in range(BINS):
        inside = numbers == number
        if inside.any():
            means = {"score": float(scores[inside].mean()), "rating": float(wanted[inside].mean())}
            bounds = {"from": number / BINS, "to": (number + 1) / BINS}
            table.append(bounds | {"n": int(inside.sum())} | means)
    return table
