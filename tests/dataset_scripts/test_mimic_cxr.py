"""The films of a copy of MIMIC-CXR, in every layout. No report here is real."""

from pathlib import Path

import pytest

from hf_medreport.dataset_scripts.mimic_cxr import MimicCxr
from hf_medreport.dataset_scripts.parts.films import Film
from tests.dataset_scripts.mimic_trees import (
    TEXT,
    chosen,
    mimic_rows,
    names,
    write_mimic,
)


@pytest.fixture(scope="module")
def mimic(tmp_path_factory) -> Path:
    return write_mimic(tmp_path_factory.mktemp("trees") / "mimic")


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
