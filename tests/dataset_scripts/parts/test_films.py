"""MIMIC-CXR and CheXpert Plus become the same films; rules choose among them. No report here is real."""

from dataclasses import replace
from pathlib import Path

import pytest

from hf_medreport.dataset_scripts.chexpert_plus import CheXpertPlus
from hf_medreport.dataset_scripts.mimic_cxr import MimicCxr
from hf_medreport.dataset_scripts.parts.films import Film, Rules, choose, film_file, label_values
from hf_medreport.processing.input_error import InputError
from tests.dataset_scripts.mimic_trees import PLUS, STUDIES, MadeUp, mimic_rows, plus_rows, write_mimic, write_plus

TEXT = "Lorem ipsum dolor. Sit amet."


def chosen(source, problems=None, **rules) -> tuple[list, dict]:
    problems = [] if problems is None else problems
    return choose(source, source.films(problems), Rules(**rules), problems)


def names(source, **rules) -> list[str]:
    """The films' last names."""
    return [case.film.stem.rsplit("/", 1)[1] for case in chosen(source, **rules)[0]]


@pytest.fixture(scope="module")
def mimic(tmp_path_factory) -> Path:
    return write_mimic(tmp_path_factory.mktemp("trees") / "mimic")


@pytest.fixture(scope="module")
def plus(tmp_path_factory) -> Path:
    return write_plus(tmp_path_factory.mktemp("trees") / "plus")


# --- MIMIC-CXR ---


def test_a_film_of_mimic(mimic):
    (case, *_), _ = chosen(MimicCxr(mimic))
    assert case.film == Film(
        stem="p10/p10000032/s50414267/aa-1",
        id="aa-1",
        patient_id="10000032",
        study_id="50414267",
        view="PA",
        split="train",
        report=None,
        labels={"Edema": 1, "Cardiomegaly": -1, "Fracture": 0},
    )
    assert case.path == mimic / "files/p10/p10000032/s50414267/aa-1.jpg"
    assert (case.findings, case.impression, case.text) == ("Lorem ipsum dolor.", "Sit amet.", TEXT)
    assert case.positives == ("Edema",)


def test_the_funnel_of_mimic(mimic):
    problems = []
    cases, steps = chosen(MimicCxr(mimic), problems)
    assert problems == [] and [case.film.id for case in cases] == ["aa-1", "cc-1", "cc-2", "ff-1", "hh-1"]
    assert steps == {
        "films in the tables": 10,
        "in a published part": 10,
        "of a wanted view (frontal)": 7,  # without aa-2 (lateral), dd-1 (not noted), gg-1 (axial)
        "with a report": 7,
        "with findings and impression": 5,  # without bb-1, ee-1
        "whose file is there": 5,
        "of these labeled": 4,  # hh-1 has no row
    }


@pytest.mark.parametrize("root", ["files", "images", "."])
@pytest.mark.parametrize("suffix", [".jpg", ".dcm"])
@pytest.mark.parametrize("tables", [".csv", ".csv.gz"])
def test_every_layout_of_mimic(tmp_path, mimic, root, suffix, tables):
    folder = write_mimic(tmp_path / "tree", suffix=suffix, root=root, tables=tables)
    assert names(MimicCxr(folder)) == names(MimicCxr(mimic))


def test_films_and_reports_of_mimic_in_other_folders(tmp_path, mimic):
    (tmp_path / "tables").mkdir()
    for table in mimic.glob("*.csv.gz"):
        (tmp_path / "tables" / table.name).write_bytes(table.read_bytes())
    source = MimicCxr(tmp_path / "tables", images=mimic / "files", reports=mimic)
    assert names(source) == names(MimicCxr(mimic))


def test_the_labeler_of_mimic_is_chosen(tmp_path):
    rows = mimic_rows()
    rows["negbio"] = [{**row, "Edema": "", "Fracture": 1.0} for row in rows["chexpert"]]
    folder = write_mimic(tmp_path, rows=rows)
    found = [chosen(MimicCxr(folder, labels=name))[0][0].positives for name in ("chexpert", "negbio", "none")]
    assert found == [("Edema",), ("Fracture",), None]


