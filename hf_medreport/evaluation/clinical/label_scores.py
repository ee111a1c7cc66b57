"""Precision, recall and F1 on the 14 CheXpert observations of two reports: micro, macro, and of the competition's five.

As CheXbert's authors and f1chexbert score generated reports (Smit et al. 2020, "CheXbert: combining automatic labelers
and expert annotations for accurate radiology report labeling using BERT"): label the report, label the reference, and
count an observation as found if both have it. The conventions that make two published figures differ:

- `uncertain`: f1chexbert counts uncertain as positive ("positive", the default); others as negative ("negative"), or
  leave the observation of that report out where either hand is uncertain ("ignored").
- macro: the mean over observations; one that neither hand has scores 0, as in f1chexbert (scikit-learn), so on a small
  set a rare observation costs as much as a wrong one.
- micro: over all observations of all reports; nan (undefined) where neither hand has any.
- negative and absent are the same: what a report denies is not scored.

`per_sample` is the figure of one report over its observations; where neither hand has any, 1. Of several references
the one with the best F1 counts.

What it misses: side, place, size and change. "No Finding" is one of the 14, so normal reports earn points.
"""

from collections.abc import Callable, Sequence

import numpy as np

from hf_medreport.evaluation.clinical.labeler import label_reports
from hf_medreport.evaluation.clinical.observations import FIVE, OBSERVATIONS, STATUSES
from hf_medreport.evaluation.score import Score, check_texts
from hf_medreport.processing.input_error import InputError

__all__ = ["chexpert", "score_labels", "score_texts"]

FIGURES = ("f1", "precision", "recall")
AVERAGES = ("micro", "macro")
UNCERTAIN = {
    "positive": "uncertain counts as positive, as in f1chexbert",
    "negative": "uncertain counts as negative",
    "ignored": "uncertain is left out",
}
POSITIVE, DOUBT = STATUSES.index("positive"), STATUSES.index("uncertain")


def chexpert(
    predictions: list[str],
    references: list,
    *,
    figure: str = "f1",
    average: str = "micro",
    observations: int = 14,
    uncertain: str = "positive",
) -> Score:
    """CheXpert labels by rule (`labeler`), scored as `score_labels` says.

    Raises:
        InputError: see `check_texts` and `score_labels`.
    """
    return score_texts("chexpert", label_reports, predictions, references, figure, average, observations, uncertain)


def score_texts(
    labels: str,
    label: Callable[[Sequence[str]], np.ndarray],
    predictions: list[str],
    references: list,
    figure: str,
    average: str,
    observations: int,
    uncertain: str,
) -> Score:
    """Label both sides with `label` (texts -> codes (texts, 14)), take the best reference of each, score.

    Args:
        labels: whose labels these are, "chexpert" or "chexbert".
    """
    predictions, groups = check_texts(predictions, references)
    _check(figure, average, observations, uncertain)
    texts = list(dict.fromkeys(predictions + [text for group in groups for text in group]))
    codes = dict(zip(texts, label(texts), strict=True))
    columns = columns_of(observations)
    chosen = []
    for text, group in zip(predictions, groups, strict=True):
        counts = ([flags.sum() for flags in label_counts(codes[text], codes[one], columns, uncertain)] for one in group)
        best = int(np.argmax([_figures(*count, empty=1.0)["f1"] for count in counts]))
        chosen.append(codes[group[best]])
    return score_labels(
        np.array([codes[text] for text in predictions]),
        np.array(chosen),
        figure=figure,
        average=average,
        observations=observations,
        uncertain=uncertain,
        labels=labels,
    )


