"""Slides' features and their reports: HistGen's annotation.json, or a table of feature files.

HistGen's form is `{"train" | "val" | "test": [{"id", "report", "image_path": [...]}]}`; the features of a record lie in
one folder, as `ID.safetensors`, `.pt` or `.h5`, or under the names in `image_path`: several of these are several slides
of one case. A table (CSV, JSONL, Parquet) has a column with a feature file, or a list of them, a row, and one with the
report.

Everything that can be known without reading features is checked when the data is opened: also whether all files say
the same encoder, resolution and size of tiles (`learned_from`). Features are read when a record is asked for.

    reports = SlideReports.from_annotation("annotation.json", "train", "dinov2_vitl")
    reports[0]  # {"slides": [PatchFeatures, ...], "text": "..."}
"""

import logging
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from hf_medreport.files.rows import RepeatedField, parse_json, read_rows, read_text
from hf_medreport.processing.feature_files import PatchFeatures, read_features, read_info
from hf_medreport.processing.feature_origin import gathered, unsaid
from hf_medreport.processing.file_suffixes import FEATURE_SUFFIXES
from hf_medreport.processing.input_error import InputError

__all__ = ["SPLITS", "SlideReports", "ThinnedBags"]

logger = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
SEPARATOR = r"[/\\]"
ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,10}$")  # as files have them: .svs, .safetensors; a UUID is none
EXPECTED = '{"train": [{"id", "report", "image_path"}], "val": [...], "test": [...]}'


class SlideReports:
    """Records of one split, lazily read.

    Args:
        records: (name for messages, feature files, report) each.
        width: of the features, as the model takes them; None takes the first file's.
        allow_foreign_features: whether files may say different encoders, resolutions or sizes of tiles.

    Attributes:
        learned_from: what the files say of these together, as a model's processor keeps it.
        silent: files that do not say all of it.

    Raises:
        ForeignFeatures: a file of another kind than those before it.
    """

    def __init__(
        self,
        records: list[tuple[str, list[Path], str]],
        width: int | None = None,
        allow_foreign_features: bool = False,
    ):
        self.records = records
        self.width = width if width is not None else self._read(0)[0].features.shape[1]
        self._lengths: list[int] | None = None
        headers = {file: read_info(file) for _, files, _ in records for file in files}
        bags = [(file.name, info) for file, info in headers.items()]
        self.learned_from = gathered(bags, allow_foreign_features)
        self.silent = [name for name, info in bags if unsaid(info)]

    @classmethod
    def from_annotation(
        cls,
        path: str | os.PathLike,
        split: str,
        features: str | os.PathLike,
        width: int | None = None,
        on_bad: str = "raise",
        allow_foreign_features: bool = False,
    ) -> "SlideReports":
        """The records of one split of an annotation.json.

        Args:
            path: the annotation file.
            split: "train", "val" or "test".
            features: folder of the feature files.
            width: of the features; None takes the first file's.
            on_bad: "raise" names the first record that cannot be used; "skip" leaves such records out and says so.
            allow_foreign_features: as of the class.

        Raises:
            InputError: no such file or folder, another form, an unknown split, records without report or features, ids
                that repeat, or no usable record.
        """
        path, folder = Path(path), Path(features)
        rows = read_annotation(path, split)
        if not folder.is_dir():
            raise InputError(folder.name, "no such folder", "a folder of feature files", "check `features`")
        there = {file.name for file in folder.iterdir()}
        seen: set[str] = set()

        def files_of(row, where: str) -> list[Path]:
            if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not row["id"]:
                raise InputError(where, "no id", "a record with id and report", "mend the record")
            if row["id"] in seen:
                raise InputError(where, f"the id {row['id']} again", "each id once", "drop one of the two")
            seen.add(row["id"])
            return _named_files(row, folder, there, where)

        usable = _usable(rows, f"{path.name}, {split}", files_of, "report", on_bad)
        return cls(usable, width, allow_foreign_features)

    @classmethod
    def from_table(
        cls,
        path: str | os.PathLike,
        features_column: str = "features",
        text_column: str = "text",
        width: int | None = None,
        on_bad: str = "raise",
        allow_foreign_features: bool = False,
    ) -> "SlideReports":
        """The rows of a CSV, JSONL or Parquet table; paths are absolute or relative to the table's folder.

        Raises:
            InputError: as for an annotation.
        """
        path = Path(path)
        rows = read_rows(path)
        columns = list(rows[0]) if len(rows) else []
        for column in (features_column, text_column):
            if column not in columns:
                found = f"columns {', '.join(columns)}" if columns else "no rows"
                raise InputError(path.name, found, f"a column '{column}'", "name the column")

        def files_of(row: dict, where: str) -> list[Path]:
            value = row[features_column]
            named = [value] if isinstance(value, str) else value
            if not isinstance(named, list) or not named or not all(isinstance(one, str) and one for one in named):
                raise InputError(where, "no feature file", f"a path or a list in '{features_column}'", "fill it in")
            files = [Path(one) if os.path.isabs(one) else path.parent / one for one in named]
            for file in files:
                if not file.is_file():
                    raise InputError(where, f"no file {file.name}", "an existing feature file", "tile the slide")
            return files

        return cls(_usable(rows, path.name, files_of, text_column, on_bad), width, allow_foreign_features)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict:
        return {"slides": self._read(index), "text": self.records[index][2]}

    def texts(self) -> Iterator[str]:
        """Every report, without reading features."""
        return (text for _, _, text in self.records)

    @property
    def lengths(self) -> list[int]:
        """Patches of each record; of safetensors only headers are read."""
        if self._lengths is None:
            self._lengths = [sum(map(_patches, files)) for _, files, _ in self.records]
        return self._lengths

    def _read(self, index: int) -> list[PatchFeatures]:
        where, files, _ = self.records[index]
        bags = [read_features(file) for file in files]
        for file, bag in zip(files, bags, strict=True):
            width = getattr(self, "width", bag.features.shape[1])  # the first record sets it
            if bag.features.shape[1] != width:
                found, expected = f"{file.name} of width {bag.features.shape[1]}", f"width {width}"
                raise InputError(where, found, expected, "encode all slides with one patch encoder")
        return bags


