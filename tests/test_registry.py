"""The table of systems: what other packages announce, and that nobody else asks for a system by its name."""

import ast
import importlib
import logging
import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import hf_medreport
from hf_medreport import registry
from hf_medreport.registry import System, systems

OTHER = System("other", "report", "other_report.configuration:Other", "other_report.modeling:Other", ())
OWN = systems()


@pytest.fixture
def announced(monkeypatch):
    """The rows of all systems where other packages announce modules with these names and contents."""

    def rows(**modules) -> tuple[System, ...]:
        for name, content in modules.items():
            monkeypatch.setitem(sys.modules, name, content)
        points = [EntryPoint(f"point_{name}", f"{name}:ROWS", registry.GROUP) for name in modules]
        monkeypatch.setattr(registry, "entry_points", lambda group: points)
        return systems.__wrapped__()

    return rows


class Module:
    """A module with a table."""

    def __init__(self, *rows):
        self.ROWS = rows


def test_another_package_brings_its_rows(announced):
    assert announced(other=Module(OTHER)) == (*OWN, OTHER)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (None, "ModuleNotFoundError: import of broken halted; None in sys.modules"),
        (object(), "AttributeError: 'object' object has no attribute 'ROWS'"),
        (Module("other"), "broken:ROWS is no tuple of hf_medreport.registry.System"),
    ],
    ids=["no module", "no table", "no rows"],
)
def test_what_gives_no_rows_is_left_out_with_one_warning(announced, caplog, broken, reason):
    assert announced(broken=broken, other=Module(OTHER)) == (*OWN, OTHER)
    expected = f"systems of the package ? (entry point 'point_broken') are left out: {reason}"
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(logging.WARNING, expected)]


def test_one_row_is_no_tuple(announced, caplog):
    module = Module()
    module.ROWS = OTHER
    assert announced(other=module) == OWN and "is no tuple" in caplog.text


def test_a_model_type_that_is_taken_is_left_out(announced, caplog):
    assert announced(one=Module(OTHER), two=Module(OTHER)) == (*OWN, OTHER)
    expected = "(entry point 'point_two') are left out: there is a system of model_type 'other' already"
    assert [record.getMessage().split("? ")[1] for record in caplog.records] == [expected]


def test_a_row_whose_code_is_not_there_disturbs_no_other(monkeypatch, caplog):
    monkeypatch.setattr(registry, "systems", lambda: (OTHER,))
    registry.register_auto_classes.__wrapped__()
    expected = "other of another package is left out: ModuleNotFoundError: No module named 'other_report'"
    assert [record.getMessage() for record in caplog.records] == [expected]


PACKAGE = Path(hf_medreport.__file__).parent
SOURCES = [
    path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] not in ("checkpoints", "systems")
]
for room in ("modeling", "processing"):
    SOURCES += Path(importlib.import_module(f"hf_medreport.{room}").__file__).parent.glob("*.py")
NAME = re.compile(rf"\b(?:{'|'.join(name for row in OWN for name in (row.model_type, *row.shipped))})\b")
# What is called as a system is and is none, by file.
ALLOWED = {
    # A format of files.
    "cli/phantom.py": {"radscribe"},
    "cli/prepare.py": {"radscribe"},
    "data/drawn/card.py": {"radscribe"},
    "data/drawn/formats.py": {"radscribe"},
    "processing/feature_files.py": {"histgen"},
    # What the scores of a picture are called in a table.
    "rlhf/rated.py": {"selector", "policy"},
    # The name of an extra.
    "doctor.py": {"diffusion"},
    # The two models of the loop, which are settings of these names and systems.
    "rlhf/rounds/candidates.py": {"policy", "selector"},
    "rlhf/loop.py": {"policy", "selector"},
    "rlhf/rounds/loop_settings.py": {"policy", "selector"},
    "rlhf/rounds/rated.py": {"policy", "selector"},
    "rlhf/rounds/rewarding.py": {"policy", "selector"},
    # What a system's own code says: a preset, the command that converts, names of its weights.
    "modeling/configuration_histgen.py": {"histgen"},
    "processing/processing_histgen.py": {"histgen"},
    "modeling/modeling_medvill.py": {"medvill"},
    # A module's name.
    "modeling/medical_pipeline.py": {"medical_text_conditioner"},
}


def names_of_systems(source: str) -> set[str]:
    """What the strings of a module name of systems and shipped models, but for docstrings and what a configuration says
    of itself: `model_type = "..."`."""
    tree = ast.parse(source)
    spared = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    assigned = (node for node in ast.walk(tree) if isinstance(node, ast.Assign))
    spared |= {id(node.value) for node in assigned if ast.unparse(node.targets) == "model_type"}
    strings = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in spared)
    return {name for node in strings if isinstance(node.value, str) for name in NAME.findall(node.value)}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_outside_its_room_nobody_names_a_system(path):
    folder = PACKAGE if path.is_relative_to(PACKAGE) else PACKAGE.parent
    allowed = ALLOWED.get(path.relative_to(folder).as_posix(), set())
    assert names_of_systems(path.read_text(encoding="utf-8")) == allowed


def test_a_name_in_a_branch_is_found():
    own = '"""Of medvill."""\nclass A:\n    "Of medvill."\n    model_type = "histgen"\n'
    assert names_of_systems(own) == set()
    branch = 'if kind == "radscribe":\n    load(f"{room}/anatomical-tiny")\n'
    assert names_of_systems(own + branch) == {"radscribe", "anatomical-tiny"}
