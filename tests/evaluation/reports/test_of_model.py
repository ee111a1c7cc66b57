"""A model judged on a table: it writes of each row what it writes of that row alone, and the suite scores it."""

import json

import numpy as np
import pytest
from PIL import Image

from hf_medreport.evaluation.reports.of_model import PREDICTIONS, evaluate_model, table_rows
from hf_medreport.evaluation.reports.predictions import read_predictions
from hf_medreport.evaluation.reports.scoring import Settings, evaluate_reports
from hf_medreport.inference.loading import load
from hf_medreport.processing.feature_files import PatchFeatures, write_features
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import systems
from tests.cli.test_cli import run
from tests.processing.dicom_files import write_dicom
from tests.tiny import sample_array, save_tiny

ROWS = {row.reads: row for row in systems() if row.kind == "report"}
METRICS = ["bleu1"]
TEXT = "Heart normal. No effusion."


@pytest.fixture(scope="module")
def pipes(tmp_path_factory):
    """A loaded tiny model by what it reads."""
    folders = {reads: save_tiny(row, tmp_path_factory.mktemp(reads)) for reads, row in ROWS.items()}
    return {reads: load(folder, device="cpu") for reads, folder in folders.items()}


def write_table(folder, rows: list[dict], name="t.jsonl"):
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / name


@pytest.fixture
def films(tmp_path):
    """Five films by name, of which one is cut."""
    for index in range(5):
        Image.fromarray(np.roll(sample_array(ROWS["film"]), 9 * index, axis=0)).save(tmp_path / f"{index}.png")
    whole = (tmp_path / "3.png").read_bytes()
    (tmp_path / "3.png").write_bytes(whole[: len(whole) // 2])
    return write_table(tmp_path, [{"id": f"f{i}", "image": f"{i}.png", "text": f"{TEXT} {i}"} for i in range(5)])


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / PREDICTIONS).read_text().splitlines()]


def test_every_row_is_reported_and_scored_and_a_bad_one_is_told(pipes, films, tmp_path):
    out = tmp_path / "out"
    options = {"metrics": ["bleu1", "rougeL"], "section": "findings"}
    evaluation, failures = evaluate_model(pipes["film"], films, out, **options, batch_size=2)
    written = lines(out)
    assert [row["id"] for row in written] == ["f0", "f1", "f2", "f4"]
    for row in written:
        alone = pipes["film"](str(tmp_path / f"{row['id'][1]}.png"))[0]["generated_text"]
        assert row["prediction"] == alone and row["reference"] == f"{TEXT} {row['id'][1]}"
    assert [failure.film for failure in failures] == ["row f3"] and "3.png" in failures[0].message
    assert evaluation.pairs.notes["rows that could not be reported"] == 1
    again = evaluate_reports(read_predictions(out / PREDICTIONS), **options, settings=Settings(seed=0))
    scores = json.loads((out / "scores.json").read_text())
    for name, result in again.results.items():
        assert evaluation.results[name].score.value == result.score.value
        assert scores["metrics"][name]["value"] == result.to_json()["value"]
    assert {path.name for path in out.iterdir()} == {
        *(".eval_results", "manifest.json", "page.html", "per_sample.parquet", PREDICTIONS, "records.jsonl"),
        "scores.json",
    }


def test_a_killed_run_goes_on_behind_what_is_done(pipes, films, tmp_path, monkeypatch):
    whole, parts, pipe = tmp_path / "whole", tmp_path / "parts", pipes["film"]
    evaluate_model(pipe, films, whole, metrics=METRICS, batch_size=2)
    seen, see = [], type(pipe.model).see

    def killed(self, pixel_values, *args, **kwargs):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(len(pixel_values))
        return see(self, pixel_values, *args, **kwargs)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(type(pipe.model), "see", killed)
        evaluate_model(pipe, films, parts, metrics=METRICS, batch_size=1)
    assert [row["id"] for row in lines(parts)] == ["f0", "f1"]  # there while it ran
    with pytest.raises(InputError, match="an unfinished run"):
        evaluate_model(pipe, films, parts, metrics=METRICS)
    seen.clear()
    with monkeypatch.context() as patch:
        patch.setattr(type(pipe.model), "see", lambda *args, **kwargs: seen.append(1) or see(*args, **kwargs))
        evaluate_model(pipe, films, parts, metrics=METRICS, batch_size=1, resume=True)
    assert len(seen) == 2  # the last two, not the bad one
    for name in (PREDICTIONS, "scores.json", "page.html", "per_sample.parquet"):
        assert (parts / name).read_bytes() == (whole / name).read_bytes(), name


