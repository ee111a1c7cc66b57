"""Figures for a model's repository: `.eval_results/*.yaml`, as the Hub reads it.

The Hub shows such results beside a data set that is registered there as a benchmark; for any other id they are only
kept. The layout is the Hub's own (`EvalResultEntry` of huggingface_hub).
"""

import re

import yaml

from hf_medreport.evaluation.reports.scoring import Evaluation
from hf_medreport.processing.input_error import InputError

__all__ = ["card_fragment", "check_dataset"]

TASK = "report-generation"
NAME = re.compile(r"[\w.-]+/[\w.-]+\Z", re.ASCII)


def card_fragment(evaluation: Evaluation, dataset: str) -> str:
    """The YAML: one entry a metric, with interval and convention as its notes. A figure that is undefined is left out,
    since the Hub asks for a value.

    Args:
        dataset: ORG/NAME on the Hub.

    Raises:
        InputError: `dataset` is not of that form.
    """
    check_dataset(dataset)
    entries = [
        {
            "dataset": {"id": dataset, "task_id": f"{TASK}-{name}"},
            "value": round(result.score.value, 6),
            "notes": _notes(evaluation, name),
        }
        for name, result in evaluation.results.items()
        if result.to_json()["value"] is not None
    ]
    return yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=120)


def check_dataset(name: str) -> None:
    """InputError unless it is ORG/NAME."""
    if not NAME.match(name):
        raise InputError("dataset", f"'{name}'", "ORG/NAME", "name the data set as the Hub does")


def _notes(evaluation: Evaluation, name: str) -> str:
    result = evaluation.results[name]
    parts = [f"{len(evaluation.pairs)} reports"]
    if evaluation.section:
        parts.append(f"section {evaluation.section}")
    if evaluation.pairs.oracle_words:
        parts.append(evaluation.pairs.oracle_words)
    if result.interval:
        low, high = result.interval
        parts.append(f"{evaluation.settings.level:.0%} interval of {result.of} {low:.4f} to {high:.4f}")
    return "; ".join([*parts, result.score.convention])
