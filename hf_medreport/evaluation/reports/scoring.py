"""Score a file of predictions: chosen metrics, each with an interval, and beside another system with a p-value.

    pairs = read_predictions("ours.jsonl")
    evaluation = evaluate_reports(pairs, compare=read_predictions("theirs.jsonl"))
    print(evaluation.table())

Differences are tested by paired approximate randomisation, one test a metric, adjusted by Holm for their number.
Everything is the same again with the same seed.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from hf_medreport.evaluation.registry import METRICS, Metric, metric
from hf_medreport.evaluation.reports.labeled import Labeled
from hf_medreport.evaluation.reports.predictions import ReportPairs
from hf_medreport.evaluation.reports.resampling import FIGURE, MEAN, Resampled, resampled
from hf_medreport.evaluation.score import Score
from hf_medreport.evaluation.significance import holm
from hf_medreport.processing.input_error import InputError
from hf_medreport.version import __version__

__all__ = ["DEFAULT_METRICS", "Evaluation", "Result", "Settings", "evaluate_reports"]

LABELS = ("chexpert_f1", "chexpert_macro_f1", "chexpert5_f1", "chexpert5_macro_f1")
DEFAULT_METRICS = ("bleu1", "bleu4", "rougeL", "cider_d", *LABELS)


@dataclass(frozen=True)
class Settings:
    """How intervals and tests are computed.

    Args:
        level: of the intervals.
        resamples: of the bootstrap.
        randomizations: of the test of a difference.
        seed: of both.
    """

    level: float = 0.95
    resamples: int = 1000
    randomizations: int = 10_000
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Result:
    """One metric on one system, or on two.

    Args:
        score: of the system.
        interval: (low, high), None where undefined.
        of: what the interval and the test are of: the figure, or the mean over the reports.
        other, other_interval: of the other system.
        p, p_holm: that the two differ, and adjusted for the number of metrics.
    """

    score: Score
    interval: tuple[float, float] | None
    of: str
    other: Score | None = None
    other_interval: tuple[float, float] | None = None
    p: float | None = None
    p_holm: float | None = None

    def shown(self) -> str:
        """The figure and its interval: "0.412 [0.398, 0.427]", or "1.000 (mean 0.619 [0.606, 0.632])"."""
        return _shown(self.score, self.interval, self.of)

    def shown_other(self) -> str:
        """The same of the other system."""
        return _shown(self.other, self.other_interval, self.of)

    def to_json(self) -> dict:
        """Figure, interval and cases; of two systems their difference and its p too."""
        content = _system_json(self.score, self.interval, self.of)
        if self.other is not None:
            content["compared"] = _system_json(self.other, self.other_interval, self.of) | {
                "difference": _finite(self.score.value - self.other.value),
                "p": self.p,
                "p_holm": self.p_holm,
            }
        return content | {"convention": self.score.convention}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All metrics on a set of reports; `pairs` and `compared` hold the same samples in the same order."""

    pairs: ReportPairs
    results: dict[str, Result]
    settings: Settings
    compared: ReportPairs | None = None
    section: str | None = None
    origin: dict = field(default_factory=dict)  # of the files, into scores.json

    def to_json(self) -> dict:
        """What `scores.json` and `--json` hold: no text of a report."""
        return {
            "predictions": self.pairs.name,
            "compared": self.compared and self.compared.name,
            "section": self.section,
            "n": len(self.pairs),
            "metrics": {name: result.to_json() for name, result in self.results.items()},
            "notes": self.pairs.notes,
            "compared_notes": self.compared.notes if self.compared else {},
            "oracle_labels": self.pairs.oracle_words,
            "compared_oracle_labels": self.compared and self.compared.oracle_words,
            "left_out": [{"id": id_, "why": why} for id_, why in self.pairs.left_out],
            "settings": vars(self.settings),
            "hf_medreport": __version__,
            **self.origin,
        }

    def table(self) -> str:
        """The figures as lines of text."""
        head = ["metric", self.pairs.name]
        if self.compared:
            head += [self.compared.name, "p", "p (Holm)"]
        rows = [head]
        for name, result in self.results.items():
            row = [name, result.shown()]
            if self.compared:
                p_values = ["undefined" if p is None else f"{p:.4f}" for p in (result.p, result.p_holm)]
                row += [result.shown_other(), *p_values]
            rows.append(row)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join(lines + [""] * bool(self.remarks()) + self.remarks())

    def per_report(self) -> dict[str, Result]:
        """The results whose metric gives each report a value of its own, see `Metric.per_report`."""
        return {name: result for name, result in self.results.items() if METRICS[name].per_report}

    def remarks(self) -> list[str]:
        """What a reader of the figures should know, a line each."""
        lines = [f"{len(self.pairs)} reports" + (f", section {self.section}" if self.section else "")]
        systems = [self.pairs, self.compared] if self.compared else [self.pairs]
        lines += [f"{system.name}: {system.oracle_words}" for system in systems if system.oracle_words]
        lines += [f"{self.pairs.name}: {count} {what}" for what, count in self.pairs.notes.items()]
        if self.compared:
            lines += [f"{self.compared.name}: {count} {what}" for what, count in self.compared.notes.items()]
        if self.pairs.left_out:
            lines.append(f"left out: {len(self.pairs.left_out)} samples ({self.pairs.left_out[0][1]})")
        means = [name for name, result in self.results.items() if result.of == MEAN]
        if means:
            lines.append(f"intervals and tests of {', '.join(means)} are of {MEAN}: the figure is one of the set")
        return lines


