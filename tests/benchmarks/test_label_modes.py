"""The table of label modes: what a cell holds, and what is said of a run that is missing or of other settings."""

import json

import pytest

from hf_medreport.training.arguments import read_arguments
from tests.benchmarks import ROOT, script

modes = script("label_modes")
experiment = modes.experiment


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def scores(value: float | None) -> dict:
    """What `evaluate_phantom` gives of a film reporter, all figures alike; blinded, half of each."""
    words = ("bleu4", "meteor", "rougeL", "cider", "token_f1", "chexpert_f1")
    half = None if value is None else value / 2
    blinded = {"exact": {"f1": half}, "kind": {"f1": half}, "intervals": {"exact.f1": [0.0, 0.1]}}
    rates = {"hallucination_rate": value, "wrong_side_rate": None}
    found = {"exact": {"f1": value}, "kind": {"f1": value}, "text": dict.fromkeys(words, value), **rates}
    return found | {"intervals": {"exact.f1": [0.3, 0.4], "text.bleu4": [0.1, 0.2]}, "blinded": blinded}


@pytest.fixture
def keep(monkeypatch, tmp_path):
    """Keeps a made-up result of an arm."""
    monkeypatch.setattr(experiment, "folder", tmp_path / "label_modes")
    monkeypatch.setattr(experiment, "seeds", (0, 1))
    (tmp_path / "label_modes").mkdir()

    def write(arm: str, seed: int, value: float) -> None:
        result = {"arm": arm, "seed": seed, "settings": experiment.settings(arm), "training_seconds": 9}
        experiment.place(arm, seed).write_text(json.dumps(result | {"scores": scores(value)}))

    return write


def test_seeds_are_averaged_and_a_missing_run_is_said(keep, capsys):
    keep("no labels", 0, 0.2)
    keep("no labels", 1, 0.4)
    keep("predicted, ViT", 0, 0.9)
    experiment.summarize()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "|  | no labels | predicted labels | oracle labels | predicted, bar mask | predicted, legacy mask "
        "| predicted, ViT |"
    )
    table = {line.split(" | ")[0]: line for line in lines[2:]}
    missing = "not run | not run | not run | not run"
    assert table["| exact-fact F1"] == f"| exact-fact F1 | 0.300 (0.200 to 0.400) | {missing} | 0.900 |"
    assert table["| exact-fact F1, blinded"] == (
        f"| exact-fact F1, blinded | 0.150 (0.100 to 0.200) | {missing} | 0.450 |"
    )
    assert table["| wrong-side rate"] == f"| wrong-side rate | undefined | {missing} | undefined |"
    kept = json.loads(experiment.folder.with_suffix(".json").read_text())
    assert kept["rows"]["no labels"]["exact-fact F1"]["intervals"] == [[0.3, 0.4], [0.3, 0.4]]
    assert kept["rows"]["no labels"]["exact-fact F1, blinded"]["intervals"] == [[0.0, 0.1], [0.0, 0.1]]
    assert kept["rows"]["no labels"]["BLEU-4"]["seeds"] == [0.2, 0.4]
    assert kept["seeds"]["predicted labels"] == [] and kept["seeds"]["no labels"] == [0, 1]


def test_a_result_of_one_yaml_is_none_of_the_other():
    of = experiment.settings
    assert of("predicted, ViT") != of("predicted labels") == of("oracle labels")


def test_arms_have_files_of_their_own_and_modes_that_there_are():
    assert len({experiment.stem(arm, seed) for arm in modes.ARMS for seed in (0, 1)}) == 2 * len(modes.ARMS)
    assert {labels for labels, _, _ in modes.ARMS.values()} == {"none", "predicted", "oracle"}
    assert {mask for _, mask, _ in modes.ARMS.values()} == {"full", "bar", "legacy"}


def test_the_two_yamls_differ_in_the_image_encoder_alone():
    one, other = (read_arguments(parts(), str(path), []) for path in (modes.CONFIG, modes.WITH_VIT))
    differing = {
        name
        for ours, theirs in zip(one[:2], other[:2], strict=True)
        for name in vars(ours)
        if vars(ours)[name] != vars(theirs)[name]
    }
    assert differing == {"encoder", "image_encoder"}
    changed = {name for name, value in one[0].encoder.items() if value != other[0].encoder[name]}
    assert changed == {"image_encoder_sizes"}
    assert one[2].to_json_string() == other[2].to_json_string()


def parts() -> tuple:
    return modes.recipe.ModelArguments, modes.recipe.DataArguments, modes.recipe.RecipeArguments


def test_an_arm_trains_with_its_modes_and_its_yaml():
    assert experiment.arms == {
        arm: (config, ["--label_mode", labels, "--mask_mode", mask])
        for arm, (labels, mask, config) in modes.ARMS.items()
    }


def test_the_committed_results_are_of_todays_settings():
    assert all(experiment.read(arm, seed) is not None for arm in modes.ARMS for seed in experiment.seeds)


def test_the_card_holds_the_table(keep, tmp_path):
    keep("oracle labels", 0, 0.75)
    experiment.summarize()
    folder = tmp_path / "radscribe-tiny"
    folder.mkdir()
    config = {"model_type": "radscribe", "encoder": {"label_mode": "predicted"}, "statement": ""}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evaluation.json").write_text("{}")
    experiment.card(folder)
    card = (folder / "README.md").read_text()
    assert f"{experiment.caption} (`{experiment.command}`)" in card
    assert "--config examples/radscribe_phantom.yaml" in card
    assert "| exact-fact F1 | not run | not run | 0.750 | not run | not run | not run |" in card
