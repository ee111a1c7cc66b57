"""CheXpert Plus (Chambon et al. 2024) as it is handed out.

    df_chexpert_plus_240401.csv          one row a film: path_to_image, frontal_lateral, ap_pa, report, split, ...
    PNG/train/patient42142/study5/view1_frontal.png (and PNG/valid/...)
    chexbert_labels/report_fixed.json    one JSON object a line: path_to_image and the 14 observations; also
                                         findings_fixed.json and impression_fixed.json

`path_to_image` names a .jpg where the folder holds .png (or .dcm, or the .jpg of the first CheXpert): films are found
by their path without ending. Findings and impression are those that our section parser finds in `report`, as for
MIMIC-CXR; the table's own `section_...` columns are not read. Written from the collection's paper and its repository's
description: nothing here was run on the real collection. Archives are to be unpacked first.

    hf-medreport prepare chexpert-plus chexpert-plus --out plus
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hf_medreport.dataset_scripts.parts.films import (
    GROUPS,
    VIEWS,
    Film,
    film_file,
    film_folders,
    label_values,
    one_part_a_patient,
    part_of,
    read_table,
    the_table,
)
from hf_medreport.files.writing import sha256
from hf_medreport.processing.input_error import InputError

__all__ = ["CheXpertPlus"]

FOLDERS = ("PNG", "PNG/PNG", "DICOM")
LABELED_TEXTS = ("report", "findings", "impression", "none")
FILM = re.compile(r"(?:.*/)?((?:train|valid|test)/(patient(\d+))/(study\d+)/(view\d+_[a-z]+))\.[A-Za-z]+")
COLUMNS = ("path_to_image", "frontal_lateral", "ap_pa", "deid_patient_id", "report")


@dataclass
class CheXpertPlus:
    """The collection as it lies on disk; see `film_studies.Source`.

    Args:
        tables: folder of the table.
        images: folder of the films; None: beside the table.
        labels: the text from which CheXbert took the labels: report, findings or impression; or none.

    Raises:
        InputError: a table or a folder is not there.
    """

    tables: Path
    images: Path | None = None
    labels: str = "report"
    name: str = field(default="chexpert-plus", init=False)
    title: str = field(default="CheXpert Plus films and reports", init=False)
    statement: str = field(
        default="CheXpert Plus (Chambon et al., arXiv 2405.19538), Stanford University Dataset Research Use Agreement: "
        "do not hand this folder on.",
        init=False,
    )

    def __post_init__(self):
        if self.labels not in LABELED_TEXTS:
            raise InputError("labels", f"'{self.labels}'", ", ".join(LABELED_TEXTS), "choose one of them")
        if not self.tables.is_dir():
            found = "a file" if self.tables.is_file() else "no such folder"
            raise InputError(self.tables.name, found, "the folder of CheXpert Plus's table", "check the path")
        self.files = {"table": the_table(self.tables, "df_chexpert_plus_*", "name the folder of CheXpert Plus")}
        if self.labels != "none":
            self.files["labels"] = self.tables / "chexbert_labels" / f"{self.labels}_fixed.json"
            if not self.files["labels"].is_file():
                expected, remedy = "CheXbert's labels", 'unpack chexbert_labels.zip, or choose `labels="none"`'
                raise InputError(f"chexbert_labels/{self.files['labels'].name}", "no such file", expected, remedy)
        self.film_folders = film_folders(self.images or self.tables, FOLDERS, ("train", "valid"), "train or valid")
        _, first = next(read_table(self.files["table"], COLUMNS))
        self.published = "split" in first

    def films(self, problems: list[str]) -> list[Film]:
        """All films in the table's order."""
        labels, films, seen, reports = self._labels(problems), [], set(), {}
        for where, row in read_table(self.files["table"], COLUMNS):
            try:
                stem, patient, study = _identity(where, row["path_to_image"])
                if stem in seen:
                    raise InputError(where, f"film {_id(stem)} again", "one row a film", "drop one of them")
                seen.add(stem)
                owner = re.fullmatch(r"(?:patient)?0*(\d+)(?:\.0+)?", row["deid_patient_id"].strip())
                if owner is None or int(owner[1]) != int(patient.removeprefix("patient")):
                    found = f"patient '{row['deid_patient_id'].strip():.20}' with a film of {patient}"
                    raise InputError(where, found, "one patient", "correct deid_patient_id or path_to_image")
                view, split = _view(where, row), part_of(where, row["split"]) if self.published else None
            except InputError as problem:
                problems.append(str(problem))
                continue
            report = reports.setdefault(study, row["report"])  # once in memory for all films of a study
            films.append(Film(stem, _id(stem), patient, study, view, split, report, labels.get(stem)))
        return one_part_a_patient(films, problems)

    def report(self, film: Film) -> str:
        """The table's text."""
        return film.report or ""

    def path(self, film: Film) -> Path:
        """The file of a film."""
        return film_file(self.film_folders, film)

    def digests(self) -> dict[str, str]:
        """SHA-256 of each table."""
        return {name: sha256(path) for name, path in self.files.items()}

    def _labels(self, problems: list[str]) -> dict[str, dict[str, int]]:
        """stem -> observations."""
        labels: dict[str, dict[str, int]] = {}
        if self.labels == "none":
            return labels
        for where, row in _json_lines(self.files["labels"], problems):
            try:
                stem, *_ = _identity(where, row.get("path_to_image"))
                if stem in labels:
                    raise InputError(where, f"film {_id(stem)} again", "one line a film", "drop one of them")
                labels[stem] = label_values(where, row)
            except InputError as problem:
                problems.append(str(problem))
        return labels


def _json_lines(path: Path, problems: list[str]) -> Iterator[tuple[str, dict]]:
    """(what messages call it, object) of each line; a broken one is a problem."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            where = f"{path.name}, line {number}"
            try:
                row = json.loads(line) if line.strip() else None
            except (ValueError, RecursionError):
                row = line
            if isinstance(row, dict):
                yield where, row
            elif row is not None:
                problems.append(str(InputError(where, "no JSON object", "one object a line", "mend the line")))


def _identity(where: str, path: object) -> tuple[str, str, str]:
    """Stem, patient and study of a film's path; nothing else of the path is used, so none leads out of the folder."""
    match = FILM.fullmatch(path.strip()) if isinstance(path, str) else None
    if match is None:
        found, expected = f"path_to_image {path!r:.40}", "like train/patient00001/study1/view1_frontal.jpg"
        raise InputError(where, found, expected, "correct it or drop the row")
    return match[1], match[2], f"{match[2]}_{match[4]}"


def _id(stem: str) -> str:
    """The film's name without the folder of its part: patients' numbers do not repeat between them."""
    return stem.split("/", 1)[1].replace("/", "_")


def _view(where: str, row: dict) -> str:
    """AP, PA, LL or RL where that fits what the film is called, FRONTAL or LATERAL where not, "" of empty cells."""
    group, projection = row["frontal_lateral"].strip().lower(), row["ap_pa"].strip().upper()
    if group and group not in GROUPS:
        found, expected = f"frontal_lateral '{group:.20}'", "Frontal, Lateral or nothing"
        raise InputError(where, found, expected, "correct it or leave it empty")
    if projection and projection not in VIEWS:
        raise InputError(
            where, f"ap_pa '{projection:.20}'", "AP, PA, LL, RL or nothing", "correct it or leave it empty"
        )
    if not group:
        return projection
    return projection if projection in GROUPS[group] else group.upper()
