"""The window of versions: the files in constraints/ say what setup.py asks for and what `make compat` found."""

import importlib.util
import json
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hf_medreport.version import tested_versions

ROOT = Path(__file__).parent.parent
REQUIREMENTS = [Requirement(line) for line in requires("hf-medreport")]
OURS = [one for one in REQUIREMENTS if "clinical" not in str(one.marker)]
COMPAT = json.loads((ROOT / "constraints" / "compat.json").read_text())


@pytest.fixture(scope="module")
def compat():
    """`.ci/compat.py`, which is no part of a package."""
    specification = importlib.util.spec_from_file_location("compat", ROOT / ".ci" / "compat.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "failing, versions, recorded, fault",
    [
        ([], "5.24", {"versions": "5.24", "failing": []}, False),  # green
        (["a"], "5.24", {"versions": "5.24", "failing": []}, True),  # it was green with the very same
        (["a"], "5.25", {"versions": "5.24", "failing": []}, False),  # upstream moved
        (["a"], "5.24", {"versions": "5.24", "failing": ["a"]}, False),  # it never was green
        (["a"], "5.24", None, False),  # nothing was recorded
    ],
)
def test_newest_fails_ci_only_where_the_same_versions_were_green(
    compat, tmp_path, monkeypatch, failing, versions, recorded, fault
):
    monkeypatch.setattr(compat, "RESULTS", tmp_path / "compat.json")
    compat.RESULTS.write_text(json.dumps({"newest": recorded} if recorded else {}))
    assert compat.is_our_fault({"failing": failing, "versions": versions}) is fault


@pytest.mark.slow
def test_a_suite_that_finds_no_test_is_red(compat, tmp_path):
    (tmp_path / "test_nothing.py").write_text("")
    counts, failing = compat.run_suite(sys.executable, [str(tmp_path)])
    assert counts["failed"] == 1 and failing == [f"{tmp_path}: pytest ended with 5"]


def test_lowest_is_what_setup_names():
    done = subprocess.run([sys.executable, ".ci/floors.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    written = (ROOT / "constraints" / "lowest.txt").read_text()
    assert done.stdout == written, "write it again: make lock, or python .ci/floors.py > constraints/lowest.txt"


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_every_requirement_has_a_floor_and_no_cap(requirement):
    assert [specifier.operator for specifier in requirement.specifier] == [">="]


def test_every_requirement_is_locked_at_or_above_its_floor():
    tested = {name.lower().replace("_", "-"): version for name, version in tested_versions().items()}
    locked = {str(one): tested.get(one.name.lower().replace("_", "-")) for one in OURS}
    assert [name for name, version in locked.items() if version is None] == []
    assert all(one.specifier.contains(locked[str(one)]) for one in OURS)


@pytest.mark.parametrize("row", ["tested", "lowest", "newest", "clinical"])
def test_the_window_is_green(row):
    """What was committed last: every suite passed, and the shipped models said the same."""
    assert COMPAT[row]["failing"] == [] and all(suite["passed"] > 0 for suite in COMPAT[row]["suites"].values())
    if row != "tested":
        assert COMPAT[row]["ids_as_tested"] and COMPAT[row]["largest_difference"] <= 1e-5


def test_the_window_reaches_from_the_floors_to_the_lock():
    floors = (ROOT / "constraints" / "lowest.txt").read_text().splitlines()[1:]
    lowest = {name.lower(): version for name, version in COMPAT["lowest"]["versions"].items()}
    installed_once = ("torch", "torchvision", "numpy")  # as tested everywhere; numpy's floor is what `clinical` ran
    for name, version in (line.split("==") for line in floors):
        assert name in installed_once or lowest[name.lower()] == version, name
    assert COMPAT["clinical"]["versions"]["numpy"] == dict(line.split("==") for line in floors)["numpy"]
    tested = tested_versions()
    for row in ("tested", "newest"):
        assert COMPAT[row]["versions"]["torch"] == tested["torch"]
    assert COMPAT["tested"]["versions"]["transformers"] == tested["transformers"]
