"""The recipe of layer-wise anatomical attention: from each source, resumed, and in two processes."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel, GPT2Config, GPT2LMHeadModel

from hf_medreport.hub.folder import save_folder
from hf_medreport.hub.publish import check_folder
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from hf_medreport.systems.anatomical.row import TINY_GPT2, TINY_VIT
from hf_medreport.training import run
from hf_medreport.training.precision import processor
from hf_medreport.training.trainer import ReportTrainer
from tests.tiny import film_array, save_tiny, tiny_model, tiny_processor, tiny_tokenizer

EXAMPLES = Path(__file__).parents[3] / "examples"
PHANTOM = str(EXAMPLES / "anatomical_phantom.yaml")
TINY = {
    "encoder": {**TINY_VIT, "image_size": 64, "patch_size": 16},
    "decoder": {**TINY_GPT2, "n_positions": 160},
    "segmenter": {"architecture": "unet", "unet_channels": [4, 8], "unet_size": 16},
    "image_size": 64,
    "bf16": False,
    "phantom_cases": 16,
    "phantom_validation_cases": 3,
    "max_text_tokens": 24,
    "segmenter_steps": 2,
    "encoder_steps": 2,
    "warm_up_batch_size": 4,
    "per_device_train_batch_size": 4,
    "per_device_eval_batch_size": 4,
    "max_steps": 4,
    "save_steps": 2,
    "eval_steps": 4,
    "logging_steps": 1,
    "half_precision_weights": False,
    "model_name": "model",
    "evaluation_cases": 2,
}


def configuration(folder, **changes):
    """The phantom's YAML, made tiny."""
    values = yaml.safe_load(Path(PHANTOM).read_text()) | TINY | {"output_dir": str(folder / "run")} | changes
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(values))
    return str(path)


def weights(folder):
    return load_file(Path(folder) / "model" / "model.safetensors")


def losses(folder):
    states = sorted(Path(folder).glob("checkpoint-*/trainer_state.json"), key=lambda path: int(path.parent.name[11:]))
    return [row["loss"] for row in json.loads(states[-1].read_text())["log_history"] if "loss" in row]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The tiny run, undisturbed: its last metrics and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return run("anatomical", configuration(folder), []), folder / "run"


def test_phantom_end_to_end(whole):
    metrics, folder = whole
    assert metrics["core_seconds"] > 0 and metrics["processor"] == processor()
    assert metrics["global_step"] == 4 and {"eval_bleu4", "eval_fact_f1", "eval_kind_f1"} <= set(metrics)
    assert AutoModel.from_pretrained(folder / "model", trust_remote_code=True).config.image_size == 64
    assert set(json.loads((folder / "model" / "evaluation.json").read_text())) == {
        "test",
        "held_back_style",
        "test, balanced",
    }
    assert check_folder(folder / "model")[1] == []  # complete enough to be published, card and all
    samples = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    assert len(samples) == 3 and all(sample["reference"].startswith("FINDINGS:") for sample in samples)
    assert {sample["step"] for sample in samples} == {4}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["training"]["seed"] == 0 and "torch" in manifest["versions"]
    logged = json.loads((folder / "checkpoint-4" / "trainer_state.json").read_text())["log_history"][0]
    assert logged["memory_gib"] > 0 and "cpu_percent" in logged


class Killed(BaseException):
    """What no handler catches."""


