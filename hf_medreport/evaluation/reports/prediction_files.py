"""Files with one report a row, as JSONL, JSON or CSV -> (where, row) pairs, with everything that is wrong named.

What is read, by the name of the file:

- `.jsonl`: one object a line. Ours: `{"id", "prediction", "reference"}`, and `label_source` where a model was given the
  labels of its films. RadScribe's data file (`id`, `text`, ...).
- `.json`: a list of such objects; `{id: text}`; the annotation of HistGen and R2Gen (`{"train": [...], "test": [...]}`
  with `id` and `report`), of which the test split is taken; the `report.json` that `hf-medreport report` writes.
- `.csv`: with a header. HistGen's `gen_vs_gt.csv` (`Case ID`, `Generated Reports`, `Ground Truths`). Or without one and
  of one column, if its first field reads as a report: the `res.csv` and `gts.csv` of R2Gen's family.

The names of columns may be written in capitals or not, with "_" for a blank or not.

A file is UTF-8 or refused. A line that cannot be read is a problem of that line; all of them are counted.
"""

import io
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hf_medreport.files.rows import RepeatedField, csv_lines, is_name, jsonl_lines, parse_json, read_text
from hf_medreport.processing.input_error import InputError

__all__ = ["Problems", "counted", "kind_of", "read_rows"]

EXPECTED = "a .jsonl, .json or .csv file"
# A report does not begin with one word and such a sign: "17;Clear lungs."
PARTED = re.compile(r"\s*[^\s;|]+([;|\t])\s*\S")
# What is wrong with a line of JSON, as the message begins, and the kind that it is counted by.
KINDS = {"broken JSON": "of broken JSON", "the field": "of a field twice"}
# What the known writers call a role, in any order of columns.
NAMES = {
    "id": ("id", "Case ID"),
    "prediction": ("prediction", "Generated Reports"),
    "reference": ("reference", "Ground Truths", "report", "text"),
}


def spelling(column: str) -> str:
    """A column's name as it is compared: "case_id" is "Case ID"."""
    return " ".join(column.replace("_", " ").casefold().split())


ALL_NAMES = {spelling(name) for names in NAMES.values() for name in names}


@dataclass
class Problems:
    """What is wrong with rows, of which kind; one message for all of them."""

    found: list[tuple[str, InputError]] = field(default_factory=list)

    def add(self, kind: str, where: str, found: str, expected: str, remedy: str) -> None:
        """Note what is wrong at a place, under the kind that it is counted by; the rest as in `InputError`."""
        self.found.append((kind, InputError(where, found, expected, remedy)))

    def raise_if_any(self) -> None:
        """InputError of the first, with how many there are of each kind."""
        if not self.found:
            return
        first = self.found[0][1]
        kinds = Counter(kind for kind, _ in self.found)
        listed = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        total = f" (faults in all: {len(self.found)}: {listed})" if len(self.found) > 1 else ""
        raise InputError(first.name, first.found, first.expected, first.remedy + total)


def counted(count: int, thing: str) -> str:
    """ "1 line", "2 lines"."""
    return f"{count} {thing}" + "s" * (count != 1)


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    names = {type(None): "null", bool: "a truth value", int: "a number", float: "a number", str: "a string"}
    return names.get(type(value)) or ("a list" if isinstance(value, list) else "an object")


def read_rows(path: Path, role: str, problems: Problems) -> list[tuple[str, dict]]:
    """(where, row) of every row; what a line holds instead of a row goes to `problems`.

    Args:
        path: the file.
        role: `"prediction"` or `"reference"`: what the only column of a CSV without header, or the text of `{id: text}`
            is.

    Raises:
        InputError: no such file, one of another kind or encoding, one that is broken as a whole, or without rows.
    """
    if path.is_dir():
        raise InputError(path.name, "a folder", EXPECTED, "name the file in it")
    if not path.is_file():
        raise InputError(path.name, "no such file", EXPECTED, "check the path")
    readers = {".jsonl": _jsonl_rows, ".json": _json_rows, ".csv": _csv_rows}
    if path.suffix.lower() not in readers:
        raise InputError(path.name, f"a '{path.suffix}' file", EXPECTED, "convert it")
    rows = readers[path.suffix.lower()](path.name, read_text(path, EXPECTED), role, problems)
    if not rows and not problems.found:
        raise InputError(path.name, "no rows", "at least one report", "check what wrote the file")
    return rows


