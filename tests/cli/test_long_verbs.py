"""Long verbs end in order after a signal, keep what they did, and go on with it."""

import json
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import psutil
import pytest
from PIL import Image

from hf_medreport.evaluation.phantom import films as phantom_films
from hf_medreport.files.interruption import Terminated
from hf_medreport.files.items import FILE_IT
from hf_medreport.inference import segment as segmenting
from hf_medreport.inference.tiles import cohort as tiling
from hf_medreport.registry import system
from tests.cli.test_cli import run
from tests.inference.tiles.tiny_slides import save_encoder, write_cohort
from tests.tiny import film_array, save_tiny

CHEST = ["phantom", "chest", "--n", 40, "--size", 96, "--format", "png"]


def contents(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The corpus that an undisturbed run draws."""
    out = tmp_path_factory.mktemp("whole") / "out"
    main = "from hf_medreport.cli import main; main()"
    subprocess.run([sys.executable, "-c", main, *map(str, CHEST), "--out", out], check=True, capture_output=True)
    return contents(out)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGTERM, 143),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, -9, marks=pytest.mark.slow),
    ],
    ids=["TERM", "INT", "KILL"],
)
def test_a_signal_leaves_what_is_done_and_no_workers(capsys, tmp_path, whole, number, code):
    out, main = tmp_path / "drawn", "from hf_medreport.cli import main; main()"
    command = [sys.executable, "-c", main, *map(str, CHEST), "--out", out, "--workers", "2"]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what runs in the background is born deaf to it
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    records = out / ".records.jsonl"
    while process.poll() is None and not (records.exists() and records.read_bytes().count(b"\n") > 1):
        time.sleep(0.005)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    err = process.stderr.read()
    assert process.wait() == code and "Traceback" not in err
    assert len(family) >= 2 and not psutil.wait_procs(family, timeout=10)[1]
    if code > 0:
        done, failed, left = map(int, np.array(err.split())[[1, 3, 5]])
        assert err == f"interrupted: {done} done, {failed} failed, {left} left; --resume goes on\n"
        assert failed == 0 and done > 0 and left > 0 and done + left == 40
    code, _, err = run(capsys, *CHEST, "--out", out)
    assert code == 2 and err == (
        "drawn: found an unfinished run; expected a new or empty folder; "
        "go on with --resume, begin anew with --overwrite, or choose another --out\n"
    )
    code, _, err = run(capsys, *CHEST, "--out", out, "--resume")
    assert (code, err) == (0, "40 done, 0 failed, 0 left\n") and contents(out) == whole


@pytest.fixture
def films(tmp_path):
    """Two patients' films of one name."""
    paths = [tmp_path / patient / "view1_frontal.png" for patient in ("p1", "p2", "p3")]
    for number, path in enumerate(paths):
        path.parent.mkdir()
        Image.fromarray(film_array()[: 64 - 4 * number]).save(path)
    return paths


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(system("anatomy_segmenter"), tmp_path_factory.mktemp("segmenter") / "tiny-segmenter")


def names(out) -> list[str]:
    return sorted(path.name for path in out.glob("*.png"))


def test_films_of_one_name_stay_apart(capsys, films, model, tmp_path):
    code, text, err = run(capsys, "segment", *films, "--model", model, "--out", tmp_path / "out", "--json")
    record = json.loads(text)
    assert (code, err) == (0, "3 done, 0 failed, 0 left\n")
    assert [film["id"] for film in record["films"]] == [f"p{number}/view1_frontal.png" for number in (1, 2, 3)]
    assert {film["film"] for film in record["films"]} == {"view1_frontal.png"}
    assert names(tmp_path / "out")[::3] == [f"p{number}_view1_frontal_heart.png" for number in (1, 2, 3)]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["inputs"] == {film["id"]: film["film_sha256"] for film in record["films"]}


@pytest.mark.parametrize(("interruption", "code"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_an_interrupted_segmentation_goes_on(capsys, films, model, tmp_path, monkeypatch, interruption, code):
    logits, seen = segmenting._logits, []

    def interrupted(batch, segmenter):
        seen.append(len(batch))
        if len(seen) == 2:
            raise interruption
        return logits(batch, segmenter)

    monkeypatch.setattr(segmenting, "_logits", interrupted)
    flags = ["--model", model, "--batch-size", 1, "--out", tmp_path / "out"]
    assert run(capsys, "segment", *films, *flags) == (
        code,
        "",
        "interrupted: 1 done, 0 failed, 2 left; --resume goes on\n",
    )
    assert not (tmp_path / "out" / "segment.json").exists() and len(names(tmp_path / "out")) == 3
    assert run(capsys, "segment", *films, *flags, "--resume")[0] == 0 and len(seen) == 4  # two more, not three
    assert run(capsys, "segment", *films, *flags[:-1], tmp_path / "whole")[0] == 0
    for name in [*names(tmp_path / "whole"), "segment.json", "manifest.json", "records.jsonl"]:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_any_exception_is_the_failure_of_its_film_alone(capsys, films, model, tmp_path, monkeypatch):
    logits = segmenting._logits

    def broken(batch, segmenter):
        if any(len(film) == 60 for film in batch):
            raise RuntimeError("a tensor of\nanother shape")
        return logits(batch, segmenter)

    monkeypatch.setattr(segmenting, "_logits", broken)
    code, _, err = run(capsys, "segment", *films, "--model", model, "--out", tmp_path / "out")
    assert code == 1
    assert err == f"view1_frontal.png: RuntimeError: a tensor of another shape ({FILE_IT})\n2 done, 1 failed, 0 left\n"


@pytest.fixture
def reported(films, tiny_pipe_folder):
    return ["report", *films, "--model", tiny_pipe_folder, "--batch-size", 1, "--out"]


def killed_after(lines: int, records, command: list) -> None:
    """Start a command in a process of its own and kill it once its records have so many lines."""
    main = "from hf_medreport.cli import main; main()"
    with subprocess.Popen([sys.executable, "-c", main, *map(str, command)], stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not (records.exists() and records.read_bytes().count(b"\n") >= lines):
            time.sleep(0.002)
        process.kill()
    assert process.returncode == -signal.SIGKILL


def test_killed_reports_go_on(capsys, reported, tmp_path):
    out = tmp_path / "killed"
    killed_after(1, out / "records.jsonl", [*reported, out])
    assert not (out / "report.json").exists()
    code, _, err = run(capsys, *reported, out)
    assert code == 2 and err.startswith("killed: found an unfinished run; expected a new or empty folder; go on with")
    code, _, err = run(capsys, *reported, out, "--resume")
    assert (code, err) == (0, "3 done, 0 failed, 0 left\n")
    assert run(capsys, *reported, tmp_path / "whole")[0] == 0
    for name in ("report.json", "records.jsonl", "manifest.json"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert names(out) == [f"p{number}_view1_frontal_report.png" for number in (1, 2, 3)]
    ids = [report["id"] for report in json.loads((out / "report.json").read_text())["reports"]]
    assert ids == [f"p{number}/view1_frontal.png" for number in (1, 2, 3)]


def test_an_older_report_is_refused_before_a_model_is_loaded(capsys, reported, tmp_path, monkeypatch):
    assert run(capsys, *reported, tmp_path / "done")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr("hf_medreport.inference.loading.load", None)
        code, _, err = run(capsys, *reported, tmp_path / "done")
    assert code == 2 and err == (
        "done: found a finished run; expected a new or empty folder; "
        "go on with --resume, begin anew with --overwrite, or choose another --out\n"
    )
    reported[1:4] = reported[1:2]
    assert run(capsys, *reported, tmp_path / "done", "--overwrite")[::2] == (0, "1 done, 0 failed, 0 left\n")
    assert names(tmp_path / "done") == ["view1_frontal_report.png"]


ODD = {
    "temperature": {"do_sample": True, "temperature": 0.0},
    "penalty": {"repetition_penalty": -1.0},
}


@pytest.mark.parametrize("settings", ODD.values(), ids=ODD)
def test_settings_that_generate_refuses_fail_each_film_in_one_line(capsys, films, tiny_pipe_folder, tmp_path, settings):
    shutil.copytree(tiny_pipe_folder, tmp_path / "odd")
    file = tmp_path / "odd" / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    code, _, err = run(capsys, "report", *films[:2], "--model", tmp_path / "odd", "--out", tmp_path / "out")
    first, second, last = err.splitlines()
    assert code == 1 and first == second and first.startswith("view1_frontal.png: ValueError: ")
    assert last == "0 done, 2 failed, 0 left"


@pytest.mark.parametrize(("name", "value"), [("num_beams", 10**6), ("max_new_tokens", 10**6)])
def test_settings_beyond_the_model_are_refused(capsys, films, tiny_pipe_folder, tmp_path, name, value):
    shutil.copytree(tiny_pipe_folder, tmp_path / "odd")
    file = tmp_path / "odd" / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {name: value}))
    code, _, err = run(capsys, "report", films[0], "--model", tmp_path / "odd")
    assert code == 2 and f"odd/generation_config.json: found {name} {value}; expected a whole number" in err


@pytest.fixture
def evaluated(tiny_pipe_folder):
    return ["evaluate", "phantom", "--model", tiny_pipe_folder, "--n", 4, "--batch-size", 2, "--out"]


@pytest.mark.slow
def test_a_killed_evaluation_goes_on(capsys, evaluated, tmp_path):
    out = tmp_path / "killed"
    killed_after(2, out / "records.jsonl", [*evaluated, out])
    assert not (out / "scores.json").exists()
    code, _, err = run(capsys, *evaluated, out)
    assert code == 2 and err.startswith("killed: found an unfinished run; expected a new or empty folder; go on with")
    code, _, err = run(capsys, *evaluated, out, "--seed", 2, "--resume")
    assert code == 2 and err.startswith("killed: found a run with seed 1; expected seed 2 as now;")
    code, _, err = run(capsys, *evaluated, out, "--resume")
    assert (code, err.splitlines()[-1]) == (0, "4 done, 0 failed, 0 left")
    assert run(capsys, *evaluated, tmp_path / "whole")[0] == 0
    assert contents(out) == contents(tmp_path / "whole")
    entries = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    assert [entry["id"] for entry in entries] == [f"case {index}" for index in range(4)]
    assert set(entries[0]["record"]) == {"model", "blinded", "given"}


def after_a_batch(failure: BaseException):
    """`_write` of films, which fails at the second batch."""
    write, begun = phantom_films._write, []

    def failing(*arguments):
        begun.append(arguments)
        if len(begun) == 2:
            raise failure
        return write(*arguments)

    return failing


def test_an_interrupted_evaluation_goes_on(capsys, evaluated, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(phantom_films, "_write", after_a_batch(Terminated()))
        code, _, err = run(capsys, *evaluated, tmp_path / "out")
    assert code == 143 and err.splitlines()[-1] == "interrupted: 2 done, 0 failed, 2 left; --resume goes on"
    written, write = [], phantom_films._write
    monkeypatch.setattr(phantom_films, "_write", lambda *args: written.append(list(args[2])) or write(*args))
    assert run(capsys, *evaluated, tmp_path / "out", "--resume")[0] == 0
    assert written == [[2, 3]]


def test_a_case_that_fails_stops_an_evaluation_and_what_is_done_is_kept(capsys, evaluated, tmp_path, monkeypatch):
    monkeypatch.setattr(phantom_films, "_write", after_a_batch(RuntimeError("a tensor of\nanother shape")))
    code, out, err = run(capsys, *evaluated, tmp_path / "out")
    assert (code, out) == (1, "") and err.splitlines()[-2:] == [
        f"cases 2 to 3: RuntimeError: a tensor of another shape ({FILE_IT})",
        "2 done, 0 failed, 2 left; --resume goes on",
    ]
    assert not (tmp_path / "out" / "scores.json").exists()
    monkeypatch.undo()
    assert run(capsys, *evaluated, tmp_path / "out", "--resume")[0] == 0


def test_an_interrupted_cohort_goes_on(capsys, tmp_path, monkeypatch):
    write_cohort(tmp_path / "slides", 2)
    write, begun = tiling.write_features, []

    def interrupted(path, bag):
        begun.append(path.name)
        if len(begun) == 2:
            raise Terminated
        return write(path, bag)

    monkeypatch.setattr(tiling, "write_features", interrupted)
    flags = ["--encoder", save_encoder(tmp_path / "encoder"), "--patch-px", 64, "--tissue", "otsu", "--workers", 1]
    command = ["tile", tmp_path / "slides", *flags, "--out", tmp_path / "tiled"]
    code, _, err = run(capsys, *command)
    assert (code, err) == (143, "interrupted: 1 done, 0 failed, 1 left; --resume goes on\n")
    assert not list((tmp_path / "tiled").glob(".*.claim"))
    code, out, err = run(capsys, *command, "--resume", "--json")
    assert (code, err) == (0, "2 done, 0 failed, 0 left\n")
    assert [slide["state"] for slide in json.loads(out)["slides"]] == ["kept", "done"]
    code, _, err = run(capsys, *command, "--patch-px", 96, "--resume")
    assert code == 2 and err.startswith('tiled: found a run with patch_px "64"; expected patch_px "96" as now; give')
