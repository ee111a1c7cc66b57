"""Write the model card of a saved folder from the JSON of its evaluation.

Every figure in the card comes from that JSON, with the command that printed it; what the JSON lacks is "not run".
The metadata holds the figures as a `model-index`. The Hub's newer form, `.eval_results/*.yaml`, is only for data sets
that are registered there as benchmarks; drawn images are none.

    from hf_medreport.hub.card import write_card
    write_card("runs/chest", evaluation, model_name="my-hospital/chest-report", base="...", data="...", command="...")
"""

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from hf_medreport.files.writing import write_text
from hf_medreport.processing.input_error import InputError

__all__ = ["write_card"]


def _beside(*figure: str) -> tuple:
    """The rows of a slide model's baselines."""
    return (
        ("the same, shown noise in place of the slide", ("blinded", *figure)),
        ("the same, of a constant report", ("constant_report", *figure)),
    )


# (name in the card, where the figure lies in a split's scores)
FACTS = (
    ("exact fact: precision", ("exact", "precision")),
    ("exact fact: recall", ("exact", "recall")),
    ("exact fact: F1", ("exact", "f1")),
    ("the same, 95 % interval", ("intervals", "exact.f1")),
    ("the same, shown noise in place of the image", ("blinded", "exact", "f1")),
    ("the same, of a constant normal report", ("constant_report", "exact", "f1")),
    ("exact fact: macro F1", ("exact", "macro", "f1")),
    ("finding kind: precision", ("kind", "precision")),
    ("finding kind: recall", ("kind", "recall")),
    ("finding kind: F1", ("kind", "f1")),
    ("hallucination rate", ("hallucination_rate",)),
    ("wrong-side rate", ("wrong_side_rate",)),
    ("wrong-zone rate", ("wrong_zone_rate",)),
    ("wrong-severity rate", ("wrong_severity_rate",)),
    ("size error, mm", ("size_error_mm",)),
)
FIGURES = (
    ("images", ("n",)),
    ("seed", ("seed",)),
    *FACTS,
    ("evidence: pointing", ("evidence", "pointing", "model")),
    ("the same, randomised weights", ("evidence", "pointing", "randomised")),
    ("the same, by chance", ("evidence", "pointing", "chance")),
)
# (metric type, name, where): the figures that also stand in the metadata
INDEXED = (
    ("f1", "exact-fact F1", ("exact", "f1")),
    ("f1", "finding-kind F1", ("kind", "f1")),
    ("hallucination_rate", "hallucination rate", ("hallucination_rate",)),
    ("wrong_side_rate", "wrong-side rate", ("wrong_side_rate",)),
)
# The same for a model of slides.
SLIDE_FIGURES = (
    ("slides", ("n",)),
    ("seed", ("seed",)),
    ("exact fact: precision", ("exact", "precision")),
    ("exact fact: recall", ("exact", "recall")),
    ("exact fact: F1", ("exact", "f1")),
    ("the same, 95 % interval", ("intervals", "exact.f1")),
    *_beside("exact", "f1"),
    ("diagnosis accuracy", ("diagnosis_accuracy",)),
    *_beside("diagnosis_accuracy"),
    ("grade accuracy", ("grade_accuracy",)),
    *_beside("grade_accuracy"),
    ("number exactness", ("number_exactness",)),
    *_beside("number_exactness"),
    ("size error, cm", ("size_error_cm",)),
    *_beside("size_error_cm"),
    ("hallucination rate", ("hallucination_rate",)),
    ("deletion: fall without the tiles of most evidence", ("evidence", "deletion", "top")),
    ("the same, tiles at random", ("evidence", "deletion", "random")),
    ("difference, 95 % interval", ("evidence", "deletion", "interval")),
    ("evidence of the diagnosis on tumour", ("evidence", "tumour", "model")),
    ("the same, by chance", ("evidence", "tumour", "chance")),
)
SLIDES_INDEXED = (
    ("f1", "exact-fact F1", ("exact", "f1")),
    ("accuracy", "diagnosis accuracy", ("diagnosis_accuracy",)),
    ("accuracy", "grade accuracy", ("grade_accuracy",)),
    ("accuracy", "number exactness", ("number_exactness",)),
    ("hallucination_rate", "hallucination rate", ("hallucination_rate",)),
)


def _words(name: str, metric: str) -> tuple:
    """The rows of a text metric: the model's and its baselines'."""
    return (
        (name, ("text", metric)),
        ("the same, 95 % interval", ("intervals", f"text.{metric}")),
        ("the same, shown noise in place of the films", ("blinded", "text", metric)),
        ("the same, of the most frequent training report", ("constant_report", "text", metric)),
    )


