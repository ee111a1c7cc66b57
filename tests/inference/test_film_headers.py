"""What a film's header says, on its way through reports, pairs, pipeline, tables, pictures and the command."""

import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from hf_medreport.data.archives.webdataset import WebDatasetReports
from hf_medreport.data.tables import ReportDataset
from hf_medreport.files.items import FILE_IT
from hf_medreport.inference.figures import film as figures
from hf_medreport.inference.loading import load
from hf_medreport.inference.read_pairs import Pair, read_pair
from hf_medreport.inference.report import Failure, Report
from hf_medreport.inference.report_any import refuse_film_options, report_any
from hf_medreport.inference.report_films import report_films
from hf_medreport.inference.report_folder import ReportFolder
from hf_medreport.inference.report_pairs import _read
from hf_medreport.inference.segment import segment_films
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.anatomical.recipe import DataArguments
from hf_medreport.training.arguments import read_arguments
from tests.cli.test_cli import run
from tests.processing.dicom_files import write_dicom
from tests.tiny import film_array

TURNED = "the header states a mirrored film (PatientOrientation R\\F): turned to the standard view, as asked"


@pytest.fixture(scope="module")
def pipe(tiny_pipe_folder):
    return load(tiny_pipe_folder)


@pytest.fixture
def films(tmp_path):
    """One film upright and the same mirrored, as their headers say; a CT slice of it; two frames of it."""
    film = film_array()
    made = {
        "upright": (film, {"PatientOrientation": ["L", "F"]}),
        "mirrored": (film[:, ::-1], {"PatientOrientation": ["R", "F"]}),
        "slice": (film, {"Modality": "CT"}),
        "frames": (np.stack([film[:, ::-1], film]), {}),
    }
    return {
        name: write_dicom(tmp_path / f"{name}.dcm", np.ascontiguousarray(pixels), **{"Modality": "DX"} | elements)
        for name, (pixels, elements) in made.items()
    }


def test_a_film_is_refused_read_and_noted(pipe, films):
    upright, *refused = report_films(films.values(), pipe)
    assert isinstance(upright, Report) and upright.notes == []
    assert [failure.message.split("; ")[0] for failure in refused] == [
        "mirrored.dcm: found a mirrored film (PatientOrientation R\\F)",
        "slice.dcm: found Modality CT",
        "frames.dcm: found 2 frames",
    ]
    turned = next(report_films([films["mirrored"]], pipe, orient="header"))
    assert (turned.text, turned.notes) == (upright.text, [TURNED])
    np.testing.assert_array_equal(turned.image, upright.image)
    assert turned.to_json()["notes"] == [TURNED] and f"mirrored.dcm\nnote: {TURNED}\n" in turned.to_text()
    words = [text.get_text() for text in turned.figure().texts]
    assert any(f"note: {TURNED}" in each for each in words)
    assert next(report_films([films["slice"]], pipe, any_modality=True)).text == upright.text
    assert next(report_films([films["frames"]], pipe, frame=1)).text == upright.text


def test_the_pipeline_takes_the_same_words(pipe, films):
    (upright,) = pipe(str(films["upright"]))
    for name, options in (
        ("mirrored", {"orient": "header"}),
        ("slice", {"any_modality": True}),
        ("frames", {"frame": 1}),
    ):
        with pytest.raises(InputError):
            pipe(str(films[name]))
        assert pipe(str(films[name]), **options) == [upright]
        assert pipe(str(films[name]), processor_kwargs=options) == [upright]
    assert pipe._sanitize_parameters(max_new_tokens=3)[0] == {}  # what was said when it was made stays


def test_a_turned_film_and_a_mask(pipe, films, tmp_path):
    Image.fromarray(film_array()).save(tmp_path / "mask.png")
    (failure,) = report_films([films["mirrored"]], pipe, masks=[tmp_path / "mask.png"], orient="header")
    assert failure.message.startswith("mask.png: found a mask beside a film that its header turns")


def test_pairs(films):
    case, notes = _read(1, Pair(films["mirrored"], None), None, {"orient": "header"})
    np.testing.assert_array_equal(case["frontal"], film_array() / np.float32(255))
    assert notes == [f"frontal film: {TURNED}"]
    with pytest.raises(InputError, match="mirrored film"):
        read_pair(Pair(None, films["mirrored"]))
    with pytest.raises(InputError, match="the same picture"):  # once it is turned
        read_pair(Pair(films["upright"], films["mirrored"]), orient="header")


def test_options_that_there_are_not(pipe, films):
    with pytest.raises(InputError, match="^orient: found 'sideways'"):
        report_any([films["upright"]], pipe, orient="sideways")
    refuse_film_options({"orient": None, "frame": None, "any_modality": False}, pipe)
    for option in ({"orient": "header"}, {"frame": 0}, {"any_modality": True}):
        (name,) = option
        with pytest.raises(InputError, match=f"^{name}: found .*reads slides; .*leave out `{name}`"):
            refuse_film_options({"orient": None, "frame": None, "any_modality": False} | option, pipe)