def evaluate_reports(
    pairs: ReportPairs,
    metrics: Sequence[str] = DEFAULT_METRICS,
    *,
    compare: ReportPairs | None = None,
    section: str | None = None,
    options: dict[str, dict] | None = None,
    settings: Settings | None = None,
    progress: Callable[[list], Iterable] = iter,
) -> Evaluation:
    """Run metrics on pairs.

    Args:
        pairs: from `read_predictions`.
        metrics: names of the registry, or `["all"]` for all that need nothing but the two texts or whose
            options are given.
        compare: another system's predictions of the same samples.
        section: score this section only, see `ReportPairs.section`.
        options: {metric: its options}, such as `{"bertscore": {"model": folder}}`.
        settings: of intervals and tests.
        progress: wraps the list of metrics that are run, for a bar.

    Raises:
        InputError: an unknown metric, one whose required options are not in `options`, or options of one that is not
            run; an unknown section; another set of samples in `compare`.
    """
    options, settings = options or {}, settings or Settings()
    chosen = chosen_metrics(metrics, options)
    if section is not None:
        pairs = pairs.section(section)
        compare = compare and compare.section(section)
    if compare is not None:
        compare = pairs.same_samples(compare)
    systems = [_System(each) for each in (pairs, compare) if each is not None]
    results = {}
    for row in progress(chosen):
        results[row.name] = _result(row, systems, options.get(row.name, {}), settings)
    return Evaluation(pairs, _adjusted(results), settings, compare, section)


def chosen_metrics(names: Sequence[str], options: dict[str, dict]) -> list[Metric]:
    if not names:
        raise InputError("metrics", "none", "at least one name", f"name some of {', '.join(METRICS)}")
    if list(names) == ["all"]:
        names = [row.name for row in METRICS.values() if not row.needs or options.get(row.name)]
    rows = [metric(name) for name in dict.fromkeys(names)]
    for row in rows:
        row.check_options(options.get(row.name, {}))
    for name in options:
        if metric(name) not in rows:
            raise InputError("options", f"those of '{name}'", "those of metrics that are run", "name it in metrics too")
    return rows


class _System:
    """One system's reports, and what several metrics share."""

    def __init__(self, pairs: ReportPairs):
        self.texts = (pairs.predictions, pairs.references)
        self.labeled = Labeled(*self.texts)

    def scored(self, row: Metric, options: dict) -> tuple[Score, Resampled]:
        if self.labeled.knows(row):
            return self.labeled.scored(row, **options)
        score = row(*self.texts, **options)
        return score, resampled(row, score, *self.texts, **options)


def _result(row: Metric, systems: list[_System], options: dict, settings: Settings) -> Result:
    bootstrap = {"resamples": settings.resamples, "seed": settings.seed, "level": settings.level}
    score, rows = systems[0].scored(row, options)
    if len(systems) == 1:
        return Result(score, rows.interval(**bootstrap), rows.of)
    other, other_rows = systems[1].scored(row, options)
    if MEAN in (rows.of, other_rows.of):  # of one system the mean may happen to be the figure
        rows, other_rows = (Resampled(s.per_sample, np.asarray, MEAN) for s in (score, other))
    p = rows.p_value(other_rows, resamples=settings.randomizations, seed=settings.seed)
    return Result(score, rows.interval(**bootstrap), rows.of, other, other_rows.interval(**bootstrap), p)


def _adjusted(results: dict[str, Result]) -> dict[str, Result]:
    """The results with `p_holm`; a metric whose p is undefined is no test."""
    tested = {name: result.p for name, result in results.items() if result.p is not None}
    adjusted = dict(zip(tested, holm(list(tested.values())), strict=True))
    return {name: _with_holm(result, adjusted.get(name)) for name, result in results.items()}


def _with_holm(result: Result, p_holm: float | None) -> Result:
    return Result(**(vars(result) | {"p_holm": p_holm}))


def _shown(score: Score, interval: tuple[float, float] | None, of: str) -> str:
    value = "undefined" if math.isnan(score.value) else f"{score.value:.3f}"
    bounds = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else ""
    return value + (bounds if of == FIGURE else f" (mean {np.mean(score.per_sample):.3f}{bounds})")


def _system_json(score: Score, interval: tuple[float, float] | None, of: str) -> dict:
    return {
        "value": _finite(score.value),
        "interval": interval and list(interval),
        "interval_of": of,
        "mean_per_sample": _finite(float(np.mean(score.per_sample))),
        "details": score.details,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
