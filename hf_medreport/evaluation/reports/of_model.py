"""A model judged on a table: each row is reported, then its report is scored against the row's by the whole suite.

A row names a film (`image` or `frontal`), two films (`frontal`, `lateral`), or slides or features (`slide`, `slides`,
`features`), whichever the model reads; beside them `mask` and `labels` where the model takes them. What was written is
kept row by row, so that a run that was killed goes on behind its last batch.
"""

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hf_medreport.evaluation.registry import read_options
from hf_medreport.evaluation.reports.card_fragment import check_dataset
from hf_medreport.evaluation.reports.folder import check_pyarrow, write_evaluation
from hf_medreport.evaluation.reports.predictions import ReportPairs, read_predictions
from hf_medreport.evaluation.reports.scoring import (
    DEFAULT_METRICS,
    Evaluation,
    Settings,
    chosen_metrics,
    evaluate_reports,
)
from hf_medreport.files.rows import read_rows
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.files.shares import ALL, Share, finish_share
from hf_medreport.files.writing import sha256
from hf_medreport.inference.asked import file_digest
from hf_medreport.inference.batches import in_batches
from hf_medreport.inference.engines.dispatch import in_batches_of, why_of
from hf_medreport.inference.engines.on_ray import RayEngine
from hf_medreport.inference.engines.reports import with_whole_path
from hf_medreport.inference.loading import load
from hf_medreport.inference.read_pairs import Pair, read_pair
from hf_medreport.inference.report import Failure, source_of
from hf_medreport.inference.report_any import refuse_film_options, refuse_slide_options
from hf_medreport.inference.slide_mpp import told_by
from hf_medreport.processing.film_reading import check_orient, read_film, refuse_mask
from hf_medreport.processing.image_reading import read_mask
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.label_text import read_labels
from hf_medreport.registry import system_of

logger = logging.getLogger(__name__)

PREDICTIONS = "predictions.jsonl"
# What a model reads -> the columns of which a table has one.
COLUMNS = {"film": ("image", "frontal"), "pair": ("frontal", "image", "lateral"), "slide": ("slides", "slide")}
COLUMNS["slide"] += ("features", "image")
TEXTS = ("text", "report", "reference")
Progress = Callable[[Iterable, int, str], Iterable]


def unseen(items: Iterable, total: int, unit: str) -> Iterable:
    """No bar."""
    return items


@dataclass(frozen=True)
class Row:
    """A row of the table: its id, the files of each role, labels that are given, and the report to compare with."""

    id: str
    files: dict[str, list[Path]]
    labels: list[str] | None
    reference: str

    @property
    def digest(self) -> str:
        """Of all that a prediction depends on but the model, and of the reference; empty where a file is missing."""
        with suppress(InputError, OSError):
            files = [file_digest(path) for paths in self.files.values() for path in paths]
            return sha256(json.dumps([files, self.labels, self.reference]).encode())
        return ""


