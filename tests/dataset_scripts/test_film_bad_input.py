"""What may be wrong with one film, report or row of a collection: it is told, and the others are done.

Each pair of (what, what is wrong with it) has a tree with that one fault and the whole message.
"""

import json
from pathlib import Path

import pytest
from PIL import Image

from hf_medreport.dataset_scripts.chexpert_plus import CheXpertPlus
from hf_medreport.dataset_scripts.mimic_cxr import MimicCxr
from hf_medreport.dataset_scripts.parts.films import Rules
from hf_medreport.dataset_scripts.parts.tables import prepare
from tests.dataset_scripts.mimic_trees import mimic_rows, plus_rows, write_mimic, write_plus

FILM = "files/p10/p10000032/s50414267/aa-1.jpg"
ALL = Rules(views="all")


def mimic_row(table: str, **cells):
    """A tree whose first row of a table has other cells."""

    def write(folder: Path):
        rows = mimic_rows()
        rows[table][0] |= cells
        return MimicCxr(write_mimic(folder, rows=rows, tables=".csv"))

    return write


def mimic_again(table: str, **cells):
    """A tree whose first row of a table comes a second time, at its end."""

    def write(folder: Path):
        rows = mimic_rows()
        rows[table].append(rows[table][0] | cells)
        return MimicCxr(write_mimic(folder, rows=rows, tables=".csv"))

    return write


def mimic_without(table: str):
    """A tree whose table lacks its first row."""

    def write(folder: Path):
        rows = mimic_rows()
        del rows[table][0]
        return MimicCxr(write_mimic(folder, rows=rows, tables=".csv"))

    return write


def mimic_file(name: str, content: bytes | None):
    """A tree in which a file holds something else, or is not there."""

    def write(folder: Path):
        path = write_mimic(folder) / name
        path.unlink() if content is None else path.write_bytes(content)
        return MimicCxr(folder)

    return write


def plus_row(**cells):
    def write(folder: Path):
        rows, _ = plus_rows()
        rows[0] |= cells
        return CheXpertPlus(write_plus(folder, rows=rows))

    return write


def plus_again(folder: Path):
    rows, _ = plus_rows()
    return CheXpertPlus(write_plus(folder, rows=[*rows, rows[0]]))


def plus_labels(change):
    """A tree whose lines of labels are changed."""

    def write(folder: Path):
        lines = [json.dumps(one) for one in plus_rows()[1]]
        return CheXpertPlus(write_plus(folder, labels=change(lines)))

    return write


def plus_without_film(folder: Path):
    (write_plus(folder) / "PNG/train/patient42142/study5/view1_frontal.png").unlink()
    return CheXpertPlus(folder)


def small_film(folder: Path):
    write_mimic(folder)
    Image.new("L", (4, 4)).save(folder / FILM)
    return MimicCxr(folder)


def cut_dicom(folder: Path):
    path = write_mimic(folder, suffix=".dcm") / FILM.replace(".jpg", ".dcm")
    path.write_bytes(path.read_bytes()[:-100])
    return MimicCxr(folder)


