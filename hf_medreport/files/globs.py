"""Which files a folder or a pattern stands for, where a verb takes a list of files.

files_of(["films", "more/*.dcm", "one.png"], (".png", ".dcm"))
"""

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from hf_medreport.files.writing import readable
from hf_medreport.processing.input_error import InputError

__all__ = ["files_of"]

MADE = ("_report.png", "_tiles.png")  # what verbs of ours lay into a folder
SIGNS = "*?["


def files_of(sources: Iterable[str | os.PathLike], suffixes: tuple[str, ...]) -> list[Path]:
    """The files of a list of files, folders and patterns, in its order; what is given twice comes twice.

    Args:
        sources: a file stays as it is, also one that is not there; a folder stands for the files directly in it, by
            name, that end like one of `suffixes` or that are DICOM without an ending; a name with `*`, `?` or `[`
            that is no file, for what it matches, where no shell did that.
        suffixes: in lower case, with their dots.

    Raises:
        InputError: a folder or a pattern without such a file.
    """
    found = []
    for source in map(Path, sources):
        if source.is_dir():
            inside = [path for path in sorted(source.iterdir()) if _is_wanted(path, suffixes)]
            expected, remedy = f"files that end in {', '.join(suffixes)}", "name the files, or another folder"
        elif not source.exists() and any(sign in str(source) for sign in SIGNS):
            inside = [Path(path) for path in sorted(glob.glob(str(source))) if Path(path).is_file()]
            expected, remedy = "files that it matches", "check the pattern and the folder"
        else:
            inside, expected, remedy = [source], "", ""
        if not inside:
            raise InputError(readable(str(source)), "no image", expected, remedy)
        found += inside
    return found


def _is_wanted(path: Path, suffixes: tuple[str, ...]) -> bool:
    if path.name.startswith(".") or path.name.endswith(MADE) or not path.is_file():
        return False
    return path.suffix.lower() in suffixes or not path.suffix and _is_dicom(path)


def _is_dicom(path: Path) -> bool:
    """By the four letters behind its preamble."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"
