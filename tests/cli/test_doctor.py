"""`hf-medreport doctor`: what it prints, and what is worth an exit code of 1."""

import json
import shutil
from importlib.metadata import requires

import pytest
from typer.testing import CliRunner

from hf_medreport.cli.app import app
from hf_medreport.registry import CHECKPOINTS
from tests.test_doctor import CLEAN, PINS, as_tested


@pytest.fixture
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")


@pytest.fixture
def installed(monkeypatch):
    return as_tested(monkeypatch)


@pytest.fixture
def folder(tmp_path):
    """A copy of a shipped model, in a folder whose name a shell would split."""
    return shutil.copytree(CHECKPOINTS / "histgen-tiny", tmp_path / "my model")


def run(*arguments):
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)])


def test_json_of_the_installation():
    done = run("--json")
    state = json.loads(done.output)
    assert done.exit_code == 0 and state["packages"]["torch"]
    extras = {"clinical", "cxr", "demo", "dicom", "diffusion", "evaluate", "quantize", "ray", "rlhf", "train", "wsi"}
    assert set(state["extras"]) == extras


def test_nothing_to_type_where_all_is_as_tested(installed):
    output = run().output
    assert f"{PINS['torch']}+cu130, tested" in output and "pip install" not in output


def test_what_differs_is_said_and_what_to_type(installed, narrow):
    installed |= {"transformers": "99.0", "timm": "1.0"}
    output = run().output
    assert output.endswith(
        "Other versions than the tested ones should do. Where something fails, install those:\n"
        f"  pip install 'transformers=={PINS['transformers']}' 'timm=={PINS['timm']}'\n"
    )
    assert "99.0, newer than" in output and "…" not in output


def test_what_is_missing_can_be_copied_from_a_narrow_terminal(installed, narrow):
    del installed["pydicom"]
    installed["torch"] = "1.13"
    output = run().output
    (torch,) = (line for line in requires("hf-medreport") if line.startswith("torch>="))
    install = f"To install what is missing:\n  pip install '{torch}'\n  pip install \"hf-medreport[dicom]\"\n"
    assert install in output and "…" not in output


def test_a_shipped_name():
    name = "histgen-tiny"
    done = run(name, "--json")
    found = json.loads(done.output)
    assert done.exit_code == 0 and found["folder"] == str(CHECKPOINTS / name) and found["code"] == CLEAN


def test_other_code_is_told_and_how_to_renew_it(folder, narrow):
    (folder / "sinusoids.py").write_text("")
    (folder / "mine.py").write_text("")
    done = run(folder)
    assert done.exit_code == 0  # it still loads
    assert "sinusoids.py" in done.output and "mine.py" in done.output
    assert done.output.endswith(
        "Save the model again, or publish it, which puts this installation's code and versions into the commit:\n"
        f"  hf-medreport publish '{folder}' ORG/NAME\n"
    )


def test_missing_code_is_bad_content(folder):
    (folder / "sinusoids.py").unlink()
    done = run(folder, "--json")
    assert done.exit_code == 1 and json.loads(done.output)["code"] == CLEAN | {"missing": ["sinusoids.py"]}


def test_a_report_without_a_length_is_bad_content(folder):
    (folder / "generation_config.json").write_text('{"eos_token_id": 0}')
    done = run(folder)
    assert done.exit_code == 1
    assert done.output.endswith(
        f"{folder}/generation_config.json: found no max_new_tokens; expected the most tokens of a report; "
        "set it, to 128 for instance\n"
    )


def test_a_folder_that_does_not_say(folder):
    (folder / "tested_with.json").unlink()
    done = run(folder)
    assert done.exit_code == 0 and "not recorded" in done.output and "hf-medreport publish" in done.output
