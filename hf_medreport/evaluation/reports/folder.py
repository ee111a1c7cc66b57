"""The folder that an evaluation leaves.

- `scores.json`: every figure with its interval, convention and settings; no text of a report.
- `per_sample.parquet`: a row a report: id, texts, each metric's value, and the other system's.
- `.eval_results/reports.yaml`: what goes beside a model's card.
- `page.html`: the page for a reader.
- `manifest.json`: of the run, see `RunFolder`.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from hf_medreport.evaluation.reports.card_fragment import card_fragment, check_dataset
from hf_medreport.evaluation.reports.page import evaluation_page
from hf_medreport.evaluation.reports.predictions import read_predictions
from hf_medreport.evaluation.reports.scoring import DEFAULT_METRICS, Evaluation, Settings, evaluate_reports
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.files.writing import sha256
from hf_medreport.processing.input_error import InputError

__all__ = ["check_pyarrow", "evaluate_files", "write_evaluation"]


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
    resume: bool = False,
    overwrite: bool = False,
) -> Evaluation:
    """Read, score, write: what `hf-medreport evaluate reports` does.

    Args:
        predictions, references, compare: files, see `read_predictions`; `compare` has the same references.
        out: folder, new or empty; see `RunFolder`.
        metrics: see `evaluate_reports`; None for `DEFAULT_METRICS`.
        section: see `ReportPairs.section`.
        dataset: ORG/NAME, for `card_fragment`; of `published.TEST_SETS`, published figures stand beside ours.
        options: {metric: its options}, see `evaluate_reports`.
        seed: of intervals and tests.
        progress: wraps the list of metrics.
        resume, overwrite: of `RunFolder`; figures are computed anew.

    Raises:
        InputError: whatever is wrong with the files or arguments, before the first metric is run.
    """
    check_pyarrow()
    check_dataset(dataset)
    files = {"predictions": predictions, "references": references, "compared": compare}
    prints = {role: sha256(file) for role, file in files.items() if file and Path(file).is_file()}
    arguments = {
        "sha256": prints,
        "metrics": metrics and list(metrics),
        "section": section,
        "dataset": dataset,
        "seed": seed,
    }
    arguments["options"] = {
        name: {key: str(value) for key, value in each.items()} for name, each in (options or {}).items()
    }
    with RunFolder(out, "evaluate reports", arguments, resume=resume, overwrite=overwrite, alone=True) as folder:
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
        evaluation = replace(evaluation, origin={"sha256": prints})
        write_evaluation(evaluation, folder, dataset)
    return evaluation


def _with_folder(file: str | os.PathLike) -> str:
    return "/".join(Path(file).resolve().parts[-2:])


def check_pyarrow() -> None:
    """InputError where nothing can write `per_sample.parquet`."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        found = "no pyarrow, which writes per_sample.parquet"
        raise InputError("evaluate reports", found, "it", 'pip install "hf-medreport[evaluate]"') from None


def write_evaluation(evaluation: Evaluation, folder: RunFolder, dataset: str) -> None:
    """Write the four files and the manifest; nothing where one of them cannot be made.

    Args:
        folder: of this run.
        dataset: ORG/NAME, for `card_fragment`.

    Raises:
        InputError: see `card_fragment`.
    """
    fragment, page = card_fragment(evaluation, dataset), evaluation_page(evaluation, dataset)
    folder.write_json("scores.json", evaluation.to_json(), allow_nan=False)
    folder.write("per_sample.parquet", lambda file: write_per_sample(evaluation, file))
    folder.write(".eval_results/reports.yaml", fragment.encode())
    folder.write("page.html", page.encode())
    folder.finish()


def write_per_sample(evaluation: Evaluation, file: BinaryIO) -> None:
    """Columns `id`, `prediction`, `references`, one a metric; with another system also `other.prediction`, ..."""
    import pyarrow
    import pyarrow.parquet

    pairs, compared = evaluation.pairs, evaluation.compared
    columns = {"id": pairs.ids, "prediction": pairs.predictions, "references": pairs.references}
    columns |= {name: result.score.per_sample for name, result in evaluation.results.items()}
    if compared is not None:
        columns["other.prediction"] = compared.predictions
        columns |= {f"other.{name}": result.other.per_sample for name, result in evaluation.results.items()}
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
