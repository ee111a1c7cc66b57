"""Concepts shared by report and reference: precision, recall, F1 and Jaccard over sets of concept ids (RadScribe).

Each text becomes the set of the concepts that a linker finds in it, a reference that of all its texts together. The
figures are micro: hits, |P| and |R| summed over the reports first. Three ways to scale them:

- `raw`: precision = hits / |P|, recall = hits / |R|, F1, Jaccard = hits / |P u R| (RadScribe calls it accuracy).
- `legacy_scaled`: RadScribe's number, tanh(mean(factor) * raw), factor = exp(2 exp(-d^2 / 50)), d = | |P| - |R| | of a
  pair. Its length term is a bonus, not a penalty: equal counts multiply by 7.39, and F1 0.3 becomes 0.977.
- `length_penalized`: what was meant. A pair's hits count exp(-d^2 / 50) each, RadScribe's width of 5 concepts: 1 where
  report and reference name equally many, 0.92 for 2 too many or too few, 0.61 for 5, 0.14 for 10. It never exceeds raw,
  equals it where all counts are equal, and falls on the report that is too long or short rather than on the set. Use it
  where precision or recall is read alone: a report of one sure concept has raw precision 1.

What it misses: denied concepts count like stated ones, and no concept knows which side belongs to it.
"""

from collections.abc import Sequence, Set
from pathlib import Path

import numpy as np

from hf_medreport.evaluation.clinical.linkers import DictionaryLinker, Linker
from hf_medreport.evaluation.score import Score, check_texts
from hf_medreport.processing.input_error import InputError

__all__ = ["FIGURES", "SCALINGS", "concept_counts", "concept_figures", "umls"]

FIGURES = ("f1", "precision", "recall", "jaccard")
SCALINGS = ("raw", "legacy_scaled", "length_penalized")
WIDTH = 5.0  # concepts: RadScribe's sigma
BONUS = 2.0  # RadScribe's alpha; its third parameter, the rate, is 1


def umls(
    predictions: list[str],
    references: list,
    *,
    linker: Linker | str | Path,
    figure: str = "f1",
    scaling: str = "raw",
) -> Score:
    """One figure of the concepts shared, 0 to 1.

    `per_sample` is the figure of one report as a set of its own; raw and penalized it is 1 where neither text has a
    concept. `details` holds all four figures in all three scalings, the sums, and the mean of RadScribe's factor.

    Args:
        linker: from `linkers`, or any object with `link(text)`; a path is the table of a `DictionaryLinker`.
        figure: "f1", "precision", "recall" or "jaccard".
        scaling: "raw", "legacy_scaled" or "length_penalized".

    Raises:
        InputError: see `check_texts` and `DictionaryLinker`; an unknown figure or scaling; a linker without `link`.
    """
    for where, value, known in (("figure", figure, FIGURES), ("scaling", scaling, SCALINGS)):
        if value not in known:
            raise InputError(where, repr(value), "one of " + ", ".join(known), f"name a known {where}")
    predictions, groups = check_texts(predictions, references)
    linker = _linker(linker)
    distinct = dict.fromkeys(predictions + [text for group in groups for text in group])
    concepts = {text: frozenset(linker.link(text)) for text in distinct}
    counts = concept_counts(
        [concepts[text] for text in predictions],
        [frozenset().union(*(concepts[text] for text in group)) for group in groups],
    )
    figures = {name: concept_figures(counts, name) for name in SCALINGS}
    sums = dict(zip(("hits", "stated", "true", "union"), counts.sum(axis=0).tolist(), strict=True))
    return Score(
        value=figures[scaling][figure],
        per_sample=np.array([_of_one(row, scaling)[figure] for row in counts]),
        name=f"umls_{figure}" + (f"_{scaling}" if scaling != "raw" else ""),
        convention=f"concepts of {type(linker).__name__}, micro {figure}, {scaling.replace('_', ' ')}, 0 to 1",
        details={**figures, "counts": sums, "mean_legacy_factor": float(legacy_factor(counts).mean())},
    )


def concept_counts(predicted: Sequence[Set[str]], reference: Sequence[Set[str]]) -> np.ndarray:
    """Whole numbers (reports, 4): hits, |P|, |R|, |P u R| of each pair of concept sets."""
    return np.array([[len(p & r), len(p), len(r), len(p | r)] for p, r in zip(predicted, reference, strict=True)])


def concept_figures(counts: np.ndarray, scaling: str = "raw") -> dict[str, float]:
    """The four figures of `concept_counts` (reports, 4); 0 where a denominator is 0."""
    if scaling == "legacy_scaled" and not counts[:, 2].any():
        return dict.fromkeys(FIGURES, 0.0)  # RadScribe returns early where no reference has a concept
    weights = _closeness(counts) if scaling == "length_penalized" else np.ones(len(counts))
    hits, (stated, true, union) = float(counts[:, 0] @ weights), counts[:, 1:].sum(axis=0).tolist()
    figures = {
        "f1": _ratio(2 * hits, stated + true),
        "precision": _ratio(hits, stated),
        "recall": _ratio(hits, true),
        "jaccard": _ratio(hits, union),
    }
    if scaling != "legacy_scaled":
        return figures
    factor = legacy_factor(counts).mean()
    return {name: float(np.tanh(factor * value)) for name, value in figures.items()}


def legacy_factor(counts: np.ndarray) -> np.ndarray:
    """RadScribe's length factor of each pair, (reports,): 1 (far apart in number) to e^2 = 7.389 (equally many)."""
    return np.exp(BONUS * _closeness(counts))


def _closeness(counts: np.ndarray) -> np.ndarray:
    """(reports,): 1 where both name equally many concepts, toward 0 where they do not."""
    return np.exp(-((counts[:, 1] - counts[:, 2]) ** 2) / (2 * WIDTH**2))


def _of_one(row: np.ndarray, scaling: str) -> dict[str, float]:
    if scaling != "legacy_scaled" and not row[3]:
        return dict.fromkeys(FIGURES, 1.0)
    return concept_figures(row[None], scaling)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _linker(linker: Linker | str | Path) -> Linker:
    if isinstance(linker, str | Path):
        return DictionaryLinker(linker)
    if not callable(getattr(linker, "link", None)):
        found = f"a {type(linker).__name__}"
        raise InputError("linker", found, "a table's path or an object with link(text)", "see clinical.linkers")
    return linker
