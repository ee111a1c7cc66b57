"""The pages build without a warning."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
def test_the_pages_build_without_a_warning(tmp_path):
    """What `make docs` runs, into another folder."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "docs", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "adding_a_system.html" in (tmp_path / "index.html").read_text(encoding="utf-8")


FEATURES = (ROOT / "docs" / "diffusion_features.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.py(?:::[\w:]+)?)`", FEATURES)))


def test_each_part_of_the_generator_has_its_row():
    found = [int(number) for number in re.findall(r"^\| F(\d+) \|", FEATURES, flags=re.MULTILINE)]
    assert found == sorted(set(found)) and {*range(1, 24), *range(26, 31)} <= set(found) <= set(range(1, 31))


@pytest.mark.parametrize("named", NAMED)
def test_what_the_table_of_the_generator_names_is_there(named):
    path, _, test = named.partition("::")
    source = (ROOT / path).read_text(encoding="utf-8")
    assert not test or f"def {test.rpartition('::')[2]}(" in source
    assert all(f"class {name}" in source for name in test.split("::")[:-1])


PAGE = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
PATHS = sorted({path for path in re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", PAGE) if "NAME" not in path})


@pytest.mark.parametrize("path", PATHS)
def test_every_path_that_the_design_names_is_there(path):
    assert (ROOT / path).exists(), f"docs/design.md names {path}"
