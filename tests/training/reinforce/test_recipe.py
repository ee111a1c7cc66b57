"""The recipe: a shipped model goes on, is killed and resumed; and what is refused before any work."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from hf_medreport.hub.publish import check_folder
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from hf_medreport.training import run
from hf_medreport.training.reinforce.trainer import ReinforceTrainer
from tests.tiny import save_tiny

PHANTOM = Path(__file__).parents[3] / "examples" / "reinforce_phantom.yaml"
TINY = {
    "phantom_cases": 6,
    "phantom_validation_cases": 2,
    "max_text_tokens": 8,
    "samples": 2,
    "per_device_train_batch_size": 2,
    "per_device_eval_batch_size": 2,
    "max_steps": 2,
    "save_steps": 1,
    "eval_steps": 2,
    "logging_steps": 1,
    "learning_rate": 0.01,
    "warmup_steps": 0,
    "evaluation_cases": 2,
    "half_precision_weights": False,
    "bf16": "false",
    "rewards": ["token_f1"],
}


def configuration(folder: Path, model_type: str = "anatomical_report", **changes) -> str:
    """The example's YAML, made tiny, of a tiny model."""
    if not (folder / "start").is_dir():
        save_tiny(system(model_type), folder / "start")
    values = yaml.safe_load(PHANTOM.read_text()) | TINY | {"output_dir": str(folder / "run")}
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(values | {"model": str(folder / "start")} | changes))
    return str(path)


def weights(folder: Path) -> dict:
    return load_file(folder / "run" / "reinforced" / "model.safetensors")


class Killed(BaseException):
    """What no handler catches."""


def test_a_model_goes_on_and_is_scored(tmp_path):
    metrics = run("reinforce", configuration(tmp_path, adapter_rank=2), [])
    assert metrics["global_step"] == 2 and {"eval_reward", "eval_fact_f1", "eval_bleu4"} <= set(metrics)
    folder = tmp_path / "run" / "reinforced"
    assert set(json.loads((folder / "evaluation.json").read_text())) == {"test", "held_back_style"}
    assert check_folder(folder)[1] == []  # complete enough to be published, card and all
    assert "hf-medreport train reinforce --config" in (folder / "README.md").read_text()
    start, end = load_file(tmp_path / "start" / "model.safetensors"), weights(tmp_path)
    assert start.keys() == end.keys()
    changed = {name for name in start if not torch.allclose(start[name], end[name], atol=1e-6)}
    assert changed and all(name.startswith(("decoder", "projection")) for name in changed)
    rows = json.loads((tmp_path / "run" / "checkpoint-2" / "trainer_state.json").read_text())["log_history"]
    row = next(row for row in rows if "loss" in row)
    assert {"reward", "reward_token_f1", "kl", "ended", "tokens"} <= set(row) and 0 <= row["reward"] <= 1


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"adapter_rank": 2}, {"method": "self-critical", "kl": 0.0}])
def test_a_killed_run_resumes_to_the_same_weights(changes, tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir(), (tmp_path / "killed").mkdir()
    run("reinforce", configuration(tmp_path / "whole", **changes), [])
    config, step = configuration(tmp_path / "killed", **changes), ReinforceTrainer.training_step

    def killed_at_two(self, *arguments, **options):
        if self.state.global_step == 1:
            raise Killed
        return step(self, *arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(ReinforceTrainer, "training_step", killed_at_two)
        run("reinforce", config, [])
    run("reinforce", config, ["--resume"])
    expected, resumed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert expected.keys() == resumed.keys() and all(torch.equal(expected[key], resumed[key]) for key in expected)
    with pytest.raises(InputError, match="resume: found other settings than the run was begun with"):
        run("reinforce", config, ["--resume", "--samples", "3"])


@pytest.mark.slow
@pytest.mark.parametrize("model_type", ["cxr_multitask", "radscribe"])
def test_other_models_of_films_and_pairs(model_type, tmp_path):
    assert run("reinforce", configuration(tmp_path, model_type, kl=0.0), [])["global_step"] == 2


@pytest.mark.slow
def test_a_model_of_slides(tmp_path):
    config = configuration(tmp_path, "histgen", slide_px=256, slide_mpp=4.0, rewards=["slide_composite"], kl=0.0)
    assert run("reinforce", config, [])["global_step"] == 2


@pytest.mark.slow
def test_films_of_tables(tmp_path):
    from tests.systems.anatomical.test_recipe import write_tables

    write_tables(tmp_path)
    tables = sorted(str(path) for path in tmp_path.glob("*.csv"))
    data = {"phantom_cases": 0, "train_data": tables[:1], "validation_data": tables[-1], "rewards": ["composite"]}
    assert run("reinforce", configuration(tmp_path, **data), [])["global_step"] == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": ""}, "model: found none; expected a trained report model; name a shipped one, a folder or an id"),
        ({"model": "anatomical-tine"}, "anatomical-tine: found no such model; expected a folder"),
        ({"method": "ppo"}, "method: found 'ppo'; expected self-critical or group-relative; choose one of them"),
        (
            {"samples": 1},
            "samples: found 1 for group-relative; expected 2 or more: a group of one has no spread; raise it",
        ),
        ({"method": "self-critical", "samples": 0}, "samples: found 0 for self-critical; expected 1 or more; raise it"),
        ({"kl": -1.0}, "kl: found -1; expected a number above 0, or 0; correct it"),
        ({"kl": float("nan")}, "kl: found nan; expected a number above 0, or 0; correct it"),
        ({"temperature": 0.0}, "temperature: found 0; expected a number above 0; correct it"),
        (
            {"adapter_targets": ["c_attn"]},
            "adapter_targets: found layers, and adapter_rank 0; expected both; set a rank, or leave them out",
        ),
        ({"max_text_tokens": -1}, "max_text_tokens: found -1; expected 1 or more, or 0; correct it"),
        ({"rewards": ["composit"]}, "reward: found 'composit'; expected one of composite, slide_composite, "),
        (
            {"phantom_cases": 0},
            "train_data, phantom_cases: found neither; expected one of them; name tables, or draw phantom cases",
        ),
        ({"adapter_rank": -1}, "adapter_rank: found -1; expected 1 or more, or 0 for none; correct it"),
        (
            {"adapter_rank": 2, "adapter_targets": ["query"]},
            "adapter_targets: found query; expected some of c_attn, c_fc, c_proj, projection; correct them",
        ),
    ],
)
def test_what_cannot_be(changes, message, tmp_path, monkeypatch):
    with pytest.raises(InputError) as raised:
        run("reinforce", configuration(tmp_path, **{"eval_strategy": "no", "phantom_cases": 1} | changes), [])
    assert str(raised.value).startswith(message)


def test_a_model_of_another_kind(tmp_path):
    save_tiny(system("picture_judge"), tmp_path / "start")
    with pytest.raises(InputError, match=r"found a judge \(picture_judge\); expected a report model"):
        run("reinforce", configuration(tmp_path), [])
