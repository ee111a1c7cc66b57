"""Files of settings, JSON and YAML, read as plain data: whatever is wrong with one is said in one line."""

import json
import os
from pathlib import Path

import yaml

from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.regular_file import refuse_special

__all__ = ["load_yaml", "read_settings", "read_yaml"]

MAX_VALUES = 100_000  # of a YAML, its aliases written out: a few lines may stand for thousands of millions
MAX_BYTES = 256 << 20  # of a file of settings; a tokenizer's has some 20 MB


def read_settings(path: Path, where: str, remedy: str = "copy the file again", expected: str = "a JSON object") -> dict:
    """A JSON file that holds an object.

    Raises:
        InputError: anything else, or no such file.
    """
    content = _bytes(path, where, expected, remedy)
    try:
        values = json.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise InputError(where, "JSON nested too deeply", expected, remedy) from None
    except ValueError as error:  # not JSON, or not UTF-8, or a number of 5,000 digits
        place = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "a number without end"
        place = "not UTF-8" if isinstance(error, UnicodeDecodeError) else place
        raise InputError(where, f"broken JSON ({place})", expected, remedy) from None
    if not isinstance(values, dict):
        raise InputError(where, type(values).__name__, expected, remedy)
    return values


def read_yaml(path: str) -> dict:
    """A YAML file that holds one mapping of names; InputError names the line where it does not parse."""
    values = load_yaml(path, "a YAML file of arguments")
    if not isinstance(values, dict):
        found = "nothing" if values is None else f"a {type(values).__name__}"
        raise InputError(path, found, "a mapping of field: value", "correct the file")
    if odd := [key for key in values if not isinstance(key, str)]:
        found = f"the key {_shown(odd[0])}, which is no name"
        raise InputError(path, found, "a mapping of field: value", "correct it, or put it in quotes")
    return values


def load_yaml(path: str | os.PathLike, expected: str):
    """What a YAML file holds: text, numbers, lists and mappings.

    Args:
        path: the file; messages call it so.
        expected: what it should have been.

    Raises:
        InputError: no such file, no UTF-8, broken YAML, dates and bytes, or more values than `MAX_VALUES`.
    """
    content = _bytes(Path(path), str(path), expected, "check the path")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}", "no text of UTF-8", expected, "save the file as UTF-8") from None
    try:
        values = yaml.load(text, _Loader)
        _check_size(values)
    except InputError as error:
        raise InputError(path, error.found, error.expected, error.remedy) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = path if mark is None else f"{path}, line {mark.line + 1}"
        if isinstance(error, _Odd):
            raise InputError(where, error.problem, "text, numbers, lists and mappings", "put it in quotes") from None
        raise InputError(where, "broken YAML", "field: value", "correct the line") from error
    except RecursionError:
        raise InputError(path, "YAML nested too deeply", expected, "correct the file") from None
    except (ValueError, TypeError, OverflowError, KeyError) as error:  # of a tag with a value that is not of it
        found = f"a value that is not of its type ({' '.join(str(error).split())[:80]})"
        raise InputError(path, found, expected, "correct it, or put it in quotes") from None
    return values


def _bytes(path: Path, where: str, expected: str, remedy: str) -> bytes:
    refuse_special(path, expected, where)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(where, f"{path.stat().st_size} bytes", f"{expected}, at most {MAX_BYTES} bytes", remedy)
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(where, "no such file", expected, "check the path") from None
    except IsADirectoryError:
        raise InputError(where, "a folder", expected, "name the file in it") from None
    except OSError as error:
        raise InputError(where, (error.strerror or "an error").lower(), expected, "check the path") from None
    except ValueError:  # a zero byte in it
        raise InputError(where, "an impossible file name", expected, "check the path") from None


class _Odd(yaml.constructor.ConstructorError):
    """A value of a kind that no setting has."""


class _Loader(yaml.SafeLoader):
    """Without dates and bytes: what looks like a date is a name or a number that wants quotes."""


def _refuse(loader: yaml.SafeLoader, node: yaml.Node):
    kind = {"timestamp": "a date", "binary": "bytes"}[node.tag.rsplit(":", 1)[-1]]
    raise _Odd(None, None, f"{kind} ({_shown(node.value)})", node.start_mark)


for _kind in ("timestamp", "binary"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _refuse)


def _shown(value: object) -> str:
    return " ".join(repr(value).split())[:40]


def _check_size(values: object) -> None:
    """Refuse what aliases make endless or too large to be written out."""
    known: dict[int, int] = {}

    def size(value: object) -> int:
        if not isinstance(value, (dict, list, set)):
            return 1
        if id(value) not in known:
            known[id(value)] = MAX_VALUES + 1  # found again inside itself, it has no end
            parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
            known[id(value)] = 1 + sum(map(size, parts))
        return known[id(value)]

    if size(values) > MAX_VALUES:
        expected = f"at most {MAX_VALUES} values"
        raise InputError("YAML", "more values than that, by aliases or in full", expected, "write the settings out")
