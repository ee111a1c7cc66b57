"""`hf-medreport evaluate reports` and `evaluate images`: what they print, write and refuse."""

import hashlib
import json

import pytest

from hf_medreport.evaluation.images.evaluate import evaluate_images
from hf_medreport.evaluation.registry import metric
from tests.cli.test_cli import run
from tests.evaluation.images.test_evaluate_images import write_folders
from tests.evaluation.reports.pairs import two_systems
from tests.evaluation.reports.test_folder import save

# --- reports ---


def test_the_command(capsys, tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    good, bad = two_systems(6)
    one, other = save(good, tmp_path / "a" / "p.jsonl"), save(bad, tmp_path / "b" / "p.jsonl")
    flags = ["--metrics", "bleu1,rougeL", "--compare", other, "--out", tmp_path / "out", "--json"]
    code, out, err = run(capsys, "evaluate", "reports", one, *flags)
    scores = json.loads(out)
    assert code == 0 and scores == json.loads((tmp_path / "out" / "scores.json").read_text())
    assert (scores["predictions"], scores["compared"]) == ("a/p.jsonl", "b/p.jsonl")
    assert scores["sha256"] == {
        role: hashlib.sha256(file.read_bytes()).hexdigest()
        for role, file in (("predictions", one), ("compared", other))
    }
    assert str(tmp_path) not in out
    code, out, err = run(capsys, "evaluate", "reports", one, "--metrics", "bleu1", "--out", tmp_path / "table")
    assert code == 0 and out.startswith("metric  p.jsonl\nbleu1   0.") and "written: " in out


def test_the_command_says_what_is_wrong_and_writes_nothing(capsys, tmp_path):
    good, _ = two_systems(6)
    file = save(good, tmp_path / "p.jsonl")
    for flags, message in (
        (["--metrics", "blue1"], "did you mean 'bleu1'?"),
        (["--option", "bertscore.model"], "--option: found 'bertscore.model'; expected METRIC.NAME=VALUE"),
        (["--option", "bertscor.model=x"], "did you mean 'bertscore'?"),
        (["--option", "bertscore.model=x"], "--option: found those of 'bertscore'; expected those of metrics that are"),
        (["--metrics", "umls_f1"], "metric umls_f1: found no option 'linker'"),
        (["--section", "finding"], "--section: found 'finding'"),
        (["--dataset", "x"], "--dataset: found 'x'; expected ORG/NAME"),
        (["--compare", tmp_path / "gone.jsonl"], "gone.jsonl: found no such file"),
        (["--out", file], "p.jsonl: found a file; expected a folder to write to; choose another --out"),
        (["--out", file / "in" / "it"], "it: found a file; expected a folder to write to"),
    ):
        code, out, err = run(capsys, "evaluate", "reports", file, "--out", tmp_path / "out", *flags)
        assert code == 2 and message in err and len(err.splitlines()) == 1 and not (tmp_path / "out").exists()


def test_the_command_passes_options_on(capsys, tmp_path):
    good, _ = two_systems(6)
    file, table = save(good, tmp_path / "p.jsonl"), tmp_path / "terms.tsv"
    table.write_text("C1\tpleural effusion\nC2\tconsolidation\n")
    names = ("umls_f1", "umls_recall")
    flags = [flag for name in names for flag in ("--option", f"{name}.linker={table}")]
    flags += ["--option", "rougeL.stemmer=true", "--metrics", "rougeL,umls_f1,umls_recall", "--json"]
    code, out, err = run(capsys, "evaluate", "reports", file, "--out", tmp_path / "out", *flags)
    assert code == 0, err
    metrics = json.loads(out)["metrics"]
    expected = metric("umls_f1")(good.predictions, good.references, linker=table)
    assert metrics["umls_f1"]["value"] == expected.value and "DictionaryLinker" in metrics["umls_f1"]["convention"]
    stemmed = metric("rougeL")(good.predictions, good.references, stemmer=True)
    assert metrics["rougeL"]["convention"] == stemmed.convention


# --- images ---


@pytest.fixture
def folders(tmp_path):
    return write_folders(tmp_path)


def test_the_command_prints_a_table_and_writes_scores(folders, tmp_path, capsys):
    arguments = ["evaluate", "images", "--real", folders[0], "--fake", folders[1], "--out", tmp_path / "out"]
    code, out, err = run(capsys, *arguments)
    written = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert code == 0 and err == "10 done, 0 failed, 0 left\n" and written == evaluate_images(*folders)
    assert ["fid", f"{written['all']['fid']:.4g}"] in [line.split() for line in out.splitlines()]
    assert "features of fid, kid, inception_score, clip_score: grid-statistics-96 (built in and hand-made, not" in out
    assert "all: no clip_score: features of a model that reads no text; needs a CLIP-like model as --features" in out
    assert "warning: all: FID from 5 real and 5 fake pictures" in out and str(tmp_path) not in out + json.dumps(written)
    code, out, err = run(capsys, *arguments, "--json", "--overwrite")
    assert code == 0 and json.loads(out) == written


def test_the_command_lists_bad_files_and_ends_with_1(folders, capsys):
    (folders[1] / "empty.png").touch()
    code, out, err = run(capsys, "evaluate", "images", "--real", folders[0], "--fake", folders[1], "--json")
    assert code == 1 and json.loads(out)["all"]["n_fake"] == 5
    assert err == (
        "fake: empty.png: found an empty file (0 bytes); expected an image file; copy or export the file again\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--real", "gone"], "--real: found no folder 'gone'; expected a folder of pictures; check the path"),
        (
            ["--features", "gone"],
            "--features: found nothing at 'gone'; expected a folder of an image model, or a file of Inception's "
            "weights; check the path",
        ),
        (["--out", "real/a.png"], "a.png: found a file; expected a folder to write to; choose another --out"),
    ],
)
def test_wrong_arguments_are_one_line_and_2(arguments, message, folders, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "evaluate", "images", "--real", "real", "--fake", "fake", *arguments)
    assert (code, out, err) == (2, "", message + "\n")


