"""From films and reports to tables: rows, bytes, formats, weights, the verbs. No report here is real."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

from hf_medreport.data.tables import ReportDataset
from hf_medreport.dataset_scripts.chexpert_plus import CheXpertPlus
from hf_medreport.dataset_scripts.mimic_cxr import MimicCxr
from hf_medreport.dataset_scripts.parts.films import Rules
from hf_medreport.dataset_scripts.parts.patient_split import split_of
from hf_medreport.dataset_scripts.parts.tables import prepare
from tests.dataset_scripts.iu_xray_trees import film
from tests.dataset_scripts.mimic_trees import TEXT, mimic_rows, write_mimic, write_plus


@pytest.fixture(scope="module")
def mimic(tmp_path_factory) -> Path:
    return write_mimic(tmp_path_factory.mktemp("trees") / "mimic")


@pytest.fixture(scope="module")
def plus(tmp_path_factory) -> Path:
    return write_plus(tmp_path_factory.mktemp("trees") / "plus")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows_of(path: Path) -> list[dict]:
    return pyarrow.parquet.read_table(path).to_pylist()


# --- Parquet ---


def test_the_tables(mimic, tmp_path):
    funnel = prepare(MimicCxr(mimic), tmp_path / "out")
    assert funnel["parts"] == {"train": 1, "validation": 3, "test": 1} and funnel["problems"] == []
    assert funnel["steps"]["readable films"] == 5
    (row,) = rows_of(tmp_path / "out" / "train.parquet")
    path = mimic / "files/p10/p10000032/s50414267/aa-1.jpg"
    assert row == {
        "image": {"bytes": path.read_bytes(), "path": "aa-1.jpg"},
        "text": TEXT,
        "labels": ["Edema"],
        "findings": "Lorem ipsum dolor.",
        "impression": "Sit amet.",
        "view": "PA",
        "patient_id": "10000032",
        "study_id": "50414267",
        "split": "train",
    }
    labels = [row["labels"] for row in rows_of(tmp_path / "out" / "validation.parquet")]
    assert labels == [[], [], None]  # no finding, no finding, not labeled
    assert [row["labels"] for row in rows_of(tmp_path / "out" / "test.parquet")] == [["Support Devices"]]
    manifest, card = json.loads(contents(tmp_path / "out")["manifest.json"]), contents(tmp_path / "out")["README.md"]
    assert json.loads((tmp_path / "out" / "funnel.json").read_text()) == funnel
    assert set(manifest["files"]) == {*contents(tmp_path / "out")} - {"manifest.json"}
    assert set(manifest["arguments"]["sources"]) == {"metadata", "split", "labels"}
    assert manifest["made_by"] == "hf-medreport prepare mimic-cxr" and "PhysioNet" in manifest["statement"]
    assert b"| with findings and impression | 5 |" in card and b"license: other" in card


def test_a_part_without_films_has_no_table(plus, tmp_path):
    funnel = prepare(CheXpertPlus(plus), tmp_path / "out")
    assert funnel["parts"] == {"train": 3, "validation": 1} and not (tmp_path / "out" / "test.parquet").exists()
    assert b"path: test.parquet" not in contents(tmp_path / "out")["README.md"]


def test_sections_that_are_not_wanted_stay_beside_the_text(mimic, tmp_path):
    prepare(MimicCxr(mimic), tmp_path / "out", Rules(sections=("impression",), views="all"))
    rows = {row["study_id"]: row for row in rows_of(tmp_path / "out" / "test.parquet")}
    assert rows["50000003"]["text"] == "Only that." and rows["50000003"]["findings"] is None
    assert rows["50000002"]["view"] is None and rows["50000002"]["findings"] == "Lorem ipsum dolor."


@pytest.mark.parametrize("embed", [True, False])
def test_tables_are_read_by_us_and_by_datasets(mimic, tmp_path, embed):
    from datasets import load_dataset

    prepare(MimicCxr(mimic), tmp_path / "out", embed=embed)
    table = ReportDataset(tmp_path / "out" / "validation.parquet", labels_column="labels")
    assert table[0]["image"].shape == (20, 24) and table[0]["text"] == TEXT
    assert [table[index]["labels"] for index in range(3)] == [[], [], None]
    read = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {part: len(rows) for part, rows in read.items()} == {"train": 1, "validation": 3, "test": 1}
    assert read["train"][0]["image"].size == (24, 20)


def test_dicom_films_are_embedded_as_png(tmp_path):
    folder = write_mimic(tmp_path / "tree", suffix=".dcm", root="images")
    prepare(MimicCxr(folder), tmp_path / "out")
    (row,) = rows_of(tmp_path / "out" / "train.parquet")
    assert row["image"]["path"] == "aa-1.png"
    pixels = np.asarray(film(0), float)  # shown from its smallest to its largest value, as it has no window
    shown = np.rint((pixels - pixels.min()) / np.ptp(pixels) * 255)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(row["image"]["bytes"]))), shown)


def test_workers_and_a_killed_run_change_no_byte(mimic, tmp_path):
    prepare(MimicCxr(mimic), tmp_path / "one")

    def killed(films, total):
        if total == 3:
            raise KeyboardInterrupt
        return films

    with pytest.raises(KeyboardInterrupt):
        prepare(MimicCxr(mimic), tmp_path / "two", workers=3, progress=killed)
    assert set(contents(tmp_path / "two")) == {".records.jsonl", ".unfinished.jsonl", "train.parquet"}
    (tmp_path / "two" / ".validation.parquet.part").write_bytes(b"of a run that was killed")
    read = []
    prepare(
        MimicCxr(mimic),
        tmp_path / "two",
        workers=3,
        progress=lambda films, total: read.append(total) or films,
        resume=True,
    )
    assert len(read) == 3  # the reports, and two parts: not the one that was whole
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_other_reports_are_another_run(tmp_path):
    from hf_medreport.processing.input_error import InputError

    folder = write_mimic(tmp_path / "tree")
    prepare(MimicCxr(folder), tmp_path / "out")
    (folder / "files/p16/p16000038/s50000006.txt").write_text("FINDINGS: Other. IMPRESSION: Words.")
    with pytest.raises(InputError, match=r'out: found a run with texts "\w+\.\.\.; expected texts "\w+\.\.\. as now'):
        prepare(MimicCxr(folder), tmp_path / "out", resume=True)


def test_parts_of_ours_go_by_patient(tmp_path):
    rows = mimic_rows()
    del rows["split"]
    folder = write_mimic(tmp_path / "tree", rows=rows)
    funnel = prepare(MimicCxr(folder), tmp_path / "out", split="1:1:1", seed=5)
    drawn = {"train": "train", "validation": "val", "test": "test"}
    for part, count in funnel["parts"].items():
        written = rows_of(tmp_path / "out" / f"{part}.parquet")
        assert len(written) == count
        for row in written:
            assert split_of(row["patient_id"], (1, 1, 1), 5) == drawn[part] and row["split"] == part
    assert sum(funnel["parts"].values()) == 5
    assert b"drawn by patient as 1:1:1, seed 5" in contents(tmp_path / "out")["README.md"]


def test_sources_are_mixed_by_the_recipes_weights(mimic, plus, tmp_path):
    """What `train_weights` does with these tables: each is drawn as often as its weight says, whatever its size."""
    from hf_medreport.systems.anatomical.recipe import DataArguments, ModelArguments, load_data

    prepare(MimicCxr(mimic), tmp_path / "mimic", Rules(views="all"))
    prepare(CheXpertPlus(plus), tmp_path / "plus")
    tables = [str(tmp_path / name / "train.parquet") for name in ("mimic", "plus")]
    data = DataArguments(train_data=tables, train_weights=[0.7, 0.3])
    records, _, weights = load_data(ModelArguments(mask_mode="none"), data)
    sizes = [len(rows_of(Path(table))) for table in tables]
    assert len(records) == len(weights) == sum(sizes) and sizes == [3, 3]
    assert sum(weights[: sizes[0]]) == pytest.approx(0.7) and sum(weights[sizes[0] :]) == pytest.approx(0.3)


# --- RadScribe ---


def test_the_files_of_radscribe(mimic, tmp_path):
    funnel = prepare(MimicCxr(mimic), tmp_path / "out", format="radscribe")
    assert funnel["parts"] == {"train": 1, "validation": 3, "test": 1}
    lines = [json.loads(line) for line in (tmp_path / "out" / "valid.jsonl").read_text().splitlines()]
    assert lines[0] == {
        "id": "cc-1",
        "split": "valid",
        "label": "'No Finding'",
        "text": TEXT,
        "img": "data/preprocessed/mimic/valid/cc-1.jpg",
    }
    assert "label" not in lines[2]  # nobody labeled it
    (test,) = (tmp_path / "out" / "test.jsonl").read_text().splitlines()
    assert json.loads(test)["label"] == "'Support Devices', 'No Finding'"
    with tarfile.open(tmp_path / "out" / "valid.tar.gz") as archive:
        assert archive.getnames() == ["valid/cc-1.jpg", "valid/cc-2.jpg", "valid/hh-1.jpg"]
        film = mimic / "files/p11/p11000033/s50000001/cc-1.jpg"
        assert archive.extractfile("valid/cc-1.jpg").read() == film.read_bytes()
    assert contents(tmp_path / "out")["valid.tar.gz"][4:8] == bytes(4)  # no time in the head of the gzip
    prepare(MimicCxr(mimic), tmp_path / "again", format="radscribe", workers=3)
    assert contents(tmp_path / "out") == contents(tmp_path / "again")


def test_films_of_other_kinds_become_jpegs_for_radscribe(plus, tmp_path):
    prepare(CheXpertPlus(plus), tmp_path / "out", format="radscribe")
    lines = map(json.loads, (tmp_path / "out" / "train.jsonl").read_text().splitlines())
    assert [line["label"] for line in lines] == ["'Edema'", "'No Finding'", ""]
    with tarfile.open(tmp_path / "out" / "train.tar.gz") as archive:
        content = archive.extractfile("train/patient42142_study5_view1_frontal.jpg").read()
    read = Image.open(io.BytesIO(content))
    assert read.format == "JPEG" and read.mode == "L"
    assert np.abs(np.asarray(read, float) - np.asarray(film(0), float)).mean() < 8  # noise, at quality 95


def test_our_reader_reads_the_files_of_radscribe(mimic, tmp_path):
    reader = pytest.importorskip("hf_medreport.data.archives.radscribe")
    prepare(MimicCxr(mimic), tmp_path / "out", format="radscribe")
    records = reader.RadScribeReports(tmp_path / "out" / "valid.jsonl", tmp_path / "out" / "valid.tar.gz")
    assert [records[index]["labels"] for index in range(3)] == [[], [], None]
    assert records[0]["image"].shape == (20, 24) and records[0]["text"] == TEXT
