"""`hf-medreport publish`: what it hands on and prints; what is uploaded is in `tests/hub/`."""

import json
from pathlib import Path

import pytest

from hf_medreport.registry import CHECKPOINTS
from tests.cli.test_cli import run

NOTHING = {"unchecked": False, "allow_identifiers": False}
ADDRESS = "https://hub.example/org/chest/commit/0a1b"


@pytest.fixture
def uploaded(monkeypatch):
    """The arguments of each upload, which takes place nowhere."""
    uploads = []

    def upload(*arguments, **options):
        uploads.append((*arguments, options))
        return ADDRESS

    monkeypatch.setattr("hf_medreport.hub.publish.publish", upload)
    return uploads


def test_the_address_of_the_commit_is_printed(capsys, uploaded):
    assert run(capsys, "publish", "chest", "org/chest") == (0, ADDRESS + "\n", "")
    assert uploaded == [(Path("chest"), "org/chest", NOTHING | {"private": False, "revision": None})]


def test_json_and_every_flag(capsys, uploaded):
    code, out, err = run(
        capsys,
        "publish",
        "chest",
        "org/chest",
        "--private",
        "--revision",
        "next",
        "--unchecked",
        "--allow-identifiers",
        "--json",
    )
    assert (code, json.loads(out), err) == (0, {"commit": ADDRESS}, "")
    assert uploaded == [
        (
            Path("chest"),
            "org/chest",
            {"private": True, "revision": "next", "unchecked": True, "allow_identifiers": True},
        )
    ]


def test_a_dry_run_names_every_file_with_its_size(capsys, uploaded):
    folder = CHECKPOINTS / "histgen-tiny"
    code, out, _ = run(capsys, "publish", folder, "org/chest", "--dry-run")
    assert code == 0 and out.splitlines()[-1].endswith("files") and uploaded == []
    assert f"{(folder / 'model.safetensors').stat().st_size:>15,}  model.safetensors" in out.splitlines()
    code, out, _ = run(capsys, "publish", folder, "org/chest", "--dry-run", "--json")
    listed = json.loads(out)
    assert code == 0 and listed["left_out"] == [] and listed["files"]["README.md"] > 0 and uploaded == []
