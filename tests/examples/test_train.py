"""The example that trains any system: it runs, passes flags on, and refuses in one line."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from tests.systems.radscribe.test_pretrain_medvill import table, table_configuration  # noqa: F401 (a fixture)

SCRIPT = str(Path(__file__).parents[2] / "examples" / "train.py")


def started(monkeypatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", [SCRIPT, *words])
    runpy.run_path(SCRIPT, run_name="__main__")


def test_it_trains_the_system_with_the_yaml_and_the_flags(table, capsys, caplog, monkeypatch):  # noqa: F811
    config = table_configuration(table, max_steps=2, save_strategy="no")
    started(monkeypatch, "medvill", "--config", config, "--max_steps", "1")
    printed = capsys.readouterr().out
    assert json.loads(printed[printed.rindex("{\n") :])["global_step"] == 1
    assert "precision: float32" in caplog.text


def test_it_refuses_in_one_line(capsys, monkeypatch):
    with pytest.raises(SystemExit, match="^absent.yaml: found no such file; expected a YAML file of arguments; check"):
        started(monkeypatch, "anatomical", "--config", "absent.yaml")
    with pytest.raises(SystemExit, match="^system: found 'histogen'; expected one of anatomical_report"):
        started(monkeypatch, "histogen")
    with pytest.raises(SystemExit) as stop:
        started(monkeypatch, "--help")
    assert stop.value.code == 0 and "RadScribe/configs/base.yaml" in capsys.readouterr().out
