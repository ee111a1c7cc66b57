"""How far raters agree: Cohen's kappa with quadratic weights (Cohen, 1968, "Weighted kappa"), of each two of them.

1 is the same rating everywhere, 0 what chance would give two raters of these habits; who differs by two steps is held
four times as far off as who differs by one.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from hf_medreport.data.ratings.table import RATINGS, Rating

__all__ = ["agreement", "weighted_kappa"]

RESAMPLES = 1000
STEPS = np.subtract.outer(np.arange(len(RATINGS)), np.arange(len(RATINGS))) ** 2  # what a disagreement costs


def weighted_kappa(tables: np.ndarray) -> np.ndarray:
    """Kappa of counts (..., 3, 3): how often one rater gave the row's rating and the other the column's.

    nan where both gave one and the same rating throughout: there is no chance to agree better than by chance.
    """
    tables = np.asarray(tables, dtype=float)
    totals = tables.sum(axis=(-2, -1))
    by_chance = tables.sum(axis=-1)[..., :, None] * tables.sum(axis=-2)[..., None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 - totals * (STEPS * tables).sum(axis=(-2, -1)) / (STEPS * by_chance).sum(axis=(-2, -1))


def agreement(ratings: Sequence[Rating], seed: int = 0) -> dict[str, dict]:
    """How far each two raters agree on the pictures that both rated.

    Args:
        ratings: of several raters; of one rater who rated a picture of a prompt again, the last counts.
        seed: of the bootstrap.

    Returns:
        {"ONE and OTHER": {"n": pictures, "kappa", "interval": of 95 %, by 1000 resamples of the pictures (Efron,
        1979), "same": share of equal ratings}}. None where nothing is shared or kappa is not defined; {} of fewer than
        two raters.
    """
    by_rater: dict[str, dict] = {}
    for rating in ratings:
        by_rater.setdefault(rating.rater, {})[rating.image, rating.prompt] = rating.rating
    return {
        f"{one or 'unnamed'} and {other or 'unnamed'}": _pair(by_rater[one], by_rater[other], seed)
        for one, other in combinations(sorted(by_rater), 2)
    }


def _pair(one: dict, other: dict, seed: int) -> dict:
    shared = [key for key in one if key in other]
    if not shared:
        return {"n": 0, "kappa": None, "interval": None, "same": None}
    table = np.zeros_like(STEPS)
    for key in shared:
        table[one[key] - RATINGS[0], other[key] - RATINGS[0]] += 1
    # Pictures drawn with replacement are a table drawn from this one.
    drawn = np.random.default_rng(seed).multinomial(len(shared), table.ravel() / len(shared), size=RESAMPLES)
    kappa, kappas = float(weighted_kappa(table)), weighted_kappa(drawn.reshape(-1, *table.shape))
    return {
        "n": len(shared),
        "kappa": None if np.isnan(kappa) else kappa,
        "interval": None if np.isnan(kappa) else np.nanquantile(kappas, (0.025, 0.975)).tolist(),
        "same": float(np.trace(table) / len(shared)),
    }
