"""A disk that is full at the n-th write: the verb ends with 1 and one line, leaves no half of a file, and goes on.

Writes of a verb are met one by one: the file that is to appear does not, as the system would say it (ENOSPC). The run
is then gone on with, and its files are those of a run that met nothing.

    python benchmarks/campaign/full_disk.py
"""

import argparse
import errno
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from kills import CHEST
from mutate import LINES, drawn
from parts import contents, verb, write_part

from hf_medreport.files import run_folder, writing

MOST = 12  # writes of a verb that are met, the first, the last and between


def commands(work: Path) -> dict[str, list]:
    (work / "predictions.jsonl").write_bytes(LINES)
    (work / "film.png").write_bytes(drawn("PNG"))
    return {
        "phantom chest": [*CHEST, "--n", 4],
        "evaluate reports": ["evaluate", "reports", work / "predictions.jsonl", "--metrics", "bleu1"],
        "report": ["report", work / "film.png"],
        "segment": ["segment", work / "film.png"],
    }


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
        code, _, err = verb(*command, "--out", whole)
    assert code == 0, err
    numbers = sorted({1 + step * (count[0] - 1) // (MOST - 1) for step in range(MOST)})
    for number in numbers:
        shutil.rmtree(out, ignore_errors=True)
        with full_at(number):
            code, _, err = verb(*command, "--out", out)
        lines = [line for line in err.splitlines() if "done, " not in line]
        if code != 1 or len(lines) != 1 or "no space left on device" not in lines[0] or "Traceback" in err:
            faults.append(f"write {number}: exit code {code}, {err[-200:]}")
        faults += [f"write {number}: {path} is left" for path in contents(out) if path.endswith(".part")]
        code, _, err = verb(*command, "--out", out, "--resume")
        if code or contents(out) != contents(whole):
            faults.append(f"write {number}: gone on with, exit code {code}, other files or {err[-200:]}")
    print(f"{name}: {count[0]} writes, {len(numbers)} met, {faults or 'in order'}", flush=True)
    return {"writes": count[0], "met": len(numbers), "faults": faults}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/campaign/full-disk"))
    work = parser.parse_args().work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    verbs = {}
    for name, command in commands(work).items():
        (folder := work / name.replace(" ", "-")).mkdir(exist_ok=True)
        verbs[name] = run(name, command, folder)
    write_part("full_disk", {"met": sum(one["met"] for one in verbs.values()), "verbs": verbs})
