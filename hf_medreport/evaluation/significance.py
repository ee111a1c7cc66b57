"""How far a figure can be trusted, and whether two models differ: bootstrap, paired randomisation, Holm.

A sample is a film, and what was measured of it a row: one number, or counts of any shape. A statistic is a function of
the *mean row*: the mean itself, or a ratio of counts such as an F1 or a corpus BLEU, for which the samples' own values
cannot be averaged. So thousands of resamples are one matrix product. (scipy.stats.bootstrap and permutation_test copy
every row of every resample; the tests hold these functions to them.)

Everything is the same again with the same seed.
"""

from collections.abc import Callable, Sequence

import numpy as np

from hf_medreport.processing.input_error import InputError

__all__ = ["bootstrap_interval", "holm", "paired_randomisation"]

Statistic = Callable[[np.ndarray], np.ndarray]
BLOCK = 1000  # resamples at a time, so that memory does not grow with their number
TIE = 1e-12  # differences closer than this differ by rounding only


def mean(rows: np.ndarray) -> np.ndarray:
    """The statistic of per-sample values: their mean."""
    return rows


def bootstrap_interval(
    samples: np.ndarray, statistic: Statistic = mean, *, resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> tuple[float, float] | None:
    """Percentile interval of a statistic over samples drawn with replacement (Efron, 1979).

    Args:
        samples: (samples, ...), one row a sample.
        statistic: mean rows (resamples, ...) -> (resamples,).
        resamples: how many sets of samples are drawn, at least 1.
        seed: of the draws.
        level: share of the resamples that the interval holds.

    Returns:
        (low, high). Resamples whose statistic is nan (0 / 0) are left out; None if all are.

    Raises:
        InputError: no samples, no resamples, or a level that is no share.
    """
    samples = _checked(samples, resamples)
    if not 0 < level < 1:
        raise InputError("level", str(level), "a share between 0 and 1", "0.95 is usual")
    rng, n = np.random.default_rng(seed), len(samples)
    values = []
    for block in _blocks(resamples):
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=block)  # (block, samples): how often each came
        values.append(statistic(_weighted_means(drawn, samples)))
    values = np.concatenate(values)
    if np.isnan(values).all():
        return None
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_randomisation(
    a: np.ndarray, b: np.ndarray, statistic: Statistic = mean, *, resamples: int = 10_000, seed: int = 0
) -> float | None:
    """Two-sided p-value that two models differ on the same samples (Fisher's test; Noreen, 1989).

    If they did not, their results on a sample might as well be swapped. p = (k + 1) / (resamples + 1), k being the
    random swappings whose difference is at least as large as the observed one.

    Args:
        a, b: (samples, ...) of either model, row for row the same samples.
        statistic, resamples, seed: as in `bootstrap_interval`.

    Returns:
        p; None where the statistic of either model is nan (0 / 0). A swapping that makes it nan counts as one at least
        as large: it never helps significance.

    Raises:
        InputError: no samples, no resamples, or unlike shapes.
    """
    a, b = _checked(a, resamples), _checked(b, resamples)
    if a.shape != b.shape:
        raise InputError("b", f"shape {b.shape}", f"{a.shape} as in a", "give both models' results of the same samples")
    ones = np.ones((1, len(a)))
    observed = np.abs(statistic(_weighted_means(ones, a)) - statistic(_weighted_means(ones, b)))[0]
    if np.isnan(observed):
        return None
    rng, as_large = np.random.default_rng(seed), 0
    for block in _blocks(resamples):
        swapped = rng.integers(2, size=(block, len(a)))
        # As sums of what is and is not swapped, so that whole counts stay exact.
        one = statistic(_weighted_means(1 - swapped, a) + _weighted_means(swapped, b))
        other = statistic(_weighted_means(swapped, a) + _weighted_means(1 - swapped, b))
        as_large += np.count_nonzero(~(np.abs(one - other) < observed - TIE))
    return (int(as_large) + 1) / (resamples + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for their number (Holm, 1979), in the order given: below 0.05 is significant at 0.05.

    The smallest is multiplied by their number m, the next by m - 1, and so on; none falls below a smaller one's.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted.tolist()


def _checked(samples: np.ndarray, resamples: int) -> np.ndarray:
    samples = np.asarray(samples, dtype=float)
    if samples.ndim == 0 or len(samples) == 0:
        raise InputError("samples", "none", "one row a sample", "score at least one sample")
    if resamples < 1:
        raise InputError("resamples", str(resamples), "at least 1", "1000 or more are usual")
    return samples


def _blocks(resamples: int) -> list[int]:
    return [min(BLOCK, resamples - start) for start in range(0, resamples, BLOCK)]


def _weighted_means(weights: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """(resamples, samples) weights and (samples, ...) rows -> (resamples, ...): sum of weight times row / samples."""
    return np.tensordot(weights.astype(float), samples, axes=1) / len(samples)
