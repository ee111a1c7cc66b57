"""MIMIC-CXR (Johnson et al. 2019) in the layouts of its two releases.

MIMIC-CXR-JPG 2.0 and 2.1 hold the tables and the films as JPEG, MIMIC-CXR the reports and the films as DICOM:

    mimic-cxr-2.0.0-metadata.csv.gz      dicom_id, subject_id, study_id, ViewPosition, ...: one row a film
    mimic-cxr-2.0.0-split.csv.gz         dicom_id, study_id, subject_id, split
    mimic-cxr-2.0.0-chexpert.csv.gz      subject_id, study_id and 14 observations: 1.0, 0.0, -1.0 or empty; negbio too
    files/p10/p10000032/s50414267/DICOM_ID.jpg (or .dcm)
    files/p10/p10000032/s50414267.txt    the report

Tables may be unpacked; `files` may be called `images` (copies that keep films apart from reports do so) or be left out.
Written from the releases' descriptions: nothing here was run on the real collection, which few may have.
Not read: the test set's labels by hand of release 2.1, and mimic-cxr-reports.zip, which is to be unpacked first.

    hf-medreport prepare mimic-cxr mimic-cxr-jpg --reports mimic-cxr --out mimic
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from hf_medreport.dataset_scripts.parts.films import (
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

__all__ = ["MimicCxr"]

FOLDERS = ("files", "images")
GROUP_FOLDERS, LIKE = [f"p{number}" for number in range(10, 20)], "p10 ... p19"
LABELERS = ("chexpert", "negbio", "none")
IDENTIFIER = re.compile(r"[ps]?(\d{1,12})(?:\.0+)?")  # 10000032, p10000032, or 10000032.0 as pandas writes it
DICOM_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
METADATA_COLUMNS = ("dicom_id", "subject_id", "study_id", "ViewPosition")
SPLIT_COLUMNS = ("dicom_id", "subject_id", "study_id", "split")


@dataclass
class MimicCxr:
    """The collection as it lies on disk; see `film_studies.Source`.

    Args:
        tables: folder of the tables (MIMIC-CXR-JPG's).
        images, reports: folders of films and reports; None: beside the tables.
        labels: whose labels: chexpert, negbio or none.

    Raises:
        InputError: a table or a folder is not there.
    """

    tables: Path
    images: Path | None = None
    reports: Path | None = None
    labels: str = "chexpert"
    name: str = field(default="mimic-cxr", init=False)
    title: str = field(default="MIMIC-CXR films and reports", init=False)
    statement: str = field(
        default="MIMIC-CXR and MIMIC-CXR-JPG (Johnson et al., Scientific Data 2019, doi 10.1038/s41597-019-0322-0), "
        "PhysioNet Credentialed Health Data License: do not hand this folder on.",
        init=False,
    )

    def __post_init__(self):
        if self.labels not in LABELERS:
            raise InputError("labels", f"'{self.labels}'", ", ".join(LABELERS), "choose one of them")
        if not self.tables.is_dir():
            found = "a file" if self.tables.is_file() else "no such folder"
            raise InputError(self.tables.name, found, "the folder of MIMIC-CXR-JPG's tables", "check the path")
        take = "name the folder of MIMIC-CXR-JPG"
        self.files = {"metadata": the_table(self.tables, "mimic-cxr-*-metadata", take)}
        if any(self.tables.glob("mimic-cxr-*-split.csv*")):
            self.files["split"] = the_table(self.tables, "mimic-cxr-*-split", take)
        if self.labels != "none":
            remedy = 'take it from MIMIC-CXR-JPG, or choose `labels="none"`'
            self.files["labels"] = the_table(self.tables, f"mimic-cxr-*-{self.labels}", remedy)
        self.film_folders = film_folders(self.images or self.tables, FOLDERS, GROUP_FOLDERS, LIKE)
        self.report_folders = film_folders(self.reports or self.tables, FOLDERS, GROUP_FOLDERS, LIKE)

    @property
    def published(self) -> bool:
        """Whether there is the table of the published parts."""
        return "split" in self.files

    def films(self, problems: list[str]) -> list[Film]:
        """All films in the order of the metadata."""
        labels, parts = self._labels(problems), self._parts(problems)
        films, seen = [], set()
        for where, row in read_table(self.files["metadata"], METADATA_COLUMNS):
            try:
                dicom, patient, study = _identity(where, row)
                if dicom in seen:
                    raise InputError(where, f"film {dicom} again", "one row a film", "drop one of them")
                seen.add(dicom)
                view = row["ViewPosition"].strip().upper()
                if view and view not in VIEWS:
                    expected = f"{', '.join(VIEWS)}, or nothing"
                    raise InputError(where, f"ViewPosition '{view:.20}'", expected, "correct it or leave it empty")
                split = self._part(parts, dicom, patient, study)
            except InputError as problem:
                problems.append(str(problem))
                continue
            stem = f"p{patient[:2]}/p{patient}/s{study}/{dicom}"
            films.append(Film(stem, dicom, patient, study, view, split, None, labels.get((patient, study))))
        return one_part_a_patient(films, problems)

    def report(self, film: Film) -> str:
        """The text of a study's .txt."""
        name = f"{film.stem.rsplit('/', 1)[0]}.txt"
        for path in (folder / name for folder in self.report_folders):
            if path.is_file():
                try:
                    return path.read_text(encoding="utf-8")
                except UnicodeDecodeError:
                    raise InputError(
                        path.name, "text that is not UTF-8", "UTF-8", "download the report again"
                    ) from None
        raise InputError(
            f"s{film.study_id}.txt", "no such file", "the study's report", "download it, or check `reports`"
        )

    def path(self, film: Film) -> Path:
        """The file of a film."""
        return film_file(self.film_folders, film)

    def digests(self) -> dict[str, str]:
        """SHA-256 of each table."""
        return {name: sha256(path) for name, path in self.files.items()}

    def _part(self, parts: dict[str, tuple], dicom: str, patient: str, study: str) -> str | None:
        """The published part of a film; None where no parts are published."""
        if not self.published:
            return None
        name = self.files["split"].name
        if dicom not in parts:
            raise InputError(name, f"no row of film {dicom}", "a row a film", "take both tables from one release")
        split, owner = parts[dicom]
        if owner != (patient, study):
            found = f"film {dicom} under patient {owner[0]}, study {owner[1]}"
            expected = f"patient {patient}, study {study} as in the metadata"
            raise InputError(name, found, expected, "take both tables from one release")
        return split

    def _parts(self, problems: list[str]) -> dict[str, tuple[str | None, tuple[str, str]]]:
        """dicom_id -> (part, (patient, study)). A film's second row only matters where it says something else."""
        parts: dict[str, tuple[str | None, tuple[str, str]]] = {}
        if not self.published:
            return parts
        for where, row in read_table(self.files["split"], SPLIT_COLUMNS):
            try:
                dicom, *owner = _identity(where, row)
                known = (part_of(where, row["split"]), tuple(owner))
                if parts.setdefault(dicom, known) != known:
                    raise InputError(where, f"film {dicom} again, otherwise", "one row a film", "drop one of them")
            except InputError as problem:
                problems.append(str(problem))
        return parts

    def _labels(self, problems: list[str]) -> dict[tuple[str, str], dict[str, int]]:
        """(patient, study) -> observations."""
        labels: dict[tuple[str, str], dict[str, int]] = {}
        if self.labels == "none":
            return labels
        for where, row in read_table(self.files["labels"], ("subject_id", "study_id", "No Finding")):
            try:
                study = (_number(where, row, "subject_id"), _number(where, row, "study_id"))
                if study in labels:
                    raise InputError(where, f"study {study[1]} again", "one row a study", "drop one of them")
                labels[study] = label_values(where, row)
            except InputError as problem:
                problems.append(str(problem))
        return labels


def _identity(where: str, row: dict) -> tuple[str, str, str]:
    """dicom_id, subject_id and study_id of a row; InputError where one cannot be part of a path."""
    dicom = row["dicom_id"].strip()
    if not DICOM_ID.fullmatch(dicom):
        raise InputError(where, f"dicom_id '{dicom:.20}'", "letters, digits and hyphens", "correct it")
    return dicom, _number(where, row, "subject_id"), _number(where, row, "study_id")


def _number(where: str, row: dict, column: str) -> str:
    """The digits of an identifier, however a table writes it."""
    match = IDENTIFIER.fullmatch(row[column].strip())
    if match is None:
        raise InputError(where, f"{column} '{row[column].strip():.20}'", "a number like 10000032", "correct it")
    return match[1]