def test_a_killed_run_resumes_to_the_same_weights(whole, tmp_path, monkeypatch):
    """Killed in its fourth step, after the checkpoint of the second; the default encoder even draws random numbers."""
    expected = weights(whole[1])
    config, step = configuration(tmp_path), ReportTrainer.training_step

    def killed_at_four(self, *arguments, **options):
        if self.state.global_step == 3:
            raise Killed
        return step(self, *arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(ReportTrainer, "training_step", killed_at_four)
        run("anatomical", config, [])
    assert not (tmp_path / "run" / "model").exists()
    cut = tmp_path / "run" / "checkpoint-3"  # as of a kill while it was saved
    cut.mkdir()
    (cut / "model.safetensors").write_bytes(b"half")
    run("anatomical", config, ["--resume_from_checkpoint", "true"])
    resumed = weights(tmp_path / "run")
    assert expected.keys() == resumed.keys() and all(torch.equal(expected[key], resumed[key]) for key in expected)

    # Once more, as after a kill between the last checkpoint and the final folder: not a step further.
    assert run("anatomical", config, ["--resume_from_checkpoint", "true"])["global_step"] == 4
    again = weights(tmp_path / "run")
    assert all(torch.equal(expected[key], again[key]) for key in expected)


@pytest.mark.slow
def test_two_processes_give_the_loss_curve_of_one_with_the_doubled_batch(whole, tmp_path, fresh):
    """gloo on one machine, dropout 0: losses equal to 1e-4."""
    settings = {"eval_strategy": "no", "save_steps": 4, "evaluation_cases": 1}
    config = configuration(tmp_path, **settings, per_device_train_batch_size=2)
    code = f"""
import runpy, sys
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
def rank():
    sys.argv = [{str(EXAMPLES / "train.py")!r}, "anatomical", "--config", {config!r}]
    runpy.run_path(sys.argv[0], run_name="__main__")
free_port = {{"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "run_id": {tmp_path.name!r}}}
elastic_launch(LaunchConfig(1, 1, nproc_per_node=2, start_method="fork", **free_port), rank)()
"""
    done = fresh.run(code)
    assert done.returncode == 0, done.stderr[-3000:]
    two = tmp_path / "run"
    assert losses(two) == pytest.approx(losses(whole[1]), abs=1e-4) and len(losses(two)) == 4
    # Three films are scored, not those that fill the second process' batch up.
    for folder in (whole[1], two):
        assert len((folder / "samples.jsonl").read_text().splitlines()) == 3


def write_tables(folder):
    """Two tables of made-up films, and pretrained parts to join."""
    Image.fromarray(film_array()).save(folder / "film.png")
    Image.fromarray((film_array() > 99).astype("uint8")).save(folder / "mask.png")
    rows = "image,text,mask\n" + "film.png,Normal heart.,mask.png\n" * 6
    for name in ("mimic.csv", "chexpert.csv"):
        (folder / name).write_text(rows)
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.for_model(**{**TINY_VIT, "image_size": 64, "patch_size": 16})).save_pretrained(
        folder / "encoder"
    )
    words = tiny_tokenizer()
    GPT2LMHeadModel(GPT2Config(**TINY_GPT2, vocab_size=len(words), bos_token_id=0, eos_token_id=0)).save_pretrained(
        folder / "decoder"
    )
    words.save_pretrained(folder / "decoder")
    return folder


@pytest.fixture
def tables(tmp_path):
    return write_tables(tmp_path)


def paper_flags(folder, **changes):
    flags = {
        "encoder": folder / "encoder",
        "decoder": folder / "decoder",
        "image_size": 64,
        "validation_data": folder / "mimic.csv",
        "output_dir": folder / "run",
        "max_steps": 2,
        "bf16": False,
        "max_text_tokens": 20,
        "report_to": "none",
        "eval_strategy": "steps",
        "save_strategy": "steps",
        "eval_steps": 1,
        "save_steps": 1,
        **changes,
    }
    named = [part for name, value in flags.items() for part in (f"--{name}", str(value))]
    return [*named, "--train_data", str(folder / "mimic.csv"), str(folder / "chexpert.csv")]


def test_the_papers_recipe_two_steps(tables):
    metrics = run("anatomical", str(EXAMPLES / "anatomical_paper.yaml"), paper_flags(tables))
    assert metrics["global_step"] == 2 and metrics["eval_loss"] > 0
    inputs = json.loads((tables / "run" / "manifest.json").read_text())["inputs"]
    assert inputs[str(tables / "mimic.csv")] == hashlib.sha256((tables / "mimic.csv").read_bytes()).hexdigest()
    config = json.loads((tables / "run" / "model" / "config.json").read_text())
    assert config["decoder"]["n_positions"] == 64 + 16 and config["mask_mode"] == "soft"
    before, after = load_file(tables / "encoder" / "model.safetensors"), weights(tables / "run")
    assert all(torch.equal(after[f"encoder.{key}"], value) for key, value in before.items())


def test_tables_from_scratch(tables):
    """A tokenizer of the tables' own reports, and no weights to start from."""
    scratch = {"phantom_cases": 0, "segmenter_steps": 0, "encoder_steps": 0, "mask_column": "mask"}
    data = {"train_data": [str(tables / "mimic.csv")], "validation_data": str(tables / "chexpert.csv")}
    assert run("anatomical", configuration(tables, **scratch, **data), [])["global_step"] == 4


def test_accumulated_batches_give_the_loss_of_whole_ones(whole, tmp_path):
    accumulated = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 4}
    run("anatomical", configuration(tmp_path, eval_strategy="no", save_steps=4, **accumulated), [])
    assert losses(tmp_path / "run") == pytest.approx(losses(whole[1]), abs=1e-4)


