"""Every block of README.md and docs/ runs, or says why not: by default they are read, in the slow run they are run."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.test_cli import run
from tests.docs.blocks import PAGES, REASONS, ROOT, Block, blocks_of, commands_of, in_order
from tests.docs.verbs import unknown

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
COMMAND = re.compile(r"hf-medreport +((?:[a-z]+[\w-]*|--?[\w-]+)[^`\n;|&#)]*)")


def test_each_block_that_is_not_run_says_why_and_they_are_few():
    not_run = Counter(block.reason for block in BLOCKS if block.reason is not None)
    assert set(not_run) <= set(REASONS)
    assert not_run.total() <= 44 and not_run["a fragment"] <= 4 and len(BLOCKS) - not_run.total() >= 24


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_is_python_and_commands_and_flags_are_there(page):
    for block in blocks_of(page):
        if block.kind == "python":
            ast.parse(block.text)
    for words in COMMAND.findall(commands_of(page)):
        assert unknown(words) is None, f"hf-medreport {words}: no {unknown(words)}"


def test_unknown_verbs_and_flags_are_seen():
    assert unknown("report film.png --out there --resume") is None and unknown("train x --anything 1") is None
    assert unknown("reprot film.png") == "reprot" and unknown("report --outt there") == "--outt"
    assert unknown("evaluate phantom --n 3") is None and unknown("evaluate fantom") == "fantom"


def test_a_console_is_read_as_a_person_reads_it():
    block = Block(
        Path("x.md"), "console", None, '$ one "a b" \\\n    two\nfirst line\n...\nand  last ... one\n$ three\n'
    )
    assert block.commands == 'one "a b" \\\n    two\nthree'
    assert block.output == ["first line", "and last", "one"]
    assert in_order(block.output, "x\nfirst\nline\nmore and last 3 one") is None
    assert in_order(block.output, "and last one first line") == "and last"


def test_the_refusal_of_the_phantoms_page_is_printed(capsys, monkeypatch, tmp_path):
    """A block that costs nothing is run by default too."""
    monkeypatch.chdir(tmp_path)
    (block,) = (block for block in blocks_of(ROOT / "docs" / "phantom.md") if "middle lobe" in block.text)
    command, _, said = block.commands.partition(" || ")
    code, out, err = run(capsys, *shlex.split(command)[1:])
    assert in_order(block.output, f"{out}{err}\nexit {code}") is None and said == 'echo "exit $?"'


@pytest.fixture(scope="session")
def named(tmp_path_factory) -> Path:
    """A folder with what the pages' commands name: films, a pair, slides, broken ones, and the clone's own folders."""
    folder = tmp_path_factory.mktemp("workplace")
    for name in ("benchmarks", "constraints", "examples", "hf_medreport", "tests"):
        (folder / name).symlink_to(ROOT / name)
    chest = ["phantom", "chest", "--n", "2", "--size", "224", "--split", "test", "--seed", "5"]
    command([*chest, "--lateral", "--format", "png", "--out", "drawn_pairs"], folder)
    command([*chest, "--format", "dicom", "--out", "drawn_dicom"], folder)
    slide = ["--n", "1", "--size", "2048", "--mpp", "1.0", "--split", "test", "--seed", "3"]
    command(["phantom", "slide", *slide, "--out", "s"], folder)
    films, laterals = (sorted((folder / "drawn_pairs" / name).glob("*.png")) for name in ("images", "lateral"))
    for name, film in {"film": films[0], "a": films[0], "b": films[1], "f": films[0], "l": laterals[0]}.items():
        shutil.copy(film, folder / f"{name}.png")
    shutil.copy(next((folder / "drawn_dicom").rglob("*.dcm")), folder / "film.dcm")
    (folder / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(40))
    for name in ("scans", "slides"):  # whole ones, and with a broken one
        (folder / name).mkdir()
        shutil.copy(next((folder / "s").rglob("*.tiff")), folder / name / "phantom-slide-test-3-000000.tiff")
    (folder / "slides" / "cut.svs").write_bytes(b"II*\0" + bytes(40))
    labels = [sys.executable, "examples/report_labels.py", "--out", "reports"]
    subprocess.run(labels, cwd=folder, env=ENVIRONMENT, check=True)
    return folder


@pytest.fixture
def workplace(named, tmp_path) -> Path:
    """A copy for one page: each is read by itself, and two may write to folders of the same name."""
    return shutil.copytree(named, tmp_path / "workplace", symlinks=True)


ENVIRONMENT = os.environ | {"HF_HUB_OFFLINE": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def command(words: list[str], folder: Path) -> None:
    subprocess.run(["hf-medreport", *words], cwd=folder, env=ENVIRONMENT, check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "README.md"], ids=lambda page: page.name)
def test_the_blocks_of_a_page_run(page, workplace):
    """README.md is followed by `tests/docs/test_readme.py`."""
    for block in blocks_of(page):
        if block.reason is None:
            printed = block.run(workplace, ENVIRONMENT)
            assert in_order(block.output, printed) is None, f"{block.text}\n{printed}"
