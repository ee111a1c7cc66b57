"""A known-truth corpus on disk: what each layout holds, the same bytes for any number of workers, what goes wrong."""

import io
import json
import os
import tarfile
from contextlib import contextmanager
from itertools import count
from types import SimpleNamespace

import datasets
import numpy as np
import pydicom
import pytest
from PIL import Image

from hf_medreport.data.drawn import corpus as phantom_files
from hf_medreport.data.drawn import formats as phantom_formats
from hf_medreport.data.drawn.corpus import write_corpus
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.phantom.chest.findings import Fact
from hf_medreport.processing.image_reading import read_image
from hf_medreport.processing.input_error import InputError

RICH = {"n": 5, "seed": 3, "size": 64, "split": "test", "prevalence": "balanced", "lateral": True, "follow_up": 0.5}
PLAIN = {"n": 3, "seed": 0, "size": 48}
FORMATS = list(phantom_formats.FORMATS)


@pytest.fixture
def load(tmp_path):
    """`datasets.load_dataset` with a cache of its own."""

    def load_split(out, split: str):
        return datasets.load_dataset(str(out), split=split, cache_dir=str(tmp_path / "cache"))

    return load_split


def same_truth(row: dict, case) -> None:
    """A row's words are those of the case."""
    facts = [Fact(**fact) for fact in row["facts"]]
    assert facts == list(case.facts) and row["patient_id"] == case.patient_id and row["report"] == case.report
    assert row["findings"] in case.report and row["impression"] in case.report
    if case.prior is None:
        assert row["prior_report"] is None
    else:
        assert row["prior_report"] == case.prior.report
        assert [Fact(**fact) for fact in row["prior_facts"]] == list(case.prior.facts)
        assert [Fact(**fact) for fact in row["resolved"]] == list(case.resolved)


def same_pictures(row: dict, case, masks: list) -> None:
    pairs = [(row["image"], case.image), (row["lungs"], case.lungs), (row["heart"], case.heart)]
    pairs.append((row["lateral"], case.lateral.image))
    assert (row["prior"] is None) == (case.prior is None)
    if case.prior is not None:
        pairs.append((row["prior"], case.prior.image))
    pairs += zip(masks, case.findings.values(), strict=True)
    for picture, pixels in pairs:
        np.testing.assert_array_equal(np.asarray(picture), pixels)


@pytest.mark.parametrize("bits", [8, 16])
def test_parquet_is_read_by_datasets(load, tmp_path, monkeypatch, bits):
    monkeypatch.setattr(phantom_formats, "SHARD_ROWS", 2)
    monkeypatch.setattr(phantom_formats, "GROUP_ROWS", 1)
    corpus = ChestCorpus(**RICH, bits=bits)
    manifest = write_corpus(tmp_path / "out", corpus)
    assert [name for name in manifest["files"] if name.startswith("data/")] == [
        f"data/test-0000{shard}-of-00003.parquet" for shard in range(3)
    ]
    rows = load(tmp_path / "out", "test")
    assert isinstance(rows.features["image"], datasets.Image) and len(rows) == 5
    assert any(case.prior for case in corpus) and not all(case.prior for case in corpus)
    for row, case in zip(rows, corpus, strict=True):
        same_truth(row, case)
        same_pictures(row, case, [finding.pop("mask") for finding in row["finding_masks"]])
        assert [Fact(**finding) for finding in row["finding_masks"]] == list(case.findings)


def test_parquet_of_the_plainest_corpus(load, tmp_path):
    write_corpus(tmp_path / "out", ChestCorpus(**PLAIN))
    columns = load(tmp_path / "out", "train").column_names
    assert "image" in columns and not {"lateral", "prior", "prior_report", "resolved"} & set(columns)


def test_png_is_read_by_imagefolder(load, tmp_path):
    corpus = ChestCorpus(**RICH)
    write_corpus(tmp_path / "out", corpus, "png")
    folders = {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()}
    assert folders == {"images", "lungs", "heart", "findings", "lateral", "prior"}
    for row, case in zip(load(tmp_path / "out", "test"), corpus, strict=True):
        same_truth(row, case)
        same_pictures(row, case, row["finding_masks"])


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("monochrome", [1, 2, None])
def test_dicom_reads_back_as_drawn(tmp_path, bits, monochrome):
    corpus = ChestCorpus(**RICH | {"n": 2, "follow_up": 1.0}, bits=bits)
    write_corpus(tmp_path / "out", corpus, "dicom", monochrome=monochrome)
    rows = [json.loads(line) for line in (tmp_path / "out" / "reports.jsonl").read_text().splitlines()]
    uids = []
    for index, row, case in zip(count(), rows, corpus, strict=False):
        same_truth(row, case)
        films = {"file_name": case.image, "lateral_file_name": case.lateral.image, "prior_file_name": case.prior.image}
        studies = {}
        for column, pixels in films.items():
            path = tmp_path / "out" / row[column]
            # The window spans the range of the type, so a gray value v is displayed as v / (2^bits - 1).
            np.testing.assert_allclose(read_image(path), pixels / (2**bits - 1), atol=1e-6)
            film = pydicom.dcmread(path)
            assert film.PhotometricInterpretation == f"MONOCHROME{monochrome or 2 - index % 2}"
            assert film.ViewPosition == ("LL" if column.startswith("lateral") else "PA") and film.Modality == "DX"
            assert film.BitsStored == film.BitsAllocated == bits and film.PatientID == case.patient_id
            assert list(film.PixelSpacing) == [6.25, 6.25]  # 400 mm / 64 px
            assert film.file_meta.MediaStorageSOPInstanceUID == film.SOPInstanceUID
            uids.append(film.SOPInstanceUID)
            studies[column] = (film.StudyInstanceUID, film.StudyDate)
        assert studies["file_name"] == studies["lateral_file_name"] != studies["prior_file_name"]
        assert studies["prior_file_name"][1] < studies["file_name"][1]
    assert len(set(uids)) == 6


