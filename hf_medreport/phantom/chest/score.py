"""How much of what a model said about the films is true, fact by fact.

Works on what `parse_report` returns: complete facts and `Mention`s (a known kind, something missing). Everything is
counted a film and a kind at a time (`film_counts`), and every figure is a ratio of such counts, summed over the films
first (`figures`). So a resampling of films is a resampling of rows, and any figure of it one call of `measure`.
Where a denominator is 0 the figure is None (nan in `measure`), never 0 or 1.
"""

from collections.abc import Collection, Sequence

import numpy as np

from hf_medreport.phantom.chest.findings import KINDS, Fact
from hf_medreport.phantom.chest.parser import Mention
from hf_medreport.phantom.counting import breakdown, figure_of, plain, ratio
from hf_medreport.processing.input_error import InputError

__all__ = ["COUNTS", "figures", "film_counts", "measure", "score_facts"]

# level: (hits, stated, true)
LEVELS = {"exact": ("hits", "stated", "true"), "kind": ("kind_hits", "kind_stated", "kind_true")}
# figure: (part, whole); `score_facts` says what is counted.
RATES = {
    "hallucination_rate": ("hallucinated", "stated"),
    "wrong_side_rate": ("wrong_side", "sided"),
    "wrong_zone_rate": ("wrong_zone", "zoned"),
    "wrong_severity_rate": ("wrong_severity", "graded"),
    "size_error_mm": ("size_error", "sized"),
    "wrong_number_rate": ("wrong_number", "numbered"),
    "wrong_certainty_rate": ("wrong_certainty", "doubtful"),
}
# The last axis of the counts.
COUNTS = tuple(dict.fromkeys(name for names in (*LEVELS.values(), *RATES.values()) for name in names))
ROW = {kind: row for row, kind in enumerate(KINDS)}
COLUMN = {name: column for column, name in enumerate(COUNTS)}


def film_counts(predicted: Sequence[Collection[Fact | Mention]], truth: Sequence[Collection[Fact]]) -> np.ndarray:
    """Count what `score_facts` needs, film by film.

    Args:
        predicted: for each film, what was stated (see `parse_report`).
        truth: for each film, its facts, in the same order of films.

    Returns:
        whole numbers (films, kinds, counts), kinds as in `KINDS`, counts as in `COUNTS`.

    Raises:
        InputError: the two sequences differ in length.
    """
    if len(predicted) != len(truth):
        raise InputError("predicted", f"{len(predicted)} films", f"{len(truth)} as in truth", "give one set a film")
    counts = np.zeros((len(truth), len(KINDS), len(COUNTS)), dtype=np.int64)
    for film, stated, true in zip(counts, predicted, truth, strict=True):
        _count_findings(film, {one.key for one in stated}, {f.key for f in true})
        _count_details(film, stated, {fact.key: fact for fact in true})
    return counts


def _add(film: np.ndarray, kind: str, **amounts: int) -> None:
    for name, amount in amounts.items():
        film[ROW[kind], COLUMN[name]] += amount


def _count_findings(film: np.ndarray, stated: set[tuple], true: set[tuple]) -> None:
    """Compare the keys (kind, side, zone, severity) of one film."""
    # What is true to each depth: (kind,), (kind, side), (kind, side, zone) and the whole keys.
    known = {key[:depth] for key in true for depth in (1, 2, 3, 4)}
    for key in true:
        _add(film, key[0], true=1)
    for key in stated:
        kind, side, zone, severity = key
        _add(film, kind, stated=1, hits=key in known, hallucinated=key[:1] not in known)
        if side and key[:1] in known:
            _add(film, kind, sided=1, wrong_side=key[:2] not in known)
        if zone and key[:2] in known:
            _add(film, kind, zoned=1, wrong_zone=key[:3] not in known)
        if severity and key[:3] in known:
            _add(film, kind, graded=1, wrong_severity=key not in known)
    stated_kinds, true_kinds = {key[0] for key in stated}, {key[0] for key in true}
    for kind in stated_kinds | true_kinds:
        said, there = kind in stated_kinds, kind in true_kinds
        _add(film, kind, kind_hits=said and there, kind_stated=said, kind_true=there)


