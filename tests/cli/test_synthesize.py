"""`hf-medreport synthesize`: what it writes, prints and refuses."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from hf_medreport.files.interruption import Terminated
from hf_medreport.hub.folder import save_generator
from hf_medreport.inference.generators import load_generator
from hf_medreport.processing.patch_encoder import weights_revision
from hf_medreport.registry import system
from hf_medreport.systems.diffusion.training.adapters import add_adapter, save_adapter
from tests.cli.test_cli import run
from tests.diffusion import tiny_pipeline
from tests.inference.test_synthesize import contents
from tests.stock_diffusion import save_stock
from tests.tiny import save_tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(system("diffusion"), tmp_path_factory.mktemp("generator") / "tiny-generator")


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "prompts.csv"
    path.write_text("text,modal\nleft effusion,X-Ray\nclear,ctt\nnodule,OCT\n")
    return path


def synthesize(capsys, model, out, *arguments) -> tuple[int, str, str]:
    return run(capsys, "synthesize", *arguments, "--model", model, "--out", out, "--steps", 2)


def pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_a_prompt_several_times(capsys, model, tmp_path):
    out = tmp_path / "out"
    arguments = ["left effusion", "--modality", "x-ray", "--n", 3, "--seed", 7, "--guidance", 3, "--batch-size", 2]
    code, text, err = synthesize(capsys, model, out, *arguments)
    assert code == 0 and err == "3 done, 0 failed, 0 left\n"
    assert text == (
        "images/0001.png  seed 7  x-ray: left effusion\n"
        "images/0002.png  seed 8  x-ray: left effusion\n"
        "images/0003.png  seed 9  x-ray: left effusion\n"
        "(synthetic: drawn by a model from a description; of no patient, and no clinical statement)\n"
        f"written: {out}\n"
    )
    settings = json.loads((out / "manifest.json").read_text())["arguments"]
    assert settings["model"] == "tiny-generator" and settings["guidance_scale"] == 3
    drawn = tiny_pipeline()("left effusion", "cxr", seeds=[7], num_inference_steps=2, guidance_scale=3.0).images[0]
    assert np.abs(np.asarray(drawn, int) - pixels(out / "images" / "0001.png")).max() <= 1


def test_json_says_what_the_folder_says(capsys, model, tmp_path):
    code, text, err = synthesize(capsys, model, tmp_path / "out", "clear", "--json", "--scheduler", "dpm")
    assert code == 0 and json.loads(text) == json.loads((tmp_path / "out" / "synthesize.json").read_text())
    assert str(tmp_path) not in text
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["arguments"]["scheduler"] == "DPMSolverMultistepScheduler"


def test_a_table_with_a_bad_row(capsys, model, table, tmp_path):
    code, text, err = synthesize(capsys, model, tmp_path / "out", "--csv", table, "--visible-mark")
    message, progress = err.splitlines()
    assert code == 1 and progress == "2 done, 1 failed, 0 left"
    assert message == "00002, modality: found 'ctt'; expected one of cxr, ct, oct; did you mean 'ct'?"
    assert [line.split()[0] for line in text.splitlines()[:2]] == ["images/00001.png", "images/00003.png"]


def test_a_row_that_is_none_counts_as_failed(capsys, model, tmp_path):
    (tmp_path / "rows.csv").write_text("prompt,seed\nclear,1\nclear,one\n")
    code, text, err = synthesize(capsys, model, tmp_path / "out", "--csv", tmp_path / "rows.csv")
    assert code == 1 and err.splitlines() == [
        "rows.csv, line 3: found seed 'one'; expected a whole number; correct it, or leave it empty",
        "1 done, 1 failed, 0 left",
    ]


def test_a_stopped_list_goes_on_to_the_same_bytes(capsys, model, table, tmp_path, monkeypatch):
    whole, out = tmp_path / "whole", tmp_path / "out"
    flags = ["--csv", table, "--n", 2, "--batch-size", 2]
    synthesize(capsys, model, whole, *flags)
    from hf_medreport.inference import synthesize as module

    save, saved = module.save_synthetic, []

    def stopped(*arguments):
        saved.append(1)
        if len(saved) == 2:
            raise Terminated
        save(*arguments)

    monkeypatch.setattr(module, "save_synthetic", stopped)
    code, _, err = synthesize(capsys, model, out, *flags)
    assert code == 143 and err == "interrupted: 1 done, 0 failed, 5 left; --resume goes on\n"
    monkeypatch.setattr(module, "save_synthetic", save)
    code, _, err = synthesize(capsys, model, out, *flags)
    assert code == 2 and err == (
        "--out: found an unfinished run; expected a new or empty folder; go on with --resume, begin anew with "
        "--overwrite, or choose another --out\n"
    )
    code, _, err = synthesize(capsys, model, out, *flags, "--resume")
    assert (code, err.splitlines()[-1]) == (1, "4 done, 2 failed, 0 left") and contents(out) == contents(whole)
    code, _, err = synthesize(capsys, model, out, *flags, "--resume", "--guidance", 2)
    assert code == 2 and "a run with guidance_scale 7.5; expected guidance_scale 2.0 as now" in err


def test_from_a_film(capsys, model, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8)).save(tmp_path / "film.png")
    for name, flags in (("kept", ["--strength", 0.5]), ("drawn", ["--strength", 1])):
        code, _, err = synthesize(capsys, model, tmp_path / name, "clear", "--init", tmp_path / "film.png", *flags)
        assert code == 0, err
    kept, drawn = (pixels(tmp_path / name / "images" / "0001.png") for name in ("kept", "drawn"))
    assert not np.array_equal(kept, drawn)
    assert json.loads((tmp_path / "kept" / "synthesize.json").read_text())["pictures"][0]["image"] == "film.png"


def test_retrieved_cases_complete_the_prompt_and_off_is_the_baseline(capsys, model, tmp_path):
    (tmp_path / "cases.csv").write_text("text\nLeft effusion. Clear.\n")
    synthesize(capsys, model, tmp_path / "plain", "left effusion")
    synthesize(capsys, model, tmp_path / "again", "left effusion")
    code, _, err = synthesize(capsys, model, tmp_path / "more", "left effusion", "--retrieve", tmp_path / "cases.csv")
    assert code == 0, err
    assert contents(tmp_path / "plain") == contents(tmp_path / "again")
    (record,) = json.loads((tmp_path / "more" / "synthesize.json").read_text())["pictures"]
    assert (record["prompt"], record["drawn_prompt"]) == ("left effusion", "left effusion. Clear.")
    plain, more = (pixels(tmp_path / name / "images" / "0001.png") for name in ("plain", "more"))
    assert not np.array_equal(plain, more)


def test_a_stock_stable_diffusion(capsys, tmp_path):
    code, text, err = synthesize(capsys, save_stock(tmp_path / "stock"), tmp_path / "out", "clear", "--size", "24x16")
    assert code == 0, err
    assert pixels(tmp_path / "out" / "images" / "0001.png").shape == (16, 24, 3)


def test_an_adapter_of_this_base_and_of_another(capsys, model, tmp_path):
    pipe = load_generator(model)
    revision = weights_revision(pipe.unet)
    add_adapter(pipe.unet, 2, 2, r"mid_block\..*\.attn2\.to_q|conv_out", seed=0)
    for name, weight in pipe.unet.named_parameters():
        if "lora_B" in name:
            weight.data.fill_(0.1)
    save_adapter(pipe, tmp_path / "adapter", "tiny", revision)
    synthesize(capsys, model, tmp_path / "plain", "clear")
    code, _, err = synthesize(capsys, model, tmp_path / "tuned", "clear", "--adapter", tmp_path / "adapter")
    assert code == 0, err
    plain, tuned = (tmp_path / name for name in ("plain", "tuned"))
    assert not np.array_equal(pixels(plain / "images" / "0001.png"), pixels(tuned / "images" / "0001.png"))
    revisions = {json.loads((out / "synthesize.json").read_text())["revision"] for out in (plain, tuned)}
    assert len(revisions) == 2
    save_generator(tiny_pipeline(seed=1), tmp_path / "other")
    arguments = [tmp_path / "other", tmp_path / "out", "clear", "--adapter"]
    code, _, err = synthesize(capsys, *arguments, tmp_path / "adapter")
    assert code == 2 and err.startswith("--adapter: found an adapter for another base than ") or "another base" in err
    code, _, err = synthesize(capsys, *arguments, tmp_path / "gone")
    assert (code, err) == (2, "--adapter: found no such folder; expected the folder of an adapter; check the path\n")


def cases(folder):
    """A table of one case without a picture."""
    (folder / "cases.csv").write_text("text\nclear\n")
    return folder / "cases.csv"


# Arguments beside `--model` and `--out` -> the one line; FOLDER is the test's own.
REFUSED = {
    "no prompt": (
        [],
        "prompt: found neither it nor --csv; expected one of the two; give a description, or a table of them",
    ),
    "prompt and table": (
        ["clear", "--csv", "FOLDER/rows.csv"],
        "prompt: found both it and --csv; expected one of the two; give a description, or a table of them",
    ),
    "no table": (
        ["--csv", "FOLDER/gone.csv"],
        "gone.csv: found no such file; expected a .csv or .jsonl file; check the path, or convert it",
    ),
    "a wrong delimiter": (
        ["--csv", "FOLDER/tabs.csv"],
        "tabs.csv: found columns prompt~modality; expected a column 'prompt' or 'text'; name the column of prompts so",
    ),
    "none of them": (["clear", "--n", "0"], "--n: found 0; expected 1 or more; give the number of pictures"),
    "a seed below 0": (
        ["clear", "--seed", "-1"],
        "--seed: found seed -1; expected 0 or more, below 2^63; give another seed",
    ),
    "an unknown modality": (
        ["clear", "--modality", "xray2"],
        "--modality: found 'xray2'; expected one of cxr, ct, oct; did you mean 'cxr'?",
    ),
    "no modality alike": (
        ["clear", "--modality", "PET"],
        "--modality: found 'PET'; expected one of cxr, ct, oct; use one of these",
    ),
    "a prompt longer than the encoder": (
        ["x" * 99],
        "prompt: found 101 tokens; expected at most 64; shorten it",
    ),
    "guidance below 0": (
        ["clear", "--guidance", "-2"],
        "--guidance: found -2.0; expected 0 or more; choose another, such as 7.5",
    ),
    "guidance that is no number": (
        ["clear", "--guidance", "nan"],
        "--guidance: found nan; expected 0 or more; choose another, such as 7.5",
    ),
    "an unknown schedule": (
        ["clear", "--guidance-schedule", "cosin"],
        "--guidance-schedule: found 'cosin'; expected one of constant, linear, cosine; choose another",
    ),
    "a rescale above 1": (
        ["clear", "--guidance-rescale", "2"],
        "--guidance-rescale: found 2.0; expected 0 to 1; choose another, such as 0.7",
    ),
    "no step": (["clear", "--steps", "0"], "--steps: found 0; expected 1 or more; choose another"),
    "an unknown scheduler": (
        ["clear", "--scheduler", "dmp"],
        "--scheduler: found 'dmp'; expected one of dpm, ddim, ddpm, euler, euler_a, pndm; did you mean 'dpm'?",
    ),
    "a size of no multiple": (["clear", "--size", "15"], "--size: found 15; expected a multiple of 2; take 16"),
    "a size of 0": (["clear", "--size", "0"], "--size: found 0; expected a multiple of 2; take 2"),
    "a size in words": (
        ["clear", "--size", "big"],
        "--size: found 'big'; expected SIDE or WIDTHxHEIGHT in px; give it as 256 or 320x256",
    ),
    "a strength of 0": (
        ["clear", "--init", "FOLDER/film.png", "--strength", "0"],
        "--strength: found 0.0; expected above 0, at most 1; choose another, such as 0.8",
    ),
    "a strength that nothing uses": (
        ["clear", "--strength", "2"],
        "--strength: found 2.0; expected above 0, at most 1; choose another, such as 0.8",
    ),
    "terms without cases": (
        ["clear", "--terms", "FOLDER/rows.csv"],
        "--terms: found it without --retrieve; expected both; give both",
    ),
    "a picture of no cases": (
        ["clear", "--retrieve-image"],
        "--retrieve-image: found it without --retrieve; expected both; give both",
    ),
    "two pictures to begin from": (
        ["clear", "--init", "FOLDER/film.png", "--retrieve", "FOLDER/cases.csv", "--retrieve-image"],
        "--retrieve-image: found it beside --init; expected one picture to begin from; leave out one",
    ),
    "cases that are no table": (
        ["clear", "--retrieve", "FOLDER/film.png"],
        "film.png: found a '.png' file; expected a .csv or .jsonl file; check the path",
    ),
    "a device that is none": (
        ["clear", "--device", "tpu9"],
        "--device: found 'tpu9'; expected a device of this machine; try cpu",
    ),
    "a revision of a folder": (
        ["clear", "--revision", "main"],
        "--revision: found 'main' for a folder; expected one for a repository only; leave it out",
    ),
    "resume and overwrite": (
        ["clear", "--resume", "--overwrite"],
        "--overwrite: found it beside --resume; expected one of the two; leave out the other",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), REFUSED.values(), ids=REFUSED)
def test_wrong_arguments_are_one_line_and_nothing_is_written(capsys, model, tmp_path, arguments, message):
    (tmp_path / "tabs.csv").write_text("prompt~modality\nclear~ct\n")
    (tmp_path / "rows.csv").write_text("prompt\nclear\n")
    Image.fromarray(np.eye(16, dtype=np.uint8) * 255).save(tmp_path / "film.png")
    cases(tmp_path)
    arguments = [argument.replace("FOLDER", str(tmp_path)) for argument in arguments]
    steps = [] if "--steps" in arguments else ["--steps", 2]
    code, text, err = run(capsys, "synthesize", *arguments, *steps, "--model", model, "--out", tmp_path / "out")
    assert code == 2 and text == "" and err.count("\n") == 1
    assert err.strip() == message
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


BAD_FILMS = {
    "absent": (None, "film.png: found no such file; expected an image file; check the path"),
    "empty": (b"", "film.png: found an empty file (0 bytes); expected an image file; copy or export the file again"),
    "text": (b"heart normal", "film.png: found "),
    "cut": ("cut", "film.png: found a truncated PNG; expected a complete image; copy or export the file again"),
    "blank": (
        "blank",
        "film.png: found every pixel equal (a blank image); expected an image with contrast; check that the export or "
        "the exposure worked",
    ),
}


@pytest.mark.parametrize(("content", "message"), BAD_FILMS.values(), ids=BAD_FILMS)
def test_a_bad_film_to_begin_from(capsys, model, tmp_path, content, message):
    film = tmp_path / "film.png"
    if content == "blank":
        Image.new("L", (16, 16)).save(film)
    elif content == "cut":
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)).save(film)
        film.write_bytes(film.read_bytes()[:500])
    elif content is not None:
        film.write_bytes(content)
    code, _, err = synthesize(capsys, model, tmp_path / "out", "clear", "--init", film)
    assert code == 2 and err.startswith(message) and err.count("\n") == 1 and not any((tmp_path / "out").iterdir())


def test_no_folder(capsys, model, tmp_path):
    code, _, err = run(capsys, "synthesize", "clear", "--model", model)
    assert (code, err) == (2, "--out: found none; expected a folder for the pictures; give --out\n")
    (tmp_path / "file").touch()
    code, _, err = run(capsys, "synthesize", "clear", "--model", model, "--out", tmp_path / "file")
    assert (code, err) == (2, "file: found a file; expected a folder to write to; choose another --out\n")


def test_a_folder_that_is_no_generator(capsys, model, tmp_path):
    broken = shutil.copytree(model, tmp_path / "broken")
    shutil.rmtree(broken / "unet")
    code, _, err = synthesize(capsys, broken, tmp_path / "out", "clear")
    assert (code, err) == (
        2,
        "broken: found no folder of the component 'unet'; expected what model_index.json names; copy the folder "
        "again\n",
    )


def test_verified_pictures_and_resume_to_equal_bytes(capsys, model, tmp_path, monkeypatch):
    """A random generator is never as asked: each picture is drawn three times, and the records say what was wrong."""
    arguments = ["normal heart", "--modality", "cxr", "--n", 2, "--verify", "--verify-judge", "picture-judge-tiny"]
    code, text, err = synthesize(capsys, model, tmp_path / "out", *arguments, "--verify-rounds", 2)
    assert code == 0 and err == "2 done, 0 failed, 0 left\n"
    assert text.splitlines()[1].startswith("  not as asked after 2 rounds, round ")
    for record in json.loads((tmp_path / "out" / "synthesize.json").read_text())["pictures"]:
        report = record["verification"]
        assert not report["passed"] and len(report["rounds"]) == 2
        kept = report["rounds"][report["kept_round"] - 1]
        assert kept["seed"] == record["seed"] and kept["negative_prompt"] == record["negative_prompt"]
        assert all(set(issue) == {"issue", "measured", "expected", "action"} for issue in kept["issues"])
    settings = json.loads((tmp_path / "out" / "manifest.json").read_text())["arguments"]
    assert settings["verify"]["rounds"] == 2 and settings["verify"]["judge"].startswith("picture-judge-tiny (sha256 ")

    (tmp_path / "cut").mkdir()
    shutil.copytree(tmp_path / "out", tmp_path / "cut", dirs_exist_ok=True)
    (tmp_path / "cut" / "images" / "0002.png").unlink()  # as a kill would leave it
    (tmp_path / "cut" / "manifest.json").rename(tmp_path / "cut" / ".unfinished.jsonl")
    run_line = json.loads((tmp_path / "out" / "manifest.json").read_text())
    line = {key: run_line[key] for key in ("made_by", "hf_medreport", "arguments")}
    (tmp_path / "cut" / ".unfinished.jsonl").write_text(json.dumps(line) + "\n")
    code, _, _ = synthesize(capsys, model, tmp_path / "cut", *arguments, "--verify-rounds", 2, "--resume")
    assert code == 0
    again, first = contents(tmp_path / "cut"), contents(tmp_path / "out")
    del again["records.jsonl"], first["records.jsonl"]  # of a file that was lost, the line stands twice
    del again["manifest.json"], first["manifest.json"]
    assert again == first


def test_what_verify_alone_takes(capsys, model, tmp_path):
    code, _, err = synthesize(capsys, model, tmp_path / "out", "clear", "--verify-judge", "picture-judge-tiny")
    assert code == 2
    assert err == "--verify-judge: found it without --verify; expected both; give both\n"
    code, _, err = synthesize(capsys, model, tmp_path / "out", "clear", "--verify", "--verify-judge", "nowhere")
    assert code == 2 and "judge: found no folder 'nowhere'" in err
