"""`hf-medreport phantom chest`: what it writes and what it refuses, each in one line."""

import json
import os
import subprocess
import sys

import pytest

from hf_medreport.files.run_folder import RunFolder
from tests.cli.test_cli import run

SMALL = ("--n", 2, "--size", 48, "--workers", 1)


def chest(capsys, *arguments) -> tuple[int, str, str]:
    return run(capsys, "phantom", "chest", *arguments)


def manifest(folder) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def test_writes_a_corpus_and_says_so(capsys, tmp_path):
    code, out, err = chest(capsys, *SMALL, "--split", "test", "--seed", 5, "--out", tmp_path / "out")
    assert code == 0 and "2 cases" in out and err == "2 done, 0 failed, 0 left\n"
    arguments = manifest(tmp_path / "out")["arguments"]
    assert (arguments["n"], arguments["split"], arguments["seed"], arguments["size"]) == (2, "test", 5, 48)


def test_json_and_every_flag(capsys, tmp_path):
    flags = ["--style", "held_back", "--prevalence", "natural", "--wordings", "held_out", "--lateral"]
    flags += ["--follow-up", 0.5, "--bits", 16, "--format", "dicom", "--monochrome", 1, "--json"]
    code, out, err = chest(capsys, *SMALL, *flags, "--out", tmp_path / "out")
    summary, written = json.loads(out), manifest(tmp_path / "out")
    assert code == 0 and summary["cases"] == 2 and summary["files"] == len(written["files"])
    assert summary["bytes"] == sum(file["bytes"] for file in written["files"].values())
    expected = {"style": "held_back", "prevalence": "natural", "wordings": "held_out", "lateral": True}
    expected |= {"follow_up": 0.5, "bits": 16, "format": "dicom", "monochrome": 1}
    assert expected.items() <= written["arguments"].items()