def _count_details(film: np.ndarray, stated: Collection[Fact | Mention], true: dict[tuple, Fact]) -> None:
    """Compare size, number and certainty of one film's exact hits, wherever both sides give one."""
    hits = {one for one in stated if isinstance(one, Fact) and one.key in true}
    for key, size in {(one.key, one.size_mm) for one in hits}:
        if size and true[key].size_mm:
            _add(film, key[0], sized=1, size_error=abs(size - true[key].size_mm))
    for key, number in {(one.key, one.number) for one in hits}:
        if number and true[key].number:
            _add(film, key[0], numbered=1, wrong_number=number != true[key].number)
    for key, certain in {(one.key, one.certain) for one in hits}:
        if KINDS[key[0]].doubtful:
            _add(film, key[0], doubtful=1, wrong_certainty=certain != true[key].certain)


def measure(counts: np.ndarray, name: str) -> np.ndarray:
    """One figure of many sums at once: counts (..., kinds, counts) -> (...), nan where it is 0 / 0.

    Args:
        counts: sums, or means, over films.
        name: the figure's way in what `figures` returns: "exact.f1", "kind.macro.recall", "hallucination_rate".
    """
    return figure_of(_arrays(counts), name)


def figures(counts: np.ndarray) -> dict:
    """All figures of `score_facts` but n, from (kinds, counts): the sum of `film_counts` over films."""
    return plain(_arrays(counts))


def score_facts(predicted: Sequence[Collection[Fact | Mention]], truth: Sequence[Collection[Fact]]) -> dict:
    """Compare the stated facts of each film with its true ones.

    A fact is what its key says (kind, side, zone, severity): two statements with one key are one fact. What lies
    beyond the key (size, number, certainty) is judged on exact hits alone, so that no error counts twice; a change
    since the prior film is not judged.

    Args:
        predicted: for each film, what was stated (see `parse_report`).
        truth: for each film, its facts, in the same order of films.

    Returns:
        a dict of:

        - n: number of films.
        - exact: a stated fact is a hit if a fact with this key is true of the film. precision = hits / stated facts;
          recall = hits / true facts; f1 = 2 hits / (stated + true). An incomplete mention is stated and never a hit.
          `by_kind` holds the three for the facts of each kind; `macro` their means over the kinds that are stated or
          true of any film, where a figure of a kind that is 0 / 0 (the precision of a kind that is never stated, the
          recall of one that is never true) is left out of its mean.
        - kind: the same over the distinct kinds of each film, whatever side, zone or severity.
        - hallucination_rate = stated facts whose kind is absent from that film / all stated facts.
        - wrong_side_rate = those whose kind is there, but only on the other side / stated facts with a side whose
          kind is there.
        - wrong_zone_rate = those whose zone is wrong / stated facts with a zone whose kind is there on that side.
        - wrong_severity_rate = those whose severity is wrong / stated facts with a severity that are right so far.
        - size_error_mm = sum of |stated - true diameter| / exact hits that state a size.
        - wrong_number_rate = those whose number is wrong / exact hits that state a number.
        - wrong_certainty_rate = those called possible though certain, or the reverse / exact hits of kinds that a
          report may call possible. An exact hit that is stated twice, with two sizes, numbers or certainties, counts
          twice in these three.

        A figure whose denominator is 0 is None.

    Raises:
        InputError: the two sequences differ in length.
    """
    return {"n": len(truth), **figures(film_counts(predicted, truth).sum(axis=0))}


def _arrays(counts: np.ndarray) -> dict:
    """The figures as arrays (...) from counts (..., kinds, counts)."""
    column = {name: counts[..., COLUMN[name]] for name in COUNTS}  # each (..., kinds)
    total = {name: values.sum(axis=-1) for name, values in column.items()}
    found = {
        level: breakdown(*(column[name] for name in names), rows=tuple(KINDS), by="by_kind")
        for level, names in LEVELS.items()
    }
    return found | {rate: ratio(total[part], total[whole]) for rate, (part, whole) in RATES.items()}