class ThinnedBags:
    """Training records with a random part of their patches, another in every epoch.

    Which part depends on seed, epoch and record alone: not on the batch, nor on what else draws random numbers, so a
    resumed run sees what the run that was killed would have seen.

    Args:
        reports: the records.
        keep: smallest share of a bag's patches that is kept; the share is drawn between this and 1.
        seed: of all chance.
        epoch: tells the current epoch.
    """

    def __init__(self, reports: SlideReports, keep: float, seed: int, epoch: Callable[[], int]):
        self.reports, self.keep, self.seed, self.epoch = reports, keep, seed, epoch
        self.width, self.texts = reports.width, reports.texts

    def __len__(self) -> int:
        return len(self.reports)

    @property
    def lengths(self) -> list[int]:
        """Patches of each record before thinning."""
        return self.reports.lengths

    def __getitem__(self, index: int) -> dict:
        record, rng = self.reports[index], np.random.default_rng((self.seed, self.epoch(), index))
        return {**record, "slides": [self._thinned(bag, rng) for bag in record["slides"]]}

    def _thinned(self, bag: PatchFeatures, rng: np.random.Generator) -> PatchFeatures:
        kept = rng.random(len(bag.features)) < rng.uniform(self.keep, 1)
        kept[rng.integers(len(kept))] = True  # never an empty bag
        coordinates = None if bag.coordinates is None else bag.coordinates[kept]
        return PatchFeatures(bag.features[kept], coordinates, bag.info)


def read_annotation(path: Path, split: str) -> list:
    """The records of one split as they stand in the file."""
    if split not in SPLITS:
        raise InputError("split", f"'{split}'", f"one of {', '.join(SPLITS)}", "name a split of the annotation")
    try:
        content = parse_json(read_text(path, EXPECTED))
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(path.name, "no such file", "an annotation.json", "check the path") from error
    except RepeatedField as error:
        raise InputError(path.name, str(error), "each field once", "mend the file") from error
    except (ValueError, OSError) as error:  # broken JSON, a folder
        raise InputError(path.name, "no valid JSON", EXPECTED, "write the file again") from error
    if not isinstance(content, dict) or not isinstance(content.get(split), list):
        found = f"no list '{split}'" if isinstance(content, dict) else f"a {type(content).__name__}"
        raise InputError(path.name, found, EXPECTED, "mend the file")
    return content[split]


def _usable(rows, name: str, files_of, text_field: str, on_bad: str) -> list[tuple[str, list[Path], str]]:
    """The records whose report is there and whose features exist."""
    if on_bad not in ("raise", "skip"):
        raise InputError("on_bad", f"'{on_bad}'", "raise or skip", "choose one of them")
    records, problems = [], []
    for number, row in enumerate(rows, start=1):
        where = f"{name}, record {number}"
        try:
            files = files_of(row, where)
            text = row.get(text_field)
            if not isinstance(text, str) or not text.strip():
                raise InputError(where, f"no text in '{text_field}'", "a report", "fill it in or drop the record")
            records.append((where, files, text))
        except InputError as problem:
            problems.append(problem)
    if problems and on_bad == "raise":
        first = problems[0]
        remedy = f"{first.remedy} (bad records in all: {len(problems)}; skip_bad_rows leaves them out)"
        raise InputError(first.name, first.found, first.expected, remedy)
    if problems:
        logger.warning("%s: %d bad records left out, first: %s", name, len(problems), problems[0])
    if not records:
        raise InputError(name, "no usable record", "features with reports", "check the file")
    return records


def _named_files(row: dict, folder: Path, there: set[str], where: str) -> list[Path]:
    """The feature files of a record: its id's, else those that `image_path` names."""
    paths = row.get("image_path") or []
    paths = [paths] if isinstance(paths, str) else paths if isinstance(paths, list) else []
    named = [_stored(str(path), there) for path in paths]
    of_id = _stored(row["id"], there)
    if of_id or not paths:
        paths, named = [row["id"]], [of_id]
    for path, file in zip(paths, named, strict=True):
        if file is None:
            what = f"no features of {re.split(SEPARATOR, str(path))[-1]} in {folder.absolute().name}/"
            raise InputError(where, what, "a .safetensors, .pt or .h5 of this name", "tile the slide")
    return [folder / file for file in named]


def _stored(name: str, there: set[str]) -> str | None:
    """The feature file of a slide that is named with folders (of any system) and an ending, or without.

    A name without an ending may hold dots itself (TCGA-XX-XXXX-01Z-00-DX1.UUID): whole names go first.
    """
    name = re.split(SEPARATOR, name)[-1]
    stems = [name, name.removesuffix(found[0])] if (found := ENDING.search(name)) else [name]
    return next((stem + suffix for stem in stems for suffix in FEATURE_SUFFIXES if stem + suffix in there), None)


def _patches(file: Path) -> int:
    try:
        with safe_open(file, framework="numpy") as opened:
            return opened.get_slice("features").get_shape()[0]
    except SafetensorError:  # of another kind, or broken: its reader says how
        return len(read_features(file).features)