@pytest.mark.parametrize("style", ["{}", "{}.0", " {} "])
def test_identifiers_however_a_table_writes_them(tmp_path, mimic, style):
    rows = mimic_rows()
    for row in rows["chexpert"]:
        row.update({column: style.format(row[column]) for column in ("subject_id", "study_id")})
    rows["split"] = [
        {**row, "subject_id": f"p{row['subject_id']}", "study_id": f"s{row['study_id']}"} for row in rows["split"]
    ]
    problems = []
    cases, _ = chosen(MimicCxr(write_mimic(tmp_path, rows=rows)), problems)
    assert problems == [] and [case.positives for case in cases[:2]] == [("Edema",), ("No Finding",)]


def test_without_the_table_of_parts_none_is_published(tmp_path):
    rows = mimic_rows()
    del rows["split"]
    source = MimicCxr(write_mimic(tmp_path, rows=rows))
    cases, steps = chosen(source)
    assert not source.published and "in a published part" not in steps
    assert len(cases) == 5 and {case.film.split for case in cases} == {None}


# --- CheXpert Plus ---


def test_a_film_of_chexpert_plus(plus):
    (case, *_), _ = chosen(CheXpertPlus(plus))
    assert case.film == Film(
        stem="train/patient42142/study5/view1_frontal",
        id="patient42142_study5_view1_frontal",
        patient_id="patient42142",
        study_id="patient42142_study5",
        view="AP",
        split="train",
        report=PLUS[0].report,
        labels={"Edema": 1, "Cardiomegaly": -1},
    )
    assert case.path == plus / "PNG/train/patient42142/study5/view1_frontal.png"  # the table says .jpg
    assert (case.text, case.positives) == (TEXT, ("Edema",))


def test_the_funnel_of_chexpert_plus(plus):
    problems = []
    cases, steps = chosen(CheXpertPlus(plus), problems)
    assert problems == [] and list(steps.values()) == [7, 7, 6, 5, 4, 4, 3]
    assert [case.film.patient_id for case in cases] == ["patient42142", "patient42142", "patient00007", "patient00008"]
    assert [case.film.view for case in cases] == ["AP", "PA", "FRONTAL", "AP"]
    assert cases[2].text == "Lorem. 1. Ipsum."  # the heading NARRATIVE and the code under SUMMARY are no part of it
    assert [case.film.split for case in cases] == ["train"] * 3 + ["validation"]
    assert [case.positives for case in cases] == [("Edema",), ("No Finding",), (), None]


@pytest.mark.parametrize("root", ["PNG", "PNG/PNG", "DICOM", "."])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".dcm"])
def test_every_layout_of_chexpert_plus(tmp_path, root, suffix):
    source = CheXpertPlus(write_plus(tmp_path, suffix=suffix, root=root))
    assert len(chosen(source)[0]) == 4


@pytest.mark.parametrize(
    ("named", "view", "found"),
    [
        ("Frontal", "PA", "PA"),
        ("frontal ", " ap", "AP"),
        ("Frontal", "", "FRONTAL"),
        ("Frontal", "LL", "FRONTAL"),  # the two contradict each other: what the film is called decides
        ("Lateral", "AP", "LATERAL"),
        ("Lateral", "LL", "LL"),
        ("", "PA", "PA"),
        ("", "", ""),
    ],
)
def test_the_view_of_two_columns(tmp_path, named, view, found):
    (row, *_), _ = plus_rows()
    row |= {"frontal_lateral": named, "ap_pa": view}
    (film,) = CheXpertPlus(write_plus(tmp_path, rows=[row])).films([])
    assert film.view == found


def test_patients_of_chexpert_plus_by_number_alone(tmp_path):
    rows, _ = plus_rows()
    rows = [{**row, "deid_patient_id": int(row["deid_patient_id"].removeprefix("patient"))} for row in rows]
    problems = []
    assert len(CheXpertPlus(write_plus(tmp_path, rows=rows)).films(problems)) == 7 and problems == []


# --- rules ---


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"views": "AP,PA"}, ["aa-1", "cc-1", "cc-2", "ff-1", "hh-1"]),
        ({"views": " pa "}, ["aa-1", "ff-1", "hh-1"]),
        ({"views": "lateral"}, ["aa-2"]),
        ({"views": "AP AXIAL,LATERAL"}, ["aa-2", "gg-1"]),
        ({"views": "all"}, ["aa-1", "aa-2", "cc-1", "cc-2", "dd-1", "ff-1", "gg-1", "hh-1"]),
        ({"sections": ("findings",)}, ["aa-1", "bb-1", "cc-1", "cc-2", "ff-1", "hh-1"]),
        ({"sections": ("impression",)}, ["aa-1", "cc-1", "cc-2", "ee-1", "ff-1", "hh-1"]),
        ({"uncertain": "drop"}, ["cc-1", "cc-2", "hh-1"]),
    ],
    ids=str,
)
def test_rules_by_hand(mimic, rules, expected):
    assert names(MimicCxr(mimic), **rules) == expected


