"""Films in, reports out: order, provenance, pictures, and nothing half-written."""

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from hf_medreport.hub.folder import save_folder
from hf_medreport.inference import report_films as module
from hf_medreport.inference.loading import load, model_revision
from hf_medreport.inference.report import Failure, Report
from hf_medreport.inference.report_films import report_films
from hf_medreport.inference.report_folder import ReportFolder
from hf_medreport.processing.film_reading import Film
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from tests.tiny import film_array, tiny_model, tiny_processor


@pytest.fixture(scope="module")
def pipe(tiny_pipe_folder):
    return load(tiny_pipe_folder)


@pytest.fixture
def films(tmp_path):
    paths = []
    for index in range(5):
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(np.roll(film_array(), index, axis=1)).save(paths[-1])
    paths[1].write_bytes(b"")
    return paths


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_results_keep_the_order_whatever_the_batch(pipe, films, batch_size):
    results = list(report_films(films, pipe, batch_size=batch_size))
    assert [result.film for result in results] == [film.name for film in films]
    assert [type(result) for result in results] == [Report, Failure, Report, Report, Report]
    alone = [next(report_films([film], pipe)).text for film in (films[0], films[4])]
    assert [results[0].text, results[-1].text] == alone


def test_only_one_batch_is_in_memory(pipe, films, monkeypatch):
    read = []
    film = Film(film_array() / np.float32(255))
    monkeypatch.setattr(module, "read_film", lambda path, **options: read.append(path) or film)
    results = report_films(films, pipe, batch_size=2)
    next(results)
    assert len(read) == 2


def test_a_report_says_where_it_came_from(pipe, films):
    report = next(report_films(films[:1], pipe))
    assert report.film_sha256 == hashlib.sha256(films[0].read_bytes()).hexdigest()
    assert report.model == "anatomical_report" and len(report.revision) == 16 and report.statement == ""
    assert next(report_films(films[:1], pipe)).to_json() == report.to_json()


def test_revision_follows_the_weights(pipe):
    before = model_revision(pipe)
    weight = pipe.model.projection.bias.data
    weight[0] += 1
    changed = model_revision(pipe)
    weight[0] -= 1
    assert changed != before


def test_pictures_and_json(pipe, films, tmp_path):
    folder = ReportFolder(tmp_path / "out")
    written = [folder.add(result) for result in report_films(films[:2], pipe)]
    content = folder.finish()
    assert written == [tmp_path / "out/0_report.png", None] and Image.open(written[0]).size[0] > 500
    names = ["0_report.png", "manifest.json", "records.jsonl", "report.json"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names  # no unfinished file beside them
    assert json.loads((tmp_path / "out/report.json").read_text()) == content
    assert content["reports"][0]["picture"] == "0_report.png" and content["failures"][0]["id"] == "1.png"


def test_nothing_half_written_when_drawing_fails(pipe, films, tmp_path, monkeypatch):
    def full_disk(self, path, **kwargs):
        path.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full_disk)
    with pytest.raises(OSError, match="No space left"):
        ReportFolder(tmp_path / "out").add(next(report_films(films[:1], pipe)))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_picture_never_overwrites_its_film(pipe, films):
    before = films[0].read_bytes()
    ReportFolder(films[0].parent).add(next(report_films(films[:1], pipe)))
    assert films[0].read_bytes() == before


def test_out_must_be_a_folder(pipe, films):
    with pytest.raises(InputError, match="0.png: found a file; expected a folder to write to"):
        ReportFolder(films[0])


def test_given_masks_stand_in_for_the_segmenter(pipe, films, tmp_path):
    mask = tmp_path / "mask.png"
    Image.fromarray((film_array() > 99).astype(np.uint8)).save(mask)
    own, given = next(report_films(films[:1], pipe)), next(report_films(films[:1], pipe, masks=[mask]))
    assert given.prior.shape == (64, 64) and not np.array_equal(own.prior, given.prior)
    with pytest.raises(InputError, match="masks: found 1 for 2 films; expected one a film"):
        next(report_films(films[:2], pipe, masks=[mask]))


def test_a_model_without_segmenter_asks_for_masks(films, tmp_path):
    row = system("anatomical_report")
    without = load(save_folder(tiny_model(row, segmenter=None), tiny_processor(row), tmp_path / "model"))
    with pytest.raises(InputError, match="masks: found none, and model has no segmenter to draw them"):
        next(report_films(films[:1], without))
    assert isinstance(next(report_films(films[:1], without, masks=films[2:3])), Report)


def test_films_of_one_name_stay_apart_without_ids(pipe, films, tmp_path):
    report = next(report_films(films[:1], pipe))
    folder = ReportFolder(tmp_path / "out")
    pictures = [folder.add(report).name for _ in range(3)]
    assert [record["id"] for record in folder.finish()["reports"]] == ["0.png", "0.png#2", "0.png#3"]
    assert len(set(pictures)) == 3 and all((tmp_path / "out" / picture).is_file() for picture in pictures)