def test_bfloat16_trains(tmp_path):
    metrics = run("anatomical", configuration(tmp_path, bf16=True), [])
    assert metrics["eval_loss"] > 0 and all(loss < 10 for loss in losses(tmp_path / "run"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"early_stopping_patience": 2, "eval_strategy": "no"}, "early_stopping_patience: found eval_strategy no"),
        ({"metric_for_best_model": "eval_fact_f1"}, "metric_for_best_model: found eval_fact_f1 on real reports"),
        ({"segmenter_steps": 2}, "segmenter_steps, encoder_steps: found a warm-up on tables"),
        ({"label_smoothing_factor": 0.1}, "label_smoothing_factor: found 0.1; expected 0; leave it out: these models"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused_before_any_work(tables, changes, message):
    flags = paper_flags(tables, load_best_model_at_end=False, **changes)
    with pytest.raises(InputError, match=message):
        run("anatomical", str(EXAMPLES / "anatomical_paper.yaml"), flags)
    assert not (tables / "run").exists()


def test_sources_are_drawn_by_weight(tables):
    from hf_medreport.systems.anatomical.recipe import DataArguments, ModelArguments, load_data

    names = [str(tables / "mimic.csv"), str(tables / "chexpert.csv")]
    data = DataArguments(train_data=names, train_weights=[0.7, 0.3])
    _, _, weights = load_data(ModelArguments(), data)
    assert sum(weights[:6]) == pytest.approx(0.7) and sum(weights[6:]) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("changes", "flags", "message"),
    [
        ({"phantom_films": 4}, [], "found unknown field 'phantom_films'; .* it is called 'phantom_cases' now"),
        ({}, ["--evaluation_films", "4"], "found no such argument; .* it is called 'evaluation_cases' now"),
        ({"train_data": ["a.csv"]}, [], "train_data, phantom_cases: found both; expected one of them"),
        ({"phantom_cases": 0}, [], "train_data, phantom_cases: found neither; expected one of them"),
        ({"mask_mode": "sof"}, [], "found mask_mode='sof'; expected one of none, soft, strict"),
        (
            {"encoder": "no/id", "decoder": "no/gpt"},
            [],
            "encoder, decoder: found 'no/id', 'no/gpt', of which one does",
        ),
        ({"encoder": "some/id"}, [], "encoder, decoder: found a name and a configuration; expected two names or two"),
    ],
)
def test_wrong_arguments(tmp_path, changes, flags, message):
    with pytest.raises(ValueError, match=message):
        run("anatomical", configuration(tmp_path, **changes), flags)


@pytest.fixture
def trained(tmp_path):
    """A folder of a trained model, of other settings than the recipe's defaults."""
    row = system("anatomical_report")
    return save_folder(
        tiny_model(row, bias_strength=2.0, mask_mode="strict"), tiny_processor(row), tmp_path / "trained"
    )


def go_on(folder, trained, *flags, **changes) -> dict:
    """One step from a trained model, on two drawn cases."""
    values = {"phantom_cases": 2, "phantom_validation_cases": 2, "evaluation_cases": 2, "max_steps": 1, "bf16": False}
    values |= {"output_dir": str(folder / "run"), "eval_strategy": "no", "max_text_tokens": 12, "report_to": "none"}
    values |= {"per_device_train_batch_size": 2}
    (folder / "on.yaml").write_text(yaml.safe_dump(values | changes))
    run("anatomical", str(folder / "on.yaml"), ["--model", str(trained), *flags])
    return json.loads((folder / "run" / "model" / "config.json").read_text())


def test_a_trained_model_is_gone_on_with(tmp_path, trained, monkeypatch):
    """At a rate of 0 it stays what it is, in weights, words and settings; what is asked for anew is taken."""
    monkeypatch.setattr("hf_medreport.systems.anatomical.recipe.evaluation_of", lambda asked, folder: {})
    config = go_on(tmp_path, trained, "--learning_rate", "0", "--weight_decay", "0", mask_mode="soft")
    before, after = (load_file(folder / "model.safetensors") for folder in (trained, tmp_path / "run" / "model"))
    assert before.keys() == after.keys()
    learned = [name for name in before if not name.rpartition(".")[2].startswith(("running_", "num_batches"))]
    assert all(torch.equal(before[name], after[name]) for name in learned)
    for name in ("tokenizer.json", "processor_config.json"):
        assert (trained / name).read_bytes() == (tmp_path / "run" / "model" / name).read_bytes(), name
    assert config["bias_strength"] == 2.0 and config["mask_mode"] == "soft" and config["image_size"] == 32
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert f"{trained.name}" in card and str(trained.parent) not in card  # a card names no place of a machine


def test_what_a_trained_model_does_not_have_is_refused(tmp_path, trained):
    message = "image_size: found 48 for trained; expected 32, which it has; leave out `image_size`, or train another "
    with pytest.raises(InputError) as error:
        go_on(tmp_path, trained, "--image_size", "48")
    assert str(error.value) == f"{message}model"
    other = save_tiny(system("radscribe"), tmp_path / "other")
    with pytest.raises(InputError, match="model: found a 'radscribe' in other; expected anatomical_report; name"):
        go_on(tmp_path, other)
    with pytest.raises(InputError, match="model: found '.*', which does not load"):
        go_on(tmp_path, tmp_path / "absent")
