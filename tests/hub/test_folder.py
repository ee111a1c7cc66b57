"""Folders that load anywhere, and the rule for code that travels."""

import ast
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import hf_medreport.constraints
import hf_medreport.modeling
import hf_medreport.processing
from hf_medreport.hub.folder import VERSIONS, copy_code, traveling_files
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import CHECKPOINTS, system, systems
from hf_medreport.version import __version__
from tests.tiny import save_tiny

TRAVELING = [
    path
    for package in (hf_medreport.modeling, hf_medreport.processing)
    for path in Path(package.__path__[0]).glob("*.py")
]
ALLOWED = {"torch", "numpy", "PIL", "transformers", "safetensors"} | set(sys.stdlib_module_names)
MODELS = [row for row in systems() if row.kind != "generator"]
SHIPPED = {name: row for row in systems() for name in row.shipped}


@pytest.mark.parametrize("path", TRAVELING, ids=lambda path: path.name)
def test_traveling_code_imports_only_what_a_stranger_has(path):
    """Anything else must stand in a `try`: transformers demands every other import of a file, wherever it stands."""
    allowed = ALLOWED | ({"diffusers"} if path.name.startswith("medical_") else set())  # of a generator
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded = {child for node in ast.walk(tree) if isinstance(node, ast.Try) for child in ast.walk(node)}
    for node in ast.walk(tree):
        if node in guarded:
            continue
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= allowed
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert node.module.split(".")[0] in allowed
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1, f"{path.name} imports from another folder"


def test_traveling_files_have_names_of_their_own():
    names = [path.name for path in TRAVELING if path.name != "__init__.py"]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("row", MODELS, ids=lambda row: row.model_type)
def test_the_map_names_files_that_are_there(row, tmp_path):
    folder = save_tiny(row, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    assert set(config["auto_map"]) == {"AutoConfig", *row.auto_classes}
    references = list(config["auto_map"].values())
    references += [task["impl"] for task in config.get("custom_pipelines", {}).values()]
    for name in ("processor_config.json", "preprocessor_config.json"):
        if (folder / name).exists():
            settings = json.loads((folder / name).read_text())
            references += settings.get("auto_map", {}).values()  # none where it is transformers' own
    assert all((folder / f"{reference.split('.')[0]}.py").exists() for reference in references)


@pytest.mark.parametrize("row", systems(), ids=lambda row: row.model_type)
def test_a_folder_records_what_it_was_tested_with(row, tmp_path):
    record = json.loads((save_tiny(row, tmp_path / "model") / "tested_with.json").read_text())
    assert record.pop("hf_medreport") == __version__
    pins = Path(hf_medreport.constraints.__path__[0], "tested.txt").read_text()
    assert f"on Python {record.pop('python')}.\n" in pins
    needed = {"huggingface_hub", "numpy", "pillow", "safetensors", "tokenizers", "torch", "transformers"}
    assert set(record) == needed | ({"diffusers"} if row.kind == "generator" else set())
    assert all(f"\n{package}=={version}\n" in pins for package, version in record.items())


def test_two_packages_with_files_of_one_name(tmp_path, monkeypatch):
    """A folder is flat: what one package calls `input_error.py` must be what the other does."""
    (tmp_path / "other_report").mkdir()
    other = tmp_path / "other_report" / "modeling_other.py"
    other.write_text("from .input_error import InputError\n")
    sibling = other.with_name("input_error.py")
    sibling.write_text("class InputError(ValueError): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "other_report", None)  # which is taken out again afterward
    del sys.modules["other_report"]
    row = replace(system("anatomical_report"), model="other_report.modeling_other:Model")
    ours = Path(hf_medreport.processing.__path__[0])
    message = "input_error.py: found one in hf_medreport.processing and another in other_report; expected one file of a"
    with pytest.raises(InputError, match=message):
        traveling_files(row)
    sibling.write_bytes((ours / "input_error.py").read_bytes())
    assert {"modeling_other.py", "input_error.py", "pipeline_image_to_text.py"} < set(traveling_files(row))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_code_and_versions_equal_the_source(name, tmp_path):
    row, folder = SHIPPED[name], CHECKPOINTS / name
    shipped = {path.relative_to(folder): path.read_bytes() for path in (*folder.rglob("*.py"), folder / VERSIONS)}
    copy = shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("*.py"))
    fresh = {path.relative_to(copy): path.read_bytes() for path in copy_code(row, copy)}
    assert shipped == fresh, "run `make sync-checkpoints`"


def test_shipped_checkpoints_are_small():
    sizes = {}
    for name, row in SHIPPED.items():
        files = [path for path in (CHECKPOINTS / name).rglob("*") if path.is_file()]
        # Code is the package's own, copied.
        kind = "rater" if name == row.apart else row.kind
        sizes[kind, name] = sum(path.stat().st_size for path in files if path.suffix != ".py")
    assert all(size < 4_000_000 for (kind, _), size in sizes.items() if kind != "generator"), sizes
    drawing = sum(size for (kind, _), size in sizes.items() if kind in ("generator", "judge"))
    assert drawing < 8_000_000, sizes
    assert all(size < 1_000_000 for (kind, _), size in sizes.items() if kind == "rater"), sizes
