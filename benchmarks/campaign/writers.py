"""Places that cannot be written to, and names that lead out of the folder, for every verb that writes.

Folders that are read-only or another user's (the verb runs as nobody where this runs as root), a file where a folder is
to be, no folder for temporary files: the verb ends with 1 or 2 and one line in four fields. Ids, file names and records
such as `../../x`: it may do its work or refuse them, and nothing appears, changes or goes outside of its folder.

    python benchmarks/campaign/writers.py
    python benchmarks/campaign/writers.py --verbs tile train
"""

import argparse
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from full_disk import COMMANDS, FILM, flag
from kills import ended
from malformed import fault
from mutate import drawn, pyramid
from parts import RESULTS, forked, import_all, verb, write_part

from hf_medreport.files.run_folder import RunFolder
from hf_medreport.files.shares import Share, finish_share

NOBODY = 65534
NAMES = ("../../x", "../x", "a/../../b", "{}/absolute", "..", ".", "....//x", "a\\..\\..\\x", "~/x", "$(id)", "/", "x/")
# Names that a file can have, and what is made of it should still be one file in the folder.
FILES = ("..", "...", " ", "-", "--out", "~", "%2e%2e%2fx", "$(id)", "a\nb", "\u202ex", "con", "é" * 90, "a;b", "*")


def nobody() -> None:
    """Go on as a user who may nothing."""
    os.environ["HOME"] = "/nowhere"
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def no_temporary_folder() -> None:
    os.environ["TMPDIR"] = tempfile.tempdir = "/nowhere"


def folder(path: Path, mode: int) -> Path:
    path.mkdir(mode=mode)
    path.chmod(mode)
    return path


def file(path: Path) -> Path:
    path.write_text("mine")
    return path


# what is wrong -> (what makes the place, from a folder for it; what is done in the verb's process; whether it may work)
PLACES: dict[str, tuple[Callable[[Path], Path], Callable[[], object], bool]] = {
    "a read-only folder": (lambda at: folder(at / "out", 0o555), nobody, False),
    "within a read-only folder": (lambda at: folder(at / "read-only", 0o555) / "a" / "out", nobody, False),
    "a closed folder": (lambda at: folder(at / "out", 0o000), nobody, False),
    "within a closed folder": (lambda at: folder(at / "closed", 0o000) / "out", nobody, False),
    "a file": (lambda at: file(at / "out"), int, False),
    "below a file": (lambda at: file(at / "notes.txt") / "a" / "out", int, False),
    "in a system's folder": (lambda at: Path("/proc/out"), int, False),
    "a name that is too long": (lambda at: at / ("x" * 300), int, False),
    "no temporary folder": (lambda at: at / "out", no_temporary_folder, True),
}


def snapshot(work: Path, out: Path) -> dict[str, tuple]:
    """What there is outside of the folder, with sizes and times."""
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in work.rglob("*")
        if path.is_file() and not path.is_relative_to(out)
    }


def call(command: list, before: Callable[[], object], work: Path, out: Path, may_work: bool) -> dict:
    """How a verb ended, and what is wrong with that."""
    log = work.parent / f"{work.name}.log"
    log.unlink(missing_ok=True)
    known = snapshot(work, out)
    code = ended(forked(log, *command, before=before))
    lines = log.read_text(errors="replace").replace(str(work), "WORK").splitlines()
    wrong = fault(code, lines) if code or not may_work else None
    now = snapshot(work, out)
    touched = sorted(path for path in {*known, *now} if known.get(path) != now.get(path))
    if touched:
        wrong = f"written outside of the folder: {', '.join(touched)[:200]}"
    if halves := [path.name for path in work.rglob("*.part")]:
        wrong = f"left behind: {', '.join(halves)[:200]}"
    return {"exit": code, "says": lines[-3:] if code else [], "fault": wrong}


def in_places(name: str, work: Path) -> dict[str, dict]:
    """A verb whose folder is each of these places."""
    (given := work / "given").mkdir(parents=True)
    command, found = COMMANDS[name](given), {}
    code, _, err = verb(*command, flag(name), work / "sound")  # with all imports, whose files nobody may not read
    assert code == 0, err
    for number, (what, (make, before, may_work)) in enumerate(PLACES.items()):
        (at := work / str(number)).mkdir()
        out = make(at)
        found[what] = call([*command, flag(name), out], before, at, out, may_work)
    return found


# --- names that lead out ----------------------------------------------------------------------------------------------


