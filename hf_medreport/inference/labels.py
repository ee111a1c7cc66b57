"""The labels that a user gives with films, for a model that is given them: checked before the first film is read."""

from collections.abc import Iterable
from pathlib import Path

from hf_medreport.inference.loading import model_name
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.label_text import parse_labels
from hf_medreport.processing.pipeline_image_to_text import MedicalReportPipeline

# Where the labels came from, in words.
SOURCES = {"oracle": "oracle: given by the user", "predicted": "predicted: the model's own"}


def film_labels(labels: Iterable[str] | None, paths: list[Path], pipe: MedicalReportPipeline) -> list[list[str] | None]:
    """The names for each film; None for each where the model is given none or names them itself.

    Args:
        labels: CheXpert names joined by commas, one string a film; an empty one where there is no finding.
        paths: the films.
        pipe: from `loading.load`.

    Raises:
        InputError: labels for a model that takes none, none for one that needs them, another number of them than of
            films, a name that CheXpert does not have, or more than the model has places for.
    """
    taken, name = pipe.model.takes().get("labels"), model_name(pipe)
    if labels is None:
        if taken == "required" and paths:
            remedy = "give `labels` once a film, '' where there is no finding; or use another model"
            raise InputError("labels", f"none, and {name} must be given them", "the labels of each film", remedy)
        return [None] * len(paths)
    labels = list(labels)
    if taken is None:
        raise InputError("labels", f"{len(labels)}, and {name} takes none", "none", "leave out `labels`")
    if len(labels) != len(paths):
        found = f"{len(labels)} for {len(paths)} film{'s' * (len(paths) != 1)}"
        remedy = "give `labels` once a film, in the films' order, names joined by commas"
        raise InputError("labels", found, "one a film", remedy)
    named = [parse_labels(text, f"labels of {path.name}") for text, path in zip(labels, paths, strict=True)]
    for names, path in zip(named, paths, strict=True):
        pieces, most = pipe.processor.count_pieces(names), pipe.processor.max_text_tokens
        if pieces > most:  # what is cut off, the model is not given
            found, expected = f"{len(names)} labels of {pieces} word pieces", f"at most {most}, the model's places"
            raise InputError(f"labels of {path.name}", found, expected, "leave some out")
    return named


def label_words(labels: list[str] | None, source: str | None) -> str:
    """What a report says of the labels its model was given, with where they came from; nothing where it takes none."""
    return "" if labels is None else f"labels: {', '.join(labels) or 'none'} ({SOURCES[source]})"
