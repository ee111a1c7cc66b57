"""Which two films make a case: what a command names, a table of pairs, and films that cannot be one patient's.

A frontal film beside another patient's lateral gives a report of nobody, so whatever can be known by rule is asked
before a model sees the films: the numbers in their names, their DICOM headers, and whether they are one picture.

    for pair in read_pairs("pairs.csv"):  # columns frontal, lateral; a cell may be empty
        films = read_pair(pair)           # {"frontal": Film, "lateral": Film}
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hf_medreport.data.iu_names import image_key
from hf_medreport.files.rows import read_rows
from hf_medreport.processing.dicom_reading import looks_like_dicom
from hf_medreport.processing.film_reading import Film, read_film
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.regular_file import open_regular

try:
    import pydicom
except ImportError:
    pydicom = None

VIEWS = ("frontal", "lateral")
POSITIONS = {"frontal": ("PA", "AP"), "lateral": ("LL", "RL", "LATERAL", "LAT")}  # oblique and decubitus ones are free
HEADER = ("PatientID", "ViewPosition")


class Pair(NamedTuple):
    """The films of one case; one of them may be None."""

    frontal: Path | None
    lateral: Path | None

    @property
    def name(self) -> str:
        """What lists call the case: its file names."""
        return " + ".join(path.name for path in self if path is not None)


def asked_pairs(
    films: Iterable[Path], frontal: Path | None, lateral: Path | None, table: Path | None
) -> list[Pair] | None:
    """What is asked for: the pairs of a table, or that of `frontal` and `lateral`; None for films by place.

    Raises:
        InputError: nothing asked for, more than one of the three, or a table that cannot be read.
    """
    films = list(films)
    ways = {"films": films, "`frontal` or `lateral`": frontal or lateral, "`pairs`": table}
    given = [way for way, value in ways.items() if value]
    if len(given) != 1:
        found = " and ".join(given) or "no film"
        raise InputError("report", found, "films, `frontal` and `lateral`, or `pairs`", "give one of the three")
    if films:
        return None
    return [Pair(frontal, lateral)] if table is None else read_pairs(table)


def read_pairs(path: str | os.PathLike) -> list[Pair]:
    """The rows of a table with the columns `frontal` and `lateral`: paths, relative to the table; a cell may be empty.

    Raises:
        InputError: no such table, a broken one, a missing column or no row.
    """
    path = Path(path)
    if path.suffix.lower() != ".csv":
        raise InputError(path.name, f"a '{path.suffix}' file", "a CSV table of pairs", "convert it")
    rows = read_rows(path)
    if not len(rows):
        raise InputError(path.name, "no rows", "a pair of films a row", "fill in the table")
    missing = [view for view in VIEWS if view not in rows[0]]
    if missing:
        expected = "columns frontal and lateral"
        raise InputError(path.name, f"columns {', '.join(rows[0])}", expected, f"name a column '{missing[0]}'")
    return [Pair(*(_path(path, row[view]) for view in VIEWS)) for row in rows]


def _path(table: Path, cell: str | None) -> Path | None:
    return table.parent / cell.strip() if cell and cell.strip() else None


def read_pair(pair: Pair, **options) -> dict[str, Film]:
    """The films of a case by view, as `read_film` gives them with these options.

    Raises:
        InputError: a film cannot be read or is refused, or they are no two views of one patient.
    """
    there = {view: path for view, path in zip(VIEWS, pair, strict=True) if path is not None}
    both = len(there) == 2
    if both:
        _check_names(*pair)
    films = {view: read_film(path, **options) for view, path in there.items()}
    headers = {view: _header(path) for view, path in there.items()}  # of files that the reader has found sound
    for view, path in there.items():
        _check_position(view, path.name, headers[view]["ViewPosition"])
    if both:
        frontal, lateral = pair
        patients = {header["PatientID"] for header in headers.values()}
        if len(patients) == 2 and "" not in patients:
            found = f"another PatientID than in {frontal.name}"
            raise InputError(lateral.name, found, "two films of one patient", "correct the pair")
        if np.array_equal(films["frontal"].pixels, films["lateral"].pixels):
            expected = "the other view of the same patient"
            raise InputError(lateral.name, f"the same picture as {frontal.name}", expected, "give one view alone")
    return films


def _check_names(frontal: Path, lateral: Path) -> None:
    """Refuse films of two patients of the IU collection, whose file names begin with the patient's number."""
    patients = [image_key(path.name)[0] for path in (frontal, lateral)]
    if all(patients) and int(patients[0]) != int(patients[1]):
        found = f"a film of patient {int(patients[1])} beside one of patient {int(patients[0])} ({frontal.name})"
        raise InputError(lateral.name, found, "two films of one patient", "correct the pair")


def _check_position(view: str, name: str, position: str) -> None:
    """Refuse a DICOM film that says it is the other view."""
    (other,) = set(VIEWS) - {view}
    if position in POSITIONS[other]:
        found = f"ViewPosition {position}, a {other} film, as the {view} one"
        raise InputError(name, found, " or ".join(POSITIONS[view][:2]), f"give it as the {other} film")


def _header(path: Path) -> dict[str, str]:
    """Patient and view of a DICOM file, in capitals; "" where it does not say. The patient is compared, never shown."""
    with open_regular(path, "a film") as file:
        dicom = looks_like_dicom(file.read(256))
    if not dicom:
        return dict.fromkeys(HEADER, "")
    dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True, specific_tags=list(HEADER))
    return {keyword: str(dataset.get(keyword) or "").strip().upper() for keyword in HEADER}
