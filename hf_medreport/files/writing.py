"""Files and folders that appear whole or not at all, where they go, and what they are called.

write_json(output_folder("out") / "scores.json", {"bleu4": 0.1})
write_whole(path, lambda part: figure.savefig(part, format="png"))
"""

import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.regular_file import open_regular

__all__ = [
    "MAX_STEM_BYTES",
    "append_lines",
    "open_whole",
    "output_folder",
    "readable",
    "sha256",
    "unique_stem",
    "write_json",
    "write_text",
    "write_whole",
    "write_whole_folder",
]

# Control characters, ends of lines, and what turns the direction of text.
STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
MAX_STEM_BYTES = 200  # with "_report.png" and the rest, file systems allow 255


def write_whole(path: Path, write: Callable[[Path], Any], shared: bool = False) -> Path:
    """Let `write(temporary path)` write a file that then appears under its own name at once.

    Args:
        path: the file; one of that name is replaced.
        write: what fills it.
        shared: other processes or threads may write the same file meanwhile: the temporary one gets a name of its own.

    Returns:
        `path`.
    """
    with _appearing(path, shared) as part:
        write(part)
    return path


def write_text(path: Path, text: str, shared: bool = False) -> Path:
    """Write a whole file of UTF-8; see `write_whole`."""
    return write_whole(path, lambda part: part.write_bytes(text.encode("utf-8")), shared)


def write_json(path: Path, content: object, shared: bool = False, **options) -> Path:
    """Write a whole JSON file.

    Args:
        path: the file.
        content: what is in it.
        shared: see `write_whole`.
        options: of `json.dumps`, whose indent is 2 here.
    """
    return write_text(path, json.dumps(content, **{"indent": 2} | options) + "\n", shared)


def append_lines(path: Path, text: str) -> None:
    """Add whole lines to a file, and return when they are on the disk: what was added survives a kill.

    A line whose end an earlier kill left out is ended first.
    """
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            text = text if file.read(1) == b"\n" else f"\n{text}"
        file.write(text.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def open_whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write bytes to, which appears as `path` when the block ends, and not at all when it raises."""
    with _appearing(path) as part, part.open("wb") as file:
        yield file


@contextmanager
def _appearing(path: Path, shared: bool = False) -> Iterator[Path]:
    own = f".{os.getpid()}-{threading.get_ident()}" if shared else ""
    part = path.with_name(f".{path.name}{own}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_whole_folder(folder: Path, fill: Callable[[Path], Any]) -> Path:
    """Let `fill(temporary folder)` fill a folder that then takes the place of `folder`, a new or empty one, at once."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # what a killed run left
    part.mkdir(parents=True)
    try:
        fill(part)
        if folder.is_dir():
            folder.rmdir()  # not every system renames over it
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def output_folder(out: str | os.PathLike) -> Path:
    """The folder to write to, made when absent.

    Raises:
        InputError: a file of that name or above it, or no permission to write.
    """
    folder = Path(out)
    name, expected, remedy = folder.name or str(folder), "a folder to write to", "choose another `out`"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(name, "a file", expected, remedy) from None
    except OSError as error:
        raise InputError(name, (error.strerror or "an error").lower(), expected, remedy) from None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise InputError(name, "no permission to write", expected, remedy)
    return folder


def sha256(content: str | os.PathLike | bytes) -> str:
    """The SHA-256 of a file or of bytes, in hexadecimal."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with open_regular(content, "a file") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def readable(text: str) -> str:
    """Text that can be printed in a line: bytes of a file name that are no UTF-8, ends of lines and other signs that
    steer a screen become "?"."""
    return STEERING.sub("?", text.encode("utf-8", "replace").decode("utf-8"))


def unique_stem(name: str, used: set[str]) -> str:
    """How the names of an item's files begin: its stem, made safe, and unlike those in `used`, to which it is added."""
    path = Path(name)
    own = path.name if path.suffix[1:].isdecimal() else path.stem  # `.100` of 1.2.3.100 is no ending
    stem = re.sub(r"[^\w.-]", "_", own).lstrip(".") or "film"
    stem = stem.encode("utf-8")[:MAX_STEM_BYTES].decode("utf-8", "ignore")
    candidate, number = stem, 2
    while candidate in used:
        candidate, number = f"{stem}-{number}", number + 1
    used.add(candidate)
    return candidate
