"""The house: imports run down only and in no circle, files stay small, and only the command line speaks of flags."""

import ast
import graphlib
import importlib
import re
from collections import Counter
from pathlib import Path

import pytest

import hf_medreport

PACKAGE = Path(hf_medreport.__file__).parent
# modeling, processing and dataset_scripts lie elsewhere in an editable install.
TOPS = {name: importlib.import_module(f"hf_medreport.{name}") for name in ("dataset_scripts", "modeling", "processing")}
LIBRARY = [PACKAGE, *(Path(top.__file__).parent for top in TOPS.values())]
# From the ceiling to the floor: a file imports from its own room and from lower floors, not from beside it. `hub`
# stands below `training`: it needs nothing of it, and training writes folders.
FLOORS = [
    ["cli"],
    ["demo"],
    ["rlhf"],
    ["systems"],
    ["training"],
    ["evaluation"],
    ["inference", "doctor"],
    ["hub", "dataset_scripts"],
    ["data"],
    ["phantom"],
    ["registry"],
    ["files"],
    ["processing", "modeling"],
    ["version"],
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
LINES, LINES_OF_MODELING, MODULES_A_FOLDER = 450, 700, 16


def _modules() -> dict[str, Path]:
    """Every module of the library by its dotted name; a package by that of its folder."""
    found = {}
    for folder, root in zip(LIBRARY, ["hf_medreport", *(f"hf_medreport.{name}" for name in TOPS)], strict=True):
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            if "checkpoints" not in parts:
                found[".".join([root, *parts]).removesuffix(".__init__")] = path
    return found


MODULES = _modules()


def _imports(name: str, path: Path) -> set[str]:
    """The modules of the library that a module imports anywhere in it, its functions too; a row's strings are none."""
    package, found = name if path.name == "__init__.py" else name.rpartition(".")[0], set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            source = ".".join(filter(None, [above, node.module]))
            named = {f"{source}.{each.name}" for each in node.names}
            found |= named & set(MODULES) | ({source} if named - set(MODULES) else set())
    return (found & set(MODULES)) - {name}


GRAPH = {name: _imports(name, path) for name, path in MODULES.items()}


def _room(name: str) -> str:
    return name.split(".")[1]


def test_imports_run_down_only():
    pairs = [(name, other) for name in GRAPH if name != "hf_medreport" for other in GRAPH[name]]
    assert len(pairs) > 500 and {_room(name) for name in GRAPH if name != "hf_medreport"} == set(FLOOR)
    up = [
        f"{name} imports {other}"
        for name, other in pairs
        if other == "hf_medreport" or _room(other) != _room(name) and FLOOR[_room(other)] <= FLOOR[_room(name)]
    ]
    assert not up


def test_no_module_imports_itself_by_others():
    graphlib.TopologicalSorter(GRAPH).prepare()  # a CycleError names the circle


def test_files_and_folders_stay_small():
    long = {
        name: lines
        for name, path in MODULES.items()
        if (lines := len(path.read_text(encoding="utf-8").splitlines()))
        > (LINES_OF_MODELING if name.startswith("hf_medreport.modeling.") else LINES)
    }
    folders = Counter(
        path.parent
        for path in MODULES.values()
        if path.is_relative_to(PACKAGE) and path.name not in ("__init__.py", "__main__.py", "row.py")
    )
    assert not long and not {folder: count for folder, count in folders.items() if count > MODULES_A_FOLDER}


def test_the_graph_sees_relative_imports_and_those_of_functions():
    assert "hf_medreport.modeling.config_error" in GRAPH["hf_medreport.modeling.keywords"]
    assert "hf_medreport.inference.loading" in GRAPH["hf_medreport.cli.report"]


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
                rest = re.sub("(hf-medreport|vips) [a-z].*|--mr-", "", message)  # --mr-: a page's own CSS properties
                assert not re.search(r"(?<!\w)--[a-z{]", rest), f"{path.name}: {message}"


def test_only_the_command_line_prints():
    """The library logs; a module that is run by itself may print."""
    for path in MODULES.values():
        if "cli" not in path.parts and path.name != "sync_checkpoints.py":
            calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
            assert not any(isinstance(call, ast.Name) and call.id == "print" for call in calls), path.name


def test_what_a_model_refuses_has_four_fields():
    for path in Path(importlib.import_module("hf_medreport.modeling").__file__).parent.glob("*.py"):
        assert "raise ValueError" not in path.read_text(encoding="utf-8"), path.name


WRITERS = [
    path
    for name, path in MODULES.items()
    if name != "hf_medreport" and _room(name) not in ("files", "processing", "modeling")
]
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
