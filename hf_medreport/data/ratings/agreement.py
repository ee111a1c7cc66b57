"""How far raters agree: Cohen's kappa with quadratic weights (Cohen, 1968, "Weighted kappa"), of each two of them.

1 is the same rating everywhere, 0 what chance would give two raters of these habits; who differs by two steps is held
four times as far off as who differs by one. Kappa is scikit-learn's (extra `rlhf`).
"""

import warnings
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from hf_medreport.data.ratings.table import RATINGS, Rating
from hf_medreport.processing.input_error import InputError

__all__ = ["agreement"]

RESAMPLES = 1000
ROWS, COLUMNS = np.divmod(np.arange(len(RATINGS) ** 2), len(RATINGS))  # of the cells of a table of two raters


def agreement(ratings: Sequence[Rating], seed: int = 0) -> dict[str, dict]:
    """How far each two raters agree on the pictures that both rated.

    Args:
        ratings: of several raters; of one rater who rated a picture of a prompt again, the last counts.
        seed: of the bootstrap.

    Returns:
        {"ONE and OTHER": {"n": pictures, "kappa", "interval": of 95 %, by 1000 resamples of the pictures (Efron,
        1979), "same": share of equal ratings}}. None where nothing is shared or kappa is not defined; {} of fewer than
        two raters.

    Raises:
        InputError: scikit-learn is not installed.
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
    cells = np.zeros(len(ROWS), dtype=int)
    for key in shared:
        cells[(one[key] - RATINGS[0]) * len(RATINGS) + other[key] - RATINGS[0]] += 1
    kappa, interval = _kappa(cells), None
    if kappa is not None:
        # Pictures drawn with replacement are counts drawn from these.
        drawn = np.random.default_rng(seed).multinomial(len(shared), cells / len(shared), size=RESAMPLES)
        kappas = [value for counts in drawn if (value := _kappa(counts)) is not None]
        interval = np.quantile(kappas, (0.025, 0.975)).tolist() if kappas else None
    same = int(cells[ROWS == COLUMNS].sum()) / len(shared)
    return {"n": len(shared), "kappa": kappa, "interval": interval, "same": same}


def _kappa(cells: np.ndarray) -> float | None:
    """Of the counts of a table of two raters; None where both gave one and the same rating throughout."""
    try:
        from sklearn.metrics import cohen_kappa_score
    except ImportError as error:
        remedy = "install it: pip install 'hf-medreport[rlhf]'"
        raise InputError("agreement of raters", "no scikit-learn", "it installed", remedy) from error

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a kappa that is not defined
        labels = range(len(RATINGS))
        value = cohen_kappa_score(ROWS, COLUMNS, labels=list(labels), weights="quadratic", sample_weight=cells)
    return None if np.isnan(value) else float(value)
