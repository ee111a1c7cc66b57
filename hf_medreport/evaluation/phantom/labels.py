"""What a model was given of a film before it wrote: true labels (oracle), those of its own head (predicted), or none.

A model that is given the truth repeats it, also when it is shown noise: such figures measure the leak, not the eye. So
a score says which labels there were, and a model that names its own may be scored with either. The head is scored too:
its names beside the CheXpert observations of the facts that a film was drawn from.
"""

import numpy as np

from hf_medreport.evaluation.clinical.label_scores import FIGURES, score_labels
from hf_medreport.evaluation.clinical.observations import OBSERVATIONS
from hf_medreport.evaluation.reports.labeled import ratio
from hf_medreport.evaluation.significance import bootstrap_interval
from hf_medreport.inference.loading import model_name
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.pipeline_image_to_text import MedicalReportPipeline
from hf_medreport.registry import system_of

__all__ = ["LABEL_WORDS", "label_head_interval", "scored_labels", "score_label_head"]

# What `score_table` prints above the figures.
LABEL_WORDS = {
    "none": "labels: none, the model is shown the film alone",
    "predicted": "labels: predicted, the model's own",
    "oracle": "labels: oracle, the model was given the true ones of each film, and so was the blinded one",
}
# The labels that a model can be scored with, its own first, by what it says of them in `takes`.
ALLOWED = {None: ("none",), "required": ("oracle",), "optional": ("predicted", "oracle")}


def scored_labels(pipe: MedicalReportPipeline, asked: str | None) -> str | None:
    """Which labels a model is scored with: those asked for or, by default, its own; None of a model without such.

    Raises:
        InputError: labels that the model cannot be scored with.
    """
    name = model_name(pipe)
    if "labels" not in system_of(pipe.model).given:
        if asked is not None:
            raise InputError("labels", f"'{asked}', and {name} knows no labels", "none", "leave out `labels`")
        return None
    allowed = ALLOWED[pipe.model.takes().get("labels")]
    if asked is not None and asked not in allowed:
        found = f"'{asked}' for {name}, whose label_mode is {allowed[0]}"
        raise InputError("labels", found, " or ".join(allowed), "choose one, or leave out `labels`")
    return asked or allowed[0]


def score_label_head(named: list[list[str]], true: list[list[str]]) -> dict:
    """The names that a head gave to films, beside the true ones.

    Returns:
        `micro`: precision, recall and F1 over all labels of all films, None where there are none; `macro`: their means
        over the labels that some film has, None where no film has any; `by_label`: the same of each such label, with
        its number of films as `support`.
    """
    details = score_labels(_codes(named), _codes(true)).details
    by_label = {name: row for name, row in details["observations"].items() if row["support"]}
    macro = {name: float(np.mean([row[name] for row in by_label.values()])) if by_label else None for name in FIGURES}
    return {"micro": details["micro"], "macro": macro, "by_label": by_label}


def label_head_interval(named: list[list[str]], true: list[list[str]]) -> list[float] | None:
    """The 95 % percentile bootstrap over films of micro F1; None where it is undefined."""
    said, given = _codes(named), _codes(true)
    counts = np.stack([(said & given).sum(axis=1), said.sum(axis=1), given.sum(axis=1)], axis=1)  # (films, 3)
    interval = bootstrap_interval(counts, lambda means: ratio(means, "f1", nothing=np.nan))
    return interval and list(interval)


def _codes(labels: list[list[str]]) -> np.ndarray:
    """(films, 14) of 1 for each name of a film, 0 elsewhere."""
    return np.array([[int(name in names) for name in OBSERVATIONS] for names in labels])
