"""How good a normal-abnormal classification is, and how far its probability can be taken at its word.

Every figure is a function of the mean over cases of a row a case, so its interval is one call of `bootstrap_interval`.
A case is called abnormal at a probability of 0.5 or more. A figure without a case to count is None, never 0 or 1.

- `auc`: the share of (abnormal, normal) pairs in which the abnormal case has the higher probability, ties counting
  half: the Mann-Whitney U over the number of pairs (Hanley and McNeil, 1982).
- `brier`: the mean squared distance of the probability from 0 or 1 (Brier, 1950).
- `calibration_error`: over ten bins of the probability of equal width, the mean of |mean probability - share of
  abnormal cases|, weighted by the bin's cases (Naeini et al., 2015, there of the winning class; here of "abnormal").
  A bin's lower edge belongs to it, and 1 to the last.
- `majority`: a classification that gives every case the share of abnormal ones among the very cases it is scored on, as
  its probability: right in rank by chance and in level by construction, so neither has to be shown.
"""

import numpy as np

from hf_medreport.evaluation.significance import bootstrap_interval
from hf_medreport.processing.input_error import InputError

__all__ = ["auc", "brier", "calibration_error", "classification_figures", "majority_figures"]

BINS = 10
THRESHOLD = 0.5


def auc(probabilities: np.ndarray, labels: np.ndarray) -> float | None:
    """Area under the ROC curve; None where one of the classes has no case.

    Args:
        probabilities: (cases,), any numbers that rise with the certainty that a case is abnormal.
        labels: (cases,), 0 normal, 1 abnormal.

    Raises:
        InputError: no cases, unlike numbers of them, numbers that are not finite, or labels other than 0 and 1.
    """
    return _value(_ranks(*_checked(probabilities, labels)), _auc)


def brier(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Brier score, 0 (sure and right) to 1; arguments and errors as `classification_figures`."""
    probabilities, labels = _checked(probabilities, labels, shares=True)
    return float(np.mean((probabilities - labels) ** 2))


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error as the module defines it; arguments and errors as `classification_figures`."""
    return _value(_binned(*_checked(probabilities, labels, shares=True)), _calibration_error)


def classification_figures(probabilities: np.ndarray, labels: np.ndarray, names: tuple[str, ...] | None = None) -> dict:
    """The figures of a classification, with intervals.

    Args:
        probabilities: (cases,) in [0, 1] that a case is abnormal.
        labels: (cases,), 0 normal, 1 abnormal.
        names: only these figures; None: accuracy, auc, brier, calibration_error, sensitivity and specificity.

    Returns:
        {figure: value} and `intervals`: {figure: [low, high]}, the 95 % percentile bootstrap over cases (1,000
        resamples); memory grows with the square of the number of cases, 0.3 GB at 4,000.

    Raises:
        InputError: as `auc`, or probabilities outside [0, 1].
    """
    probabilities, labels = _checked(probabilities, labels, shares=True)
    right = (probabilities >= THRESHOLD) == labels
    figures = {
        "accuracy": (right, _mean),
        "auc": (_ranks(probabilities, labels), _auc),
        "brier": ((probabilities - labels) ** 2, _mean),
        "calibration_error": (_binned(probabilities, labels), _calibration_error),
        "sensitivity": (np.stack([right & (labels == 1), labels == 1], axis=1), _share),
        "specificity": (np.stack([right & (labels == 0), labels == 0], axis=1), _share),
    }
    figures = {name: figures[name] for name in names or figures}
    intervals = {name: bootstrap_interval(*of) for name, of in figures.items()}
    return {
        **{name: _value(*of) for name, of in figures.items()},
        "intervals": {name: interval and list(interval) for name, interval in intervals.items()},
    }


def majority_figures(labels: np.ndarray) -> dict[str, float]:
    """Accuracy and Brier score of the classification that knows only how many of these cases are abnormal."""
    prevalence = float(np.mean(labels))
    return {"accuracy": max(prevalence, 1 - prevalence), "brier": prevalence * (1 - prevalence)}


def _value(rows: np.ndarray, statistic) -> float | None:
    value = float(statistic(np.mean(rows, axis=0, dtype=float)[None])[0])
    return None if np.isnan(value) else value


def _mean(means: np.ndarray) -> np.ndarray:
    return means


def _share(means: np.ndarray) -> np.ndarray:
    """(..., 2) parts and wholes -> (...); nan where there is nothing to take a part of."""
    parts, wholes = means[..., 0], means[..., 1]
    return np.divide(parts, wholes, out=np.full_like(parts, np.nan), where=wholes > 0)


def _ranks(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(cases, 2, distinct scores): True at a case's label and the place of its score among the distinct ones."""
    distinct, places = np.unique(scores, return_inverse=True)
    rows = np.zeros((len(scores), 2, len(distinct)), dtype=bool)
    rows[np.arange(len(scores)), labels, places] = True
    return rows


def _auc(means: np.ndarray) -> np.ndarray:
    """(..., 2, distinct scores) shares of all cases, normal and abnormal -> (...)."""
    normal, abnormal = means[..., 0, :], means[..., 1, :]
    below = normal.cumsum(axis=-1) - normal / 2  # of the normal cases; those of the same score count half
    won = (abnormal * below).sum(axis=-1)
    share = _share(np.stack([won, normal.sum(axis=-1) * abnormal.sum(axis=-1)], axis=-1))
    return np.minimum(share, 1.0)  # or rounding puts a perfect one above 1


def _binned(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(cases, bins): probability minus label, in the probability's bin."""
    places = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    rows = np.zeros((len(labels), BINS))
    rows[np.arange(len(labels)), places] = probabilities - labels
    return rows


def _calibration_error(means: np.ndarray) -> np.ndarray:
    """(..., bins) -> (...): the mean over all cases of a bin's differences is its gap times its share of the cases."""
    return np.abs(means).sum(axis=-1)


def _checked(probabilities, labels, shares: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays (cases,), float and int."""
    probabilities, labels = np.asarray(probabilities, dtype=float), np.asarray(labels)
    if probabilities.ndim != 1 or probabilities.shape != labels.shape or not len(labels):
        found = f"shape {probabilities.shape} for labels {labels.shape}"
        raise InputError("probabilities", found, "one of each a case", "give both of the same cases")
    bad = ~np.isfinite(probabilities) | (shares & ((probabilities < 0) | (probabilities > 1)))
    if bad.any():
        case = int(bad.argmax())
        expected = "0 to 1" if shares else "a finite number"
        raise InputError(f"probabilities[{case}]", f"{probabilities[case]:g}", expected, "check the model's weights")
    wrong = ~np.isin(labels, (0, 1))
    if wrong.any():
        case = int(wrong.argmax())
        expected = "0 (normal) or 1 (abnormal)"
        raise InputError(f"labels[{case}]", f"{labels[case]:g}", expected, "correct the labels")
    return probabilities, labels.astype(int)
