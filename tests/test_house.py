"""The house: imports run down only, and every room has its tests."""

import ast
from pathlib import Path

import pytest

import hf_medreport

PACKAGE = Path(hf_medreport.__file__).parent
# From the ceiling to the floor. `hub` stands below `training`: it needs nothing of it, and training writes folders.
FLOORS = [
    ["cli", "doctor"],
    ["training"],
    ["evaluation"],
    ["inference"],
    ["hub"],
    ["dataset_scripts"],
    ["data"],
    ["phantom"],
    ["registry"],
    ["processing", "modeling"],
    ["version"],
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FILES = [path for path in PACKAGE.rglob("*.py") if "checkpoints" not in path.parts and path.parent != PACKAGE]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_down_only(path):
    room = path.relative_to(PACKAGE).parts[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("hf_medreport."):
            other = node.module.split(".")[1]
            assert FLOOR[other] >= FLOOR[room], f"{path.name} ({room}) imports {node.module}"