def _redrawn(view: str) -> tuple:
    """The rows of a view's redrawn films."""
    return tuple(
        row
        for name, figure in (("SSIM", "ssim"), ("mean squared error", "mse"))
        for row in (
            (f"{view} film redrawn: {name}", ("tasks", view, figure)),
            ("the same, 95 % interval", ("tasks", view, "intervals", figure)),
            ("the same, of the mean film", ("tasks", view, "mean_film", figure)),
        )
    )


# Figures of a whole set, which no report has a share in, have no interval.
OF_THE_SET = (("intervals", "text.token_f1"), ("intervals", "text.chexpert_f1"))
# The same for a model that may be told the labels of a film; and what is added for a head that names them.
LABEL_FIGURES = (
    ("labels that the model was told", ("labels",)),
    *FIGURES,
    *(
        row
        for name, metric in {
            "BLEU-4": "bleu4",
            "METEOR": "meteor",
            "ROUGE-L": "rougeL",
            "CIDEr": "cider",
            "token F1": "token_f1",
            "CheXpert-label F1": "chexpert_f1",
        }.items()
        for row in _words(name, metric)
        if row[1] not in OF_THE_SET
    ),
)
HEAD_FIGURES = (
    ("its own labels: micro F1", ("label_head", "micro", "f1")),
    ("the same, 95 % interval", ("intervals", "label_head.micro.f1")),
    ("the same, shown noise in place of the image", ("blinded", "label_head", "micro", "f1")),
    ("its own labels: macro F1", ("label_head", "macro", "f1")),
)
# The same for an encoder: the two tasks of its pre-training.
ENCODER_FIGURES = (
    ("films with their reports", ("n",)),
    ("seed", ("seed",)),
    ("masked words: accuracy", ("words", "accuracy")),
    ("the same, 95 % interval", ("words", "interval")),
    ("the same, by chance", ("words", "chance")),
    ("film and report belong together: accuracy", ("match", "accuracy")),
    ("the same, 95 % interval", ("match", "interval")),
    ("the same, by chance", ("match", "chance")),
)
ENCODER_INDEXED = (
    ("accuracy", "masked-word accuracy", ("words", "accuracy")),
    ("accuracy", "image-text matching accuracy", ("match", "accuracy")),
)


# The same for a model of film pairs.
PAIR_FIGURES = (
    ("cases of two films", ("n",)),
    ("seed", ("seed",)),
    *FACTS,
    *_words("BLEU-4", "bleu4"),
    *_words("ROUGE-L", "rougeL"),
    *_redrawn("frontal"),
    *_redrawn("lateral"),
    ("share of abnormal cases", ("tasks", "verdict", "prevalence")),
    ("verdict: accuracy", ("tasks", "verdict", "accuracy")),
    ("the same, 95 % interval", ("tasks", "verdict", "intervals", "accuracy")),
    ("the same, by majority", ("tasks", "verdict", "majority", "accuracy")),
    ("the same, frontal film alone", ("tasks", "verdict", "frontal_alone", "accuracy")),
    ("the same, lateral film alone", ("tasks", "verdict", "lateral_alone", "accuracy")),
    ("verdict: AUC", ("tasks", "verdict", "auc")),
    ("the same, 95 % interval", ("tasks", "verdict", "intervals", "auc")),
    ("the same, frontal film alone", ("tasks", "verdict", "frontal_alone", "auc")),
    ("the same, lateral film alone", ("tasks", "verdict", "lateral_alone", "auc")),
    ("verdict: sensitivity", ("tasks", "verdict", "sensitivity")),
    ("verdict: specificity", ("tasks", "verdict", "specificity")),
    ("verdict: calibration error", ("tasks", "verdict", "calibration_error")),
    ("the same, 95 % interval", ("tasks", "verdict", "intervals", "calibration_error")),
    ("verdict: Brier score", ("tasks", "verdict", "brier")),
    ("the same, 95 % interval", ("tasks", "verdict", "intervals", "brier")),
    ("the same, by majority", ("tasks", "verdict", "majority", "brier")),
)
PAIRS_INDEXED = (
    ("f1", "exact-fact F1", ("exact", "f1")),
    ("accuracy", "normal-abnormal accuracy", ("tasks", "verdict", "accuracy")),
    ("roc_auc", "normal-abnormal AUC", ("tasks", "verdict", "auc")),
    ("ssim", "SSIM of the frontal film redrawn", ("tasks", "frontal", "ssim")),
    ("ssim", "SSIM of the lateral film redrawn", ("tasks", "lateral", "ssim")),
)


