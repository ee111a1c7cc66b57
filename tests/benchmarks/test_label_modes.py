"""The table of label modes: what a cell holds, and what is said of a run that is missing or of other settings."""

import importlib
import json
import sys
from pathlib import Path

import pytest

from hf_medreport.processing.input_error import InputError

ROOT = Path(__file__).parent.parent
with pytest.MonkeyPatch.context() as patch:
    patch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    modes = importlib.import_module("label_modes")


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
    monkeypatch.setattr(modes, "RESULTS", tmp_path / "label_modes")
    monkeypatch.setattr(modes, "SEEDS", (0, 1))
    (tmp_path / "label_modes").mkdir()

    def write(arm: str, seed: int, value: float, **changes) -> None:
        result = {"arm": arm, "seed": seed, "settings": modes.settings(arm), "training_seconds": 9}
        modes.place(arm, seed).write_text(json.dumps(result | {"scores": scores(value)} | changes))

    return write


def test_seeds_are_averaged_and_a_missing_run_is_said(keep, capsys):
    keep("no labels", 0, 0.2)
    keep("no labels", 1, 0.4)
    keep("predicted, ViT", 0, 0.9)
    modes.summarise()
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
    kept = json.loads((modes.RESULTS.parent / "label_modes.json").read_text())
    assert kept["rows"]["no labels"]["exact-fact F1"]["intervals"] == [[0.3, 0.4], [0.3, 0.4]]
    assert kept["rows"]["no labels"]["exact-fact F1, blinded"]["intervals"] == [[0.0, 0.1], [0.0, 0.1]]
    assert kept["rows"]["no labels"]["BLEU-4"]["seeds"] == [0.2, 0.4]
    assert kept["seeds"]["predicted labels"] == [] and kept["seeds"]["no labels"] == [0, 1]


@pytest.mark.parametrize("arm", ["oracle labels", "predicted, ViT"])
def test_a_result_of_other_settings_is_refused(keep, arm):
    keep(arm, 0, 0.2, settings=modes.settings("no labels") | {"films": 1})
    expected = f"{modes.stem(arm, 0)}.json: found a result of other settings; expected those of today"
    with pytest.raises(InputError, match=expected):
        modes.summarise()


def test_a_result_of_one_yaml_is_none_of_the_other():
    assert modes.settings("predicted, ViT") != modes.settings("predicted labels") == modes.settings("oracle labels")


def test_arms_have_files_of_their_own_and_modes_that_there_are():
    assert len({modes.stem(arm, seed) for arm in modes.ARMS for seed in (0, 1)}) == 2 * len(modes.ARMS)
    assert {labels for labels, _, _ in modes.ARMS.values()} == {"none", "predicted", "oracle"}
    assert {mask for _, mask, _ in modes.ARMS.values()} == {"full", "bar", "legacy"}


def test_the_two_yamls_differ_in_the_image_encoder_alone():
    one, other = (modes.read_arguments(parts(), str(path), []) for path in (modes.CONFIG, modes.WITH_VIT))
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


def test_runs_without_a_result_are_trained_with_the_arms_flags_and_kept(keep, monkeypatch, tmp_path):
    keep("no labels", 0, 0.2)
    monkeypatch.setattr(modes, "SEEDS", (0,))
    trained = []
    monkeypatch.setattr(modes, "train", lambda *given: trained.append(given) or {"model": "folder"})
    monkeypatch.setattr(modes, "load", lambda folder: folder)
    monkeypatch.setattr(modes, "evaluate_phantom", lambda pipe, **options: scores(0.5))
    modes.run(tmp_path / "runs")
    assert len(trained) == len(modes.ARMS) - 1 and {system for system, _, _ in trained} == {"radscribe"}
    told = [dict(zip(flags[::2], flags[1::2], strict=True)) for _, _, flags in trained]
    assert {one["--resume_from_checkpoint"] for one in told} == {"true"}
    assert [
        (one["--label_mode"], one["--mask_mode"], config) for one, (_, config, _) in zip(told, trained, strict=True)
    ] == [(labels, mask, str(config)) for labels, mask, config in list(modes.ARMS.values())[1:]]
    assert all(modes.read(arm, 0) is not None for arm in modes.ARMS)


def test_the_card_holds_the_table(keep, tmp_path):
    keep("oracle labels", 0, 0.75)
    modes.summarise()
    folder = tmp_path / "radscribe-tiny"
    folder.mkdir()
    config = {"model_type": "radscribe", "encoder": {"label_mode": "predicted"}, "statement": ""}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evaluation.json").write_text("{}")
    modes.card(folder)
    card = (folder / "README.md").read_text()
    assert modes.CAPTION in card and "--config examples/radscribe_phantom.yaml" in card
    assert "| exact-fact F1 | not run | not run | 0.750 | not run | not run | not run |" in card
