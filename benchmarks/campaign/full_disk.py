"""A disk that is full at the n-th write: the verb ends with 1 and one line, leaves no half of a file, and goes on.

Writes of a verb are met one by one: the file that is to appear does not, as the system would say it (ENOSPC). The run
is then gone on with, and its files are those of a run that met nothing.

    python benchmarks/campaign/full_disk.py
    python benchmarks/campaign/full_disk.py --verbs tile train
"""

import argparse
import errno
import json
import os
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from kills import CHEST, VERBS, files_of
from mutate import LINES, drawn
from parts import RESULTS, contents, verb, write_part

from hf_medreport.files import run_folder, writing

MOST = 12  # writes of a verb that are met, the first, the last and between


def given(name: str, content: bytes) -> Callable[[Path], Path]:
    """What writes a verb's input into its folder of work."""

    def write(work: Path) -> Path:
        (work / name).write_bytes(content)
        return work / name

    return write


FILM, PREDICTIONS = given("film.png", drawn("PNG")), given("predictions.jsonl", LINES)
COMMANDS: dict[str, Callable[[Path], list]] = {
    "phantom chest": lambda work: [*CHEST, "--n", 4],
    "evaluate reports": lambda work: ["evaluate", "reports", PREDICTIONS(work), "--metrics", "bleu1"],
    "report": lambda work: ["report", FILM(work)],
    "segment": lambda work: ["segment", FILM(work)],
    "tile": VERBS["tile"],
    "synthesize": VERBS["synthesize"],
    "train": VERBS["train"],
}


def flag(name: str) -> str:
    """Which option of a verb names the folder."""
    return "--output_dir" if name == "train" else "--out"


@contextmanager
def full_at(number: int):
    """Let the write of this number meet a full disk; counts all of them."""
    count, append, replace = [0], run_folder._write_line, os.replace

    def met(path: object) -> None:
        count[0] += 1
        if count[0] == number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    def appended(path: Path, line: object) -> None:
        met(path)
        append(path, line)

    def appearing(part: Path, path: Path) -> None:
        met(path)
        replace(part, path)

    with patch.object(run_folder, "_write_line", appended), patch.object(writing.os, "replace", appearing):
        yield count


def run(name: str, command: list, work: Path) -> dict:
    """A verb whose writes meet a full disk, one after the other."""
    whole, out, faults = work / "whole", work / "out", []
    shutil.rmtree(whole, ignore_errors=True)
    with full_at(0) as count:
        code, _, err = verb(*command, flag(name), whole)
    assert code == 0, err
    numbers = sorted({1 + step * (count[0] - 1) // (MOST - 1) for step in range(MOST)})
    for number in numbers:
        shutil.rmtree(out, ignore_errors=True)
        with full_at(number):
            code, _, err = verb(*command, flag(name), out)
        lines = [line for line in err.splitlines() if "done, " not in line]
        if code != 1 or len(lines) != 1 or "no space left on device" not in lines[0] or "Traceback" in err:
            faults.append(f"write {number}: exit code {code}, {err[-200:]}")
        faults += [f"write {number}: {path} is left" for path in contents(out) if path.endswith(".part")]
        code, _, err = verb(*command, flag(name), out, "--resume")
        if code or files_of(name, out) != files_of(name, whole):
            faults.append(f"write {number}: gone on with, exit code {code}, other files or {err[-200:]}")
    print(f"{name}: {count[0]} writes, {len(numbers)} met, {faults or 'in order'}", flush=True)
    return {"writes": count[0], "met": len(numbers), "faults": faults}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verbs", nargs="+", choices=COMMANDS, default=list(COMMANDS))
    parser.add_argument("--work", type=Path, default=Path("build/campaign/full-disk"))
    asked = parser.parse_args()
    kept = RESULTS / "full_disk.json"
    for name in asked.verbs:  # those that are asked for, in place of what was known of them
        (folder := asked.work.absolute() / name.replace(" ", "-")).mkdir(parents=True, exist_ok=True)
        result = run(name, COMMANDS[name](folder), folder)
        verbs = (json.loads(kept.read_text())["verbs"] if kept.is_file() else {}) | {name: result}
        met, faults = sum(one["met"] for one in verbs.values()), sum(len(one["faults"]) for one in verbs.values())
        write_part("full_disk", {"met": met, "faults": faults, "verbs": verbs})