def test_headers_are_asked_as_for_a_report(pipes, tmp_path, caplog):
    """A mirrored film and a CT slice are refused, and taken by who insists."""
    film = sample_array(ROWS["film"])
    mirrored = np.ascontiguousarray(film[:, ::-1])
    write_dicom(tmp_path / "mirrored.dcm", mirrored, Modality="DX", PatientOrientation=["R", "F"])
    write_dicom(tmp_path / "slice.dcm", film, Modality="CT")
    Image.fromarray(film).save(tmp_path / "plain.png")
    rows = [{"id": name, "image": f"{name}", "text": TEXT} for name in ("mirrored.dcm", "slice.dcm", "plain.png")]
    table = write_table(tmp_path, rows)
    _, failures = evaluate_model(pipes["film"], table, tmp_path / "out", metrics=METRICS)
    assert [failure.film for failure in failures] == ["row mirrored.dcm", "row slice.dcm"]
    assert "R\\F" in failures[0].message and "CT" in failures[1].message
    insisting = {"orient": "header", "any_modality": True}
    _, failures = evaluate_model(pipes["film"], table, tmp_path / "all", metrics=METRICS, **insisting)
    assert failures == [] and "row mirrored.dcm: the header states a mirrored film" in caplog.text
    written = {row["id"]: row["prediction"] for row in lines(tmp_path / "all")}
    assert written["mirrored.dcm"] == written["slice.dcm"]  # turned, it is the film that the slice shows too


def test_what_is_of_films_is_refused_for_slides_and_the_other_way_round(pipes, films, tmp_path):
    with pytest.raises(InputError, match="^orient: found header, and .* reads slides; expected none: it is of films"):
        evaluate_model(pipes["slide"], films, tmp_path / "out", metrics=METRICS, orient="header")
    with pytest.raises(InputError, match="^slide_mpp: found 0.5, and .* reads films; expected none"):
        evaluate_model(pipes["film"], films, tmp_path / "out", metrics=METRICS, slide_mpp=0.5)
    assert not (tmp_path / "out").exists()


def test_pairs_of_films_with_gaps_and_masks(pipes, films, tmp_path):
    rows = [
        {"frontal": "0.png", "lateral": "1.png", "report": TEXT},
        {"frontal": "2.png", "lateral": "", "report": TEXT, "mask": "4.png"},
        {"frontal": None, "lateral": "4.png", "report": TEXT},
        {"frontal": "", "lateral": "", "report": TEXT},
    ]
    table = write_table(tmp_path, rows, "pairs.jsonl")
    _, failures = evaluate_model(pipes["pair"], table, tmp_path / "out", metrics=METRICS)
    texts = [row["prediction"] for row in lines(tmp_path / "out")]
    cases = [{name: str(tmp_path / value) for name, value in row.items() if value and name != "report"} for row in rows]
    assert texts == [pipes["pair"](case)[0]["generated_text"] for case in cases[:3]]
    assert [failure.message for failure in failures] == [
        "row 4: found no image; expected one at least; fill it in or drop the row"
    ]


