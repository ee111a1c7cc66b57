"""The films of a copy of CheXpert Plus, in every layout. No report here is real."""

from pathlib import Path

import pytest

from hf_medreport.dataset_scripts.chexpert_plus import CheXpertPlus
from hf_medreport.dataset_scripts.parts.films import Film
from tests.dataset_scripts.mimic_trees import (
    PLUS,
    TEXT,
    chosen,
    plus_rows,
    write_plus,
)


@pytest.fixture(scope="module")
def plus(tmp_path_factory) -> Path:
    return write_plus(tmp_path_factory.mktemp("trees") / "plus")


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
