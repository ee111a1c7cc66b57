"""RadScribe's tables and WebDataset shards: the same records whatever holds the films, and whoever reads them."""

import json
import pickle

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from hf_medreport.data.archives.radscribe import RadScribeReports
from hf_medreport.data.archives.webdataset import WebDatasetReports
from hf_medreport.data.drawn.corpus import write_corpus
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.phantom.chest.findings import KINDS
from hf_medreport.processing.image_reading import read_image
from hf_medreport.processing.input_error import InputError
from tests.data.archives.made import film, row, write_rows, write_tar
from tests.tiny import film_array

N = 7


@pytest.fixture
def table(tmp_path):
    labels = [
        "'Cardiomegaly', 'Edema'",
        "",
        "''",
        "'No Finding'",
        "No Finding",
        None,
        "'No Finding', 'Support Devices'",
    ]
    return write_rows(tmp_path / "train.jsonl", [row(number, label=label) for number, label in enumerate(labels)])


FILMS = {f"train/{number}.png": film(number) for number in range(N)}
LABELS = [["Cardiomegaly", "Edema"], [], [], [], [], None, ["Support Devices"]]


def place(folder, kind):
    if kind == "folder":
        for name, content in FILMS.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        return folder
    if kind == "pattern":
        for number in range(N):
            write_tar(folder / f"{number:02d}.tar", {f"train/{number}.png": FILMS[f"train/{number}.png"]})
        return f"{folder}/{{00..{N - 1:02d}}}.tar"
    return write_tar(folder / f"train.{kind}", FILMS)


def same(records, others):
    assert len(records) == len(others)
    for one, other in zip(records, others, strict=True):
        np.testing.assert_array_equal(one.pop("image"), other.pop("image"))
        assert one == other


@pytest.mark.parametrize("kind", ["folder", "tar", "tar.gz", "pattern"])
def test_every_place_gives_the_same_records(table, tmp_path, kind):
    reports = RadScribeReports(table, place(tmp_path, kind))
    assert len(reports) == N and reports.skipped == [] and reports.path == table
    assert list(reports.texts()) == [f"Report {number}." for number in range(N)]
    for number in range(N):
        record = reports[number]
        np.testing.assert_array_equal(record.pop("image"), read_image(film(number)))
        assert record == {"text": f"Report {number}.", "labels": LABELS[number], "mask": None, "id": f"s{number}"}


def test_a_member_under_its_whole_name_is_taken(table, tmp_path):
    whole = {f"data/preprocessed/mimic/{name}": content for name, content in FILMS.items()}
    whole["train/0.png"] = film(99)
    reports = RadScribeReports(table, write_tar(tmp_path / "a.tar", whole))
    np.testing.assert_array_equal(reports[0]["image"], read_image(film(0)))


@pytest.mark.parametrize("root", ["data/openi", "data/openi/"])
def test_another_root(tmp_path, root):
    table = write_rows(tmp_path / "a.jsonl", [row(0, img="data/openi/train/0.png")])
    assert RadScribeReports(table, place(tmp_path, "tar"), img_root=root)[0]["id"] == "s0"


def test_what_other_programs_write_is_read(tmp_path):
    """A byte order mark, Windows' line ends, blank lines, no end of the last line, labels as a list."""
    lines = [json.dumps(row(number, label=label)) for number, label in enumerate([None, ["Edema"]])]
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + "\r\n\r\n \r\n".join(lines).encode())
    reports = RadScribeReports(tmp_path / "a.jsonl", place(tmp_path, "tar"))
    assert [reports[index]["labels"] for index in range(2)] == [None, ["Edema"]]


def test_bad_rows_are_skipped_on_request_and_told(tmp_path):
    table = write_rows(tmp_path / "a.jsonl", [row(0), row(1, text=" "), row(2), row(90), row(3, label="'Oedema'")])
    with table.open("ab") as file:
        file.write(b'{"id": "4"\n{"id": "\xe9"}\n')
    films = place(tmp_path, "tar.gz")
    reports = RadScribeReports(table, films, on_bad="skip")
    assert [reports[index]["id"] for index in range(len(reports))] == ["s0", "s2"]
    assert reports.skipped == [
        "a.jsonl, line 2: found no text in 'text'; expected a report; fill it in or drop the row",
        "a.jsonl, line 4: found no film 90.png; expected a film in train.tar.gz; correct 'img' or drop the row",
        "a.jsonl, line 5: found unknown label 'Oedema'; expected one of CheXpert's 14 names; did you mean 'Edema'?",
        "a.jsonl, line 6: found broken JSON (Expecting ',' delimiter); expected one object; mend it",
        "a.jsonl, line 7: found text that is not UTF-8; expected UTF-8; save it as UTF-8",
    ]
    with pytest.raises(InputError, match=r"line 2: .*bad rows in all: 5; skip_bad_rows leaves them out"):
        RadScribeReports(table, films)