VIEWS = (
    "AP, PA, FRONTAL, LATERAL, LL, RL, XTABLE LATERAL, AP AXIAL, AP LLD, AP RLD, PA LLD, PA RLD, LAO, LPO, RAO, RPO, "
    "SWIMMERS"
)
RELEASE = "take both tables from one release"
TOLD = {
    ("MIMIC film", "missing"): (
        mimic_file(FILM, None),
        "aa-1: found no file; expected .jpg or .png or .dcm or .jpeg; download the film or drop its row",
    ),
    ("MIMIC film", "empty"): (
        mimic_file(FILM, b""),
        "aa-1.jpg: found an empty file (0 bytes); expected an image file; copy or export the file again",
    ),
    ("MIMIC film", "text inside"): (
        mimic_file(FILM, b"heart normal"),
        "aa-1.jpg: found text; expected PNG, JPEG, TIFF or DICOM; give the image itself or convert it to PNG",
    ),
    ("MIMIC film", "a placeholder"): (
        small_film,
        "aa-1.jpg: found an image of 4 x 4 px; expected at least 8 px a side; give the image itself, not an icon or a "
        "placeholder",
    ),
    ("MIMIC film", "a DICOM that was cut"): (
        cut_dicom,
        "aa-1.dcm: found damaged or truncated pixel data; expected complete pixel data; copy or export the file again",
    ),
    ("MIMIC report", "missing"): (
        mimic_file("files/p10/p10000032/s50414267.txt", None),
        "s50414267.txt: found no such file; expected the study's report; download it, or check `reports`",
    ),
    ("MIMIC report", "another encoding"): (
        mimic_file("files/p10/p10000032/s50414267.txt", b"FINDINGS: \xe9. IMPRESSION: x."),
        "s50414267.txt: found text that is not UTF-8; expected UTF-8; download the report again",
    ),
    ("MIMIC metadata", "a film twice"): (
        mimic_again("metadata"),
        "mimic-cxr-2.0.0-metadata.csv, row 11: found film aa-1 again; expected one row a film; drop one of them",
    ),
    ("MIMIC metadata", "an unknown view"): (
        mimic_row("metadata", ViewPosition="upside down"),
        f"mimic-cxr-2.0.0-metadata.csv, row 1: found ViewPosition 'UPSIDE DOWN'; expected {VIEWS}, or nothing; correct "
        "it or leave it empty",
    ),
    ("MIMIC metadata", "a film that leads out of its folder"): (
        mimic_row("metadata", dicom_id="../../../etc/passwd"),
        "mimic-cxr-2.0.0-metadata.csv, row 1: found dicom_id '../../../etc/passwd'; expected letters, digits and "
        "hyphens; correct it",
    ),
    ("MIMIC metadata", "a patient that is no number"): (
        mimic_row("metadata", subject_id="nan"),
        "mimic-cxr-2.0.0-metadata.csv, row 1: found subject_id 'nan'; expected a number like 10000032; correct it",
    ),
    ("MIMIC split", "without a film"): (
        mimic_without("split"),
        f"mimic-cxr-2.0.0-split.csv: found no row of film aa-1; expected a row a film; {RELEASE}",
    ),
    ("MIMIC split", "another study"): (
        mimic_row("split", study_id=50414268),
        "mimic-cxr-2.0.0-split.csv: found film aa-1 under patient 10000032, study 50414268; expected patient 10000032, "
        f"study 50414267 as in the metadata; {RELEASE}",
    ),
    ("MIMIC split", "a film in two parts"): (
        mimic_again("split", split="test"),
        "mimic-cxr-2.0.0-split.csv, row 11: found film aa-1 again, otherwise; expected one row a film; drop one of "
        "them",
    ),
    ("MIMIC split", "a patient in two parts"): (
        mimic_row("split", split="test"),
        "patient 10000032: found films in test and train; expected one part a patient; mend the split",
    ),
    ("MIMIC labels", "a value that is none"): (
        mimic_row("chexpert", Edema="yes"),
        "mimic-cxr-2.0.0-chexpert.csv, row 1: found Edema 'yes'; expected 1.0, 0.0, -1.0 or nothing; correct or empty "
        "the cell",
    ),
    ("MIMIC labels", "a probability"): (
        mimic_row("chexpert", Fracture=0.5),
        "mimic-cxr-2.0.0-chexpert.csv, row 1: found Fracture '0.5'; expected 1.0, 0.0, -1.0 or nothing; correct or "
        "empty the cell",
    ),
    ("MIMIC labels", "a study twice"): (
        mimic_again("chexpert", Edema=0.0),
        "mimic-cxr-2.0.0-chexpert.csv, row 7: found study 50414267 again; expected one row a study; drop one of them",
    ),
    ("CheXpert Plus film", "missing"): (
        plus_without_film,
        "patient42142_study5_view1_frontal: found no file; expected .jpg or .png or .dcm or .jpeg; download the film "
        "or drop its row",
    ),
    ("CheXpert Plus table", "a film twice"): (
        plus_again,
        "df_chexpert_plus_240401.csv, row 8: found film patient42142_study5_view1_frontal again; expected one row a "
        "film; drop one of them",
    ),
    ("CheXpert Plus table", "another patient's film"): (
        plus_row(deid_patient_id="patient42143"),
        "df_chexpert_plus_240401.csv, row 1: found patient 'patient42143' with a film of patient42142; expected one "
        "patient; correct deid_patient_id or path_to_image",
    ),
    ("CheXpert Plus table", "a path out of its folder"): (
        plus_row(path_to_image="train/../../secret.jpg"),
        "df_chexpert_plus_240401.csv, row 1: found path_to_image 'train/../../secret.jpg'; expected like "
        "train/patient00001/study1/view1_frontal.jpg; correct it or drop the row",
    ),
    ("CheXpert Plus table", "an unknown view"): (
        plus_row(frontal_lateral="Oblique"),
        "df_chexpert_plus_240401.csv, row 1: found frontal_lateral 'oblique'; expected Frontal, Lateral or nothing; "
        "correct it or leave it empty",
    ),
    ("CheXpert Plus table", "an unknown projection"): (
        plus_row(ap_pa="AA"),
        "df_chexpert_plus_240401.csv, row 1: found ap_pa 'AA'; expected AP, PA, LL, RL or nothing; correct it or leave "
        "it empty",
    ),
    ("CheXpert Plus table", "an unknown part"): (
        plus_row(split="holdout"),
        "df_chexpert_plus_240401.csv, row 1: found split 'holdout'; expected train, validate or test; correct it or "
        "leave it empty",
    ),
    ("CheXpert Plus labels", "broken JSON"): (
        plus_labels(lambda lines: ['{"path_to_image":', *lines]),
        "report_fixed.json, line 1: found no JSON object; expected one object a line; mend the line",
    ),
    ("CheXpert Plus labels", "a list"): (
        plus_labels(lambda lines: [*lines, "[1]"]),
        "report_fixed.json, line 7: found no JSON object; expected one object a line; mend the line",
    ),
    ("CheXpert Plus labels", "no film"): (
        plus_labels(lambda lines: [*lines, '{"Edema": 1.0}']),
        "report_fixed.json, line 7: found path_to_image None; expected like "
        "train/patient00001/study1/view1_frontal.jpg; correct it or drop the row",
    ),
    ("CheXpert Plus labels", "a value that is none"): (
        plus_labels(lambda lines: [lines[0].replace("-1.0", "[2]"), *lines[1:]]),
        "report_fixed.json, line 1: found Cardiomegaly [2]; expected 1.0, 0.0, -1.0 or nothing; correct or empty the "
        "cell",
    ),
    ("CheXpert Plus labels", "a film twice"): (
        plus_labels(lambda lines: [*lines, lines[0]]),
        "report_fixed.json, line 7: found film patient42142_study5_view1_frontal again; expected one line a film; drop "
        "one of them",
    ),
}