def test_dicom_of_an_odd_size_is_whole(tmp_path):
    corpus = ChestCorpus(n=1, seed=0, size=49)
    write_corpus(tmp_path / "out", corpus, "dicom")
    (path,) = (tmp_path / "out" / "films").iterdir()
    assert read_image(path).shape == (49, 49)


def test_radscribe_layout(tmp_path):
    facts = [Fact("scoliosis", "left", severity="mild"), Fact("central_line", "right"), Fact("pacemaker", "left")]
    facts += [Fact("cardiomegaly", severity="mild")]
    write_corpus(tmp_path / "out", ChestCorpus(n=1, seed=0, size=64, split="validation", facts=facts), "radscribe")
    (row,) = map(json.loads, (tmp_path / "out" / "valid.jsonl").read_text().splitlines())
    assert list(row) == ["id", "split", "label", "text", "img"] and row["split"] == "valid"
    assert row["label"] == "'Cardiomegaly', 'Support Devices'"  # two devices are one observation, scoliosis is none
    assert row["img"] == f"data/preprocessed/mimic/valid/{row['id']}.jpg"
    with tarfile.open(tmp_path / "out" / "valid.tar.gz") as archive:
        (member,) = archive.getmembers()
        assert "data/preprocessed/mimic/" + member.name == row["img"] and member.mtime == member.uid == 0
        film = Image.open(io.BytesIO(archive.extractfile(member).read()))
    assert film.format == "JPEG" and film.size == (64, 64)


def test_radscribe_calls_a_clear_film_no_finding(tmp_path):
    write_corpus(tmp_path / "out", ChestCorpus(n=1, seed=0, size=48, facts=()), "radscribe")
    assert json.loads((tmp_path / "out" / "train.jsonl").read_text())["label"] == "'No Finding'"


