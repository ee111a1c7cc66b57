"""Tables of films and reports: CSV, JSONL, Parquet, or a folder saved by `datasets`.

Everything that can be known without decoding a film is checked when a table is opened, and said with the row it
concerns. Films are read when a record is asked for, and beforehand only to skip those that do not decode.

    table = ReportDataset("train.csv", image_column="path", text_column="findings")
    table[0]  # {"image": (height, width) float32, "text": "...", "mask": None}
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from hf_medreport.data.table_films import TableFilms
from hf_medreport.data.undecodable import decodable
from hf_medreport.files.rows import ArrowRows, read_rows
from hf_medreport.processing.film_reading import refuse_mask
from hf_medreport.processing.image_reading import read_mask
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.label_text import read_labels


class ReportDataset:
    """Records of one table.

    Args:
        path: the table.
        image_column, text_column, mask_column: names of the columns. A film is a path (absolute, or relative to the
            table's folder and inside it), or the `{"bytes", "path"}` that `datasets` stores.
        lateral_column, label_column: of a second view and of a classification, 0 (normal) or 1 (abnormal); cells may be
            empty. With either one, records also hold `lateral` and `abnormal`.
        labels_column: of CheXpert names, as a list or as RadScribe's string ("'Cardiomegaly', 'Edema'"); of a film that
            shows nothing [], `''` or "No Finding". Records then also hold `labels`: a list, None of an empty cell.
        orient, frame, any_modality: of all films, as in `read_film`: one that is no chest film by its DICOM header, or
            lies otherwise, raises when its record is asked for.
        on_bad: `"raise"` stops at bad rows and names the first; `"skip"` leaves them out, also those whose film does
            not decode (each is read once for it), and keeps their messages in `skipped`.

    Raises:
        InputError: no such table, a broken line, a column that is not there, or bad rows with `on_bad="raise"`.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        image_column: str = "image",
        text_column: str = "text",
        mask_column: str | None = None,
        on_bad: str = "raise",
        lateral_column: str | None = None,
        label_column: str | None = None,
        labels_column: str | None = None,
        orient: str | None = None,
        frame: int | None = None,
        any_modality: bool = False,
    ):
        if on_bad not in ("raise", "skip"):
            raise InputError("on_bad", f"'{on_bad}'", "raise or skip", "choose one of them")
        self.films = TableFilms(orient, frame, any_modality)
        self.path = Path(path)
        self.folder = self.path.parent.resolve()
        self.columns = {"image": image_column, "text": text_column, "mask": mask_column}
        self.columns |= {"lateral": lateral_column, "label": label_column, "labels": labels_column}
        self.skipped: list[str] = []
        rows = read_rows(self.path)
        self._check_columns(rows)
        self.rows, self.kept, problems = rows, [], []
        for index, row in enumerate(rows):
            problem = self._problem(row, index + 1)
            if problem is None:
                self.kept.append(index)
            else:
                problems.append(problem)
        if problems and on_bad == "raise":
            problem = problems[0]
            remedy = f"{problem.remedy} (bad rows in all: {len(problems)}; skip_bad_rows leaves them out)"
            raise InputError(problem.name, problem.found, problem.expected, remedy)
        self.skipped = [str(problem) for problem in problems]
        if on_bad == "skip":
            self.kept = decodable(self, self.kept, self.skipped, os.cpu_count() or 1)
        if not self.kept:
            raise InputError(self.path.name, "no usable row", "films with reports", "check the table")

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, index: int) -> dict:
        number = self.kept[index]
        row = self.rows[number]
        film = self._picture(row, "image", number, self.films)
        mask = self._picture(row, "mask", number, read_mask)
        if mask is not None:
            refuse_mask(film, f"{self.path.name}, row {number + 1}")
        record = {"image": film.pixels, "text": row[self.columns["text"]], "mask": mask}
        if self.columns["lateral"] or self.columns["label"]:
            lateral = self._picture(row, "lateral", number, self.films)
            record["lateral"] = None if lateral is None else lateral.pixels
            record["abnormal"] = classification(row[self.columns["label"]]) if self.columns["label"] else None
        if self.columns["labels"]:
            record["labels"] = observations(row[self.columns["labels"]], self.columns["labels"])
        return record

    def _picture(self, row: dict, role: str, number: int, read):
        """The picture of a row, None where it has none."""
        value = row[self.columns[role]] if self.columns[role] else None
        if value in (None, ""):
            return None
        return read(picture_source(value, self.folder), name=self._name(value, number + 1))

    def texts(self) -> Iterator[str]:
        """Every report, without reading a film."""
        return (self._cell(number, self.columns["text"]) for number in self.kept)

    def labels(self) -> Iterator[list[str] | None]:
        """The labels of every record, without reading a film; None where there is no `labels_column`."""
        column = self.columns["labels"]
        return (observations(self._cell(number, column), column) if column else None for number in self.kept)

    def _cell(self, number: int, column: str):
        """One cell; of an Arrow table without the row's films, which may lie in it."""
        return self.rows.cell(number, column) if isinstance(self.rows, ArrowRows) else self.rows[number][column]

    def _check_columns(self, rows: Sequence[dict]) -> None:
        present = list(rows[0]) if len(rows) else []
        for role, column in self.columns.items():
            if column is not None and column not in present:
                found = f"columns {', '.join(present)}" if present else "no rows"
                raise InputError(self.path.name, found, f"a column '{column}'", f"name it with `{role}_column`")

    def _problem(self, row: dict, number: int) -> InputError | None:
        """What is wrong with a row, films undecoded."""
        where = f"{self.path.name}, row {number}"
        text = row[self.columns["text"]]
        if not isinstance(text, str) or not text.strip():
            found = "no text" if text is None or isinstance(text, str) else f"{type(text).__name__} {text!r:.20}"
            return InputError(where, f"{found} in '{self.columns['text']}'", "a report", "fill it in or drop the row")
        if self.columns["label"]:
            try:
                classification(row[self.columns["label"]])
            except ValueError as error:
                expected = "0 (normal), 1 (abnormal) or an empty cell"
                return InputError(where, str(error), expected, f"correct '{self.columns['label']}'")
        if self.columns["labels"]:
            try:
                observations(row[self.columns["labels"]], where)
            except InputError as error:
                return error
        for role in ("image", "mask", "lateral"):
            column = self.columns[role]
            value = row[column] if column else None
            if column is None or (role != "image" and value in (None, "")):
                continue
            try:
                source = picture_source(value, self.folder)
            except ValueError as error:
                return InputError(where, str(error), f"a file inside {self.folder.name}/", f"correct '{column}'")
            if isinstance(source, Path) and not os.path.isfile(source):
                named = "an existing lateral film" if role == "lateral" else f"an existing {role}"
                return InputError(where, f"no file {source.name}", named, f"correct '{column}'")
        return None

    def _name(self, value, number: int) -> str:
        """What messages call the film of a row: the row, for file names repeat (CheXpert's `view1_frontal.jpg`)."""
        path = value.get("path") if isinstance(value, dict) else value
        return f"{self.path.name}, row {number}" + (f" ({Path(path).name})" if path else "")


