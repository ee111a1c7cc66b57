"""Rows of tables: CSV (plain or compressed), JSONL, Parquet, or a folder saved by `datasets`.

`read_rows` reads any of them and stops at what is broken. Beneath it are readers of lines (`csv_lines`, `jsonl_lines`),
which give in a bad line's place what is wrong with it: for those who list bad lines and go on.

A CSV may part its fields by commas, semicolons, tabs or bars: its header tells. A column or a field that stands twice
is refused, for readers would keep the last one in silence.

    for row in read_rows(Path("films.csv")):
        print(row["path"])
"""

import csv
import gzip
import json
import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TextIO

from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.regular_file import refuse_special

__all__ = ["ArrowRows", "RepeatedField", "csv_lines", "csv_rows", "is_name", "jsonl_lines", "open_text", "parse_json"]
__all__ += ["read_rows", "read_text", "stream_rows"]

EXPECTED = "a .csv, .jsonl or .parquet file, or a folder of datasets or Parquet"
CHUNK_ROWS = 1024  # of Arrow that are made into dicts at once
MARK = b"\xef\xbb\xbf"
SEPARATORS = (",", ";", "\t", "|")
OTHER_MARKS = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read_rows(path: Path) -> Sequence[dict]:
    """The rows of a table as dicts.

    CSV, JSONL and Parquet are held in memory, a `datasets` folder is mapped from disk.

    Raises:
        InputError: no such table, one of another kind, or one that is broken: the first bad line is named.
    """
    if os.path.isdir(path):
        return _folder_rows(path)
    _check_file(path)
    readers = {".csv": lambda path: list(csv_rows(path)), ".jsonl": _jsonl_rows, ".parquet": _parquet_rows}
    if path.suffix.lower() not in readers:
        raise InputError(path.name, f"a '{path.suffix}' file", EXPECTED, "convert it")
    return readers[path.suffix.lower()](path)


