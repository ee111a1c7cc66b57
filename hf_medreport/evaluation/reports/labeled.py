"""The metrics on CheXpert labels by rule, with each text labeled once for all of them.

Twelve metrics ask for the same labels, and labeling is nearly all of their time. The scores are those of the metrics
themselves (a test holds them equal); beside them stand the counts of each report, of which micro and macro figures are
ratios, for the intervals.
"""

from functools import cached_property

import numpy as np

from hf_medreport.evaluation.clinical.label_scores import columns_of, label_counts, score_labels
from hf_medreport.evaluation.clinical.labeler import label_reports
from hf_medreport.evaluation.registry import Metric
from hf_medreport.evaluation.reports.resampling import FIGURE, Resampled
from hf_medreport.evaluation.score import Score

__all__ = ["Labeled"]

FUNCTION = "clinical.label_scores:chexpert"
DEFAULTS = {"figure": "f1", "average": "micro", "observations": 14, "uncertain": "positive"}


class Labeled:
    """The labels of predictions and references, made when first asked for.

    Args:
        predictions: n texts.
        references: n lists of texts.
    """

    def __init__(self, predictions: list[str], references: list[list[str]]):
        self.predictions, self.references = predictions, references

    def knows(self, metric: Metric) -> bool:
        """Whether `scored` gives this metric. Of several references each metric chooses its own, so none is shared."""
        return metric.function == FUNCTION and all(len(group) == 1 for group in self.references)

    @cached_property
    def codes(self) -> tuple[np.ndarray, np.ndarray]:
        """Labels (n, 14) of predictions and of references."""
        return label_reports(self.predictions), label_reports([group[0] for group in self.references])

    def scored(self, metric: Metric, **options) -> tuple[Score, Resampled]:
        """What the metric gives, and its rows: counts (n, 3) of a micro figure, (n, 3, observations) of a macro one."""
        asked = DEFAULTS | metric.options | options
        score = score_labels(*self.codes, **asked, labels="chexpert")
        counts = np.stack(label_counts(*self.codes, columns_of(asked["observations"]), asked["uncertain"]), axis=1)
        figure = asked["figure"]
        if asked["average"] == "micro":
            return score, Resampled(counts.sum(axis=2), lambda means: ratio(means, figure, nothing=np.nan), FIGURE)
        return score, Resampled(counts, lambda means: ratio(means, figure, nothing=0.0).mean(axis=1), FIGURE)


def ratio(counts: np.ndarray, figure: str, nothing: float) -> np.ndarray:
    """Precision, recall or F1 of counts of hits, said, given (the second axis); 0 / 0 is `nothing` if none is there."""
    hits, said, given = counts[:, 0], counts[:, 1], counts[:, 2]
    top, bottom = {"precision": (hits, said), "recall": (hits, given), "f1": (2 * hits, said + given)}[figure]
    return np.divide(top, bottom, where=bottom > 0, out=np.where(said + given > 0, 0.0, nothing))
