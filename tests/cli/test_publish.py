"""`hf-medreport publish`: what it hands on and prints; what is uploaded is in `tests/hub/`."""

import json
from pathlib import Path

import pytest

from tests.cli.test_cli import run

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
    assert uploaded == [(Path("chest"), "org/chest", {"private": False, "revision": None, "unchecked": False})]


def test_json_and_every_flag(capsys, uploaded):
    code, out, err = run(
        capsys, "publish", "chest", "org/chest", "--private", "--revision", "next", "--unchecked", "--json"
    )
    assert (code, json.loads(out), err) == (0, {"commit": ADDRESS}, "")
    assert uploaded == [(Path("chest"), "org/chest", {"private": True, "revision": "next", "unchecked": True})]
