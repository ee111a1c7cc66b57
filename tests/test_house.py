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
    ["files"],
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


WRITERS = [path for path in FILES if path.relative_to(PACKAGE).parts[0] not in ("files", "processing", "modeling")]
WRITERS += sorted((PACKAGE.parent / "dataset_scripts").glob("*.py"))
OF_FILES = {("os", "replace"), ("os", "rename"), ("hashlib", "file_digest"), ("csv", "reader"), ("csv", "DictReader")}
OF_FILES |= {("difflib", "get_close_matches")}


@pytest.mark.parametrize("path", WRITERS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_files_alone_write_and_read_files(path):
    """What travels keeps its own; all others write whole files, and read tables, by `files`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        where = f"{path.name}, line {node.lineno}"
        owner = getattr(node.func.value, "id", None)
        assert (owner, node.func.attr) not in OF_FILES and node.func.attr not in ("write_text", "rename"), where
        if node.func.attr == "write_bytes":
            assert owner == "part", f"{where}: not to the temporary file of write_whole"