def _jsonl_rows(name: str, text: str, role: str, problems: Problems) -> list[tuple[str, dict]]:
    rows = []
    for number, row in jsonl_lines(text.split("\n"), name):
        if isinstance(row, InputError):
            kind = next((kind for start, kind in KINDS.items() if row.found.startswith(start)), "of no object")
            problems.add(kind, row.name, row.found, row.expected, row.remedy)
        else:
            rows.append((f"{name}, line {number}", row))
    return rows


def _json_rows(name: str, text: str, role: str, problems: Problems) -> list[tuple[str, dict]]:
    try:
        content = parse_json(text)
    except RepeatedField as error:
        raise InputError(name, str(error), "each field once", "mend the file") from None
    except json.JSONDecodeError as error:
        where = f"{name}, line {error.lineno}"
        hint = "mend the line, or name the file .jsonl" if error.msg == "Extra data" else "mend the line"
        raise InputError(where, f"broken JSON ({error.msg})", "one JSON value", hint) from None
    except ValueError as error:
        raise InputError(name, f"broken JSON ({str(error).split(';')[0]})", "one JSON value", "mend the file") from None
    if isinstance(content, dict) and isinstance(content.get("reports"), list):  # what `hf-medreport report` writes
        rows = [(f"{name}, report {n}", row) for n, row in enumerate(content["reports"], start=1)]
        return [
            (where, {"id": row.get("film"), role: row.get("text"), "label_source": row.get("label_source")})
            for where, row in _objects(rows, problems)
        ]
    if isinstance(content, dict) and content and all(map(_is_split, content.values())):
        if "test" not in content:
            raise InputError(name, f"the splits {', '.join(content)}", "a split 'test'", "save the split as a list")
        return _objects([(f"{name}, test {n}", row) for n, row in enumerate(content["test"], start=1)], problems)
    if isinstance(content, dict):
        return [(f"{name}, '{key}'", {"id": key, role: value}) for key, value in content.items()]
    if not isinstance(content, list):
        raise InputError(name, kind_of(content), "a list of objects", "write one object a report")
    return _objects([(f"{name}, item {n}", row) for n, row in enumerate(content, start=1)], problems)


def _is_split(part: object) -> bool:
    return isinstance(part, list) and all(isinstance(row, dict) for row in part)


def _objects(rows: list[tuple[str, object]], problems: Problems) -> list[tuple[str, dict]]:
    for where, row in rows:
        if not isinstance(row, dict):
            problems.add("of no object", where, kind_of(row), "an object with the report's fields", "mend it")
    return [(where, row) for where, row in rows if isinstance(row, dict)]


def _csv_rows(name: str, text: str, role: str, problems: Problems) -> list[tuple[str, dict]]:
    def headless(first: list[str]) -> list[str] | None:
        """The header of a file without one: R2Gen's res.csv and gts.csv, of one column."""
        if len(first) > 1 or spelling(first[0]) in ALL_NAMES:
            return None
        if first[0].strip() and is_name(first[0]):  # of another column, or a report of a few words: nobody can tell
            found, expected = f"one column, which begins with '{first[0]}'", f"a header '{role}', or reports"
            raise InputError(name, found, expected, f"write the header '{role}' above the reports")
        if parted := PARTED.match(first[0]):
            found, expected = f"fields parted by '{parted[1]}' and no header", f"a header such as id{parted[1]}{role}"
            raise InputError(name, found, expected, "write the header above the reports")
        return [role]

    rows = []
    for number, row in csv_lines(io.StringIO(text, newline=""), name, headless=headless):
        if not isinstance(row, InputError):
            rows.append((f"{name}, line {number}", row))
        elif row.found.startswith("broken CSV"):  # what follows an open quote cannot be told apart
            raise row
        else:
            problems.add("of another width", f"{name}, line {number}", row.found, row.expected, row.remedy)
    return rows