def picture_source(value, folder: Path) -> Path | bytes:
    """The bytes or the path of the picture that a cell names; ValueError where it has neither or leaves `folder`.

    Args:
        value: a path (absolute, or relative to the folder and inside it), or the `{"bytes", "path"}` of `datasets`.
        folder: of the table's pictures, resolved.
    """
    if isinstance(value, dict):
        if isinstance(value.get("bytes"), bytes):
            return value["bytes"]
        value = value.get("path")
    if not isinstance(value, (str, os.PathLike)) or not str(value).strip():
        raise ValueError("no path")
    if os.path.isabs(value):
        return Path(value)
    path = os.path.normpath(value)
    if path.split(os.sep, 1)[0] == os.pardir:
        raise ValueError("a path that leaves the table's folder")
    return folder / path


def classification(cell) -> int | None:
    """0 or 1, None of an empty cell; ValueError says what else was found."""
    if cell is None or cell == "":
        return None
    if cell in (0, 1, "0", "1", "0.0", "1.0"):  # False and True are 0 and 1; pandas writes 1.0 in a column with gaps
        return int(float(cell))
    raise ValueError(f"label {cell!r:.20}")


def observations(cell, where: str) -> list[str] | None:
    """CheXpert names without "No Finding", None of an empty cell; raises what `read_labels` does."""
    return None if cell is None or cell == "" else read_labels(cell, where)
