"""Which tests a file answers to, and which of its lines count."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / ".ci" / "mirrors.py"


@pytest.fixture(scope="module")
def mirrors():
    """`.ci/mirrors.py`, which is no part of a package."""
    specification = importlib.util.spec_from_file_location("mirrors", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("source", "rooms"),
    [
        ("hf_medreport/evaluation/text/bleu.py", ("tests/evaluation/text",)),
        ("hf_medreport/evaluation/score.py", ("tests/evaluation",)),
        ("hf_medreport/systems/radscribe/recipe.py", ("tests/systems/radscribe",)),
        ("hf_medreport/registry.py", ("tests",)),
        ("modeling/lung_crop.py", ("tests/modeling", "tests/contract")),
        ("processing/report_sections.py", ("tests/processing",)),
        ("dataset_scripts/parts/films.py", ("tests/dataset_scripts/parts",)),
    ],
)
def test_the_mirror_of_a_file(mirrors, source, rooms):
    assert mirrors.mirror(source) == rooms


def test_only_lines_inside_functions_count(mirrors):
    text = '''
import os
NAME = "a"
@decorated(
    1)
def one(a,
        b=2):
    """What it does."""
    return a + \\
        b
class Two:
    size = 3
    async def three(self):
        def four():
            pass
        return four
'''
    assert mirrors.lines_in_functions(text) == {8, 9, 10, 14, 15, 16}


@pytest.mark.slow
def test_lines_count_for_the_tests_of_the_mirror_alone(mirrors, tmp_path, monkeypatch):
    """A small project: its tests run one function here, one in a process, one from a fixture, one from another room."""
    files = {
        "hf_medreport/rooms/used.py": "def here():\n    return 1\n\n\ndef process():\n    return 2\n\n\n"
        "def fixture():\n    return 3\n\n\ndef elsewhere():\n    return 4\n\n\ndef child():\n    return 5\n",
        "tests/rooms/test_used.py": "import os, subprocess, sys, pytest, used\n"
        "@pytest.fixture(scope='module')\ndef made():\n    return used.fixture()\n"
        "def test_all(made):\n    assert used.here() == 1\n"
        "    subprocess.run([sys.executable, '-c', 'import used; used.process()'], check=True)\n"
        "    if not (pid := os.fork()):\n        used.child()\n        os._exit(0)\n"
        "    assert os.waitpid(pid, 0)[1] == 0\n",
        "tests/others/test_others.py": "import used\ndef test_more():\n    assert used.elsewhere() == 4\n",
        ".ci/mirrors.py": SCRIPT.read_text(),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(mirrors, "ROOT", tmp_path)
    monkeypatch.setattr(mirrors, "DATA", tmp_path / "build/coverage")
    monkeypatch.setenv("WORKERS", "1")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hf_medreport/rooms"))
    for name in [name for name in mirrors.os.environ if name.startswith("PYTEST_")]:
        monkeypatch.delenv(name)
    assert mirrors.run_tests([]) == 0
    row = mirrors.shares([])["hf_medreport/rooms/used.py"]
    assert row["missing"] == [14]
