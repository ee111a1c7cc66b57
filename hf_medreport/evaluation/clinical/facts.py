"""Facts shared by report and reference: what is where, on which side and how severe, read by rule.

`phantom.parser` reads sixteen kinds of chest finding in both texts, each with its side, zone and severity, and what is
denied is not stated. Two levels:

- `exact`: a fact is (kind, side, zone, severity), what `evaluate phantom` compares.
- `whole`: and its size, number, doubt and change since the prior film; all must be equal.

A finding that lacks an attribute of its kind ("effusion", without a side) is a fact of its own, equal to the same
statement elsewhere. The figures are micro; of several references the one with the best F1 counts.

What it misses: all findings but the sixteen, words that the parser does not know, and degrees of error: a wrong zone
costs as much as an invented finding.
"""

import math
from collections.abc import Hashable, Set
from functools import lru_cache

import numpy as np

from hf_medreport.evaluation.score import Score, check_texts
from hf_medreport.phantom.chest.parser import parse_report
from hf_medreport.processing.input_error import InputError

__all__ = ["FIGURES", "LEVELS", "facts"]

# The figures of one file are asked for one after the other: each text is read once for all of them.
_read = lru_cache(maxsize=1 << 16)(parse_report)

FIGURES = ("f1", "precision", "recall")
LEVELS = ("exact", "whole")


def facts(predictions: list[str], references: list, *, figure: str = "f1", level: str = "exact") -> Score:
    """Micro F1, precision or recall of the facts, 0 to 1; nan (undefined) where no text of the set states a fact.

    `per_sample` is the figure of one report, 1 where neither text states a fact. `details` holds all three figures and
    the sums they are ratios of; an undefined figure is None there.

    Raises:
        InputError: see `check_texts`; an unknown figure or level.
    """
    for where, value, known in (("figure", figure, FIGURES), ("level", level, LEVELS)):
        if value not in known:
            raise InputError(where, repr(value), "one of " + ", ".join(known), f"name a known {where}")
    predictions, groups = check_texts(predictions, references)
    stated = {text: _facts(text, level) for text in {*predictions, *(text for group in groups for text in group)}}
    counts = np.array(
        [
            max(
                (_counts(stated[text], stated[other]) for other in group), key=lambda row: _figures(*row, empty=1)["f1"]
            )
            for text, group in zip(predictions, groups, strict=True)
        ]
    )  # (reports, 3): hits, stated, true
    sums = counts.sum(axis=0).tolist()
    whole = _figures(*sums, empty=math.nan)
    return Score(
        value=whole[figure],
        per_sample=np.array([_figures(*row, empty=1.0)[figure] for row in counts.tolist()]),
        name=f"facts_{'whole_' if level == 'whole' else ''}{figure}",
        convention=f"facts of sixteen kinds by rule, {level}, micro {figure}, 0 to 1",
        details={
            **{name: None if math.isnan(value) else value for name, value in whole.items()},
            **dict(zip(("hits", "stated", "true"), sums, strict=True)),
        },
    )


def _facts(text: str, level: str) -> frozenset[Hashable]:
    read = _read(text)
    return read if level == "whole" else frozenset(one.key for one in read)


def _counts(said: Set, given: Set) -> tuple[int, int, int]:
    return len(said & given), len(said), len(given)


def _figures(hits: int, said: int, given: int, *, empty: float) -> dict[str, float]:
    nothing = 0.0 if said + given else float(empty)
    return {
        "f1": 2 * hits / (said + given) if said + given else nothing,
        "precision": hits / said if said else nothing,
        "recall": hits / given if given else nothing,
    }