def score_labels(
    predicted: np.ndarray,
    reference: np.ndarray,
    *,
    figure: str = "f1",
    average: str = "micro",
    observations: int = 14,
    uncertain: str = "positive",
    labels: str = "given",
) -> Score:
    """Score labels, whoever gave them.

    `details` holds precision, recall and F1, micro (None where undefined) and macro, and a table of them for each
    observation.

    Args:
        predicted, reference: (reports, 14) of 0 absent, 1 positive, 2 negative, 3 uncertain; columns as `OBSERVATIONS`.
        figure: "f1", "precision" or "recall".
        average: "micro" or "macro".
        observations: 14, or 5: those of the CheXpert competition.
        uncertain: "positive", "negative" or "ignored".
        labels: whose labels these are, for the score's name.

    Raises:
        InputError: labels of another shape or code, unequal counts, an unknown option.
    """
    _check(figure, average, observations, uncertain)
    predicted, reference = _codes("predicted", predicted), _codes("reference", reference)
    if len(predicted) != len(reference):
        found, expected = f"{len(reference)} rows", f"{len(predicted)}, one for each prediction"
        raise InputError("reference", found, expected, "pair them by id first")
    columns = columns_of(observations)
    hits, said, given = label_counts(predicted, reference, columns, uncertain)  # each (reports, observations)
    micro = _figures(hits.sum(), said.sum(), given.sum(), empty=np.nan)
    table = _figures(hits.sum(axis=0), said.sum(axis=0), given.sum(axis=0), empty=0.0)
    macro = {name: values.mean() for name, values in table.items()}
    each = _figures(hits.sum(axis=1), said.sum(axis=1), given.sum(axis=1), empty=1.0)
    support = given.sum(axis=0)
    return Score(
        value=float({"micro": micro, "macro": macro}[average][figure]),
        per_sample=each[figure],
        name=f"{labels}{'5' if observations == 5 else ''}_{'macro_' if average == 'macro' else ''}{figure}",
        convention=f"{_title(labels)}, {observations} observations, {average} {figure}, {UNCERTAIN[uncertain]}, 0 to 1",
        details={
            "micro": {name: None if np.isnan(value) else float(value) for name, value in micro.items()},
            "macro": {name: float(value) for name, value in macro.items()},
            "observations": {
                OBSERVATIONS[column]: {name: float(table[name][place]) for name in FIGURES}
                | {"support": int(support[place])}
                for place, column in enumerate(columns)
            },
        },
    )


def label_counts(predicted: np.ndarray, reference: np.ndarray, columns: list[int], uncertain: str) -> tuple:
    """Whether both, the prediction, the reference have the observation; bool, as the labels (..., observations)."""
    predicted, reference = predicted[..., columns], reference[..., columns]
    has = (POSITIVE, DOUBT) if uncertain == "positive" else (POSITIVE,)
    said, given = np.isin(predicted, has), np.isin(reference, has)
    if uncertain == "ignored":
        sure = (predicted != DOUBT) & (reference != DOUBT)
        said, given = said & sure, given & sure
    return said & given, said, given


def _figures(hits, said, given, empty: float) -> dict:
    """Precision, recall and F1 of counts; `empty` where neither hand has any."""
    nothing = np.where(np.add(said, given) == 0, empty, 0.0)
    return {
        "precision": np.where(said, hits / np.maximum(said, 1), nothing),
        "recall": np.where(given, hits / np.maximum(given, 1), nothing),
        "f1": np.where(np.add(said, given), 2 * hits / np.maximum(np.add(said, given), 1), nothing),
    }


def columns_of(observations: int) -> list[int]:
    """The columns of all 14 observations, or of the five that are usually reported."""
    return [OBSERVATIONS.index(name) for name in (FIVE if observations == 5 else OBSERVATIONS)]


def _title(labels: str) -> str:
    return {"chexpert": "CheXpert labels by rule", "chexbert": "CheXbert labels"}.get(labels, f"{labels} labels")


def _codes(where: str, codes: np.ndarray) -> np.ndarray:
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.shape[1] != len(OBSERVATIONS) or not len(codes):
        shape = "x".join(map(str, codes.shape)) or "a number"
        raise InputError(where, shape, f"reports x {len(OBSERVATIONS)} labels", "give one row a report")
    known = np.isin(codes, range(len(STATUSES)))
    if not known.all():
        meaning = ", ".join(f"{code} {name}" for code, name in enumerate(STATUSES))
        raise InputError(where, f"a label {codes[~known][0]}", meaning, "code the labels as CheXbert does")
    return codes


def _check(figure: str, average: str, observations: int, uncertain: str) -> None:
    for where, value, known in (
        ("figure", figure, FIGURES),
        ("average", average, AVERAGES),
        ("observations", observations, (14, 5)),
        ("uncertain", uncertain, tuple(UNCERTAIN)),
    ):
        if value not in known:
            raise InputError(where, repr(value), "one of " + ", ".join(map(str, known)), f"name a known {where}")
