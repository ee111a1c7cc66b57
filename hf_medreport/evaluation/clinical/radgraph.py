"""RadGraph F1: entities and relations that report and reference share.

Jain et al. 2021, "RadGraph: extracting clinical entities and relations from radiology reports"; the variants as
Delbrouck et al. 2022 ("Improving the factual correctness of radiology report generation with semantic rewards") and the
package `radgraph` count them. An annotated report is a set of

- `E`: (words, label) of its entities; the package calls it simple,
- `ER`: the same, and whether the entity begins a relation; partial,
- `bar`: (words, label, relation, words of its object) of each relation, (words, label) of an entity that begins none;
  complete. Usually written as RG with a bar over ER, and the figure that papers report.

F1 of these sets, a report at a time, then the mean. The formula is ours; the annotations are the model's, through the
package `radgraph` or the copy inside RadEval, or given.

What it misses: equal words, not equal meaning, so a synonym is an error; and the model's own mistakes count as the
report's. The side is an entity of its own: a wrong one costs one part of many, and in `bar` as little.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hf_medreport.evaluation.score import Score, check_texts
from hf_medreport.processing.input_error import InputError

__all__ = ["VARIANTS", "annotation_f1", "radgraph"]

VARIANTS = ("E", "ER", "bar")
# Where the class RadGraph may be; RadEval carries a copy that runs on today's transformers.
MODULES = ("radgraph", "radeval.metrics.radgraph")

# As `radgraph` writes them: {"entities": {key: {"tokens": str, "label": str, "relations": [[name, key], ...]}}}
Annotation = Mapping[str, Mapping]
Annotator = Callable[[list[str]], Sequence[Annotation]]


def radgraph(
    predictions: list[str],
    references: list,
    *,
    variant: str = "bar",
    model: str = "radgraph-xl",
    annotator: Annotator | None = None,
) -> Score:
    """RadGraph F1, 0 to 1, mean over the reports; of several references the best. `details` holds all three variants.

    A text without entities scores 0, even against another such, as in the package.

    Args:
        variant: "E", "ER" or "bar".
        model: the package's name of it; downloaded by the package at first use.
        annotator: texts -> their annotations, in place of the package.

    Raises:
        InputError: see `check_texts`; an unknown variant; neither package is installed.
    """
    if variant not in VARIANTS:
        raise InputError("variant", repr(variant), "one of " + ", ".join(VARIANTS), "name a known variant")
    predictions, groups = check_texts(predictions, references)
    distinct = [*dict.fromkeys(predictions + [text for group in groups for text in group])]
    annotated = dict(zip(distinct, (annotator or _package(model))(distinct), strict=True))
    best = {
        name: np.array(
            [
                max(annotation_f1(annotated[text], annotated[other], name) for other in group)
                for text, group in zip(predictions, groups, strict=True)
            ]
        )
        for name in VARIANTS
    }
    return Score(
        value=float(best[variant].mean()),
        per_sample=best[variant],
        name=f"radgraph_{variant}",
        convention=f"RadGraph F1 {variant}, {model if annotator is None else 'given annotations'}, mean, 0 to 1",
        details={name: float(values.mean()) for name, values in best.items()},
    )


def annotation_f1(said: Annotation, given: Annotation, variant: str = "bar") -> float:
    """F1 of two annotated reports, 0 where one has no entities."""
    parts, others = _parts(said["entities"], variant), _parts(given["entities"], variant)
    return 2 * len(parts & others) / (len(parts) + len(others)) if parts and others else 0.0


def _parts(entities: Mapping[str, Mapping], variant: str) -> set[tuple]:
    """What is compared. The words of a relation are lower-cased, others are not: so it is in the package."""
    parts = set()
    for entity in entities.values():
        words, label, relations = entity["tokens"], entity["label"], entity["relations"]
        if not relations or variant == "E":
            parts.add((words, label))
        elif variant == "ER":
            parts.add((words, label, True))
        else:
            parts |= {(words.lower(), label, name, entities[to]["tokens"].lower()) for name, to in relations}
    return parts


def _package(model: str) -> Annotator:
    """The model as the package loads it."""
    for module in MODULES:
        try:
            annotate = importlib.import_module(module).RadGraph(model_type=model)
        except ImportError:
            continue
        return lambda texts: _in_order(annotate(texts), len(texts))
    remedy = "pip install radeval (or radgraph, which wants transformers < 5), or give an annotator"
    raise InputError("radgraph", "neither radgraph nor radeval", "one of the two packages", remedy)


def _in_order(annotated: Mapping[str, Annotation], texts: int) -> list[Annotation]:
    """The package numbers the texts and leaves out, with a message of its own, those that it could not read."""
    missing = [str(index) for index in range(texts) if str(index) not in annotated]
    if missing:
        found = f"no annotation of {len(missing)} texts, first text {missing[0]}"
        raise InputError("radgraph", found, "one for each text", "shorten that text, or leave the sample out")
    return [annotated[str(index)] for index in range(texts)]
