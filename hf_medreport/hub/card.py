"""Write the model card of a saved folder from the JSON of its evaluation.

Every figure in the card comes from that JSON, with the command that printed it; what the JSON lacks is "not run".
The metadata holds the figures as a `model-index`. The Hub's newer form, `.eval_results/*.yaml`, is only for data sets
that are registered there as benchmarks; drawn images are none.

    from hf_medreport.hub.card import write_card
    write_card("runs/chest", evaluation, model_name="my-hospital/chest-report", base="...", data="...", command="...")
"""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from hf_medreport.files.settings import read_settings
from hf_medreport.files.writing import write_text
from hf_medreport.hub.card_rows import FILM_FIGURES, FILM_INDEXED
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import find_system, systems
from hf_medreport.version import __version__

__all__ = ["FILMS", "TORCHVISION", "Kind", "write_card"]


@dataclass(frozen=True)
class Kind:
    """What the card says of models that read one kind of thing.

    Args:
        reads: "film", "slide", "pair" or "text" (film and text: an encoder); the template's notes go by it.
        figures, indexed: the rows of its table, and those that stand in the metadata too.
        each: where the scores of each finding kind, or field, lie; empty where there are none.
        example: what the usage code gives to the pipeline, or to the processor of an encoder.
        needs: what must be installed beside what every model needs, as a sentence.
        mark: a figure that only scores of this kind have: so scores tell the kind where no configuration does.
        task: the Hub's name of what the model does.
        label_mode: how it comes to the labels of a film: "none", "oracle" or "predicted"; None where there is no such
            thing.
    """

    reads: str
    figures: tuple
    indexed: tuple
    each: tuple[str, ...]
    example: str
    needs: str = ""
    mark: str = ""
    task: str = "image-to-text"
    label_mode: str | None = None


TORCHVISION = "It also needs torchvision."
# What a model of films shows, and any whose system nobody knows.
FILMS = Kind("film", FILM_FIGURES, FILM_INDEXED, ("kind", "by_kind"), '"image.png"')
NOT_RUN = "not run"
# What figures were called once -> what every evaluation calls them now.
RENAMED = {"verdict": "classification", "randomised": "randomized", "tumour": "tumor"}
DIGITS = {"mse": 5}  # a good one is 0.0005; 3 for the others


def write_card(
    folder: str | Path,
    evaluation: dict,
    *,
    model_name: str,
    base: str,
    data: str,
    command: str,
    license: str = "apache-2.0",
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
        license: the Hub's short name of the license of the weights.
        language: of the reports, as a two-letter code.
        tables: {caption: rows of cells, the first of them the head}, further tables to show after the figures, such as
            of an ablation.

    Raises:
        InputError: the folder is not there, `evaluation` is neither of the two forms, figures have
            names of old, or a table is empty or ragged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(folder.name, "no such folder", "a saved model's folder", "save the model first")
    splits = _splits(evaluation)
    kind = _kind(_config(folder), splits)
    results = _eval_results(splits, kind.indexed, kind.task)
    card = ModelCard.from_template(
        ModelCardData(
            license=license,
            language=language,
            library_name="transformers",
            pipeline_tag=kind.task,
            tags=["medical-imaging", "report-generation", "hf-medreport", "custom_code"],
            eval_results=results or None,
            model_name=model_name if results else None,
        ),
        template_str=files("hf_medreport.model_cards").joinpath("template.md").read_text(encoding="utf-8"),
        base=base,
        citation=_citation(folder),
        command=command,
        commands=_commands(splits),
        data=data,
        example=kind.example,
        kind_rows=_rows_of_each(splits, *kind.each) if kind.each else [],
        label_mode=kind.label_mode,
        license=license,
        model_name=model_name,
        needs=kind.needs,
        reads=kind.reads,
        rows=[[name, *(_shown(scores, *keys) for scores in splits.values())] for name, keys in kind.figures],
        splits=list(splits),
        tables={caption: _cells(caption, rows) for caption, rows in (tables or {}).items()},
    )
    return write_text(folder / "README.md", str(card))


def _config(folder: Path) -> dict:
    """The model's configuration; {} where there is none yet."""
    path = folder / "config.json"
    return read_settings(path, path.name) if path.is_file() else {}


def _kind(config: dict, splits: dict[str, dict]) -> Kind:
    """By the configuration, so that a model that was not evaluated has a card of its kind too; else by the scores."""
    row = find_system(config.get("model_type"))
    if row is not None and row.card:
        return row.resolve("card")(config)
    kinds = (row.resolve("card")({}) for row in systems() if row.card)
    marked = (kind for kind in kinds if kind.mark and any(kind.mark in scores for scores in splits.values()))
    return next(marked, FILMS)


def _citation(folder: Path) -> str:
    """BibTeX of what the model's system was published as."""
    row = find_system(_config(folder).get("model_type"))
    return row.citation if row is not None else ""


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
    _refuse_old_names(evaluation)
    if not evaluation or "exact" in evaluation or "words" in evaluation:
        return {"test": evaluation}
    if not all(isinstance(scores, dict) for scores in evaluation.values()):
        found = f"the keys {', '.join(map(str, evaluation))}"
        expected = "the scores of one split, or of several by name"
        raise InputError(
            "evaluation", found, expected, "give the JSON that `hf-medreport evaluate phantom --json` prints"
        )
    return evaluation


def _refuse_old_names(scores: dict) -> None:
    """A figure under an old name would be "not run" in the card."""
    for name, value in scores.items():
        if name in RENAMED:
            remedy = f"rename it, or evaluate the model again with hf-medreport {__version__}"
            raise InputError("evaluation", f"the old key '{name}'", f"'{RENAMED[name]}'", remedy)
        if isinstance(value, dict):
            _refuse_old_names(value)


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
    """The figures for the metadata; those of a model that was given the truth say so in their names."""
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