def shares(work: Path, name: str) -> list:
    """Two shares of a run, whose records name a file outside; one that lies there is to be had, or to be removed."""
    (work / "share1" / "a").mkdir(parents=True)
    file(Path(os.path.normpath(work / "share1" / name)))
    for number in (1, 2):
        with RunFolder(at := work / f"share{number}", "tile", {}, resume=True, records="records.jsonl") as run:
            run.write(f"{number}.txt", b"features")
            run.add(f"slide{number}", {}, [f"{number}.txt"])
            results = [{"id": f"slide{number}", "state": "done"}]
            finish_share(run, Share(number, 2), ["slide1", "slide2"], results, lambda *whole: None)
        records = [json.loads(line) for line in (at / "records.jsonl").read_text().splitlines()]
        records[0]["files"][name] = {"bytes": 4, "sha256": "0" * 64}
        (at / "records.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return ["merge", work / "share1", work / "share2"]


def table(work: Path, suffix: str, columns: str, row: str, names: list[str]) -> Path:
    """A table with a row a name."""
    cells = [f'"{name}"' for name in names]
    (path := work / f"table{suffix}").write_text("\n".join([columns, *(row.format(cell) for cell in cells)]) + "\n")
    return path


def lines(work: Path, names: list[str]) -> Path:
    rows = [{"id": name, "prediction": "Normal.", "reference": "Normal heart."} for name in names]
    (path := work / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def named(work: Path, suffix: str, content: bytes) -> list[str]:
    """Files of odd names."""
    (at := work / "files").mkdir()
    paths = [at / f"{name}{suffix}" for name in FILES]
    for path in paths:
        path.write_bytes(content)
    return list(map(str, paths))


def cases(work: Path, names: list[str]) -> list:
    path = table(work, ".csv", "patient_filename,text", "{},Invasive carcinoma.", [*names, "TCGA-ZZ-0001"])
    slides = [f"{name}TCGA-ZZ-{number:04d}-01Z-00-DX1.svs" for number, name in enumerate(["", *names], start=1)]
    (known := work / "slides.txt").write_text("\n".join(slides) + "\n")
    return ["prepare", "tcga-reports", path, "--slides", known, "--sample-types", "all", "--no-llm"]


# writer -> what makes its command, from a folder and all names
WRITERS: dict[str, Callable[[Path, list[str]], list]] = {
    "evaluate reports, ids": lambda work, names: ["evaluate", "reports", lines(work, names), "--metrics", "bleu1"],
    "prepare, ids": cases,
    "report, file names": lambda work, names: ["report", *named(work, ".png", drawn("PNG")), "--batch-size", 8],
    "segment, file names": lambda work, names: ["segment", *named(work, ".png", drawn("PNG")), "--batch-size", 8],
    "report, pairs": lambda work, names: [
        *("report", "--pairs", table(work, ".csv", "frontal,lateral", "{0},{0}", names)),
    ],
    "tile, file names": lambda work, names: [
        *("tile", *named(work, ".tif", pyramid()), "--slide-mpp", 1, "--patch-px", 256, "--no-overlay"),
    ],
    "synthesize, ids": lambda work, names: [
        *("synthesize", "--csv", table(work, ".csv", "id,prompt", "{},small left pleural effusion", names)),
        *("--modality", "CXR", "--steps", 1, "--batch-size", 16),
    ],
    "synthesize, pictures": lambda work, names: [
        *("synthesize", "--csv", table(work, ".csv", "image,prompt", "{},small effusion", names)),
        *("--modality", "CXR", "--steps", 1),
    ],
    "evaluate model, films": lambda work, names: [
        *("evaluate", "model", table(work, ".csv", "image,text", "{},Normal.", names), "--metrics", "bleu1"),
    ],
    "segment, masks": lambda work, names: ["segment", FILM(work), "--masks", work / ".." / work.name],
}
WRITERS |= {f"merge, {name}": lambda work, names, name=name: shares(work, name.format(work)) for name in NAMES[:4]}


def out_of_the_folder(writer: str, work: Path) -> dict:
    """A writer that is given names which lead out of its folder."""
    (at := work / "a" / "b").mkdir(parents=True)
    out = at / "out"
    command = WRITERS[writer](at, [name.format(work) for name in NAMES])
    ends = call([*command, "--out", out], int, work, out, True)
    if ends["fault"] and re.fullmatch(r"\d+ lines in place of one of four fields", ends["fault"]) and ends["exit"] == 1:
        ends["fault"] = None  # a line for each of several bad rows; `malformed.py` looks at them
    return ends


def main(verbs: list[str], work: Path) -> None:
    import_all()
    for name in verbs:
        at = work / re.sub(r"\W+", "-", name)
        opened(at)
        shutil.rmtree(at, ignore_errors=True)
        result = in_places(name, at) if name in COMMANDS else {"names": out_of_the_folder(name, at)}
        kept = RESULTS / "writers.json"
        found = (json.loads(kept.read_text())["verbs"] if kept.is_file() else {}) | {name: result}
        each = [one for ends in found.values() for one in ends.values()]
        print(f"{name}: {[(what, one['fault']) for what, one in result.items() if one['fault']] or 'in order'}")
        faults = sum(one["fault"] is not None for one in each)
        write_part("writers", {"calls": len(each), "faults": faults, "verbs": found})


def opened(work: Path) -> None:
    """Let what an older call closed be removed, by one who is not root."""
    for path in [work, *work.glob("*/*")] if work.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verbs", nargs="+", choices=[*COMMANDS, *WRITERS], default=[*COMMANDS, *WRITERS])
    parser.add_argument("--work", type=Path, default=Path("build/campaign/writers"))
    given = parser.parse_args()
    main(given.verbs, given.work.absolute())