def test_a_segmenter_is_given_a_frame(pipe, films, monkeypatch):
    seen = []
    monkeypatch.setattr("hf_medreport.inference.segment._logits", lambda batch, segmenter: seen.extend(batch) or 1 / 0)
    list(segment_films([films["frames"]], None, frame=1))
    np.testing.assert_array_equal(seen[0], film_array() / np.float32(255))


def test_a_segmenter_takes_chest_films_as_they_are_stored(films, monkeypatch):
    seen = []
    monkeypatch.setattr("hf_medreport.inference.segment._logits", lambda batch, segmenter: seen.extend(batch) or 1 / 0)
    refused, _ = segment_films([films["slice"], films["mirrored"]], None)
    assert "slice.dcm: found Modality CT; expected a chest film" in refused.message
    np.testing.assert_array_equal(seen[0], film_array()[:, ::-1] / np.float32(255))
    list(segment_films([films["slice"]], None, any_modality=True))
    assert len(seen) == 2


@pytest.fixture
def table(films, tmp_path):
    (tmp_path / "t.csv").write_text("image,text\nmirrored.dcm,Normal.\nslice.dcm,Normal.\n")
    return tmp_path / "t.csv"


def test_a_training_table(table, caplog):
    records = ReportDataset(table)
    for index, found in enumerate(("a mirrored film", "Modality CT")):
        with pytest.raises(InputError, match=rf"^t.csv, row {index + 1} \(.*\): found {found}"):
            records[index]
    records = ReportDataset(table, orient="header", any_modality=True)
    for index in (0, 1, 0):
        np.testing.assert_array_equal(records[index]["image"], film_array() / np.float32(255))
    assert len(caplog.messages) == 3 and TURNED in caplog.messages[0]
    with pytest.raises(InputError, match="^orient: found"):
        ReportDataset(table, orient="left")


def test_a_training_shard(films, tmp_path):
    with tarfile.open(tmp_path / "t.tar", "w") as shard:
        shard.add(films["mirrored"], "1.dcm")
        (tmp_path / "1.txt").write_text("Normal.")
        shard.add(tmp_path / "1.txt", "1.txt")
    with pytest.raises(InputError, match="found a mirrored film"):
        WebDatasetReports(tmp_path / "t.tar")[0]
    (record,) = WebDatasetReports(tmp_path / "t.tar", orient="header")
    np.testing.assert_array_equal(record["image"], film_array() / np.float32(255))


def test_recipes_take_them():
    (data,) = read_arguments((DataArguments,), None, ["--orient", "header", "--frame", "1", "--any_modality"])
    assert data.of_films == {"orient": "header", "frame": 1, "any_modality": True}
    assert DataArguments().of_films == {"orient": None, "frame": None, "any_modality": False}


def test_one_odd_film_and_the_others_are_done(capsys, films, tiny_pipe_folder, tmp_path):
    given = [films["upright"], films["mirrored"], films["slice"], films["frames"], films["upright"]]
    flags = ["--model", tiny_pipe_folder, "--out", tmp_path / "out"]
    code, _, err = run(capsys, "report", *given, *flags)
    assert code == 1 and err.splitlines()[-1] == "2 done, 3 failed, 0 left"
    for remedy in ("--orient header to turn it, or --orient stored", "--any-modality to read", "--frame (0 to 1), or"):
        assert remedy in err
    assert len(json.loads((tmp_path / "out" / "report.json").read_text())["reports"]) == 2
    flags += ["--overwrite", "--orient", "header", "--any-modality"]
    code, out, err = run(capsys, "report", *given[:3], *flags)
    assert code == 0 and out.count("note: ") == 3
    record = json.loads((tmp_path / "out" / "report.json").read_text())["reports"][1]
    assert record["notes"] == [TURNED]


def test_a_report_that_cannot_be_drawn_is_its_items_failure(pipe, films, tmp_path, monkeypatch):
    (report,) = report_films([films["upright"]], pipe)
    draw, calls = figures.report_figure, []

    def broken(*args):
        calls.append(args)
        if len(calls) == 1:
            raise ValueError("no room")
        return draw(*args)

    monkeypatch.setattr("hf_medreport.inference.report.report_figure", broken)
    with ReportFolder(tmp_path / "out", ids=["a", "b"]) as folder:
        assert folder.add(report, id="a") is None and folder.add(report, id="b").name == "b_report.png"
        record = folder.finish()
    assert [each["id"] for each in record["reports"]] == ["b"]
    assert folder.failures["a"] == Failure("upright.dcm", f"upright.dcm: ValueError: no room ({FILE_IT})")
