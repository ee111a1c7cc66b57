"""How much of each source file its own tests run: the room of tests that mirrors its room, no other.

    python .ci/mirrors.py                         # make coverage: the whole suite, minutes
    python .ci/mirrors.py tests/evaluation/text   # some tests, and the files that they mirror

Counted are the lines inside functions: the others run at import, whoever imports. A process that a test starts counts
for that test, also a forked one, unless it is killed. Lines that run before the first test, at import, count for
everyone; what a cache remembers counts for the test that came first. Prints the files below 80 %. Exit code 1: there is
such a file, or a test failed.

This file is the script and, as `-p mirrors`, the plugin of pytest that tells coverage which test is running.
"""

import argparse
import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

import coverage

ROOT = Path(__file__).parent.parent
SOURCES = ("hf_medreport", "modeling", "processing", "dataset_scripts")
ENOUGH = 0.8
DATA = ROOT / "build" / "coverage"
# A new process reads this file: pytest has put the name of the running test into its environment.
SETTINGS = """[run]
source = {sources}
omit = {root}/hf_medreport/checkpoints/*
data_file = {data}/data
parallel = true
patch = _exit, fork
context = ${{PYTEST_CURRENT_TEST-}}
"""


def pytest_runtest_logstart(nodeid: str) -> None:
    """The plugin: whatever runs from now on, fixtures too, runs for this test."""
    if measuring := coverage.Coverage.current():
        measuring.switch_context(nodeid)


def mirror(source: str) -> tuple[str, ...]:
    """The folders of tests that a source file answers to; a folder inside one of them is another room's.

    `hf_medreport/evaluation/text/bleu.py` -> `tests/evaluation/text`; every model answers to the contract too.
    """
    room = PurePosixPath(source).parent
    inner = room.relative_to("hf_medreport") if room.parts[0] == "hf_medreport" else room
    mirrored = str("tests" / inner)
    return (mirrored, "tests/contract") if room.parts[0] == "modeling" else (mirrored,)


def lines_in_functions(text: str) -> set[int]:
    """The numbers of the lines that run when a function is called."""
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {line for node in functions for line in range(node.body[0].lineno, node.end_lineno + 1)}


def run_tests(tests: list[str]) -> int:
    """Run them as `make test` does, every process measured; pytest's exit code."""
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir(parents=True)
    sources = ", ".join(str(ROOT / source) for source in SOURCES)
    (DATA / "settings").write_text(SETTINGS.format(sources=sources, root=ROOT, data=DATA))
    path = os.pathsep.join([str(ROOT / ".ci"), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"COVERAGE_PROCESS_START": str(DATA / "settings"), "PYTHONPATH": path}
    workers = ["-n", os.environ.get("WORKERS", "auto"), "--dist", "worksteal"]
    command = [sys.executable, "-m", "pytest", "-p", "mirrors", *workers, *tests]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


def shares(tests: list[str]) -> dict[str, dict]:
    """`{file: {"mirror", "lines", "ran", "share", "missing"}}` of what was measured, the least covered first."""
    measured = coverage.Coverage(config_file=str(DATA / "settings"))
    measured.combine()
    found = {}
    for path in sorted(path for source in SOURCES for path in (ROOT / source).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        rooms = mirror(name)
        if "checkpoints" in path.parts or not _asked_for(rooms, tests):
            continue
        # The name of a test is its path::function; what ran before the first one has none.
        measured.get_data().set_query_contexts([rf"^{re.escape(room)}/[^/]+::" for room in rooms] + ["^$"])
        _, statements, _, missing, _ = measured.analysis2(str(path))
        inside = lines_in_functions(path.read_text(encoding="utf-8"))
        lines, missing = inside.intersection(statements), sorted(inside.intersection(missing))
        ran = len(lines) - len(missing)
        share = ran / len(lines) if lines else 1.0
        found[name] = {"mirror": rooms, "lines": len(lines), "ran": ran, "share": round(share, 4), "missing": missing}
    return dict(sorted(found.items(), key=lambda item: item[1]["share"]))


def _asked_for(rooms: tuple[str, ...], tests: list[str]) -> bool:
    return not tests or any(str(PurePosixPath(test)) in rooms for test in tests)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tests", nargs="*", help="folders of tests (default: all)")
    parser.add_argument("--json", type=Path, help="write every file's share and its lines that did not run here")
    arguments = parser.parse_args()
    failed = run_tests(arguments.tests)
    found = shares(arguments.tests)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    low = {name: row for name, row in found.items() if row["share"] < ENOUGH}
    for name, row in low.items():
        print(f"{row['share']:6.1%} {row['ran']:4} of {row['lines']:4}  {name}  ({', '.join(row['mirror'])})")
    print(f"{len(low)} of {len(found)} files below {ENOUGH:.0%} of their lines by the tests that mirror them")
    return 1 if failed or low else 0


if __name__ == "__main__":
    raise SystemExit(main())