# How many of the 8 films of MIMIC-CXR and the 5 of CheXpert Plus that have both sections are lost; else 1.
LOST = dict.fromkeys([pair for pair in TOLD if "labels" in pair[0] or "twice" in pair[1]], 0)
LOST |= {("MIMIC split", "a film in two parts"): 0, ("MIMIC split", "a patient in two parts"): 2}
LOST |= {pair: 2 for pair in TOLD if pair[0] == "MIMIC report"}


@pytest.mark.parametrize("pair", TOLD, ids=" ".join)
def test_what_is_wrong_with_one_is_told_and_the_others_are_written(tmp_path, pair):
    write, message = TOLD[pair]
    funnel = prepare(write(tmp_path / "tree"), tmp_path / "out", ALL)
    assert funnel["problems"] == [message]
    assert sum(funnel["parts"].values()) == (8 if "MIMIC" in pair[0] else 5) - LOST.get(pair, 1)


@pytest.mark.parametrize("pair", [("MIMIC labels", "a value that is none"), ("CheXpert Plus labels", "broken JSON")])
def test_a_film_whose_labels_are_wrong_stays_without_them(tmp_path, pair):
    funnel = prepare(TOLD[pair][0](tmp_path), None, Rules())
    known = {"MIMIC labels": 3, "CheXpert Plus labels": 3}[pair[0]]  # of 4, and of 3 whose lines stay whole
    assert funnel["steps"]["of these labeled"] == known


def test_without_pydicom_a_dicom_film_says_what_to_install(tmp_path, monkeypatch):
    from hf_medreport.processing import dicom_reading

    folder = write_mimic(tmp_path / "tree", suffix=".dcm")
    monkeypatch.setattr(dicom_reading, "pydicom", None)
    problems = prepare(MimicCxr(folder), tmp_path / "out")["problems"]
    assert len(problems) == 5
    expected = "expected pydicom 3 or later; pip install 'pydicom>=3.0.2'"
    assert problems[0] == f"aa-1.dcm: found a DICOM file, but no pydicom; {expected}"
