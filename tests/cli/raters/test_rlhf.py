"""`hf-medreport rlhf`: what it prints and refuses."""

import json

import pytest

from tests.cli.test_cli import run
from tests.rlhf.made_loop import SMALL, few_modalities, generator, stand_ins  # noqa: F401  (fixtures)


@pytest.fixture
def config(generator, tmp_path):  # noqa: F811
    lines = {"generator": str(generator), "output_dir": str(tmp_path / "out"), "update": "best_of_n", **SMALL}
    path = tmp_path / "loop.yaml"
    path.write_text("".join(f"{name}: {value}\n" for name, value in lines.items()))
    return path


@pytest.mark.usefixtures("stand_ins", "few_modalities")
def test_a_run_and_a_resumed_one(capsys, config, tmp_path):
    code, text, err = run(capsys, "rlhf", "--config", config)
    assert code == 0 and text.startswith("round 1  ratings 6  kept ") and "pass_rate" in text
    assert err.splitlines()[-1] == "1 rounds done, 0 left"
    code, again, _ = run(capsys, "rlhf", "--config", config, "--resume", "--json")
    state = json.loads((tmp_path / "out" / "state.json").read_text())
    assert code == 0 and json.loads(again)["rounds"] == state["rounds"]
    code, _, err = run(capsys, "rlhf", "--config", config)
    assert code == 2 and err.splitlines()[-1] == (
        "out: found an older run; expected a new or empty folder; go on with --resume, begin anew with --overwrite, or "
        "choose another --output_dir"
    )


def test_help_lists_the_settings(capsys):
    code, text, _ = run(capsys, "rlhf", "--help")
    assert code == 0 and "--selector_threshold float  [0.2]" in text and "--update_settings" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--quality_treshold", "0.5"], "no such argument; expected a training argument; did you mean"),
        (["--quality_threshold", "1.5"], "quality_threshold: found 1.5; expected 0 to 1; correct it"),
        (["--report_to", "mlflow"], "found 'mlflow'; expected none or one of tensorboard, trackio, wandb; choose one"),
        (["--generator", "nothing-here"], "nothing-here: found no such model; expected a folder or ORG/NAME"),
    ],
)
def test_what_is_refused(capsys, config, arguments, message):
    code, _, err = run(capsys, "rlhf", "--config", config, *arguments)
    assert code == 2 and message in err.splitlines()[-1]
