"""The table of joint training: what a cell holds, what stays blank, and what is said of a run that is missing."""

import json
import shutil

import pytest

from hf_medreport.registry import CHECKPOINTS
from tests.benchmarks import ROOT, script

joint = script("joint_training")
experiment = joint.experiment


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def scores(value: float) -> dict:
    """What `evaluate_phantom` gives of a model of pairs, all figures alike."""
    view = {"ssim": value, "mse": value, "intervals": {"ssim": [0.1, 0.2]}, "mean_film": {"ssim": 0.6, "mse": 0.01}}
    classification = {"accuracy": value, "auc": value, "intervals": {}, "majority": {"accuracy": 0.54}}
    words = {"exact": {"f1": value}, "kind": {"f1": value}, "text": {"bleu4": value, "rougeL": value}}
    constant = {"exact": {"f1": None}, "kind": {"f1": None}, "text": {"bleu4": 0.26, "rougeL": 0.49}}
    tasks = {"frontal": view, "lateral": view, "classification": classification}
    return {**words, "intervals": {"exact.f1": [0.3, 0.4]}, "tasks": tasks, "constant_report": constant}


@pytest.fixture
def keep(monkeypatch, tmp_path):
    """Keeps a made-up result of an arm."""
    monkeypatch.setattr(experiment, "folder", tmp_path / "joint_training")
    monkeypatch.setattr(experiment, "seeds", (0, 1))
    (tmp_path / "joint_training").mkdir()

    def write(arm: str, seed: int, value: float) -> None:
        result = {"seed": seed, "settings": experiment.settings(arm), "training_seconds": 9, "scores": scores(value)}
        experiment.place(arm, seed).write_text(json.dumps(result))

    return write


def test_seeds_are_averaged_and_tasks_not_learned_stay_blank(keep, capsys):
    keep("all tasks", 0, 0.2)
    keep("all tasks", 1, 0.4)
    keep("classification alone", 0, 0.9)
    experiment.summarize()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "|  | all tasks | report alone | classification alone | reconstruction alone | all tasks, no skips | baseline |"
    )
    table = {line.split(" | ")[0]: line for line in lines[2:]}
    spread = "0.300 (0.200 to 0.400)"
    assert table["| accuracy"] == f"| accuracy | {spread} |  | 0.900 |  | not run | 0.540 |"
    assert table["| exact-fact F1"] == f"| exact-fact F1 | {spread} | not run |  |  | not run | 0.000 |"
    kept = json.loads(experiment.folder.with_suffix(".json").read_text())
    assert kept["rows"]["all tasks"]["SSIM frontal"]["intervals"] == [[0.1, 0.2], [0.1, 0.2]]
    assert kept["rows"]["all tasks"]["exact-fact F1"]["intervals"] == [[0.3, 0.4], [0.3, 0.4]]


def test_the_committed_results_are_of_todays_settings():
    assert all(experiment.read(arm, seed) is not None for arm in joint.ARMS for seed in experiment.seeds)


def test_the_shipped_card_is_what_the_command_writes(tmp_path):
    shipped = CHECKPOINTS / "cxr-multitask-tiny"
    for name in ("config.json", "evaluation.json"):
        shutil.copy(shipped / name, tmp_path)
    experiment.card(tmp_path)
    assert (tmp_path / "README.md").read_text() == (shipped / "README.md").read_text()