def evaluate_model(
    pipe,
    table: str | os.PathLike,
    out: str | os.PathLike,
    *,
    metrics: Sequence[str] | None = None,
    section: str | None = None,
    dataset: str = "local/reports",
    options: dict[str, dict] | None = None,
    seed: int = 0,
    text_column: str | None = None,
    slide_mpp: float | None = None,
    slide_mpp_csv: str | os.PathLike | None = None,
    override_slide_mpp: bool = False,
    allow_foreign_features: bool = False,
    orient: str | None = None,
    frame: int | None = None,
    any_modality: bool = False,
    batch_size: int = 4,
    progress: Progress = unseen,
    share: Share = ALL,
    engine: RayEngine | None = None,
    loading: dict | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> tuple[Evaluation | None, list[Failure]]:
    """Report every row of a table and score what was written; `predictions.jsonl` grows as it goes.

    Args:
        pipe: from `loading.load`.
        table: CSV, JSONL, Parquet or a `datasets` folder; paths are relative to it. Ids are its column `id`, else the
            rows' numbers.
        out: folder, new or empty; see `RunFolder`. It gets what `evaluate_files` writes too.
        metrics, section, dataset, options, seed: as in `evaluate_files`.
        text_column: of the references; by default `text`, `report` or `reference`.
        slide_mpp, slide_mpp_csv, override_slide_mpp, allow_foreign_features: of slides, as in `report_any`.
        orient, frame, any_modality: of all films, as in `read_film`.
        batch_size: rows a pass.
        progress: (items, total, unit) -> the items, for a bar.
        share: of the rows, which this process reports. The one that ends last in a folder scores them all, without
            `predictions.jsonl` until then.
        engine, loading: report the rows there, by workers that load the model with these arguments of `loading.load`.

    Returns:
        The evaluation, None while other shares are missing; and the rows of this share that could not be reported: they
        are not in its figures, but in its notes.

    Raises:
        InputError: the table, a column or an argument cannot be used, or no row could be reported.
    """
    check_pyarrow()
    check_dataset(dataset)
    check_orient(orient)
    of_films = {"orient": orient, "frame": frame, "any_modality": any_modality}
    of_slides = {"override_slide_mpp": override_slide_mpp, "allow_foreign_features": allow_foreign_features}
    if system_of(pipe.model).reads == "slide":
        refuse_film_options(of_films, pipe)
    else:
        refuse_slide_options({"slide_mpp": slide_mpp, "slide_mpp_csv": slide_mpp_csv, **of_slides}, pipe)
    chosen = DEFAULT_METRICS if metrics is None else metrics
    chosen_metrics(chosen, options or {})  # what is wrong here is said before the work
    if section is not None:
        ReportPairs("section", ["1"], ["none"], [["none"]]).section(section)
    rows = table_rows(Path(table).absolute(), system_of(pipe.model).reads, text_column)
    arguments = source_of(pipe) | {"metrics": metrics and list(metrics), "section": section, "dataset": dataset}
    slides = [path for row in rows for path in row.files.get("slides", ())]
    told = told_by(slides, slide_mpp, slide_mpp_csv, override_slide_mpp)
    arguments |= {"seed": seed, "slide_mpp": slide_mpp, **of_slides, **of_films}
    arguments["slide_mpp_csv"] = slide_mpp_csv and sha256(Path(slide_mpp_csv))
    arguments["options"] = {
        name: {key: str(value) for key, value in each.items()} for name, each in (options or {}).items()
    }
    # Of several processes one may find that the others have begun.
    kept = {"resume": resume, "overwrite": overwrite, "records": "records.jsonl", "alone": share.of == 1}
    with RunFolder(out, "evaluate model", arguments, **kept) as folder:
        folder.expect(row.id for row in rows)
        mine = share.take(rows)
        folder.total = len(mine)
        of_input = {"slide_mpp": told, **of_slides} if slides else {}
        if engine is None:
            write = partial(write_rows, pipe, of_input, of_films, batch_size)
        else:
            write = partial(rows_by, engine, with_whole_path(loading), of_input, of_films, batch_size)
        results = report_rows(write, mine, folder, progress, live=share.of == 1)
        failures = [Failure(each["film"], each["message"]) for each in results if "message" in each]
        ids, name = [row.id for row in rows], Path(table).name
        if engine is not None:
            folder.in_order(ids)
        score = partial(score_rows, folder, name=name, options=options or {}, progress=progress)
        evaluation = finish_share(folder, share, ids, results, lambda all, _: score(all))
    return evaluation, failures


def score_rows(
    folder: RunFolder,
    results: list[dict],
    *,
    name: str,
    options: dict[str, dict] | None = None,
    progress: Progress = unseen,
) -> Evaluation:
    """Write the predictions of all rows, and what the suite says of them.

    Args:
        folder: of the run, whose arguments say metrics, section, dataset and seed.
        results: of each row its prediction, or the fields of its failure.
        name: what an error calls the rows.
        options: of metrics, see `evaluate_reports`; by default as the run's arguments name them.
        progress: see `evaluate_model`.

    Raises:
        InputError: no row could be reported.
    """
    asked, failures = folder.run["arguments"], [each for each in results if "message" in each]
    if len(failures) == len(results):
        found = f"no row that could be reported ({failures[0]['message']})"
        raise InputError(name, found, "one", "mend it")
    if options is None:
        options = read_options(
            f"{metric}.{name}={value}" for metric, each in asked["options"].items() for name, value in each.items()
        )
    folder.write(PREDICTIONS, b"".join(_line(each) for each in results if "message" not in each))
    predictions = folder.path / PREDICTIONS
    evaluation = evaluate_reports(
        read_predictions(predictions),
        DEFAULT_METRICS if asked["metrics"] is None else asked["metrics"],
        section=asked["section"],
        options=options,
        settings=Settings(seed=asked["seed"]),
        progress=lambda items: progress(items, len(items), "metrics"),
    )
    if failures:
        notes = evaluation.pairs.notes | {"rows that could not be reported": len(failures)}
        evaluation = replace(evaluation, pairs=replace(evaluation.pairs, notes=notes))
    evaluation = replace(evaluation, origin={"sha256": {"predictions": sha256(predictions)}})
    write_evaluation(evaluation, folder, asked["dataset"])
    return evaluation


def table_rows(path: Path, reads: str, text_column: str | None) -> list[Row]:
    """The rows of a table.

    Raises:
        InputError: no column of images or of texts, a row without a reference, or an id that stands twice.
    """
    rows = read_rows(path)
    present = list(rows[0]) if len(rows) else []
    images = [name for name in COLUMNS[reads] if name in present]
    texts = [name for name in ((text_column,) if text_column else TEXTS) if name in present]
    for found, wanted, remedy in ((images, COLUMNS[reads], "name the images so"), (texts, TEXTS, "give `text_column`")):
        if not found:
            there = f"columns {', '.join(present)}" if present else "no rows"
            raise InputError(path.name, there, f"a column {' or '.join(wanted)}", remedy)
    columns = {"frontal": images[0]} if reads == "film" else {"slides": images[0]} if reads == "slide" else {}
    if reads == "pair":
        columns = {"frontal": next((name for name in images if name != "lateral"), None), "lateral": "lateral"}
    made = [_row(path, row, number, columns, texts[0]) for number, row in enumerate(rows, start=1)]
    seen = set()
    for row in made:
        if row.id in seen:
            raise InputError(path.name, f"the id '{row.id}' twice", "an id a row", "correct the column 'id'")
        seen.add(row.id)
    return made


def _row(path: Path, row: dict, number: int, columns: dict[str, str], text: str) -> Row:
    where = f"{path.name}, row {number}"
    if not isinstance(row[text], str) or not row[text].strip():
        raise InputError(where, f"no text in '{text}'", "a report to compare with", "fill it in or drop the row")
    files = {}
    for role, column in {**columns, "mask": "mask"}.items():
        cell = row.get(column)
        named = cell if isinstance(cell, list) else [cell]
        paths = [path.parent / str(one).strip() for one in named if one is not None and str(one).strip()]
        if paths:
            files[role] = paths
    labels = row.get("labels")
    labels = None if labels is None or labels == "" else read_labels(labels, where)
    return Row(str(row.get("id") or number).strip(), files, labels, row[text])


def report_rows(write: Callable, rows: list[Row], folder: RunFolder, progress: Progress, live: bool) -> list[dict]:
    """Have what an earlier run has not reported; returns each row's prediction, or its failure.

    Args:
        write: rows -> each of them with its record or `Failure`, in any order.
        live: whether `predictions.jsonl` gets a line a row as it is done; in the end it is written anew, in the rows'
            order.
    """
    digests = {row.id: row.digest for row in rows}
    done = {row.id: folder.done(row.id, digests[row.id]) for row in rows}
    waiting = [row for row in rows if done[row.id] is None]
    if live:
        folder.write(PREDICTIONS, b"".join(_line(record) for record in done.values() if record is not None))
        folder.begun(PREDICTIONS)
    for row, result in progress(write(waiting), len(waiting), "rows"):
        if isinstance(result, Failure):
            done[row.id] = {"id": row.id, "film": result.film, "message": result.message}
            folder.fail()
            continue
        done[row.id] = result
        if live:
            folder.append(PREDICTIONS, result)
        folder.add(row.id, result, digest=digests[row.id])
    return list(done.values())


def write_rows(
    pipe, of_slides: dict, of_films: dict, batch_size: int, rows: list[Row]
) -> Iterator[tuple[Row, dict | Failure]]:
    """Report rows in this process, a batch after the other, each with what `predictions.jsonl` keeps of it."""
    takes = pipe.model.takes()

    def read(row: Row) -> dict:
        case, notes = case_of(row, takes, of_films)
        for note in notes:
            logger.warning("row %s: %s", row.id, note)
        return case

    def write(batch: list[tuple[Row, dict]]) -> list[dict]:
        return [record for (record,) in pipe([case for _, case in batch], batch_size=len(batch), **of_slides)]

    results = in_batches(rows, lambda row: f"row {row.id}", read, write, batch_size)
    for row, result in zip(rows, results, strict=True):
        if not isinstance(result, Failure):
            told = {name: result[name] for name in ("labels", "label_source") if result.get(name) is not None}
            result = {"id": row.id, "prediction": result["generated_text"], "reference": row.reference, **told}
        yield row, result


def rows_by(
    engine: RayEngine, loading: dict, of_slides: dict, of_films: dict, batch_size: int, rows: list[Row]
) -> Iterator[tuple[Row, dict | Failure]]:
    """The same by workers, as the rows come."""
    make = partial(row_worker, loading, of_slides, of_films, batch_size)
    for batch, results in engine.run(make, in_batches_of(batch_size, rows)):
        if isinstance(results, Exception):
            results = [(row, Failure(f"row {row.id}", why_of(f"row {row.id}", results))) for row in batch]
        yield from results


def row_worker(
    loading: dict, of_slides: dict, of_films: dict, batch_size: int
) -> Callable[[list[Row]], list[tuple[Row, dict | Failure]]]:
    """A worker that reports rows."""
    pipe = load(**loading)
    return lambda rows: list(write_rows(pipe, of_slides, of_films, batch_size, rows))


def case_of(row: Row, takes: dict[str, str], of_films: dict) -> tuple[dict, list[str]]:
    """What the pipeline is given of a row, its films read, of slides the paths; and what must be known of the films.

    Raises:
        InputError: a film that cannot be read or is refused, or none.
    """
    if "slides" in row.files:
        return {"slides": [str(path) for path in row.files["slides"]]}, []
    frontal, lateral = (row.files.get(view, [None])[0] for view in ("frontal", "lateral"))
    if frontal is None and lateral is None:
        raise InputError(f"row {row.id}", "no image", "one at least", "fill it in or drop the row")
    if lateral is None:
        films = {"frontal": read_film(frontal, **of_films)}
    else:
        films = read_pair(Pair(frontal, lateral), **of_films)
    case = {view: film.pixels for view, film in films.items()}
    if "mask" in takes and "mask" in row.files:
        for film in films.values():
            refuse_mask(film, f"row {row.id}")
        case["mask"] = read_mask(row.files["mask"][0])
    if "labels" in takes and row.labels is not None:
        case["labels"] = row.labels
    return case, list(dict.fromkeys(note for film in films.values() for note in film.notes))


def _line(record: dict) -> bytes:
    return f"{json.dumps(record)}\n".encode()
