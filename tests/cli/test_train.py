"""Training says its figures, ends in order after a signal, goes on, and mixes with no older run."""

import json

import pytest
import torch

from hf_medreport.files.interruption import Terminated
from hf_medreport.training.trainer import ReportTrainer
from tests.cli.test_cli import run
from tests.systems.anatomical.test_recipe import configuration, weights

SHORT = {"segmenter_steps": 0, "encoder_steps": 0, "eval_strategy": "no", "load_best_model_at_end": False}


def train(capsys, folder, *flags) -> tuple[int, str, str]:
    """Exit code, stdout, and the last line of stderr, before which bars stand."""
    code, out, err = run(capsys, "train", "anatomical", "--config", configuration(folder, **SHORT), *flags)
    assert "Traceback" not in err
    return code, out, err.splitlines()[-1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The weights of an undisturbed run."""
    from hf_medreport.training import run as train_directly

    folder = tmp_path_factory.mktemp("whole")
    train_directly("anatomical", configuration(folder, **SHORT))
    return weights(folder / "run")


@pytest.mark.parametrize(("interruption", "code"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_an_interrupted_training_goes_on(capsys, whole, tmp_path, monkeypatch, interruption, code):
    step = ReportTrainer.training_step

    def interrupted(self, *arguments, **options):
        if self.state.global_step == 3:
            raise interruption
        return step(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(ReportTrainer, "training_step", interrupted)
        said = train(capsys, tmp_path)
    assert said[::2] == (code, "interrupted: 3 steps done, 1 left; --resume goes on after step 2")
    code, _, last = train(capsys, tmp_path)
    assert (code, last) == (
        2,
        "run: found an older run; expected a folder without; "
        "go on with --resume, begin anew with --overwrite, or choose another --output_dir",
    )
    assert train(capsys, tmp_path, "--resume", "--overwrite")[::2] == (
        2,
        "overwrite: found it beside --resume; expected one of the two; leave out the other",
    )
    code, out, last = train(capsys, tmp_path, "--resume", "--json")
    assert (code, last) == (0, "4 steps done, 0 left") and json.loads(out)["global_step"] == 4
    resumed = weights(tmp_path / "run")
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_an_older_run_is_overwritten(capsys, tmp_path):
    (tmp_path / "run" / "checkpoint-9").mkdir(parents=True)  # cut by a kill
    assert train(capsys, tmp_path)[0] == 2
    assert train(capsys, tmp_path, "--overwrite", "--max_steps", 2)[::2] == (0, "2 steps done, 0 left")
    assert sorted(path.name for path in (tmp_path / "run").glob("checkpoint-*")) == ["checkpoint-2"]


def test_resume_begins_where_there_is_nothing(capsys, tmp_path):
    assert train(capsys, tmp_path, "--resume", "--max_steps", 1)[::2] == (0, "1 steps done, 0 left")


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
