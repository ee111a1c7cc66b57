"""Rules choose among films, and each film has its file. No report here is real."""

from dataclasses import replace
from pathlib import Path

import pytest

from hf_medreport.dataset_scripts.mimic_cxr import MimicCxr
from hf_medreport.dataset_scripts.parts.films import Film, film_file, label_values
from hf_medreport.processing.input_error import InputError
from tests.dataset_scripts.mimic_trees import STUDIES, MadeUp, chosen, names, write_mimic


@pytest.fixture(scope="module")
def mimic(tmp_path_factory) -> Path:
    return write_mimic(tmp_path_factory.mktemp("trees") / "mimic")


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
