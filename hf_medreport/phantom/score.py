"""How much of what a model said about the films is true, fact by fact.

Works on what `parse_report` returns: complete facts and `Mention`s (a known kind, something missing). All figures
are micro-averaged: counts are summed over the films before dividing. Where a denominator is 0 the figure is None,
never 0 or 1.
"""

from collections import Counter
from collections.abc import Collection, Sequence

from hf_medreport.phantom.findings import KINDS, Fact
from hf_medreport.phantom.parser import Mention
from hf_medreport.processing.input_error import InputError

__all__ = ["score_facts"]


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _precision_recall_f1(hits: int, stated: int, true: int) -> dict[str, float | None]:
    return {
        "precision": _ratio(hits, stated),
        "recall": _ratio(hits, true),
        "f1": _ratio(2 * hits, stated + true),
    }


def score_facts(predicted: Sequence[Collection[Fact | Mention]], truth: Sequence[Collection[Fact]]) -> dict:
    """Compare the stated facts of each film with its true ones.

    Args:
        predicted: for each film, what was stated (see `parse_report`).
        truth: for each film, its facts, in the same order of films.

    Returns:
        `{"n", "exact", "kind", "hallucination_rate", "wrong_side_rate"}`:

        - n: number of films.
        - exact: a stated fact is a hit if the same fact (kind, side, zone and severity) is true of the film.
          precision = hits / stated facts; recall = hits / true facts; f1 = 2 hits / (stated + true).
          An incomplete mention is stated and never a hit.
        - kind: the same over the distinct kinds of each film, whatever side, zone or severity:
          precision = kinds both stated and true / stated kinds; recall = the same / true kinds.
          `by_kind` holds the three figures for each kind alone.
        - hallucination_rate = stated facts whose kind is absent from that film / all stated facts.
        - wrong_side_rate = stated facts with a side whose kind is present, but only on the other side /
          stated facts with a side whose kind is present.

        A figure whose denominator is 0 is None.

    Raises:
        InputError: the two sequences differ in length.
    """
    if len(predicted) != len(truth):
        raise InputError("predicted", f"{len(predicted)} films", f"{len(truth)} as in truth", "give one set a film")
    exact, kinds = Counter(), {kind: Counter() for kind in KINDS}
    hallucinated = sided = wrong_side = 0
    for stated, true in zip(predicted, truth, strict=True):
        stated, true = set(stated), set(true)
        exact.update(hits=len(stated & true), stated=len(stated), true=len(true))
        stated_kinds, true_kinds = {fact.kind for fact in stated}, {fact.kind for fact in true}
        for kind in stated_kinds | true_kinds:
            in_stated, in_true = kind in stated_kinds, kind in true_kinds
            kinds[kind].update(hits=in_stated and in_true, stated=in_stated, true=in_true)
        hallucinated += sum(fact.kind not in true_kinds for fact in stated)
        for fact in stated:
            if fact.side and fact.kind in true_kinds:
                sided += 1
                wrong_side += fact.side not in {other.side for other in true if other.kind == fact.kind}
    all_kinds = sum(kinds.values(), Counter())
    return {
        "n": len(truth),
        "exact": _precision_recall_f1(exact["hits"], exact["stated"], exact["true"]),
        "kind": {
            **_precision_recall_f1(all_kinds["hits"], all_kinds["stated"], all_kinds["true"]),
            "by_kind": {kind: _precision_recall_f1(c["hits"], c["stated"], c["true"]) for kind, c in kinds.items()},
        },
        "hallucination_rate": _ratio(hallucinated, exact["stated"]),
        "wrong_side_rate": _ratio(wrong_side, sided),
    }