def test_uncertain_labels(mimic):
    found = {
        policy: [case.positives for case in chosen(MimicCxr(mimic), uncertain=policy)[0]]
        for policy in ("positive", "negative")
    }
    no = ("No Finding",)
    assert found["negative"] == [("Edema",), no, no, ("Support Devices", "No Finding"), None]
    devices = ("Edema", "Support Devices", "No Finding")
    assert found["positive"] == [("Cardiomegaly", "Edema"), no, no, devices, None]


def test_only_what_a_row_mentions_is_a_label():
    cells = {"Edema": "1.0", "Fracture": 0, "Pneumonia": "-1.0", "Cardiomegaly": "", "Atelectasis": None}
    row = {**cells, "Consolidation": float("nan"), "path_to_image": "no label"}
    assert label_values("x", row) == {"Edema": 1, "Fracture": 0, "Pneumonia": -1}


@pytest.mark.parametrize(
    ("sections", "text"),
    [
        (("findings",), "Lorem ipsum dolor."),
        (("impression",), "Sit amet."),
        ((" Impression", "findings"), "Sit amet. Lorem ipsum dolor."),
    ],
)
def test_what_text_becomes(mimic, sections, text):
    (case, *_), _ = chosen(MimicCxr(mimic), sections=sections)
    assert case.text == text and (case.findings, case.impression) == ("Lorem ipsum dolor.", "Sit amet.")


def test_a_report_is_read_once_a_study(mimic, monkeypatch):
    read = []
    monkeypatch.setattr(MimicCxr, "report", lambda self, film: read.append(film.id) or "FINDINGS: A. IMPRESSION: B.")
    chosen(MimicCxr(mimic))
    assert read == ["aa-1", "bb-1", "cc-1", "ee-1", "ff-1", "hh-1"]


def test_films_that_nobody_wants_need_no_file(tmp_path):
    studies = [MadeUp(10000032, 50000001, {"aa-1": "PA", "aa-2": "LATERAL"})]
    folder, problems = write_mimic(tmp_path, studies), []
    (folder / "files/p10/p10000032/s50000001/aa-2.jpg").unlink()
    assert len(chosen(MimicCxr(folder), problems)[0]) == 1 and problems == []


def test_a_patient_in_two_parts_is_in_none(tmp_path):
    studies = [replace(STUDIES[0], split="test"), *STUDIES[1:]]
    problems = []
    cases, _ = chosen(MimicCxr(write_mimic(tmp_path, studies)), problems)
    assert "10000032" not in {case.film.patient_id for case in cases} and len(cases) == 4
    assert problems == ["patient 10000032: found films in test and train; expected one part a patient; mend the split"]


# --- a film's file ---

FILM = Film("p10/aa-1", "aa-1", "10", "1", "PA", None, None, None)


def lay(folder: Path, *suffixes: str) -> Path:
    for suffix in suffixes:
        path = folder / f"{FILM.stem}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


@pytest.mark.parametrize("first", range(4))
def test_of_a_film_that_lies_there_twice_one_kind_is_taken(tmp_path, first):
    suffixes = (".jpg", ".png", ".dcm", ".jpeg")
    folder = lay(tmp_path, *reversed(suffixes[first:]))
    assert film_file([folder], FILM) == folder / f"p10/aa-1{suffixes[first]}"


def test_the_first_folder_wins_whatever_kind_it_has(tmp_path):
    folders = [lay(tmp_path / "a"), lay(tmp_path / "b", ".jpeg"), lay(tmp_path / "c", ".jpg")]
    assert film_file(folders, FILM) == tmp_path / "b/p10/aa-1.jpeg"


def test_a_folder_of_a_films_name_is_no_film(tmp_path):
    (tmp_path / "p10/aa-1.jpg").mkdir(parents=True)
    assert film_file([lay(tmp_path, ".dcm")], FILM) == tmp_path / "p10/aa-1.dcm"


def test_a_film_without_a_file_is_refused(tmp_path):
    with pytest.raises(InputError) as raised:
        film_file([lay(tmp_path, ".tiff")], FILM)
    expected = ".jpg or .png or .dcm or .jpeg; download the film or drop its row"
    assert str(raised.value) == f"aa-1: found no file; expected {expected}"
