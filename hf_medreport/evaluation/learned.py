"""An adapter for metrics that are models: RaTEScore, GREEN and their like, which judge a report by learned weights.

They are not part of this package: their weights are theirs to give, and their figures change with them. What they
share is small: a function from two lists of texts to one figure a report. With that, they stand beside the other
metrics, with intervals and tests of differences:

    from RaTEScore import RaTEScore
    learned(predictions, references, scorer=RaTEScore().compute_score, name="ratescore", convention="RaTEScore 0.6")

    green = GREEN("StanfordAIMI/GREEN-radllama2-7b")
    learned(..., scorer=lambda said, given: green(given, said)[2], name="green", convention="GREEN, radllama2-7b")

What they miss cannot be read off a formula. `divergence` shows what a scorer does to a report with one fact changed.
"""

from collections.abc import Callable, Sequence

import numpy as np

from hf_medreport.evaluation.score import Score, check_texts
from hf_medreport.processing.input_error import InputError

__all__ = ["Scorer", "learned"]

# (reports, references), equally many -> a figure for each, higher is better
Scorer = Callable[[list[str], list[str]], Sequence[float]]


def learned(
    predictions: list[str], references: list, *, scorer: Scorer, name: str = "learned", convention: str = "learned"
) -> Score:
    """The mean of what `scorer` gives; of several references the one it likes best. It is called once, for all pairs.

    Args:
        scorer: (reports, references) -> figures; see the module's examples.
        name: of the metric.
        convention: in one line, which model and version, and its scale.

    Raises:
        InputError: see `check_texts`; another number of figures than pairs, or one that is no finite number.
    """
    predictions, groups = check_texts(predictions, references)
    said = [text for text, group in zip(predictions, groups, strict=True) for _ in group]
    figures = np.asarray(scorer(said, [text for group in groups for text in group]), dtype=np.float64)
    if figures.shape != (len(said),):
        found, expected = f"figures of shape {figures.shape}", f"{len(said)}, one for each pair"
        raise InputError(f"scorer {name}", found, expected, "return the figures of the pairs, not their mean")
    if not np.isfinite(figures).all():
        index = int(np.flatnonzero(~np.isfinite(figures))[0])
        raise InputError(f"scorer {name}", f"{figures[index]} for pair {index}", "a finite number", "look at that pair")
    starts = np.cumsum([0, *map(len, groups)])[:-1]
    per_sample = np.maximum.reduceat(figures, starts)
    return Score(float(per_sample.mean()), per_sample, name, convention)