def stream_rows(
    path: Path, mend: Callable[[list[str], list[str]], list[str]] = lambda header, values: values
) -> Iterator[tuple[str, dict | InputError]]:
    """The rows of a table one by one as they are read; memory holds no more of them than a chunk.

    Args:
        path: a table as `read_rows` takes it, CSV and JSONL compressed (.gz) too.
        mend: see `csv_lines`.

    Yields:
        where a row stands ("films.csv, line 3") and the row, or in its place what is wrong with it.

    Raises:
        InputError: no such table, one of another kind, or one that is broken as a whole.
    """
    kind = (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()
    if os.path.isdir(path) or kind not in (".csv", ".jsonl"):
        for number, row in enumerate(_arrow_stream(path), start=1):
            yield f"{path.name}, row {number}", row
        return
    _check_file(path)
    with open_text(path) as file:
        lines = csv_lines(file, path.name, mend=mend) if kind == ".csv" else jsonl_lines(file, path.name)
        for number, row in lines:
            yield f"{path.name}, line {number}", row


def _check_file(path: Path) -> None:
    refuse_special(path, EXPECTED)
    if not os.path.isfile(path):
        raise InputError(path, "no such file", EXPECTED, "check the path")
    if path.stat().st_size == 0:
        raise InputError(path.name, "an empty file", EXPECTED, "write the table again")


class ArrowRows(Sequence):
    """Rows of an Arrow table (`pyarrow.Table`), made into dicts one by one; the table may be mapped from disk."""

    def __init__(self, table):
        self.table = table

    def __len__(self) -> int:
        return self.table.num_rows

    def __getitem__(self, index: int) -> dict:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.table.slice(index, 1).to_pylist()[0]

    def cell(self, index: int, column: str):
        """One value of a row."""
        return self.table.column(column)[index].as_py()


# --- text -------------------------------------------------------------------------------------------------------------


@contextmanager
def open_text(path: Path, errors: str = "strict") -> Iterator[TextIO]:
    """A text file, plain or (.gz) compressed, to be read line by line as UTF-8 with or without a mark.

    Args:
        path: the file.
        errors: as of `open`; "surrogateescape" leaves it to the reader to find the lines that are no UTF-8.

    Raises:
        InputError: in the block, where the text turns out to be no UTF-8 or the gzip data to be damaged.
    """
    refuse_special(path, "a text file")
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rt", newline="", encoding="utf-8-sig", errors=errors) as file:
            yield file
    except UnicodeDecodeError as error:
        raise InputError(path.name, "text that is not UTF-8", "UTF-8", "save the table as UTF-8") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(path.name, "a damaged gzip file", "a complete one", "download it again") from error


def read_text(path: Path, expected: str) -> str:
    """The whole text of a file that people hand around, where an encoding may have gone wrong on the way.

    Args:
        path: the file.
        expected: what messages say that an empty file should have been.

    Raises:
        InputError: nothing in it, another encoding, several, or files that were joined; the first bad line is named.
    """
    refuse_special(path, expected)
    content = path.read_bytes()
    if not content:
        raise InputError(path.name, "an empty file (0 bytes)", expected, "write it again")
    for mark, encoding in OTHER_MARKS.items():
        if content.startswith(mark):
            raise InputError(path.name, f"{encoding} text", "UTF-8", "save the file as UTF-8")
    content = content.removeprefix(MARK)
    for bad, found, expected, remedy in (
        (b"\0", "a zero byte", "UTF-8 text", "save the file as UTF-8"),
        (MARK, "a byte order mark inside the file", "one file", "remove it: files were joined"),
    ):
        if bad in content:
            line = content[: content.index(bad)].count(b"\n") + 1
            raise InputError(f"{path.name}, line {line}", found, expected, remedy)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise _wrong_encoding(path.name, content) from None


def _wrong_encoding(name: str, content: bytes) -> InputError:
    good, bad = 0, []
    for number, line in enumerate(content.split(b"\n"), start=1):
        try:
            good += not line.decode("utf-8").isascii()
        except UnicodeDecodeError:
            bad.append(number)
    where = f"{name}, line {bad[0]}"
    if good:
        found = f"mixed encodings: UTF-8 on {_lines(good)}, not so on {_lines(len(bad))}"
        return InputError(where, found, "UTF-8 throughout", "mend the lines; the file was put together from several")
    return InputError(where, f"text that is not UTF-8 on {_lines(len(bad))}", "UTF-8", "save the file as UTF-8")


def _lines(count: int) -> str:
    return f"{count} line" + "s" * (count != 1)


# --- CSV --------------------------------------------------------------------------------------------------------------


def csv_rows(path: Path, columns: Sequence[str] = ()) -> Iterator[dict[str, str]]:
    """The rows of a CSV, plain or (.gz) compressed, one by one as they are read.

    Args:
        path: the table.
        columns: that there must be.

    Raises:
        InputError: at the first line that is broken; see `csv_lines`.
    """
    with open_text(path) as file:
        for _, row in csv_lines(file, path.name, columns):
            if isinstance(row, InputError):
                raise row
            yield row


def csv_lines(
    lines: Iterable[str],
    name: str,
    columns: Sequence[str] = (),
    headless: Callable[[list[str]], list[str] | None] = lambda first: None,
    mend: Callable[[list[str], list[str]], list[str]] = lambda header, values: values,
) -> Iterator[tuple[int, dict[str, str] | InputError]]:
    """(line number, row) of each row of a CSV; in a row's place what is wrong with it: quotes, too few or many fields.

    Args:
        lines: of the file, with their ends (`newline=""`). The header tells what parts the fields, or a line "sep=;"
            before it, as Excel writes it. Blanks around the names of columns are no part of them.
        name: what messages call it.
        columns: that there must be.
        headless: the fields of the first row -> the columns of a file that has no header, None of one that has.
        mend: the header and the fields of a row that has more or fewer -> its fields as they were meant, if it knows.

    Raises:
        InputError: a header that is broken, has a column twice or not one of `columns`.
    """
    lines, skipped = iter(lines), 0
    while (first := next(lines, "")).isspace():
        skipped += 1
    if marked := SEPARATOR_LINE.fullmatch(first):
        separator, skipped = marked[1], skipped + 1
    else:
        separator, lines = _separator(first), chain([first], lines)
    reader, header = csv.reader(lines, strict=True, delimiter=separator), None
    while True:
        try:
            values = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            where = f"{name}, line {skipped + reader.line_num}"
            broken = InputError(where, f"broken CSV ({error})", "quoted fields that end", "mend the line")
            if header is None:
                raise broken from None
            yield skipped + reader.line_num, broken
            continue
        if not values:  # a blank line is no row; an empty field alone is written ""
            continue
        if header is None:
            without = headless(values)
            header = _header(name, without or [value.strip() for value in values], columns)
            if not without:
                continue
        if len(values) != len(header):
            values = mend(header, values)
        if len(values) == len(header):
            yield skipped + reader.line_num, dict(zip(header, values, strict=True))
        else:
            where, expected = f"{name}, line {skipped + reader.line_num}", f"{len(header)} as in the header"
            yield skipped + reader.line_num, InputError(where, f"{len(values)} fields", expected, "mend the line")
    if header is None:
        _header(name, [], columns)


# What Excel writes before a header.
SEPARATOR_LINE = re.compile(r"\ufeff?sep=([,;\t|])\s*", re.IGNORECASE)


def is_name(field: str) -> bool:
    """Whether a field reads as the name of a column: at most five words, and no end of a sentence."""
    return len(field.split()) <= 5 and not re.search(r"[.!?]\s*(?:\s|\Z)", field)


def _separator(header: str) -> str:
    """What parts a header into the most names; a comma unless another sign does better."""
    try:
        parts = {sign: next(csv.reader([header], delimiter=sign), []) for sign in SEPARATORS}
    except csv.Error:  # a field of 131,072 signs, which the reader of rows will name
        return ","
    named = [sign for sign in SEPARATORS[1:] if len(parts[sign]) > len(parts[","]) and all(map(is_name, parts[sign]))]
    return max(named, key=lambda sign: len(parts[sign]), default=",")


def _header(name: str, header: list[str], columns: Sequence[str]) -> list[str]:
    repeated = [column for column, count in Counter(filter(None, header)).items() if count > 1]
    if repeated:
        raise InputError(name, f"the column '{repeated[0]}' twice", "each column once", "mend the header")
    if missing := [column for column in columns if column not in header]:
        found = f"columns {', '.join(header[:8])}{', ...' * (len(header) > 8)}" if header else "no header"
        raise InputError(name, found, f"columns {', '.join(columns)}", f"name the column '{missing[0]}'")
    return header


# --- JSON and JSONL ---------------------------------------------------------------------------------------------------


class RepeatedField(ValueError):
    """A JSON object with a field twice."""


def _object(fields: list[tuple[str, object]]) -> dict:
    content = dict(fields)
    if len(content) < len(fields):
        repeated = next(name for name, count in Counter(name for name, _ in fields).items() if count > 1)
        raise RepeatedField(f"the field '{repeated}' twice")
    return content


def parse_json(text: str | bytes) -> object:
    """The value that is written there.

    Raises:
        ValueError: of whatever is wrong; `RepeatedField` where an object has a field twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("too large or too deep") from None


def jsonl_lines(lines: Iterable[str], name: str) -> Iterator[tuple[int, dict | InputError]]:
    """(line number, object) of each line of JSONL that is not blank; in a bad line's place what is wrong with it."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        try:
            row = parse_json(line)
        except RepeatedField as error:
            yield number, InputError(where, str(error), "each field once", "mend the line")
            continue
        except ValueError as error:  # also numbers of 5,000 digits and nesting without end
            reason = getattr(error, "msg", "too large or too deep")
            remedy = "mend the line" if line.strip() not in ("[", "{") else "name a file of one JSON value .json"
            yield number, InputError(where, f"broken JSON ({reason})", "one object a line", remedy)
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            found = "null" if row is None else f"a {type(row).__name__}"
            yield number, InputError(where, found, "one object a line", "mend the line")


def _jsonl_rows(path: Path) -> list[dict]:
    rows = []
    with open_text(path) as file:
        for _, row in jsonl_lines(file, path.name):
            if isinstance(row, InputError):
                raise row
            rows.append(row)
    keys = list(dict.fromkeys(key for row in rows for key in row))
    return [{key: row.get(key) for key in keys} for row in rows]


# --- Arrow ------------------------------------------------------------------------------------------------------------


def _parquet_rows(path: Path) -> ArrowRows:
    import pyarrow
    import pyarrow.parquet

    try:
        _header(path.name, pyarrow.parquet.read_schema(path).names, ())
        return ArrowRows(pyarrow.parquet.read_table(path))
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise InputError(path.name, "a damaged Parquet file", "a complete one", "copy or write it again") from error


def _arrow_stream(path: Path) -> Iterator[dict]:
    """The rows of a Parquet file or folder, or of a `datasets` folder, read chunk by chunk."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    parts = sorted(path.glob("*.parquet")) if os.path.isdir(path) else [path]
    if not parts or (path / "state.json").is_file():
        for chunk in _folder_rows(path).table.to_batches(CHUNK_ROWS):
            yield from chunk.to_pylist()
        return
    for part in parts:
        _check_file(part)
        if part.suffix.lower() != ".parquet":
            raise InputError(part.name, f"a '{part.suffix}' file", EXPECTED, "convert it")
        try:
            with ParquetFile(part) as file:
                for chunk in file.iter_batches(CHUNK_ROWS):
                    yield from chunk.to_pylist()
        except (pyarrow.ArrowInvalid, OSError) as error:
            raise InputError(part.name, "a damaged Parquet file", "a complete one", "copy or write it again") from error


def _folder_rows(path: Path) -> Sequence[dict]:
    if (path / "state.json").is_file():
        from datasets import load_from_disk

        try:
            return ArrowRows(load_from_disk(str(path)).with_format("arrow")[:])
        except Exception as error:  # json, OS, Arrow and datasets errors, by what is damaged
            raise InputError(path.name, "a damaged datasets folder", "a complete one", "save it again") from error
    if (path / "dataset_dict.json").is_file():
        raise InputError(path.name, "a folder of several splits", "one split", "name the folder of one of them")
    parts = sorted(path.glob("*.parquet"))
    if not parts:
        raise InputError(path.name, "a folder without tables", EXPECTED, "name the table itself")
    import pyarrow

    try:
        return ArrowRows(pyarrow.concat_tables([_parquet_rows(part).table for part in parts]))
    except pyarrow.ArrowInvalid as error:
        raise InputError(path.name, "Parquet files of different columns", "one table", "name one of them") from error