# --- generators ---


def test_a_generator_is_scored_on_prompts(capsys, tmp_path, monkeypatch):
    """The options that reach it, what is printed, and those that belong to report models."""
    from hf_medreport.evaluation.pictures import evaluate, folder, sweep

    (tmp_path / "model_index.json").write_text('{"_class_name": "MedicalImagePipeline"}')
    asked = {}
    monkeypatch.setattr(folder, "evaluate_into", lambda model, out, **options: asked.update(options) or {"n": 4})
    monkeypatch.setattr(evaluate, "pictures_table", lambda scores: f"{scores['n']} pictures")
    flags = ["evaluate", "phantom", "--model", tmp_path, "--n", "4", "--steps", "7", "--guidance", "2"]
    code, out, err = run(capsys, *flags, "--training", tmp_path / "training")
    assert code == 0 and out == "4 pictures\n" and err == "4 done, 0 failed, 0 left\n"
    assert (asked["drawing"].num_inference_steps, asked["drawing"].guidance_scale) == (7, 2.0)
    assert asked["training"] == str(tmp_path / "training") and asked["judge"] is None and asked["scales"] == []
    command = f"hf-medreport evaluate phantom --model {tmp_path.name} --n 4 --seed 1 --split test"
    assert asked["command"] == f"{command} --guidance 2.0 --steps 7 --training training"
    monkeypatch.setattr(sweep, "sweep_table", lambda scores: "a sweep")
    monkeypatch.setattr(folder, "evaluate_into", lambda *_, scales, **__: {"n": 4, "sweep": scales})
    code, out, _ = run(capsys, *flags, "--sweep", "1,2.5", "--json")
    assert code == 0 and json.loads(out) == {"n": 4, "sweep": [1.0, 2.5]}
    code, out, _ = run(capsys, *flags, "--sweep", "1")
    assert code == 0 and out == "4 pictures\n\na sweep\n"
    for wrong, message in (
        (["--card"], f"{tmp_path.name}: found no run.json; expected a folder of a training run"),
        (["--sweep", "1;2"], "--sweep: found '1;2'; expected numbers, joined by commas"),
        (["--mpp", "1"], "--mpp: found 1.0 for a generator; expected none"),
        (["--evidence"], "--evidence: found True for a generator; expected none"),
    ):
        code, _, err = run(capsys, *flags, *wrong)
        assert code == 2 and message in err and len(err.splitlines()) == 1
    code, _, err = run(capsys, "evaluate", "phantom", "--model", "anatomical-tiny", "--steps", "3")
    assert code == 2 and "--steps: found 3 for a report model; expected none; leave it out" in err
