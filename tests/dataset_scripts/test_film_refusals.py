"""What cannot be begun with a copy of MIMIC-CXR or CheXpert Plus, and the whole message of each."""

import gzip
from pathlib import Path

import pytest

from hf_medreport.dataset_scripts.chexpert_plus import CheXpertPlus
from hf_medreport.dataset_scripts.mimic_cxr import MimicCxr
from hf_medreport.dataset_scripts.parts import tables as film_tables
from hf_medreport.dataset_scripts.parts.films import Rules
from hf_medreport.dataset_scripts.parts.tables import prepare
from hf_medreport.processing.input_error import InputError
from tests.dataset_scripts.mimic_trees import plus_rows, save_film, write_mimic, write_plus


def table(name: str, content: bytes):
    """A tree of MIMIC-CXR with another table."""

    def write(folder: Path):
        tables = ".csv.gz" if name.endswith(".gz") else ".csv"
        (write_mimic(folder, tables=tables) / f"mimic-cxr-2.0.0-{name}").write_bytes(content)
        return prepare(MimicCxr(folder), folder / "out")

    return write


def without(*names: str):
    def write(folder: Path):
        for name in names:
            (write_mimic(folder) / name).unlink()
        return prepare(MimicCxr(folder), folder / "out")

    return write


def no_films_there(folder: Path):
    write_mimic(folder / "mimic")
    (folder / "films").mkdir()
    return MimicCxr(folder / "mimic", images=folder / "films")


def plus_without_labels(folder: Path):
    (write_plus(folder) / "chexbert_labels/report_fixed.json").unlink()
    return CheXpertPlus(folder)


def plus_without_parts(folder: Path):
    rows = [{name: cell for name, cell in row.items() if name != "split"} for row in plus_rows()[0]]
    return prepare(CheXpertPlus(write_plus(folder, rows=rows)), folder / "out")


def file_in_place_of_a_folder(folder: Path):
    save_film(folder / "film.png", 0)
    return CheXpertPlus(folder / "film.png")


