"""Selector and policy by their recipes."""

import json
from types import SimpleNamespace

import pytest

from hf_medreport.processing.input_error import InputError
from hf_medreport.rlhf.rounds import rewarding


def test_the_recipe_is_asked_as_a_command_line_would(monkeypatch, tmp_path):
    asked = []

    def run(system, config, flags):
        asked.append((system, config, dict(zip(flags[::2], flags[1::2], strict=True))))
        model = tmp_path / "round-1" / "policy" / "model"
        model.mkdir(parents=True, exist_ok=True)
        (model / "evaluation.json").write_text(json.dumps({"n": 5, "model": {"auc": 0.9}, "command": "with a place"}))
        return {"model": str(model)}

    monkeypatch.setattr(rewarding, "run", run)
    folder, ratings = tmp_path / "round-1" / "policy", tmp_path / "ratings.csv"
    given = {"config": "policy.yaml", "passes": 2}
    result, files = rewarding.train_reward("policy", ratings, folder, given)
    assert asked[0][:2] == ("policy", "policy.yaml")
    assert asked[0][2] == {
        "--passes": "2",
        "--ratings": str(ratings),
        "--output_dir": str(folder),
        "--resume": "True",
    }
    assert result == {"model": "round-1/policy/model", "evaluation": {"n": 5, "model": {"auc": 0.9}}}
    assert [file.name for file in files] == ["config.json", "model.safetensors"]
    assert given == {"config": "policy.yaml", "passes": 2}  # of the settings, which go on
    rewarding.train_reward("policy", ratings, folder, {"lora_rank": 4})  # which its recipe cannot resume
    assert asked[1][2]["--overwrite"] == "True" and "--resume" not in asked[1][2]


def test_one_in_the_place_of_the_other(monkeypatch):
    monkeypatch.setattr(rewarding, "load_reward", lambda name: SimpleNamespace(kind=name, name=f"{name} (sha256 12)"))
    assert [model.kind for model in rewarding.load_rewards("selector", "policy")] == ["selector", "policy"]
    with pytest.raises(InputError) as error:
        rewarding.load_rewards("policy", "policy")
    assert str(error.value) == (
        "selector: found a policy (policy (sha256 12)); expected a selector; name another folder"
    )
