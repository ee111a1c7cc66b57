"""Reports whose films lie in archives: what RadScribe's tables and WebDataset shards have in common.

Everything that can be known without decoding a film is checked when the set is opened. Films are read when a record is
asked for, so any number of data-loading workers gives the same records.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from hf_medreport.data.archives.films import Films
from hf_medreport.data.table_films import TableFilms
from hf_medreport.data.undecodable import decodable
from hf_medreport.files.rows import RepeatedField, parse_json
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.label_text import read_labels

HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")  # JSON can hold it, no encoding and no tokenizer can


@dataclass(frozen=True, slots=True)
class ArchivedReport:
    """One report and where its film lies.

    Args:
        id: as the set names it.
        text: the report.
        labels: CheXpert names, an empty list where nothing was found, None where labels are not known.
        films, member: what holds the film, and under which name.
        where: what messages call the row.
    """

    id: str
    text: str
    labels: list[str] | None
    films: Films = field(repr=False)
    member: str
    where: str


class ArchivedReports:
    """Records `{"image", "text", "labels", "mask", "id"}`; `image` as `read_film` gives it, `mask` is None.

    Args:
        path: what messages call the set.
        rows: the reports, and an error for each one that is bad.
        on_bad: `"raise"` stops at bad rows and names the first; `"skip"` leaves them out, also those whose film does
            not decode (each is read once for it), and keeps their messages in `skipped`.
        film_options: `orient`, `frame` and `any_modality` of all films, as in `read_film`.

    Raises:
        InputError: no usable row, or bad rows with `on_bad="raise"`.
    """

    def __init__(self, path: Path, rows: Iterable[ArchivedReport | InputError], on_bad: str = "raise", **film_options):
        if on_bad not in ("raise", "skip"):
            raise InputError("on_bad", f"'{on_bad}'", "raise or skip", "choose one of them")
        self.path, self.films = path, TableFilms(**film_options)
        self.rows, problems = [], []
        for row in rows:
            (problems if isinstance(row, InputError) else self.rows).append(row)
        if problems and on_bad == "raise":
            problem = problems[0]
            remedy = f"{problem.remedy} (bad rows in all: {len(problems)}; skip_bad_rows leaves them out)"
            raise InputError(problem.name, problem.found, problem.expected, remedy)
        self.skipped = [str(problem) for problem in problems]
        if on_bad == "skip":
            self.rows = decodable(self, self.rows, self.skipped)
        if not self.rows:
            first = f"first: {self.skipped[0]}" if self.skipped else "check the path"
            raise InputError(self.path.name, "no usable row", "films with reports", first)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict:
        row = self.rows[index]
        name = f"{row.where} ({PurePosixPath(row.member).name})"
        image = self.films(row.films.read(row.member), name).pixels
        return {"image": image, "text": row.text, "labels": row.labels, "mask": None, "id": row.id}

    def texts(self) -> Iterator[str]:
        """Every report, without reading a film."""
        return (row.text for row in self.rows)

    def labels(self) -> Iterator[list[str] | None]:
        """The labels of every report."""
        return (row.labels for row in self.rows)


def text_of(value: object, where: str) -> str:
    """A report; InputError of a cell that holds none."""
    if value is None or (isinstance(value, str) and not value.strip()):
        raise InputError(where, "no text in 'text'", "a report", "fill it in or drop the row")
    if not isinstance(value, str):
        raise InputError(where, f"{type(value).__name__} in 'text'", "a report", "write it as text")
    if HALF_A_CHARACTER.search(value):
        raise InputError(where, "half a character in 'text'", "a report", "write it again as UTF-8")
    return value


def labels_of(value: object, where: str) -> list[str] | None:
    """The labels of a row, none of an empty string; None where nothing is known."""
    return None if value is None else read_labels(value, where)


def json_object(content: bytes, where: str) -> dict:
    """The object in a line of JSONL or in a file; InputError of anything else."""
    try:
        value = parse_json(utf8(content, where))
    except InputError:
        raise
    except RepeatedField as error:
        raise InputError(where, str(error), "each field once", "mend it") from error
    except ValueError as error:  # also numbers of 5,000 digits and nesting without end
        reason = getattr(error, "msg", "too large or too deep")
        raise InputError(where, f"broken JSON ({reason})", "one object", "mend it") from error
    if not isinstance(value, dict):
        raise InputError(where, f"a {type(value).__name__}", "one object", "mend it")
    return value


def utf8(content: bytes, where: str) -> str:
    """Text of bytes, a byte order mark left out; InputError unless they are UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(where, "text that is not UTF-8", "UTF-8", "save it as UTF-8") from error
