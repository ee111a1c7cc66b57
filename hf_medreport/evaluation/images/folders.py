"""Two folders of pictures: what is in them, which belong together, what their captions say.

Every file counts, at any depth, but hidden ones (.DS_Store) and the `metadata.csv` or `metadata.jsonl` in which the
Hub's image folders keep captions (columns `file_name` and `text`). What cannot be read is named, never left out in
silence. Pictures belong together when their paths within the folders agree but for the ending: `ct/7.png`, `ct/7.dcm`.
A modality is a subfolder of the first level.
"""

import io
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from hf_medreport.files.rows import csv_lines, jsonl_lines, read_text
from hf_medreport.files.writing import readable
from hf_medreport.processing.image_reading import read_image
from hf_medreport.processing.input_error import InputError

__all__ = ["Failure", "list_pictures", "modality", "pair_names", "read_captions", "read_picture"]

# Endings to leave out when comparing names. DICOM files often have none, but dots within: 1.2.840.113.
ENDINGS = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom"}
METADATA = ("metadata.jsonl", "metadata.csv")


@dataclass(frozen=True)
class Failure:
    """What could not be scored, and why: of `folder` "real", "fake" or (of a pair) "both"."""

    folder: str
    file: str
    message: str


def list_pictures(folder: str | os.PathLike, flag: str) -> list[str]:
    """The paths of all files below a folder, relative to it, with "/", sorted.

    Args:
        flag: what messages call the folder.

    Raises:
        InputError: no such folder, a file, no permission, or no file in it.
    """
    root = Path(folder)
    expected, remedy = "a folder of pictures", "check the path"
    if not root.is_dir():
        found = f"a file ('{root.name}')" if root.exists() else f"no folder '{root.name}'"
        raise InputError(flag, found, expected, remedy)
    if not os.access(root, os.R_OK | os.X_OK):
        raise InputError(flag, f"no permission to read '{root.name}'", expected, "change its access rights")
    names = []
    for place, below, files in os.walk(root):
        below[:] = [name for name in below if not name.startswith(".")]
        inside = Path(place).relative_to(root)
        names += [(inside / name).as_posix() for name in files if not name.startswith(".") and name not in METADATA]
    if not names:
        raise InputError(flag, f"no file in '{root.name}'", expected, remedy)
    return sorted(names)


def read_picture(folder: str | os.PathLike, name: str) -> np.ndarray:
    """One picture of a folder, in [0, 1]: (height, width) where it is gray, however it was saved, else with channels.

    Raises:
        InputError: as `read_image`.
    """
    picture = read_image(Path(folder) / name, name=readable(name))
    if picture.ndim == 3 and (picture == picture[..., :1]).all():
        return np.ascontiguousarray(picture[..., 0])  # generators write gray pictures as RGB
    return picture


def modality(name: str) -> str | None:
    """The subfolder of the first level that a picture lies in; None for one that lies in none."""
    first, _, rest = name.partition("/")
    return first if rest else None


def pair_names(real: list[str], fake: list[str], failures: list[Failure]) -> list[tuple[str, str]]:
    """The pictures that belong together, as (real, fake), sorted.

    A name that several pictures of a folder have makes no pair, and is added to the failures.
    """
    alone = {}
    for label, names in (("real", real), ("fake", fake)):
        groups = defaultdict(list)
        for name in names:
            groups[_stem(name)].append(name)
        alone[label] = {stem: group[0] for stem, group in groups.items() if len(group) == 1}
        for stem, group in groups.items():
            if len(group) > 1:
                found = f"{len(group)} pictures of this name ({readable(', '.join(group))})"
                error = InputError(readable(stem), found, "one, to make a pair", "rename or remove the others")
                failures.append(Failure(label, stem, str(error)))
    both = sorted(alone["real"].keys() & alone["fake"].keys())
    return [(alone["real"][stem], alone["fake"][stem]) for stem in both]


def _stem(name: str) -> str:
    path = PurePosixPath(name)
    return path.with_suffix("").as_posix() if path.suffix.lower() in ENDINGS else name


def read_captions(folder: str | os.PathLike, names: list[str], failures: list[Failure]) -> dict[str, str]:
    """The captions of the fake folder's pictures, {name: caption}; empty where it has no metadata file.

    Args:
        names: of the pictures that there are; a row for another one is a failure.
        failures: where rows that cannot be used are added.

    Raises:
        InputError: a metadata file without the columns, or that is no text; or both kinds of file.
    """
    known, present = set(names), [Path(folder) / name for name in METADATA if (Path(folder) / name).is_file()]
    if len(present) > 1:
        raise InputError(Path(folder).name, " and ".join(METADATA), "one of them", "remove the other")
    captions = {}
    for line, row in _rows(present[0]) if present else ():
        where = f"{present[0].name}, line {line}"
        try:
            if isinstance(row, InputError):
                raise row
            name, text = row.get("file_name"), row.get("text")
            if not isinstance(name, str) or not isinstance(text, str) or not text.strip():
                raise InputError(where, "no file_name or no text", "both, as strings", "fill in or remove the line")
            if name not in known:
                found = f"'{readable(name)}', which is no readable picture here"
                raise InputError(where, found, "a picture of this folder", "correct or remove the line")
            if name in captions:
                raise InputError(where, f"'{readable(name)}' again", "one caption a picture", "remove one of the lines")
            captions[name] = text
        except InputError as error:
            failures.append(Failure("fake", present[0].name, str(error)))
    return captions


def _rows(path: Path) -> Iterator[tuple[int, dict | InputError]]:
    """(line, row) of a metadata file; in a bad line's place what is wrong with it."""
    lines = io.StringIO(read_text(path, "a file of captions"), newline="")
    if path.suffix == ".jsonl":
        return jsonl_lines(lines, path.name)
    return csv_lines(lines, path.name, ("file_name", "text"))
