"""Made-up copies of MIMIC-CXR and CheXpert Plus with small films. No report here is real: the words mean nothing."""

import csv
import gzip
import io
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hf_medreport.dataset_scripts.parts.films import Rules, choose
from hf_medreport.processing.label_text import LABELS
from tests.dataset_scripts.iu_xray_trees import film

TEXT = "Lorem ipsum dolor. Sit amet."  # of the first film of either


@dataclass
class MadeUp:
    """A study of one patient: its films as {name: view}, its part, its report and its labels (None: no row)."""

    patient: int
    study: int
    films: dict[str, str]
    split: str = "train"
    report: str = " FINDINGS: Lorem ipsum\n dolor.\n\n IMPRESSION: Sit amet.\n"
    labels: dict[str, float] | None = field(default_factory=dict)


STUDIES = [
    MadeUp(
        10000032, 50414267, {"aa-1": "PA", "aa-2": "LATERAL"}, labels={"Edema": 1, "Cardiomegaly": -1, "Fracture": 0}
    ),
    MadeUp(10000032, 53189527, {"bb-1": "AP"}, report="FINDINGS: Only this.", labels={"Edema": 1}),
    MadeUp(11000033, 50000001, {"cc-1": "AP", "cc-2": "AP"}, "validate", labels={"No Finding": 1}),
    MadeUp(12000034, 50000002, {"dd-1": ""}, "test", labels={"Pneumonia": 1}),
    MadeUp(13000035, 50000003, {"ee-1": "PA"}, "test", "WET READ: Elit sed.\nIMPRESSION:\n Only that.", None),
    MadeUp(14000036, 50000004, {"ff-1": "PA"}, "test", labels={"Support Devices": 1, "No Finding": 1, "Edema": -1}),
    MadeUp(15000037, 50000005, {"gg-1": "AP AXIAL"}),
    MadeUp(16000038, 50000006, {"hh-1": "PA"}, "validate", labels=None),
]


def write_table(path: Path, rows: list[dict]) -> Path:
    """A .csv, or a .csv.gz by the name."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def save_film(path: Path, number: int) -> None:
    """A film of its own as PNG, JPEG or DICOM, by the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".dcm":
        from tests.processing.dicom_files import write_dicom

        write_dicom(path, np.asarray(film(number)))
    else:
        film(number).save(path)


def label_cells(labels: dict[str, float]) -> dict:
    return {name: float(labels[name]) if name in labels else "" for name in LABELS}


def mimic_rows(studies=STUDIES) -> dict[str, list[dict]]:
    """Rows of the three tables."""
    metadata, split, labels = [], [], []
    for one in studies:
        owner = {"subject_id": one.patient, "study_id": one.study}
        for name, view in one.films.items():
            size = {"PerformedProcedureStepDescription": "CHEST", "ViewPosition": view, "Rows": 20, "Columns": 24}
            metadata.append({"dicom_id": name, **owner, **size, "StudyDate": 21800506})
            split.append({"dicom_id": name, "study_id": one.study, "subject_id": one.patient, "split": one.split})
        if one.labels is not None:
            labels.append({**owner, **label_cells(one.labels)})
    return {"metadata": metadata, "split": split, "chexpert": labels}


def write_mimic(folder: Path, studies=STUDIES, suffix=".jpg", root="files", tables=".csv.gz", rows=None) -> Path:
    """MIMIC-CXR-JPG and the reports of MIMIC-CXR in one folder; `rows` in place of those made from the studies."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, its_rows in (rows or mimic_rows(studies)).items():
        write_table(folder / f"mimic-cxr-2.0.0-{name}{tables}", its_rows)
    number = 0
    for one in studies:
        patient = Path(f"p{one.patient // 1_000_000}") / f"p{one.patient}"
        report = folder / "files" / patient / f"s{one.study}.txt"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(one.report)
        for name in one.films:
            save_film(folder / root / patient / f"s{one.study}" / f"{name}{suffix}", number)
            number += 1
    return folder


PLUS = [
    MadeUp(42142, 5, {"view1_frontal": "AP", "view2_lateral": ""}, labels={"Edema": 1, "Cardiomegaly": -1}),
    MadeUp(42142, 6, {"view1_frontal": "PA"}, labels={"No Finding": 1}),
    MadeUp(
        7, 1, {"view1_frontal": ""}, report="NARRATIVE:\nFINDINGS:\nLorem.\n\nIMPRESSION:\n1. Ipsum.\n\nSUMMARY: 2-OK"
    ),
    MadeUp(8, 1, {"view1_frontal": "AP"}, "valid", labels=None),
    MadeUp(9, 1, {"view1_frontal": "AP"}, report=""),
    MadeUp(10, 1, {"view1_frontal": "AP"}, report="IMPRESSION: Only this."),
]


def plus_rows(studies=PLUS) -> tuple[list[dict], list[dict]]:
    """Rows of the table, and the objects of the labels."""
    rows, labels = [], []
    for one in studies:
        for name, view in one.films.items():
            path = f"{one.split}/patient{one.patient:05d}/study{one.study}/{name}.jpg"
            views = {"frontal_lateral": name.split("_")[1].title(), "ap_pa": view}
            person = {"deid_patient_id": f"patient{one.patient:05d}", "patient_report_date_order": one.study}
            row = {"path_to_image": path, "path_to_dcm": path.replace(".jpg", ".dcm"), **views, **person}
            rows.append({**row, "report": one.report, "section_findings": "", "age": 50.0, "split": one.split})
            if one.labels is not None:
                cells = label_cells(one.labels)
                labels.append({"path_to_image": path, **{key: None if v == "" else v for key, v in cells.items()}})
    return rows, labels


def write_plus(folder: Path, studies=PLUS, suffix=".png", root="PNG", rows=None, labels=None) -> Path:
    """CheXpert Plus; `rows` and lines of `labels` in place of those made from the studies."""
    made, objects = plus_rows(studies)
    (folder / "chexbert_labels").mkdir(parents=True, exist_ok=True)
    write_table(folder / "df_chexpert_plus_240401.csv", rows or made)
    lines = labels or [json.dumps(one) for one in objects]
    (folder / "chexbert_labels" / "report_fixed.json").write_text("\n".join(lines) + "\n")
    for number, row in enumerate(made):
        save_film(folder / root / Path(row["path_to_image"]).with_suffix(suffix), number)
    return folder


def chosen(source, problems=None, **rules) -> tuple[list, dict]:
    """What rules choose of the films of a copy, and the funnel."""
    problems = [] if problems is None else problems
    return choose(source, source.films(problems), Rules(**rules), problems)


def names(source, **rules) -> list[str]:
    """The last names of the films that rules choose."""
    return [case.film.stem.rsplit("/", 1)[1] for case in chosen(source, **rules)[0]]
