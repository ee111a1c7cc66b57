"""The folder that an evaluation leaves, written whole or not at all.

- `scores.json`: every figure with its interval, convention and settings; no text of a report.
- `per_sample.parquet`: a row a report: id, texts, each metric's value, and the other system's.
- `.eval_results/reports.yaml`: what goes beside a model's card.
- `page.html`: the page for a reader.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from hf_medreport.evaluation.reports.card_fragment import card_fragment, check_dataset
from hf_medreport.evaluation.reports.page import evaluation_page
from hf_medreport.evaluation.reports.predictions import read_predictions
from hf_medreport.evaluation.reports.scoring import DEFAULT_METRICS, Evaluation, Settings, evaluate_reports
from hf_medreport.files.writing import sha256, write_json, write_text, write_whole_folder
from hf_medreport.processing.input_error import InputError

__all__ = ["check_folder", "evaluate_files", "write_evaluation"]


def evaluate_files(
    predictions: str | os.PathLike,
    out: str | os.PathLike,
    *,
    references: str | os.PathLike | None = None,
    metrics: Sequence[str] | None = None,
    section: str | None = None,
    compare: str | os.PathLike | None = None,
    dataset: str = "local/reports",
    options: dict[str, dict] | None = None,
    seed: int = 0,
    progress: Callable[[list], Iterable] = iter,
) -> Evaluation:
    """Read, score, write: what `hf-medreport evaluate reports` does.

    Args:
        predictions, references, compare: files, see `read_predictions`; `compare` has the same references.
        out: folder, new or empty.
        metrics: see `evaluate_reports`; None for `DEFAULT_METRICS`.
        section: see `ReportPairs.section`.
        dataset: ORG/NAME, for `card_fragment`.
        options: {metric: its options}, see `evaluate_reports`.
        seed: of intervals and tests.
        progress: wraps the list of metrics.

    Raises:
        InputError: whatever is wrong with the files or arguments, before the first metric is run.
    """
    check_folder(out)
    check_dataset(dataset)
    ours = read_predictions(predictions, references)
    theirs = None if compare is None else read_predictions(compare, references)
    if theirs is not None and theirs.name == ours.name:  # runs/a/predictions.jsonl and runs/b/predictions.jsonl
        ours, theirs = (
            replace(pairs, name=_with_folder(file)) for pairs, file in ((ours, predictions), (theirs, compare))
        )
    evaluation = evaluate_reports(
        ours,
        DEFAULT_METRICS if metrics is None else metrics,
        compare=theirs,
        section=section,
        options=options,
        settings=Settings(seed=seed),
        progress=progress,
    )
    files = {"predictions": predictions, "references": references, "compared": compare}
    prints = {role: sha256(file) for role, file in files.items() if file}
    evaluation = replace(evaluation, origin={"sha256": prints})
    write_evaluation(evaluation, out, dataset)
    return evaluation


def _with_folder(file: str | os.PathLike) -> str:
    return "/".join(Path(file).resolve().parts[-2:])


def check_folder(out: str | os.PathLike) -> Path:
    """The folder to be written, for the check before long work: it must be new or empty, and pyarrow be there.

    Raises:
        InputError: otherwise.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        found = "no pyarrow, which writes per_sample.parquet"
        raise InputError("evaluate reports", found, "it", 'pip install "hf-medreport[evaluate]"') from None
    folder, remedy = Path(out).absolute(), "choose another `out`"
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(folder.name, "a folder that is not empty", "a new or empty one", remedy)
    above = next(path for path in (folder if folder.is_file() else folder.parent, *folder.parents) if path.exists())
    if not above.is_dir():
        raise InputError(above.name, "a file", "a new or empty folder", remedy)
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError(above.name, "no permission to write", "a folder to write to", remedy)
    return folder


def write_evaluation(evaluation: Evaluation, out: str | os.PathLike, dataset: str) -> Path:
    """Write the four files into a folder beside `out`, which then takes its name.

    Args:
        out: new or empty.
        dataset: ORG/NAME, for `card_fragment`.

    Raises:
        InputError: see `check_folder` and `card_fragment`.
    """
    fragment = card_fragment(evaluation, dataset)

    def fill(folder: Path) -> None:
        write_json(folder / "scores.json", evaluation.to_json(), allow_nan=False)
        write_per_sample(evaluation, folder / "per_sample.parquet")
        (folder / ".eval_results").mkdir()
        write_text(folder / ".eval_results" / "reports.yaml", fragment)
        write_text(folder / "page.html", evaluation_page(evaluation))

    return write_whole_folder(check_folder(out), fill)


def write_per_sample(evaluation: Evaluation, path: Path) -> None:
    """Columns `id`, `prediction`, `references`, one a metric; with another system also `other.prediction`, ..."""
    import pyarrow
    import pyarrow.parquet

    pairs, compared = evaluation.pairs, evaluation.compared
    columns = {"id": pairs.ids, "prediction": pairs.predictions, "references": pairs.references}
    columns |= {name: result.score.per_sample for name, result in evaluation.results.items()}
    if compared is not None:
        columns["other.prediction"] = compared.predictions
        columns |= {f"other.{name}": result.other.per_sample for name, result in evaluation.results.items()}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
