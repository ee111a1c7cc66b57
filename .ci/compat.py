"""Our tests on the lowest, the tested and the newest libraries: what passes, what fails, what the numbers are.

    python .ci/compat.py                              # make compat: every row, written to constraints/compat.json
    python .ci/compat.py --check contract             # what CI runs: lowest must pass, newest is told
    python .ci/compat.py tested --record python-3.12  # the environment that this is run with, under another name

A row's environment is this one, with those packages over it that differ by what uv resolves.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from uv import find_uv_bin

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "constraints" / "compat.json"
# Too large to install twice, and what is built against them: as tested in every row that can.
PINNED = ("torch", "torchvision", "numpy")
TOLERANCE = 1e-5  # of logits and losses, in float32

# What uv is asked to resolve; `lowest` takes the floors that setup.py and pyproject.toml name.
ROWS = {
    "tested": [],
    "lowest": ["--extra", "dev", "--resolution", "lowest-direct"],
    "newest": ["--extra", "dev"],
    "clinical": ["--extra", "clinical"],  # numpy < 2
}
SUITES = {
    "contract": ["tests/contract"],
    "modeling": ["tests/modeling"],
    "processing": ["tests/processing"],
    "inference": ["tests/inference"],
    "publishing": ["tests/hub"],
    "converting": sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("tests/systems/*/test_convert*.py")),
    "linker": ["tests/evaluation/clinical"],
}
OF_ROW = {"clinical": ["modeling", "linker"]}  # the others: all but the linker, which has its own environment
console = Console()


def main(
    rows: Annotated[list[str] | None, typer.Argument(help=f"Of {', '.join(ROWS)}; all when none is named.")] = None,
    check: Annotated[str | None, typer.Option(help="Run one suite on lowest and newest, and write nothing.")] = None,
    record: Annotated[str | None, typer.Option(help="Write the row under this name.")] = None,
):
    """Run the rows' suites; exit 1 where a row is red."""
    if check:
        raise typer.Exit(check_window(check))
    found = {}
    for name in rows or ROWS:
        suites = OF_ROW.get(name, [suite for suite in SUITES if suite != "linker"])
        found[record or name] = run_row(name, suites, differing(name))
        before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps(before | found, indent=1) + "\n")
    console.print(table(before | found))
    raise typer.Exit(any(map(is_red, found.values())))


def check_window(suite: str) -> int:
    """CI's look: 1 where lowest is red, or newest is red with the very versions that were green when last recorded."""
    recorded = json.loads(RESULTS.read_text())["lowest"]["over_tested"]  # the same next year
    shown = {"lowest": run_row("lowest", [suite], recorded, compare=False)}
    try:
        if changes := differing("newest"):
            shown["newest"] = run_row("newest", [suite], changes, compare=False)
        else:
            console.print("newest: the tested versions are the newest")
    except subprocess.CalledProcessError as error:  # versions that do not go together are upstream's: told, no failure
        console.print(f"[red]newest could not be made:[/] {error.stderr}", highlight=False)
    for name, row in shown.items():
        for test in row["failing"]:
            console.print(f"[red]{name}: {test}", highlight=False)
    console.print(table(shown))
    return int(is_red(shown["lowest"]) or ("newest" in shown and is_our_fault(shown["newest"])))


def is_our_fault(newest: dict) -> bool:
    """Whether the versions that are red now are those of the last committed green row; else upstream moved, loudly."""
    if not is_red(newest):
        return False
    recorded = json.loads(RESULTS.read_text()).get("newest", {"versions": None})
    if newest["versions"] == recorded["versions"] and not is_red(recorded):
        return True
    console.print("[red]newest is red, with versions that were never green: mend it before everything else")
    return False


def run_row(name: str, suites: list[str], changes: dict[str, str], compare: bool = True) -> dict:
    """One row of the table: this environment with the packages `changes` over it."""
    console.rule(f"{name}: {len(changes)} packages differ")
    python = overlay(name, changes) if changes else Path(sys.executable)
    row = {"python": platform.python_version(), "versions": versions(python), "over_tested": changes}
    row |= {"suites": {}, "failing": []}
    for suite in suites:
        counts, failing = run_suite(python, SUITES[suite])
        row["suites"][suite] = counts
        row["failing"] += failing
    if compare and name != "tested":
        row |= compared(numbers(Path(sys.executable)), numbers(python))
    return row


