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


PAGE = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
PATHS = sorted({path for path in re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", PAGE) if "NAME" not in path})


@pytest.mark.parametrize("path", PATHS)
def test_every_path_that_the_design_names_is_there(path):
    assert (ROOT / path).exists(), f"docs/design.md names {path}"
