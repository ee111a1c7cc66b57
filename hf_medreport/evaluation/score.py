"""What every metric returns, and the checks on what every metric is given.

A metric is a function `metric(predictions, references, **options) -> Score`. A number without its convention cannot be
compared, so a `Score` says how it was counted.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

import numpy as np

from hf_medreport.processing.input_error import InputError

__all__ = ["Score", "check_references", "check_texts"]


@dataclass(frozen=True, eq=False)
class Score:
    """One metric on one set of reports.

    Args:
        value: the figure of the whole set. Often, but not for corpus-level metrics, the mean of `per_sample`.
        per_sample: float64 (samples,), the figure of each report, in the order given.
        name: of the metric, as the registry calls it.
        convention: in one line, whose definition, tokenization and scale this is.
        details: what else was counted; plain numbers, strings, lists and dicts of them.
    """

    value: float
    per_sample: np.ndarray
    name: str
    convention: str
    details: dict = field(default_factory=dict)


def check_texts(predictions: Iterable, references: Iterable) -> tuple[list[str], list[list[str]]]:
    """The predictions, and for each the list of its references.

    An empty text is a text: a model that said nothing is scored, not refused.

    Args:
        predictions: n strings.
        references: n strings, or n lists of at least one string.

    Raises:
        InputError: not a list, an empty list, unequal counts, an item that is no string, a sample without reference.
    """
    predictions, groups = _listed("predictions", predictions), check_references(references)
    if len(predictions) != len(groups):
        raise InputError(
            "references", str(len(groups)), f"{len(predictions)}, one for each prediction", "pair them by id first"
        )
    for index, text in enumerate(predictions):
        _check_string(f"predictions[{index}]", text)
    return predictions, groups


def check_references(references: Iterable) -> list[list[str]]:
    """The references of each sample, as `check_texts` takes them."""
    groups = []
    for index, item in enumerate(_listed("references", references)):
        group = list(item) if _is_list(item) else [item]
        if not group:
            raise InputError(
                f"references[{index}]", "an empty list", "a string or a list of strings", "drop the sample"
            )
        for place, text in enumerate(group):
            _check_string(f"references[{index}]" + (f"[{place}]" if len(group) > 1 else ""), text)
        groups.append(group)
    return groups


def _is_list(item: object) -> bool:
    return isinstance(item, Iterable) and not isinstance(item, str | bytes | Mapping | Set)


def _listed(where: str, items: object) -> list:
    if not _is_list(items):
        raise InputError(where, f"a {type(items).__name__}", "a list of strings", "give one text a sample")
    items = list(items)
    if not items:
        raise InputError(where, "an empty list", "at least one text", "check that the file or split holds rows")
    return items


def _check_string(where: str, text: object) -> None:
    if not isinstance(text, str):
        raise InputError(where, f"a {type(text).__name__}", "a string", "write a missing report as an empty string")
