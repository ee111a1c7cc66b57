"""What is resampled for the interval of a metric, and for the test of a difference.

The mean of the reports' own values, where that is the metric's figure. BLEU is a ratio of sums over the corpus: its
n-gram counts are resampled and the ratio is taken anew. Of other figures of a whole set (token precision, whose sets of
words cannot be summed) only the mean over the reports can be resampled, and `of` says so.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hf_medreport.evaluation.registry import Metric
from hf_medreport.evaluation.score import Score
from hf_medreport.evaluation.significance import bootstrap_interval, mean, paired_randomisation
from hf_medreport.evaluation.text.bleu import Matches, coco_bleu, corpus_matches, smoothed_bleu

__all__ = ["FIGURE", "MEAN", "Resampled", "resampled"]

FIGURE, MEAN = "the figure", "the mean over the reports"


@dataclass(frozen=True, eq=False)
class Resampled:
    """Rows of one metric on one system's reports.

    Args:
        rows: (samples, ...).
        statistic: mean rows (resamples, ...) -> (resamples,).
        of: FIGURE or MEAN: what the statistic of all rows is.
    """

    rows: np.ndarray
    statistic: Callable[[np.ndarray], np.ndarray]
    of: str

    @property
    def value(self) -> float:
        """The statistic of all samples."""
        return float(self.statistic(self.rows.mean(axis=0, keepdims=True))[0])

    def interval(self, **options) -> tuple[float, float] | None:
        """See `bootstrap_interval`."""
        return bootstrap_interval(self.rows, self.statistic, **options)

    def p_value(self, other: "Resampled", **options) -> float | None:
        """See `paired_randomisation`; both must be of the same samples."""
        return paired_randomisation(self.rows, other.rows, self.statistic, **options)


def resampled(metric: Metric, score: Score, predictions: list[str], references: list, **options) -> Resampled:
    """The rows of a metric.

    Args:
        metric: of the registry.
        score: what it gave for these texts.
        predictions, references, options: what it was given.
    """
    count = ROWS.get(metric.function)
    if count is not None:
        rows, statistic = count(predictions, references, **metric.options, **options)
        return Resampled(rows, statistic, FIGURE)
    is_mean = bool(np.isclose(score.value, score.per_sample.mean(), rtol=1e-9, atol=1e-12))
    return Resampled(score.per_sample, mean, FIGURE if is_mean else MEAN)


def _bleu_rows(predictions: list[str], references: list, *, order: int, tokenizer="coco"):
    matches, _ = corpus_matches(predictions, references, order, tokenizer)
    samples = len(predictions)
    return _rows(matches), lambda means: coco_bleu(_matches(means * samples, order))[:, -1]


def _sacrebleu_rows(predictions: list[str], references: list, *, order: int, tokenizer="13a", lowercase=False):
    matches, _ = corpus_matches(predictions, references, order, tokenizer, lowercase)
    samples = len(predictions)
    return _rows(matches), lambda means: smoothed_bleu(_matches(means * samples, order), effective_order=False)


def _rows(matches: Matches) -> np.ndarray:
    """(samples, 2 x orders + 2)"""
    lengths = np.stack([matches.length, matches.reference_length], axis=1)
    return np.concatenate([matches.correct, matches.total, lengths], axis=1)


def _matches(sums: np.ndarray, order: int) -> Matches:
    return Matches(sums[:, :order], sums[:, order : 2 * order], sums[:, -2], sums[:, -1])


# By the function of a metric: (predictions, references, **options) -> rows, statistic.
ROWS = {"text.bleu:bleu": _bleu_rows, "text.bleu:sacrebleu": _sacrebleu_rows}