@dataclass(frozen=True)
class Kind:
    """What the card says of models that read one kind of thing.

    Args:
        reads: "films", "slides", "pairs" or "texts" (films and texts: an encoder); the template's notes go by it.
        figures, indexed: the rows of its table, and those that stand in the metadata too.
        each: where the scores of each finding kind, or field, lie; empty where there are none.
        example: what the usage code gives to the pipeline, or to the processor of an encoder.
        needs: what must be installed beside what every model needs, as a sentence.
        mark: a figure that only scores of this kind have: so scores tell the kind where no configuration does.
        task: the Hub's name of what the model does.
    """

    reads: str
    figures: tuple
    indexed: tuple
    each: tuple[str, ...]
    example: str
    needs: str = ""
    mark: str = ""
    task: str = "image-to-text"


TORCHVISION = "It also needs torchvision."
FILMS = Kind("films", FIGURES, INDEXED, ("kind", "by_kind"), '"image.png"')
# By the configuration's model_type; every other model reads films.
KINDS = {
    "histgen": Kind(
        "slides",
        SLIDE_FIGURES,
        SLIDES_INDEXED,
        ("exact", "by_field"),
        '"slide.svs"',
        needs="To read slides it also needs openslide-python, openslide-bin and opencv-python-headless.",
        mark="diagnosis_accuracy",
    ),
    "cxr_multitask": Kind(
        "pairs",
        PAIR_FIGURES,
        PAIRS_INDEXED,
        ("kind", "by_kind"),
        '{"frontal": "f.png", "lateral": "l.png"}',
        needs=TORCHVISION,
        mark="tasks",
    ),
    "radscribe": Kind("films", LABEL_FIGURES, INDEXED, ("kind", "by_kind"), '"image.png"', mark="labels"),
    "medvill": Kind(
        "texts",
        ENCODER_FIGURES,
        ENCODER_INDEXED,
        (),
        '"image.png", text="The heart is normal."',
        mark="words",
        task="feature-extraction",
    ),
}
ORACLE_EXAMPLE = '{"frontal": "image.png", "labels": ["Cardiomegaly", "Edema"]}'
NOT_RUN = "not run"
DIGITS = {"mse": 5}  # a good one is 0.0005; 3 for the others


def write_card(
    folder: str | Path,
    evaluation: dict,
    *,
    model_name: str,
    base: str,
    data: str,
    command: str,
    licence: str = "apache-2.0",
    language: str = "en",
    tables: dict[str, list[list[str]]] | None = None,
) -> Path:
    """Write README.md into `folder` and return its path.

    Args:
        folder: the saved model's folder.
        evaluation: what `score_facts` or `score_slides` gives, with "seed" and the "command" that printed it; or
            {split: such scores}. {} for a model that was not evaluated. Of an encoder: "n", "seed", "command", "words"
            and "match", each of these two with "accuracy", "interval" and "chance".
        model_name: the repository id it is to be published under (it also stands in the usage code).
        base: what the model was built from, in a few words.
        data: what it was trained on, in a few words.
        command: the command that trained it.
        licence: the Hub's short name of the licence of the weights.
        language: of the reports, as a two-letter code.
        tables: {caption: rows of cells, the first of them the head}, further tables to show after the figures, such as
            of an ablation.

    Raises:
        InputError: the folder is not there, `evaluation` is neither of the two forms, or a table is empty or ragged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(folder.name, "no such folder", "a saved model's folder", "save the model first")
    splits = _splits(evaluation)
    config = _config(folder)
    kind = _kind(config, splits)
    label_mode = config["encoder"]["label_mode"] if config.get("model_type") == "radscribe" else None
    figures = kind.figures + (HEAD_FIGURES if label_mode == "predicted" else ())
    results = _eval_results(splits, kind.indexed, kind.task)
    card = ModelCard.from_template(
        ModelCardData(
            license=licence,
            language=language,
            library_name="transformers",
            pipeline_tag=kind.task,
            tags=["medical-imaging", "report-generation", "hf-medreport", "custom_code"],
            eval_results=results or None,
            model_name=model_name if results else None,
        ),
        template_str=files("hf_medreport.model_cards").joinpath("template.md").read_text(encoding="utf-8"),
        base=base,
        command=command,
        commands=_commands(splits),
        data=data,
        example=ORACLE_EXAMPLE if label_mode == "oracle" else kind.example,
        kind_rows=_rows_of_each(splits, *kind.each) if kind.each else [],
        label_mode=label_mode,
        licence=licence,
        model_name=model_name,
        needs=TORCHVISION if _has_densenet(config) else kind.needs,
        reads=kind.reads,
        rows=[[name, *(_shown(scores, *keys) for scores in splits.values())] for name, keys in figures],
        splits=list(splits),
        tables={caption: _cells(caption, rows) for caption, rows in (tables or {}).items()},
    )
    return write_text(folder / "README.md", str(card))


def _config(folder: Path) -> dict:
    """The model's configuration; {} where there is none yet."""
    path = folder / "config.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _kind(config: dict, splits: dict[str, dict]) -> Kind:
    """By the configuration, so that a model that was not evaluated has a card of its kind too; else by the scores."""
    marked = (kind for kind in KINDS.values() if any(kind.mark in scores for scores in splits.values()))
    return KINDS.get(config.get("model_type")) or next(marked, FILMS)


