"""The house: imports run down only, every room has its tests, and only the command line speaks of flags."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import hf_medreport

PACKAGE = Path(hf_medreport.__file__).parent
# From the ceiling to the floor. `hub` stands below `training`: it needs nothing of it, and training writes folders.
FLOORS = [
    ["cli", "doctor"],
    ["systems"],
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


ROOMS = [importlib.import_module(f"hf_medreport.{room}") for room in ("dataset_scripts", "modeling", "processing")]
LIBRARY = [PACKAGE, *(Path(room.__file__).parent for room in ROOMS)]


def _messages(node: ast.AST):
    """Every string but docstrings and `flags` of a command that printed figures; the parts of an f-string as one."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if isinstance(node, ast.Assign | ast.AugAssign) and "flags" in ast.unparse(node).split("=")[0]:
        return
    if isinstance(node, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    else:
        for child in ast.iter_child_nodes(node):
            yield from _messages(child)


@pytest.mark.parametrize("folder", LIBRARY, ids=lambda folder: folder.name)
def test_only_the_command_line_speaks_of_flags(folder):
    """The library names an argument as Python has it; a remedy may tell a whole other command."""
    for path in folder.rglob("*.py"):
        if not {"checkpoints", "cli"} & set(path.relative_to(folder).parts):
            for message in _messages(ast.parse(path.read_text(encoding="utf-8"))):
                rest = re.sub("hf-medreport [a-z].*", "", message)
                assert not re.search(r"(?<!\w)--[a-z{]", rest), f"{path.name}: {message}"


def test_only_the_command_line_prints():
    """The library logs; a module that is run by itself may print."""
    for path in FILES:
        if "cli" not in path.parts and path.name != "sync_checkpoints.py":
            calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
            assert not any(isinstance(call, ast.Name) and call.id == "print" for call in calls), path.name


def test_what_a_model_refuses_has_four_fields():
    for path in Path(importlib.import_module("hf_medreport.modeling").__file__).parent.glob("*.py"):
        assert "raise ValueError" not in path.read_text(encoding="utf-8"), path.name


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
