"""`--shard` and `hf-medreport merge`: shares of a list, each in a folder of its own, become what one process leaves."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from hf_medreport.cli.app import exit_code
from tests.cli.test_cli import run
from tests.inference.tiles.tiny_slides import save_encoder, write_cohort
from tests.tiny import film_array

TEXT = "Heart normal. No effusion."


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Three films of two patients, the middle one cut; and a table of them."""
    folder = tmp_path_factory.mktemp("films")
    paths = [folder / patient / name for patient, name in (("p1", "a.png"), ("p1", "b.png"), ("p2", "a.png"))]
    for number, path in enumerate(paths):
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.roll(film_array(), 9 * number, axis=0)).save(path)
    paths[1].write_bytes(paths[1].read_bytes()[:200])
    rows = [{"id": f"r{number}", "image": str(path), "text": TEXT} for number, path in enumerate(paths)]
    (folder / "table.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return paths


def contents(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_shares_of_reports_become_those_of_one_process(capsys, films, tiny_pipe_folder, tmp_path):
    report = ["report", *films, "--model", tiny_pipe_folder, "--batch-size", 1, "--out"]
    code, out, err = run(capsys, *report, tmp_path / "one", "--json")
    assert code == 1 and err.endswith("2 done, 1 failed, 0 left\n")
    assert run(capsys, *report, tmp_path / "a", "--shard", "1/2")[::2] == (0, "2 done, 0 failed, 0 left\n")
    assert not (tmp_path / "a" / "report.json").exists()
    assert run(capsys, *report, tmp_path / "b", "--shard", "2/2")[0] == 1
    merge = ["merge", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "out"]
    assert run(capsys, *merge, "--json") == (1, out, "2 done, 1 failed, 0 left\n")
    assert contents(tmp_path / "out") == contents(tmp_path / "one")
    shutil.rmtree(tmp_path / "a")
    code, _, err = run(capsys, *merge[:1], tmp_path / "b", "--out", tmp_path / "half")
    assert code == 2 and err == (
        "folders: found no share 1 of 2; expected all shares; let them end, and give their folders too\n"
    )
    assert not (tmp_path / "half").exists()


def test_one_folder_of_two_shares_of_an_evaluation(capsys, films, tiny_pipe_folder, tmp_path):
    table = films[0].parents[1] / "table.jsonl"
    flags = ["--model", tiny_pipe_folder, "--metrics", "bleu1", "--batch-size", 1, "--out"]
    evaluate = ["evaluate", "model", table, *flags]
    assert run(capsys, *evaluate, tmp_path / "one")[0] == 1
    code, out, _ = run(capsys, *evaluate, tmp_path / "out", "--shard", "2/2", "--json")
    assert code == 1 and json.loads(out) == {"share": 2, "of": 2, "failures": 1}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".unfinished.jsonl", "part-2-of-2.json"}
    shutil.copytree(tmp_path / "out", tmp_path / "second")
    code, _, err = run(capsys, *evaluate, tmp_path / "out", "--shard", "1/2")
    assert code == 2 and "found an unfinished run" in err and "--resume" in err
    assert run(capsys, *evaluate, tmp_path / "out", "--shard", "1/2", "--resume")[0] == 0
    assert run(capsys, *evaluate, tmp_path / "first", "--shard", "1/2")[0] == 0
    assert run(capsys, "merge", tmp_path / "first", tmp_path / "second", "--out", tmp_path / "merged")[0] == 1
    one, out, merged = (contents(tmp_path / name) for name in ("one", "out", "merged"))
    own = {"manifest.json", "part-1-of-2.json", "part-2-of-2.json"}  # the manifest names the parts too
    assert {name: out[name] for name in out.keys() - own} == {name: one[name] for name in one.keys() - own}
    assert merged == one


def test_shares_of_slides(capsys, tmp_path):
    slides, encoder = write_cohort(tmp_path / "slides", 2)[0].parent, save_encoder(tmp_path / "encoder")
    flags = ["--encoder", encoder, "--patch-px", 64, "--tissue", "otsu", "--batch-size", 8, "--workers", 1, "--out"]
    assert run(capsys, "tile", slides, *flags, tmp_path / "one")[0] == 0
    for number in (1, 2, 3):  # the third has none
        shard = ("--shard", f"{number}/3")
        code, _, err = run(capsys, "tile", slides, *flags, tmp_path / f"share{number}", *shard)
        assert (code, err) == (0, f"{int(number < 3)} done, 0 failed, 0 left\n")
    shares = [tmp_path / f"share{number}" for number in (1, 2, 3)]
    code, out, err = run(capsys, "merge", *shares, "--out", tmp_path / "out", "--json")
    assert (code, err) == (0, "2 done, 0 failed, 0 left\n")
    assert [slide["id"] for slide in json.loads(out)["slides"]] == ["slide0.tiff", "slide1.tiff"]
    times = ("summary.json", "records.jsonl", "manifest.json")
    one, merged = contents(tmp_path / "one"), contents(tmp_path / "out")
    assert merged.keys() == one.keys()
    assert {name: merged[name] for name in one if name not in times} == {
        name: one[name] for name in one if name not in times
    }


def test_a_bad_item_does_not_end_torchruns_other_processes(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert (exit_code(0), exit_code(2)) == (0, 1)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert exit_code(2) == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--shard", "0/2", "--out", "out"), "--shard: found '0/2'; expected which share of how many, from 1/16"),
        (("--shard", "1/2"), "--shard: found 1/2 without --out; expected a folder, to be merged; give --out"),
    ],
)
def test_wrong_shares(capsys, films, tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, "report", films[0], *flags)
    assert code == 2 and err.startswith(message) and not list(tmp_path.iterdir())


def test_merge_of_a_run_that_has_no_shares(capsys, tmp_path):
    run(capsys, "phantom", "chest", "--n", 1, "--size", 96, "--format", "png", "--out", tmp_path / "drawn")
    code, _, err = run(capsys, "merge", tmp_path / "drawn", "--out", tmp_path / "out")
    assert code == 2 and err.startswith("drawn: found no part-*-of-*.json; expected what became of a share")