def _has_densenet(config: dict) -> bool:
    """Whether a MedViLL, alone or as an encoder, sees by a DenseNet."""
    seeing = config.get("encoder") or config
    return seeing.get("model_type") == "medvill" and seeing.get("image_encoder") == "chexnet121"


def _cells(caption: str, rows: list[list[str]]) -> list[list[str]]:
    """The rows of a table as text that Markdown keeps in its cells."""
    if len(rows) < 2 or not rows[0]:
        found = {0: "no rows", 1: "a head alone"}.get(len(rows), "an empty head")
        raise InputError(f"tables['{caption}']", found, "a head and one row or more", "leave the table out")
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            found, expected = f"{len(row)} cells in row {number}", f"{len(rows[0])}, as in the head"
            raise InputError(f"tables['{caption}']", found, expected, "fill the row")
    return [[" ".join(str(cell).split()).replace("|", "\\|") for cell in row] for row in rows]


def _splits(evaluation: dict) -> dict[str, dict]:
    """{split: scores}; scores that stand alone are those of the split "test"."""
    if not evaluation or "exact" in evaluation or "words" in evaluation:
        return {"test": evaluation}
    if not all(isinstance(scores, dict) for scores in evaluation.values()):
        found = f"the keys {', '.join(map(str, evaluation))}"
        expected = "the scores of one split, or of several by name"
        raise InputError(
            "evaluation", found, expected, "give the JSON that `hf-medreport evaluate phantom --json` prints"
        )
    return evaluation


def _figure(scores: dict, *keys: str) -> object:
    """The figure at `keys`, NOT_RUN when the evaluation holds none; None is a figure: 0 of 0."""
    for key in keys:
        if not isinstance(scores, dict) or key not in scores:
            return NOT_RUN
        scores = scores[key]
    return scores


def _shown(scores: dict, *keys: str) -> str:
    figure = _figure(scores, *keys)
    if figure is None:
        return "undefined"
    digits = DIGITS.get(keys[-1], 3)
    if isinstance(figure, list):
        return " to ".join(f"{bound:.{digits}f}" for bound in figure)
    return f"{figure:.{digits}f}" if isinstance(figure, float) else str(figure)


def _commands(splits: dict[str, dict]) -> dict[str, list[str]]:
    """{command: the splits whose figures it printed}."""
    commands = {}
    for split, scores in splits.items():
        commands.setdefault(_shown(scores, "command"), []).append(split)
    return commands


def _rows_of_each(splits: dict[str, dict], *table: str) -> list[list[str]]:
    """F1 of each finding kind, or of each field, that lies at `table` in a split's scores."""
    tables = [_figure(scores, *table) for scores in splits.values()]
    names = dict.fromkeys(name for rows in tables if rows != NOT_RUN for name in rows)  # in the order of the JSON
    return [[name, *(_shown(scores, *table, name, "f1") for scores in splits.values())] for name in names]


def _eval_results(splits: dict[str, dict], indexed: tuple, task: str) -> list[EvalResult]:
    """The figures for the metadata; those of a model that was told the truth say so in their names."""
    return [
        EvalResult(
            task_type=task,
            dataset_type="hf-medreport-phantom",
            dataset_name="images drawn by hf-medreport",
            dataset_split=split,
            dataset_args={key: scores[key] for key in ("n", "seed") if key in scores},
            metric_type=metric,
            metric_name=f"{name}, oracle labels" if scores.get("labels") == "oracle" else name,
            metric_value=_figure(scores, *keys),
        )
        for split, scores in splits.items()
        for metric, name, keys in indexed
        if isinstance(_figure(scores, *keys), int | float)
    ]