def test_films_that_do_not_decode_are_skipped_too(tmp_path):
    rows = [row(index, img=f"{index}.png") for index in range(3)]
    table, films = write_rows(tmp_path / "a.jsonl", rows), tmp_path / "films"
    films.mkdir()
    for index in range(3):
        Image.fromarray(film_array()).save(films / f"{index}.png")
    (films / "1.png").write_bytes((films / "1.png").read_bytes()[:200])
    reports = RadScribeReports(table, films, on_bad="skip")
    assert [record.id for record in reports.rows] == ["s0", "s2"] and len(reports) == 2
    assert reports.skipped[0].startswith("a.jsonl, line 2 (") and len(reports.skipped) == 1


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
def test_workers_give_the_same_records(table, tmp_path, kind):
    reports = RadScribeReports(table, place(tmp_path, kind))
    alone = [reports[index] for index in range(N)]  # also opens the archive before the workers are forked
    for workers in (0, 2):
        loader = DataLoader(reports, batch_size=None, num_workers=workers)
        records = [{**record, "image": np.asarray(record["image"])} for record in loader]
        same(records, [dict(record) for record in alone])
    same([pickle.loads(pickle.dumps(reports))[index] for index in range(N)], alone)  # what a spawned worker gets


def test_the_phantom_in_this_layout(tmp_path):
    corpus = ChestCorpus(n=4, seed=0, size=64, split="validation")
    write_corpus(tmp_path / "phantom", corpus, "radscribe", workers=1)
    reports = RadScribeReports(tmp_path / "phantom" / "valid.jsonl", tmp_path / "phantom" / "valid.tar.gz")
    assert len(reports) == 4
    for record, case in zip(map(reports.__getitem__, range(4)), map(corpus.__getitem__, range(4)), strict=True):
        assert (record["id"], record["text"]) == (case.patient_id, case.report)
        assert set(record["labels"]) == {KINDS[fact.kind].chexpert for fact in case.facts} - {None}
        assert np.abs(record["image"] - case.image / 255).mean() < 0.02  # JPEG


# --- WebDataset -------------------------------------------------------------------------------------------------------


def shards(folder, suffix="tar"):
    """Two shards whose samples write their report in each of the three ways."""
    first = {
        "00.png": film(0),
        "00.txt": b"\xef\xbb\xbfReport 0.\n",
        "01.json": json.dumps({"text": "Report 1.", "label": "'Edema'"}).encode(),
        "01.PNG": film(1),
    }
    second = {
        "deep/00.png": film(2),
        "deep/00.mask.png": b"not read",
        "deep/00.txt": b"Report 2.",
        "deep/00.json": json.dumps({"label": ["Fracture"], "age_years": 50}).encode(),
        "LICENSE": b"no sample",
        "._00.png": b"no sample",
    }
    write_tar(folder / f"train-000.{suffix}", first)
    write_tar(folder / f"train-001.{suffix}", second)
    return f"{folder}/train-{{000..001}}.{suffix}"


@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_shards_give_records_in_their_order(tmp_path, suffix):
    reports = WebDatasetReports(shards(tmp_path, suffix))
    listed = WebDatasetReports([tmp_path / f"train-00{number}.{suffix}" for number in range(2)])
    assert list(reports.texts()) == list(listed.texts()) == ["Report 0.", "Report 1.", "Report 2."]
    records = [reports[index] for index in range(3)]
    assert [record["id"] for record in records] == ["00", "01", "deep/00"]
    assert [record["labels"] for record in records] == [None, ["Edema"], ["Fracture"]]
    for number, record in enumerate(records):
        np.testing.assert_array_equal(record["image"], read_image(film(number)))
        assert set(record) == {"image", "text", "labels", "mask", "id"} and record["mask"] is None


def test_bad_samples_and_shards_are_skipped_on_request(tmp_path):
    pattern = shards(tmp_path)
    write_tar(
        tmp_path / "train-002.tar",
        {"1.png": film(), "2.txt": b"x", "../3.png": film(), "4.png": film(4), "4.txt": b"y"},
    )
    (tmp_path / "train-003.tar").write_bytes((tmp_path / "train-000.tar").read_bytes()[:1000])
    pattern = pattern.replace("001}", "004}")
    reports = WebDatasetReports(pattern, on_bad="skip")
    assert list(reports.texts()) == ["Report 0.", "Report 1.", "Report 2.", "y"]
    again = "pack the shard again"
    assert reports.skipped == [
        f"train-002.tar, member 3.png: found a path that leaves the archive; expected a file of a sample; {again}",
        f"train-002.tar, sample 1: found no report; expected a .txt or .json; {again} or drop the sample",
        f"train-002.tar, sample 2: found no film; expected one .jpg, .png or .dcm; {again} or drop the sample",
        "train-003.tar: found a truncated archive; expected a .tar or .tar.gz archive; copy it again",
        "train-004.tar: found no such file or directory; expected a .tar or .tar.gz archive; check the path",
    ]
    with pytest.raises(InputError, match="bad rows in all: 5"):
        WebDatasetReports(pattern)


def test_workers_give_the_same_samples(tmp_path):
    reports = WebDatasetReports(shards(tmp_path, "tar.gz"))
    loaders = [DataLoader(reports, batch_size=None, num_workers=workers) for workers in (0, 2)]
    same(*[[{**record, "image": np.asarray(record["image"])} for record in loader] for loader in loaders])