def test_features_are_held_to_the_model(pipes, tmp_path, monkeypatch):
    monkeypatch.setattr(pipes["slide"].processor, "learned_from", {"encoder_revision": ["aa"]})
    for name, revision in {"own": "aa", "other": "bb"}.items():
        made = PatchFeatures(np.ones((3, 16), np.float32), np.zeros((3, 2), np.int64), {"encoder_revision": revision})
        write_features(tmp_path / f"{name}.safetensors", made)
    rows = [{"features": f"{name}.safetensors", "text": TEXT} for name in ("own", "other")]
    rows.append({"features": ["own.safetensors", "other.safetensors"], "text": TEXT})
    table = write_table(tmp_path, rows)
    _, failures = evaluate_model(pipes["slide"], table, tmp_path / "out", metrics=METRICS)
    assert [failure.film for failure in failures] == ["row 2", "row 3"]
    assert all("expected encoder_revision aa, which the model learned from" in each.message for each in failures)
    insist = {"metrics": METRICS, "allow_foreign_features": True}
    assert evaluate_model(pipes["slide"], table, tmp_path / "all", **insist)[1] == []


def test_slides_one_or_several_a_row(pipes, tmp_path):
    Image.fromarray(sample_array(ROWS["slide"])).save(tmp_path / "a.png")
    rows = [{"slides": ["a.png", "a.png"], "text": TEXT}, {"slides": ["a.png"], "text": TEXT}]
    table = write_table(tmp_path, rows)
    evaluate_model(pipes["slide"], table, tmp_path / "out", metrics=METRICS, slide_mpp=1.0)
    told = {"slide_mpp": 1.0}
    slide = str(tmp_path / "a.png")
    cases = [{"slides": [slide, slide]}, {"slides": [slide]}]
    assert [row["prediction"] for row in lines(tmp_path / "out")] == [
        pipes["slide"](case, **told)[0]["generated_text"] for case in cases
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"picture": "a.png", "text": "A."}],
            "t.jsonl: found columns picture, text; expected a column image or",
        ),
        (
            [{"image": "a.png", "words": "A."}],
            "t.jsonl: found columns image, words; expected a column text or",
        ),
        ([{"image": "a.png", "text": " "}], "t.jsonl, row 1: found no text in 'text'; expected a report to compare"),
        ([{"id": "1", "image": "a.png", "text": "A."}] * 2, "t.jsonl: found the id '1' twice; expected an id a row"),
    ],
)
def test_tables_that_cannot_be_used(rows, message, tmp_path):
    with pytest.raises(InputError) as error:
        table_rows(write_table(tmp_path, rows), "film", None)
    assert str(error.value).startswith(message)


def test_what_is_wrong_is_said_before_the_work(pipes, films, tmp_path):
    for options, message in (
        ({"metrics": ["bleu9"]}, "bleu9"),
        ({"section": "finding"}, "finding"),
        ({"dataset": "mimic"}, "dataset: found 'mimic'"),
        ({"text_column": "words"}, "expected a column text"),
    ):
        with pytest.raises(InputError, match=message):
            evaluate_model(None if "dataset" in options else pipes["film"], films, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
    broken = write_table(tmp_path, [{"image": "3.png", "text": TEXT}], "broken.jsonl")
    with pytest.raises(InputError, match=r"broken.jsonl: found no row that could be reported \(3.png: "):
        evaluate_model(pipes["film"], broken, tmp_path / "out", metrics=METRICS)


def test_the_command(capsys, pipes, films, tmp_path):
    model, out = pipes["film"].model.config.name_or_path, tmp_path / "out"
    flags = ["--model", model, "--out", out, "--metrics", "bleu1", "--device", "cpu"]
    code, printed, err = run(capsys, "evaluate", "model", films, *flags)
    assert code == 1 and "bleu1" in printed and printed.endswith(f"written: {out}\n")
    assert err.splitlines()[-2].startswith("row f3: 3.png: ") and err.splitlines()[-1] == "4 done, 1 failed, 0 left"
    code, _, err = run(capsys, "evaluate", "model", films, *flags)
    assert code == 2 and "--resume" in err
    code, printed, _ = run(capsys, "evaluate", "model", films, *flags, "--resume", "--json")
    assert code == 1 and json.loads(printed)["metrics"]["bleu1"]
