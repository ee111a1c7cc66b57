"""The data of RadScribe's recipes: films with reports and labels, from tables, archives or the phantom."""

from dataclasses import dataclass, field
from pathlib import Path

from torch.utils.data import ConcatDataset

from hf_medreport.data.archives.films import shard_paths
from hf_medreport.data.archives.radscribe import RadScribeReports
from hf_medreport.data.archives.webdataset import WebDatasetReports
from hf_medreport.data.drawn.films import PhantomReports, PhantomSource
from hf_medreport.data.tables import ReportDataset
from hf_medreport.processing.input_error import InputError
from hf_medreport.training.recipe import FilmDataArguments, check_source, log_skipped, tables_of


@dataclass
class DataArguments(FilmDataArguments):
    """The data: tables, archives or shards of films and reports, or the phantom."""

    train_data: list[str] = field(
        default_factory=list,
        metadata={"help": "CSV, JSONL, Parquet, datasets folders, or WebDataset shards (train-{000..003}.tar)."},
    )
    train_archives: list[str] = field(
        default_factory=list,
        metadata={"help": "Folder or .tar(.gz) of the films of each of RadScribe's JSONL tables, in their order."},
    )
    train_weights: list[float] | None = field(
        default=None, metadata={"help": "How much of an epoch comes from each source. Default: as many as it has."}
    )
    validation_archive: str | None = field(default=None, metadata={"help": "Films of validation_data."})
    image_column: str = "image"
    text_column: str = "text"
    labels_column: str | None = field(default=None, metadata={"help": "Of CheXpert names. Default: no labels."})
    max_text_tokens: int = field(default=512, metadata={"help": "Longer reports are cut."})


def check_data(data: DataArguments) -> None:
    """Refuse sources that do not go together."""
    check_source(data)
    sources = len(data.train_data)
    if data.train_archives and len(data.train_archives) != sources:
        found = f"{len(data.train_archives)} for {sources} tables"
        raise InputError("train_archives", found, "one a table", "give as many, or none")
    if data.validation_archive and not data.validation_data:
        raise InputError("validation_archive", "no validation_data", "both", "name the table, or leave the films out")
    if data.train_weights is not None and len(data.train_weights) != sources:
        found = f"{len(data.train_weights)} weights for {sources} tables"
        raise InputError("train_weights", found, "one weight a table", "give as many weights as tables")
    if data.train_weights and (min(data.train_weights) < 0 or not any(data.train_weights)):
        found = ", ".join(f"{weight:g}" for weight in data.train_weights)
        raise InputError("train_weights", found, "0 or more each, and not all 0", "correct them")


def load_data(data: DataArguments, image_size: int, evaluates: bool) -> tuple:
    """Training set, validation set or None, and the weight of each training record or None.

    Args:
        image_size: side of the phantom's films.
        evaluates: whether a validation set is wanted.
    """
    if data.phantom_cases:
        source = {"seed": data.phantom_seed, "size": image_size}
        validation = PhantomSource(data.phantom_validation_cases, **source, split="validation")
        training = PhantomReports(PhantomSource(data.phantom_cases, **source))
        return training, PhantomReports(validation) if evaluates else None, None
    archives = data.train_archives or [None] * len(data.train_data)
    sources = [open_reports(path, archive, data) for path, archive in zip(data.train_data, archives, strict=True)]
    validation = open_reports(data.validation_data, data.validation_archive, data) if evaluates else None
    log_skipped([*sources, *([validation] if validation else [])])
    weights = None
    if data.train_weights is not None:
        pairs = zip(sources, data.train_weights, strict=True)
        weights = [weight / len(source) for source, weight in pairs for _ in range(len(source))]
    return ConcatDataset(sources), validation, weights


def open_reports(path: str, archive: str | None, data: DataArguments):
    """A data set of records with `image`, `text` and `labels`."""
    on_bad = "skip" if data.skip_bad_rows else "raise"
    if archive is not None:
        return RadScribeReports(path, archive, on_bad=on_bad, **data.of_films)
    if path.endswith((".tar", ".tar.gz", ".tgz")):
        return WebDatasetReports(path, on_bad=on_bad, **data.of_films)
    columns = {"image_column": data.image_column, "text_column": data.text_column}
    return ReportDataset(path, **columns, labels_column=data.labels_column, on_bad=on_bad, **data.of_films)


def inputs_of(data: DataArguments) -> list[Path]:
    """The files of all sources for the manifest: tables, archives and shards. Folders of films are left out."""
    archives = [*data.train_archives, *([data.validation_archive] if data.validation_archive else [])]
    shards = [path for table in tables_of(data) for path in shard_paths(table)]
    return shards + [path for name in archives for path in shard_paths(name) if not path.is_dir()]


def labels_of(records) -> list[list[str] | None]:
    """The labels of every record of a data set, or of several joined by torch; None where they are not known."""
    sources = records.datasets if isinstance(records, ConcatDataset) else [records]
    return [labels for source in sources for labels in source.labels()]