VIEWS = (
    "AP, PA, FRONTAL, LATERAL, LL, RL, XTABLE LATERAL, AP AXIAL, AP LLD, AP RLD, PA LLD, PA RLD, LAO, LPO, RAO, RPO, "
    "SWIMMERS"
)
METADATA = "columns dicom_id, subject_id, study_id, ViewPosition"
REFUSED = {
    ("MIMIC", "no such folder"): (
        lambda f: MimicCxr(f / "mimic"),
        "mimic: found no such folder; expected the folder of MIMIC-CXR-JPG's tables; check the path",
    ),
    ("MIMIC", "no metadata"): (
        without("mimic-cxr-2.0.0-metadata.csv.gz"),
        "FOLDER: found no mimic-cxr-*-metadata.csv or .csv.gz; expected the release's table; name the folder of "
        "MIMIC-CXR-JPG",
    ),
    ("MIMIC", "no labels"): (
        without("mimic-cxr-2.0.0-chexpert.csv.gz"),
        "FOLDER: found no mimic-cxr-*-chexpert.csv or .csv.gz; expected the release's table; take it from "
        'MIMIC-CXR-JPG, or choose `labels="none"`',
    ),
    ("MIMIC", "no split"): (
        without("mimic-cxr-2.0.0-split.csv.gz"),
        'split: found no published parts and no `split`; expected one of the two; give `split="8:1:1"`',
    ),
    ("MIMIC", "films that lie elsewhere"): (
        no_films_there,
        "films: found a folder without p10 ... p19; expected p10 ... p19 in it, or in its files or images; name the "
        "folder above them",
    ),
    ("MIMIC", "an unknown labeler"): (
        lambda f: MimicCxr(f, labels="chexbert"),
        "labels: found 'chexbert'; expected chexpert, negbio, none; choose one of them",
    ),
    ("MIMIC table", "another column's name"): (
        table("metadata.csv", b"dicom_id,subject_id,study_id,View\na,10000032,50000001,PA\n"),
        f"mimic-cxr-2.0.0-metadata.csv: found columns dicom_id, subject_id, study_id, View; expected {METADATA}; name "
        "the column 'ViewPosition'",
    ),
    ("MIMIC table", "no rows"): (
        table("metadata.csv", b"dicom_id,subject_id,study_id,ViewPosition\n"),
        f"mimic-cxr-2.0.0-metadata.csv: found no rows; expected {METADATA}; take the table from the release",
    ),
    ("MIMIC table", "a gzip that was cut"): (
        table("metadata.csv.gz", gzip.compress(b"dicom_id,subject_id,study_id,ViewPosition\n" * 9)[:-12]),
        "mimic-cxr-2.0.0-metadata.csv.gz: found a damaged gzip file; expected a complete one; download it again",
    ),
    ("MIMIC table", "no gzip"): (
        table("metadata.csv.gz", b"dicom_id,subject_id,study_id,ViewPosition\n"),
        "mimic-cxr-2.0.0-metadata.csv.gz: found a damaged gzip file; expected a complete one; download it again",
    ),
    ("MIMIC table", "a field too many"): (
        table("split.csv", b"dicom_id,study_id,subject_id,split\na,1,2,train,train\n"),
        "mimic-cxr-2.0.0-split.csv, line 2: found 5 fields; expected 4 as in the header; mend the line",
    ),
    ("CheXpert Plus", "no such folder"): (
        lambda f: CheXpertPlus(f / "plus"),
        "plus: found no such folder; expected the folder of CheXpert Plus's table; check the path",
    ),
    ("CheXpert Plus", "a film in place of the folder"): (
        file_in_place_of_a_folder,
        "film.png: found a file; expected the folder of CheXpert Plus's table; check the path",
    ),
    ("CheXpert Plus", "no labels"): (
        plus_without_labels,
        "chexbert_labels/report_fixed.json: found no such file; expected CheXbert's labels; unpack "
        'chexbert_labels.zip, or choose `labels="none"`',
    ),
    ("CheXpert Plus", "no column of parts"): (
        plus_without_parts,
        'split: found no published parts and no `split`; expected one of the two; give `split="8:1:1"`',
    ),
    ("CheXpert Plus", "no such folder of films"): (
        lambda f: CheXpertPlus(write_plus(f), images=f / "films"),
        "films: found no such folder; expected a folder with train or valid; name the folder above them",
    ),
    ("rules", "an unknown view"): (
        lambda f: Rules(views="AP,PQ"),
        f"views: found 'PQ'; expected frontal, lateral, all, or names among {VIEWS}; check `views`",
    ),
    ("rules", "another section"): (
        lambda f: Rules(sections=("findings", "history")),
        "sections: found 'findings,history'; expected findings, impression or both; like findings,impression",
    ),
    ("rules", "a section twice"): (
        lambda f: Rules(sections=("findings", "findings")),
        "sections: found 'findings,findings'; expected findings, impression or both; like findings,impression",
    ),
    ("rules", "an unknown policy"): (
        lambda f: Rules(uncertain="ones"),
        "uncertain: found 'ones'; expected positive, negative or drop; choose one of them",
    ),
    ("rules", "nobody left"): (
        lambda f: prepare(MimicCxr(write_mimic(f)), f / "out", Rules(views="SWIMMERS")),
        "rules: found no film left; expected at least one; see the funnel with `out=None`",
    ),
    ("format", "unknown"): (
        lambda f: prepare(MimicCxr(write_mimic(f)), f / "out", format="csv"),
        "format: found 'csv'; expected parquet or radscribe; choose one of them",
    ),
    ("format", "paths in an archive"): (
        lambda f: prepare(MimicCxr(write_mimic(f)), f / "out", format="radscribe", embed=False),
        'embed: found paths with `format="radscribe"`; expected films in an archive; leave out `embed`',
    ),
    ("split", "beside the published one"): (
        lambda f: prepare(MimicCxr(write_mimic(f)), f / "out", split="8:1:1"),
        "split: found '8:1:1' beside published parts; expected one of the two; leave out `split`",
    ),
    ("split", "of two parts"): (
        lambda f: prepare(MimicCxr(write_mimic(f)), f / "out", split="8:2"),
        "split: found '8:2'; expected three whole numbers like 7:1:2; check `split`",
    ),
    ("workers", "none"): (
        lambda f: prepare(MimicCxr(write_mimic(f)), f / "out", workers=0),
        "workers: found 0; expected at least 1; leave it out for 1",
    ),
}


@pytest.mark.parametrize(("act", "message"), REFUSED.values(), ids=map(" ".join, REFUSED))
def test_what_cannot_be_begun_is_refused(tmp_path, act, message):
    with pytest.raises(InputError) as caught:
        act(tmp_path)
    assert str(caught.value) == message.replace("FOLDER", tmp_path.name)


def test_datasets_that_is_not_installed_is_said_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(film_tables, "find_spec", lambda name: None)
    with pytest.raises(InputError) as caught:
        prepare(MimicCxr(write_mimic(tmp_path)), tmp_path / "out")
    remedy = "expected datasets 4 or later; pip install 'hf-medreport[train]'"
    assert str(caught.value) == f"datasets: found not installed; {remedy}"
    assert prepare(MimicCxr(tmp_path), tmp_path / "out", format="radscribe")["parts"]["train"] == 1
