"""Rows of tables of raters, read and written: the columns of roles, cells checked one by one, lines added at once."""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from hf_medreport.data.pictures.columns import COLUMNS, clean_cell, column_roles, is_empty, joined
from hf_medreport.data.tables import picture_source
from hf_medreport.files.rows import stream_rows
from hf_medreport.files.writing import append_lines, write_text
from hf_medreport.processing.input_error import InputError

__all__ = ["LEVELS", "RATERS", "add_row", "checked_level", "csv_text", "picture_file", "read_roles", "text_cell"]
__all__ += ["whole_number", "withdraw_row", "written_path"]

LEVELS = range(1, 4)  # of expertise
# What the columns of those who rated may be called.
RATERS = {
    "text": COLUMNS["text"],
    "modality": COLUMNS["modality"],
    "expert_level": ("expert_level", "level", "expertlevel"),
    "rater": ("rater", "annotator"),
}


def read_roles(
    path: Path, known: Mapping[str, tuple[str, ...]], needed: Sequence[str]
) -> Iterator[tuple[str, dict[str, object] | InputError]]:
    """Where each row stands, and its cells by role; or in their place what is wrong with the row.

    Args:
        path: a table as `stream_rows` takes it.
        known: role -> what its column may be called.
        needed: roles that there must be.

    Raises:
        InputError: no such table, or one without the column of a role, or with two.
    """
    roles = None

    def mended(header: list[str], values: list[str]) -> list[str]:
        return joined(header, values, column_roles(path.name, tuple(header), known).get("text"))

    for where, cells in stream_rows(path, mended):
        if isinstance(cells, InputError):
            yield where, cells
            continue
        if roles is None:
            roles = _checked_roles(path.name, tuple(cells), known, needed)
        yield where, {role: clean_cell(cells.get(column)) for role, column in roles.items()}


def _checked_roles(name: str, header: tuple[str, ...], known, needed: Sequence[str]) -> dict[str, str]:
    roles = column_roles(name, header, known)
    for role in needed:
        if role not in roles:
            column = known[role][0]
            found = f"columns {', '.join(header[:8])}"
            raise InputError(name, found, f"a column '{column}'", f"give the column of each {role} that name")
    return roles


def whole_number(where: str, cell: object, role: str, allowed: range) -> int:
    """A cell that holds a whole number, which may be written 2 or 2.0.

    Raises:
        InputError: anything else, or a number out of range.
    """
    expected = f"a whole number from {allowed[0]} to {allowed[-1]}"
    try:
        value = None if isinstance(cell, bool) else float(cell)
    except (TypeError, ValueError):
        value = None
    if value is None or value not in allowed:
        found = f"no {role}" if is_empty(cell) else f"the {role} {str(cell)!r:.20}"
        raise InputError(where, found, expected, "correct it or drop the row")
    return int(value)


def checked_level(level: int) -> int:
    """A level of expertise; InputError out of range."""
    if isinstance(level, bool) or level not in LEVELS:
        raise InputError("level", str(level), "1 (a novice), 2 or 3 (an expert)", "correct it")
    return int(level)


def text_cell(where: str, cell: object, role: str) -> str:
    """A text in one line; InputError of an empty one."""
    text = "" if is_empty(cell) else " ".join(str(cell).split())
    if not text:
        raise InputError(where, f"an empty {role}", f"a {role}", "fill it in or drop the row")
    return text


def picture_file(where: str, cell: object, base: Path, role: str = "picture") -> Path:
    """The file that a cell names, in `base` where it is relative; InputError where there is none."""
    try:
        source = picture_source(cell, base)
    except ValueError as error:
        raise InputError(where, str(error), f"a file inside {base.name}/", f"correct the {role}") from None
    if isinstance(source, bytes):
        raise InputError(where, "a picture inside the table", "the path of one", "write the pictures as files")
    if not os.path.isfile(source):
        found = "a folder, device or pipe" if source.exists() else f"no file {ascii(source.name)}"
        raise InputError(where, found, "an existing picture", f"correct the {role}, or name the folder of the pictures")
    return source


def written_path(picture: Path, table: Path) -> str:
    """How a table names a picture: relative where it lies in or below the table's folder, so that both can move."""
    whole, base = Path(os.path.abspath(picture)), Path(os.path.abspath(table)).parent
    return (whole.relative_to(base) if whole.is_relative_to(base) else whole).as_posix()


def csv_text(rows: Iterable[Sequence]) -> str:
    """Rows as lines of CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def add_row(path: Path, header: Sequence[str], row: Sequence) -> None:
    """Add a row to a CSV of these columns, which is begun where there is none; it is on the disk when this returns.

    Raises:
        InputError: a table of other columns.
    """
    first = ",".join(header)
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as file:
            there = file.readline().decode("utf-8-sig", "replace").strip()
        if there != first:
            raise InputError(path.name, f"columns {there:.80}", f"columns {first}", "choose another `out`")
        append_lines(path, csv_text([row]))
    else:
        append_lines(path, csv_text([header, row]))


def withdraw_row(path: Path, row: Sequence) -> bool:
    """Take the last line of this row out of a CSV that `add_row` wrote; whether there was one.

    Of a table without rows nothing stays.
    """
    line, lines = csv_text([row]), path.read_bytes().decode("utf-8").splitlines(keepends=True)
    if line not in lines:
        return False
    del lines[len(lines) - 1 - lines[::-1].index(line)]
    if len(lines) > 1:
        write_text(path, "".join(lines))
    else:
        path.unlink()
    return True