@pytest.mark.parametrize("format", FORMATS)
def test_the_number_of_workers_changes_no_byte(tmp_path, format):
    options = RICH | {"n": 7} if format != "radscribe" else PLAIN | {"n": 7}
    one, three = (write_corpus(tmp_path / str(w), ChestCorpus(**options), format, workers=w) for w in (1, 3))
    assert one == three
    for name in (*one["files"], "manifest.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes()


@pytest.mark.parametrize("format", FORMATS)
def test_the_manifest_lists_every_file_and_the_card_says_what_this_is(tmp_path, format):
    manifest = write_corpus(tmp_path / "out", ChestCorpus(**PLAIN), format)
    there = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert there == {*manifest["files"], "manifest.json"}
    assert manifest["arguments"] == {
        **PLAIN,
        "split": "train",
        "prevalence": "balanced",
        "wordings": "train",
        "style": "standard",
        "lateral": False,
        "follow_up": 0.0,
        "bits": 8,
        "facts": None,
        "format": format,
        "monochrome": None,
    }
    card = (tmp_path / "out" / "README.md").read_text()
    assert "drawn by a program" in card and "no clinical claim" in card and str(tmp_path) not in card


def test_no_more_films_are_drawn_than_are_in_flight():
    drawn = phantom_files.draw_in_order(SimpleNamespace(n=1000), _index, workers=2)
    assert [next(drawn) for _ in range(3)] == [0, 1, 2]
    assert len(drawn.gi_frame.f_locals["waiting"]) < phantom_files.IN_FLIGHT * 2
    drawn.close()


def _index(corpus, index):
    return index


def test_a_finished_run_is_left_alone_and_checked(tmp_path):
    out = tmp_path / "out"
    manifest = write_corpus(out, ChestCorpus(**PLAIN))
    (shard,) = (out / "data").iterdir()
    before = shard.stat().st_mtime_ns
    assert write_corpus(out, ChestCorpus(**PLAIN), resume=True) == manifest and shard.stat().st_mtime_ns == before
    shard.write_bytes(b"other")
    with pytest.raises(InputError, match="other content than its manifest says"):
        write_corpus(out, ChestCorpus(**PLAIN), resume=True)
    shard.unlink()
    with pytest.raises(InputError, match="no such file"):
        write_corpus(out, ChestCorpus(**PLAIN), resume=True)
    assert write_corpus(out, ChestCorpus(**PLAIN), overwrite=True) == manifest


def test_an_older_run_is_not_mixed_with(tmp_path):
    write_corpus(tmp_path / "out", ChestCorpus(**PLAIN))
    with pytest.raises(InputError, match="out: found a finished run; expected a new or empty folder; go on with"):
        write_corpus(tmp_path / "out", ChestCorpus(**PLAIN))
    with pytest.raises(InputError, match="out: found a run with seed 0; expected seed 1 as now"):
        write_corpus(tmp_path / "out", ChestCorpus(**PLAIN | {"seed": 1}), resume=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(InputError, match="mine: found a folder that is not empty"):
        write_corpus(tmp_path / "mine", ChestCorpus(**PLAIN))


@pytest.mark.parametrize("format", ["png", "parquet"])
def test_what_is_whole_is_not_drawn_again(tmp_path, monkeypatch, format):
    monkeypatch.setattr(phantom_formats, "SHARD_ROWS", 3)
    corpus, drawn = ChestCorpus(**PLAIN | {"n": 7}), []
    whole = write_corpus(tmp_path / "whole", corpus, format, workers=1)

    def killed(films):
        for number, record in enumerate(films):
            if number == 5:
                raise KeyboardInterrupt
            yield record

    def counted(films):
        for record in films:
            drawn.append(record)
            yield record

    with pytest.raises(KeyboardInterrupt) as raised:
        write_corpus(tmp_path / "out", corpus, format, workers=1, progress=killed)
    done = 5 if format == "png" else 3  # two shards of three rows and one of one; the second was not whole
    assert raised.value.__notes__ == [f"interrupted: {done} done, 0 failed, {7 - done} left; `resume` goes on"]
    assert write_corpus(tmp_path / "out", corpus, format, workers=1, progress=counted, resume=True) == whole
    assert len(drawn) == 7 - done
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        path.name for path in (tmp_path / "whole").iterdir()
    }


@pytest.mark.parametrize("format", FORMATS)
def test_a_full_disk_leaves_nothing_half_written_and_the_run_begins_anew(tmp_path, monkeypatch, format):
    whole = write_corpus(tmp_path / "whole", ChestCorpus(**PLAIN), format)
    monkeypatch.setattr(RunFolder, "open", full_after(4000, RunFolder.open))
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_corpus(tmp_path / "out", ChestCorpus(**PLAIN), format)
    assert caught.value.errno == 28
    left = [path for path in (tmp_path / "out").rglob("*") if path.is_file() and not path.name.startswith(".")]
    for path in left:
        name = str(path.relative_to(tmp_path / "out"))
        assert name in whole["files"] and path.stat().st_size == whole["files"][name]["bytes"]
    monkeypatch.undo()
    assert write_corpus(tmp_path / "out", ChestCorpus(**PLAIN), format, resume=True) == whole
    assert not list((tmp_path / "out").glob(".*"))


def full_after(capacity: int, open_):
    """`RunFolder.open` on a disk that takes so many bytes."""
    written = 0

    class Full:
        def __init__(self, file):
            self.file = file

        def write(self, content):
            nonlocal written
            written += len(content)
            if written > capacity:
                raise OSError(28, os.strerror(28))
            return self.file.write(content)

        def __getattr__(self, name):
            return getattr(self.file, name)

    @contextmanager
    def limited(self, name):
        with open_(self, name) as file:
            yield Full(file)

    return limited


@pytest.mark.parametrize(
    ("options", "corpus", "message"),
    [
        ({"format": "jpeg"}, {}, "format: found 'jpeg'; expected one of parquet, png, dicom, radscribe"),
        ({"workers": 0}, {}, "workers: found 0"),
        ({"format": "dicom", "monochrome": 3}, {}, "monochrome: found 3; expected 1 or 2"),
        ({"monochrome": 1}, {}, "monochrome: found format parquet; expected format dicom"),
        ({"format": "radscribe"}, {"lateral": True}, "format radscribe: found a lateral film"),
        ({"format": "radscribe"}, {"follow_up": 0.5}, "format radscribe: found a lateral film, a prior film"),
        ({"format": "radscribe"}, {"bits": 16}, "one JPEG a case"),
    ],
)
def test_bad_arguments_are_told_before_a_folder_is_made(tmp_path, options, corpus, message):
    with pytest.raises(InputError, match=message):
        write_corpus(tmp_path / "out", ChestCorpus(**PLAIN | corpus), **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("format", "remedy"), [("dicom", r"hf-medreport\[dicom\]"), ("parquet", r"hf-medreport\[train\]")]
)
def test_a_missing_package_says_what_to_install(tmp_path, monkeypatch, format, remedy):
    monkeypatch.setattr(phantom_formats, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=remedy):
        write_corpus(tmp_path / "out", ChestCorpus(**PLAIN), format)


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match="found a file; expected a folder to write to"):
            write_corpus(out, ChestCorpus(**PLAIN))
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the superuser may write anywhere
    with pytest.raises(InputError, match="out: found no permission to write"):
        write_corpus(tmp_path / "out", ChestCorpus(**PLAIN))
