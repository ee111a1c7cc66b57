"""`hf-medreport train`: where a run's own words and its figures go."""

import json

import pytest

from tests.cli.test_cli import run


@pytest.fixture
def noisy(monkeypatch):
    """A run that prints as Trainer does; what it was asked for."""
    asked = []

    def noisy(*arguments):
        asked.extend(arguments)
        print("{'loss': '6.45'}")
        return {"global_step": 1, "eval_loss": 0.5}

    monkeypatch.setattr("hf_medreport.training.run", noisy)
    return asked


def test_with_json_nothing_else_is_printed(capsys, noisy):
    code, out, err = run(capsys, "train", "anatomical", "--json")
    assert code == 0 and json.loads(out) == {"global_step": 1, "eval_loss": 0.5} and "6.45" in err


def test_a_figure_a_line_after_what_the_run_says(capsys, noisy):
    code, out, err = run(capsys, "train", "anatomical", "--config", "a.yaml", "--learning_rate", "1e-4")
    assert code == 0 and out.splitlines() == ["{'loss': '6.45'}", "global_step: 1", "eval_loss: 0.5"]
    assert noisy == ["anatomical", "a.yaml", ["--learning_rate", "1e-4"]]
