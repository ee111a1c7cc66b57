"""The arithmetic of the phantom's scores: ratios of counts that were summed first, for one sum or many at once.

A score counts each case by itself (an array whose last axes are what is counted of which row), so that a resampling of
cases is a resampling of rows. Where a denominator is 0 a figure is nan, and None once it is `plain`; never 0 or 1.
"""

from collections.abc import Sequence

import numpy as np

__all__ = ["breakdown", "figure_of", "mean_of_defined", "plain", "precision_recall_f1", "ratio"]


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, nan where whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) != 0)


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis without the nan."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0).sum(axis=-1), defined.sum(axis=-1))


def precision_recall_f1(hits: np.ndarray, stated: np.ndarray, true: np.ndarray) -> dict[str, np.ndarray]:
    """precision = hits / stated, recall = hits / true, f1 = 2 hits / (stated + true)."""
    return {"precision": ratio(hits, stated), "recall": ratio(hits, true), "f1": ratio(2 * hits, stated + true)}


def breakdown(hits: np.ndarray, stated: np.ndarray, true: np.ndarray, rows: Sequence[str], by: str) -> dict:
    """Precision, recall and F1 of all rows together, their means over the rows, and those of each row.

    Args:
        hits, stated, true: (..., rows).
        rows: the names of the rows.
        by: under which name the figures of each row are given; their means are under "macro", where a figure of a row
            that is 0 / 0 is left out.
    """
    by_row = precision_recall_f1(hits, stated, true)
    return {
        **precision_recall_f1(*(counts.sum(axis=-1) for counts in (hits, stated, true))),
        "macro": {name: mean_of_defined(values) for name, values in by_row.items()},
        by: {row: {name: values[..., place] for name, values in by_row.items()} for place, row in enumerate(rows)},
    }


def figure_of(tree: dict, name: str) -> np.ndarray:
    """The leaf at the end of the way that a dotted name describes: "exact.macro.recall"."""
    for step in name.split("."):
        tree = tree[step]
    return tree


def plain(tree) -> dict | float | None:
    """The same tree with numbers for arrays, None for nan."""
    if isinstance(tree, dict):
        return {name: plain(branch) for name, branch in tree.items()}
    return None if np.isnan(tree) else float(tree)