def differing(name: str) -> dict[str, str]:
    """The packages of a row that are not here, or not in that version."""
    if not ROWS[name]:
        return {}
    pinned = [package for package in PINNED if (name, package) != ("clinical", "numpy")]
    lines = [f"{package}=={version(package)}" for package in pinned]
    if name == "lowest":  # each floor itself, or an error where they do not go together
        floors = (ROOT / "constraints" / "lowest.txt").read_text().splitlines()
        lines += [line for line in floors if line.split("==")[0] not in PINNED]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join(lines))
        constraints.flush()
        asked = ["pip", "compile", "pyproject.toml", "--quiet", "--no-annotate", "--no-header"]
        asked += ["--python", sys.executable, "-c", constraints.name, *ROWS[name]]
        done = run([find_uv_bin(), *asked])
    wanted = dict(line.split(" ")[0].split("==") for line in done.stdout.splitlines())
    here = installed(sys.executable)
    return {package: each for package, each in wanted.items() if here.get(package) != each}


def overlay(name: str, changes: dict[str, str]) -> Path:
    """An environment that sees all of this one, its own packages first; the path of its python."""
    folder = Path(f"{sys.prefix}-{name}")
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    wanted = [f"{package}=={version}" for package, version in changes.items()]
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--quiet", "--no-deps"]
    run([*pip, *wanted])
    site, own = (
        subprocess.run(
            [each, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True
        ).stdout.strip()
        for each in (sys.executable, python)
    )
    Path(own, "zz_base.pth").write_text(f"import site; site.addsitedir({site!r})\n")
    return python


def run(command: list, **environment) -> subprocess.CompletedProcess:
    """A command in the project's root whose output is wanted; where it fails, what it said is printed."""
    environment = {**os.environ, **environment}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        console.print(done.stderr[-3000:], highlight=False, markup=False)
        done.check_returncode()
    return done


def installed(python) -> dict[str, str]:
    """Every package that a python sees, the first of a name."""
    code = (
        "import importlib.metadata as m, json; found = {};"
        "[found.setdefault(d.name.lower().replace('_', '-'), d.version) for d in m.distributions()];"
        "print(json.dumps(found))"
    )
    return json.loads(run([python, "-c", code]).stdout)


def versions(python) -> dict[str, str]:
    """What a row was run with, of the packages that we ask for."""
    code = (
        "import importlib.metadata as m; from packaging.requirements import Requirement;"
        "print('\\n'.join({Requirement(line).name for line in m.requires('hf-medreport')}))"
    )
    names = run([python, "-c", code]).stdout.split()
    there = installed(python)
    keys = {name: name.lower().replace("_", "-") for name in sorted(names, key=str.lower)}
    return {name: there[key] for name, key in keys.items() if key in there}


def run_suite(python, paths: list[str]) -> tuple[dict, list[str]]:
    """What pytest counts, and the names of the tests that failed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [python, "-m", "pytest", "-n", "2", "-q", "--no-header", "--tb=line", f"--junitxml={report}", *paths]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        status = subprocess.run(command, cwd=ROOT, env=environment).returncode
        if status not in (0, 1) or not report.exists():  # 5: it found no test
            return {"passed": 0, "failed": 1, "skipped": 0}, [f"{paths[0]}: pytest ended with {status}"]
        suite = ElementTree.parse(report).getroot().find("testsuite")
    total, skipped = int(suite.get("tests")), int(suite.get("skipped"))
    failing = [
        f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        for case in suite.iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]
    counts = {"passed": total - skipped - len(failing), "failed": len(failing), "skipped": skipped}
    return counts | {"seconds": round(float(suite.get("time")))}, failing


def numbers(python) -> dict:
    """What the shipped models write, and their scores; see `.ci/numbers_of_models.py`."""
    settings = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return json.loads(run([python, ".ci/numbers_of_models.py"], **settings).stdout.splitlines()[-1])


def compared(tested: dict, other: dict) -> dict:
    """Whether ids are the same, and the largest difference of a logit or a loss."""
    same = all(tested[model]["ids"] == other[model]["ids"] for model in tested)
    pairs = [
        (mine, its)
        for model in tested
        for mine, its in zip(tested[model]["scores"], other[model]["scores"], strict=True)
    ]
    return {"ids_as_tested": same, "largest_difference": max(abs(mine - its) for mine, its in pairs)}


def is_red(row: dict) -> bool:
    return bool(row["failing"]) or not row.get("ids_as_tested", True) or row.get("largest_difference", 0) > TOLERANCE


def table(results: dict) -> Table:
    shown = Table("", "python", "transformers", "passed", "failed", "skipped", "ids", "scores differ by")
    for name, row in results.items():
        totals = [str(sum(suite[key] for suite in row["suites"].values())) for key in ("passed", "failed", "skipped")]
        ids = {True: "as tested", False: "others"}.get(row.get("ids_as_tested"), "")
        difference = f"{row['largest_difference']:.1e}" if "largest_difference" in row else ""
        color = "red" if is_red(row) else "green"
        shown.add_row(f"[{color}]{name}", row["python"], row["versions"]["transformers"], *totals, ids, difference)
    return shown


if __name__ == "__main__":
    typer.run(main)