def test_findings_in_words_are_what_every_film_shows(capsys, tmp_path):
    text = "moderate right pleural effusion; 14 mm left upper zone nodule"
    code, out, err = chest(capsys, *SMALL, "--findings", text, "--format", "png", "--out", tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out" / "metadata.jsonl").read_text().splitlines()]
    assert code == 0 and len(rows) == 2
    for row in rows:
        effusion, nodule = row["facts"]
        assert (effusion["kind"], effusion["side"], effusion["severity"]) == ("pleural_effusion", "right", "moderate")
        assert (nodule["kind"], nodule["side"], nodule["zone"], nodule["size_mm"]) == ("nodule", "left", "upper", 14)


def test_the_report_verb_accepts_a_drawn_dicom(capsys, tiny_pipe_folder, tmp_path):
    chest(capsys, *SMALL, "--format", "dicom", "--out", tmp_path / "out")
    films = sorted((tmp_path / "out" / "films").iterdir())  # one MONOCHROME2, one MONOCHROME1
    code, out, err = run(capsys, "report", *films, "--model", tiny_pipe_folder, "--json")
    assert code == 0 and len(json.loads(out)["reports"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--findings", "left middle lobe consolidation"], "left lung has no middle lobe"),
        (["--findings", "left upper zone gizmo"], "gizmo"),
        (["--findings", "-14 mm left upper zone nodule"], "found a size of -14 mm"),
        (["--findings", "scoliosis"], "scoliosis"),
        (["--findings", "mild left pleural effusion", "--follow-up", 0.5], "--follow-up: found 0.5 with given facts"),
        (["--findings", "mild cardiomegaly", "--prevalence", "natural"], "--prevalence: found natural with --findings"),
        (
            ["--findings", "mild cardiomegaly, increased"],
            "--findings: found increased mild cardiomegaly; expected no change",
        ),
        (["--n", 0], "--n: found 0; expected at least 1 case"),
        (["--n", -3], "--n: found -3"),
        (["--seed", -1], "--seed: found -1"),
        (["--size", 31], "--size: found 31 px; expected 32 to 4096 px"),
        (["--size", 4097], "--size: found 4097 px"),
        (["--size", -224], "--size: found -224 px"),
        (["--bits", 12], "--bits: found 12; expected 8 or 16"),
        (["--format", "tiff"], "expected one of parquet, png, dicom, radscribe"),
        (["--style", "art"], "--style: found 'art'; expected standard or held_back"),
        (["--prevalence", "rare"], "balanced or natural"),
        (["--wordings", "slang"], "--wordings: found 'slang'; expected train or held_out"),
        (["--split", "tset"], "expected one of train, validation, test, held_back_style"),
        (["--follow-up", 1.5], "--follow-up: found 1.5; expected a share from 0 to 1"),
        (["--follow-up", -0.1], "--follow-up: found -0.1"),
        (["--follow-up", "nan"], "--follow-up: found nan"),
        (["--workers", 0], "--workers: found 0; expected at least 1 process"),
        (["--monochrome", 3, "--format", "dicom"], "--monochrome: found 3"),
    ],
)
def test_bad_arguments_are_one_line_and_2(capsys, tmp_path, arguments, message):
    code, out, err = chest(capsys, *arguments, "--out", tmp_path / "out")
    assert code == 2 and out == "" and len(err.splitlines()) == 1 and message in err
    assert not (tmp_path / "out").exists()


def test_out_that_is_a_file_or_taken(capsys, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    code, out, err = chest(capsys, *SMALL, "--out", tmp_path / "file")
    assert code == 2 and err == "file: found a file; expected a folder to write to; choose another --out\n"
    code, out, err = chest(capsys, *SMALL, "--out", tmp_path)
    assert code == 2 and "found a folder that is not empty" in err and len(err.splitlines()) == 1
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the superuser may write anywhere
    code, out, err = chest(capsys, *SMALL, "--out", tmp_path / "locked")
    assert code == 2 and "found no permission to write" in err and len(err.splitlines()) == 1


def test_a_full_disk_is_one_line_and_1(capsys, tmp_path, monkeypatch):
    def full(self, name, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunFolder, "write", full)
    code, out, err = chest(capsys, *SMALL, "--format", "png", "--out", tmp_path / "out")
    assert code == 1 and err == (
        "disk: found no space left on device; expected a disk with room; free space or change --out\n"
    )
    assert not (tmp_path / "out").exists()


def test_runs_without_torch(tmp_path):
    check = f"""
import sys
from hf_medreport.cli import main
sys.argv = ["hf-medreport", "phantom", "chest", "--n", "1", "--size", "48", "--out", {str(tmp_path / "out")!r}]
try:
    main()
except SystemExit as done:
    assert not done.code
assert "torch" not in sys.modules and "transformers" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "manifest.json").is_file()


# --- slides ---


def test_the_verb_slide_writes_and_says_so(capsys, tmp_path):
    options = ["--n", 1, "--size", 512, "--mpp", 1, "--seed", 5, "--split", "held_back_style", "--workers", 1]
    code, out, err = run(capsys, "phantom", "slide", *options, "--pen-share", 1, "--out", tmp_path / "a", "--json")
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
    summary = json.loads(out)
    assert (
        code == 0
        and err == "1 done, 0 failed, 0 left\n"
        and summary["cases"] == 1
        and summary["files"] == len(manifest["files"]) == 4
    )
    expected = {"n": 1, "size": 512, "mpp": 1.0, "seed": 5, "split": "held_back_style", "style": "held_back"}
    assert expected.items() <= manifest["arguments"].items()
    code, out, err = run(capsys, "phantom", "slide", *options, "--style", "standard", "--out", tmp_path / "b")
    assert code == 0 and out.startswith("written: ") and "1 slides, 4 files" in out


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--mpp", 9), "--mpp: found 9.0; expected 0.2 to 4.0 um a pixel; choose another mpp\n"),
        (("--size", 20), "--size: found 20; expected 256 to 131072 whole px; choose another size\n"),
        (("--style", "blue"), "--style: found 'blue'; expected one of standard, held_back; name a known style\n"),
    ],
)
def test_the_verb_slide_refuses_in_one_line(capsys, tmp_path, option, message):
    code, out, err = run(capsys, "phantom", "slide", "--n", 1, *option, "--out", tmp_path / "out")
    assert (code, out, err) == (2, "", message) and not (tmp_path / "out").exists()


# --- pictures ---


def test_the_verb_pictures_writes_and_says_so(capsys, tmp_path):
    options = ("--n", 4, "--size", 32, "--modality", "mri", "--modality", "oct", "--format", "csv", "--workers", 1)
    code, out, err = run(capsys, "phantom", "pictures", *options, "--out", tmp_path / "a")
    assert code == 0 and out.startswith("written: ") and "(4 pictures, 11 files" in out
    assert err == "4 done, 0 failed, 0 left\n"
    lines = (tmp_path / "a" / "pictures.csv").read_text().splitlines()
    assert lines[0] == "path,text,modality" and [line.rsplit(",", 1)[1] for line in lines[1:]] == ["mri", "oct"] * 2


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--modality", "us"), "modalities: found 'us'; expected some of cxr, ct, mri, oct, fundus; name known ones\n"),
        (("--size", 20), "--size: found 20 px; expected 32 to 1024 px; choose a side in that range\n"),
        (("--format", "tiff"), "--format: found 'tiff'; expected one of png, csv, parquet; name a known format\n"),
    ],
)
def test_the_verb_pictures_refuses_in_one_line(capsys, tmp_path, option, message):
    code, out, err = run(capsys, "phantom", "pictures", *option, "--out", tmp_path / "out")
    assert (code, out, err) == (2, "", message) and not (tmp_path / "out").exists()
