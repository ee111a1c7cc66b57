"""The quickstart as a script and as a notebook: the same cells, and both run."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def cells_of_script() -> list[tuple[str, str]]:
    """(kind, source) of what stands between `# %%` lines; words without their comment signs."""
    parts = re.split(r"^# %%(.*)\n", (EXAMPLES / "quickstart.py").read_text(), flags=re.MULTILINE)[1:]
    cells = []
    for kind, source in zip(parts[::2], parts[1::2], strict=True):
        words = "markdown" in kind
        source = source.strip()
        cells.append(("markdown", re.sub(r"^# ?", "", source, flags=re.MULTILINE)) if words else ("code", source))
    return cells


def notebook() -> dict:
    return json.loads((EXAMPLES / "quickstart.ipynb").read_text())


def test_the_notebook_has_the_cells_of_the_script_and_no_results():
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in notebook()["cells"]] == cells_of_script()
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook()["cells"])
    assert notebook()["nbformat"] == 4 and len({cell["id"] for cell in notebook()["cells"]}) == len(cells_of_script())


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("form", ["script", "notebook"])
def test_it_runs_and_prints_what_it_promises(form):
    if form == "script":
        said = run((EXAMPLES / "quickstart.py").read_text())
    else:
        cells = [cell for cell in notebook()["cells"] if cell["cell_type"] == "code"]
        said = run("\n".join("".join(cell["source"]) for cell in cells))
    assert "film.png" in said and "film.png + lateral.png" in said and "slide.png" in said
    assert re.findall(r"^(\S+) +F1 \d\.\d\d \[", said, flags=re.MULTILINE) == ["anatomical-tiny", "cxr-multitask-tiny"]
