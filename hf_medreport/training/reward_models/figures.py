"""How good scores are against ratings that they were not trained on.

- `auc`: how often a picture rated 3 scores higher than one rated 1; ratings of 2 are left out.
- `pairwise`: of pairs of pictures of one prompt that are rated unequally, how often the better scores higher; ties
  count half. Interval by the bootstrap over prompts.
- `calibration_error`: over ten bins of the score, the mean of |mean score - mean rating from 0 to 1|, weighted by the
  bin's ratings; the bins stand in `reliability`.
- `raters`: Cohen's kappa with quadratic weights of the score, cut into 1, 2 and 3 at 1/4 and 3/4, and each rater.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from hf_medreport.data.ratings.table import Rating
from hf_medreport.evaluation.classification import classification_figures
from hf_medreport.evaluation.significance import bootstrap_interval

__all__ = ["among_raters", "as_rating", "kappas", "pairwise", "reliability", "reward_figures"]

BINS = 10
CUTS = (0.25, 0.75)  # between 1, 2 and 3: halfway between 0, 1/2 and 1
STEPS = np.subtract.outer(np.arange(3), np.arange(3)) ** 2  # what a disagreement costs


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
    return {
        "auc": ranks and ranks["auc"],
        "auc_interval": ranks and ranks["intervals"]["auc"],
        **pairwise(scores, ratings),
        "calibration_error": sum(one["n"] * abs(one["score"] - one["rating"]) for one in bins) / len(scores),
        "reliability": bins,
        "mean_score": float(scores.mean()),
        "raters": _with_raters(as_rating(scores), ratings),
    }


def kappas(tables: np.ndarray) -> np.ndarray:
    """Cohen's kappa with quadratic weights of counts (n, 9), the row's rating before the column's: (n,).

    nan where both gave one and the same rating throughout. (scikit-learn's takes one table, and a second for the
    thousand of an interval; a test holds the two equal.)
    """
    tables = tables.reshape(-1, 3, 3).astype(np.float64)
    chance = tables.sum(axis=2)[:, :, None] * tables.sum(axis=1)[:, None, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        costs = tables.sum(axis=(1, 2)) * (STEPS * tables).sum(axis=(1, 2)) / (STEPS * chance).sum(axis=(1, 2))
    return 1 - costs


def _agreement(one: Sequence[int], other: Sequence[int]) -> dict:
    """{"n", "kappa", "interval"} of ratings 1 to 3 by two raters."""
    cells = 3 * (np.asarray(one, dtype=int) - 1) + np.asarray(other, dtype=int) - 1
    rows = np.eye(9)[cells]
    kappa = float(kappas(rows.sum(axis=0))[0])
    if np.isnan(kappa):
        return {"n": len(cells), "kappa": None, "interval": None}
    interval = bootstrap_interval(rows, kappas)
    return {"n": len(cells), "kappa": kappa, "interval": interval and list(interval)}


def _with_raters(given: np.ndarray, ratings: Sequence[Rating]) -> dict[str, dict]:
    """Agreement of ratings that a model gives with those of each rater."""
    chosen = {rater: [k for k, one in enumerate(ratings) if one.rater == rater] for rater in _raters(ratings)}
    return {rater: _agreement(given[rows], [ratings[k].rating for k in rows]) for rater, rows in chosen.items()}


def among_raters(ratings: Sequence[Rating]) -> dict[str, dict]:
    """Agreement of each two raters on what both rated."""
    told = {
        rater: {(one.image, one.prompt): one.rating for one in ratings if one.rater == rater}
        for rater in _raters(ratings)
    }
    pairs = {}
    for one, other in combinations(told, 2):
        shared = [key for key in told[one] if key in told[other]]
        if shared:
            pairs[f"{one} and {other}"] = _agreement(*([told[rater][key] for key in shared] for rater in (one, other)))
    return pairs


def _raters(ratings: Sequence[Rating]) -> list[str]:
    return sorted({rating.rater for rating in ratings})


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
