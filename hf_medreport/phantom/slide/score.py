"""How much of what a model said about the slides is true, field by field.

Works on what `parse_slide_report` returns. As in the chest's score, everything is counted a slide and a field at a time
(`slide_counts`) and every figure is a ratio of counts that were summed over the slides first (`slide_figures`), so that
a resampling of slides is a resampling of rows, and any figure of it one call of `measure_slides`. Where a denominator
is 0 the figure is None (nan in `measure_slides`), never 0 or 1.
"""

from collections.abc import Collection, Sequence

import numpy as np

from hf_medreport.phantom.counting import breakdown, figure_of, plain, ratio
from hf_medreport.phantom.slide.findings import FIELDS, SlideFacts
from hf_medreport.processing.input_error import InputError

__all__ = ["COUNTS", "measure_slides", "score_slides", "slide_counts", "slide_figures"]

# The last axis of the counts: hits, stated and true pairs; slides of which all that is said of the field is right; and,
# of numbers that are stated and true of the slide, how many and the sum of their distances to the truth.
COUNTS = ("hits", "stated", "true", "right", "compared", "distance")
NUMBERS = ("size_cm", "nodes", "mitoses")
MEASURES = ("size_cm", "mitoses")
ROW = {field: row for row, field in enumerate(FIELDS)}

Pair = tuple[str, object]


def slide_counts(stated: Sequence[Collection[Pair]], truth: Sequence[SlideFacts]) -> np.ndarray:
    """Count what `score_slides` needs, slide by slide.

    Args:
        stated: for each slide, the (field, value) pairs that were stated (see `parse_slide_report`).
        truth: for each slide, its facts, in the same order of slides.

    Returns:
        float64 (slides, fields, counts), fields as in `FIELDS`, counts as in `COUNTS`.

    Raises:
        InputError: the two sequences differ in length.
    """
    if len(stated) != len(truth):
        raise InputError("stated", f"{len(stated)} slides", f"{len(truth)} as in truth", "give one set a slide")
    counts = np.zeros((len(truth), len(FIELDS), len(COUNTS)))
    for slide, pairs, facts in zip(counts, stated, truth, strict=True):
        true = dict(facts.facts)
        for field, row in ROW.items():
            said = {value for name, value in pairs if name == field}
            there = {true[field]} if field in true else set()
            far = [abs(value - true[field]) for value in said] if there and field in MEASURES else []
            right = bool(there) and said == there
            slide[row] = len(said & there), len(said), len(there), right, len(far), sum(far)
    return counts


def measure_slides(counts: np.ndarray, name: str) -> np.ndarray:
    """One figure of many sums at once: counts (..., fields, counts) -> (...), nan where it is 0 / 0.

    Args:
        counts: sums, or means, over slides.
        name: the figure's way in what `slide_figures` returns: "exact.f1", "exact.by_field.grade.recall",
            "grade_accuracy".
    """
    return figure_of(_arrays(counts), name)


def slide_figures(counts: np.ndarray) -> dict:
    """All figures of `score_slides` but n, from (fields, counts): the sum of `slide_counts` over slides."""
    return plain(_arrays(counts))


def score_slides(stated: Sequence[Collection[Pair]], truth: Sequence[SlideFacts]) -> dict:
    """Compare the stated pairs of each slide with its true ones.

    Args:
        stated: for each slide, the (field, value) pairs that were stated (see `parse_slide_report`).
        truth: for each slide, its facts, in the same order of slides.

    Returns:
        a dict of:

        - n: number of slides.
        - exact: a stated pair is a hit if it is true of the slide. precision = hits / stated pairs; recall = hits /
          true pairs; f1 = 2 hits / (stated + true). `by_field` holds the three for each field; `macro` their means over
          the fields, where a figure of a field that is 0 / 0 is left out of its mean.
        - grade_accuracy, diagnosis_accuracy, size_exact, nodes_exact: slides where the field is stated with the true
          value and no other / slides that have the field. Every slide has a diagnosis and nodes; grade, size and
          mitoses are those of a tumor.
        - number_exactness: the same for size, nodes and mitoses together.
        - size_error_cm, mitoses_error: mean of |stated - true| over the sizes (cm) and mitotic counts (per 10
          high-power fields) that are stated of slides that have one.
        - hallucination_rate = stated pairs that are false, be it by their value or because the slide has no such field
          / all stated pairs.

        A figure whose denominator is 0 is None.

    Raises:
        InputError: the two sequences differ in length.
    """
    return {"n": len(truth), **slide_figures(slide_counts(stated, truth).sum(axis=0))}


def _arrays(counts: np.ndarray) -> dict:
    """The figures as arrays (...) from counts (..., fields, counts)."""
    column = {name: counts[..., place] for place, name in enumerate(COUNTS)}  # each (..., fields)

    def share(part: str, whole: str, *fields: str) -> np.ndarray:
        rows = [ROW[field] for field in fields]
        return ratio(column[part][..., rows].sum(axis=-1), column[whole][..., rows].sum(axis=-1))

    exact = breakdown(*(column[name] for name in ("hits", "stated", "true")), rows=FIELDS, by="by_field")
    return {
        "exact": exact,
        "diagnosis_accuracy": share("right", "true", "diagnosis"),
        "grade_accuracy": share("right", "true", "grade"),
        "size_exact": share("right", "true", "size_cm"),
        "nodes_exact": share("right", "true", "nodes"),
        "number_exactness": share("right", "true", *NUMBERS),
        "size_error_cm": share("distance", "compared", "size_cm"),
        "mitoses_error": share("distance", "compared", "mitoses"),
        "hallucination_rate": 1 - exact["precision"],
    }
