"""Whether a run over many films needs more memory the longer it lasts.

    python benchmarks/speed/flat_memory.py               # 400 films
    python benchmarks/speed/flat_memory.py --films 5000

A few drawn films are given again and again, as links of names of their own, to the shipped model; reports, pictures
and records are written. Memory is that of the process (RSS) after a quarter of the films, when all that is kept for the
next ones is there, and at the end. Writes benchmarks/results/flat_memory.json.
"""

import argparse
import contextlib
import io
import sys
import tempfile
from pathlib import Path

import psutil
from measure import write_result

from hf_medreport.cli import main
from hf_medreport.files.items import item_ids
from hf_medreport.files.writing import sha256
from hf_medreport.inference.loading import load
from hf_medreport.inference.report_any import report_any
from hf_medreport.inference.report_folder import ReportFolder

DRAWN, SIZE, BATCH = 8, 224, 4
MIB = 2**20


def films(folder: Path, n: int) -> list[Path]:
    """So many names for a few drawn films."""
    sys.argv = [*("hf-medreport", "phantom", "chest", "--n", str(DRAWN), "--size", str(SIZE), "--format", "png")]
    sys.argv += ["--workers", "1", "--out", str(folder / "drawn")]
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main()
    drawn = sorted((folder / "drawn" / "images").glob("*.png"))
    links = [folder / f"film{number:05d}.png" for number in range(n)]
    for number, link in enumerate(links):
        link.symlink_to(drawn[number % DRAWN])
    return links


def measured(n: int, folder: Path) -> dict:
    """Memory in MiB along a run over `n` films."""
    pipe, paths, process = load(), films(folder, n), psutil.Process()
    ids, seen = item_ids(paths), {}
    points = {max(1, n * part // 4): f"after {part}/4" for part in (1, 2, 3, 4)}
    with ReportFolder(folder / "out", ids=ids) as out:
        results = report_any(paths, pipe, batch_size=BATCH)
        for number, (id, path, result) in enumerate(zip(ids, paths, results, strict=True), start=1):
            out.add(result, id=id, digest=sha256(path))
            result.release()
            if number in points:
                seen[points[number]] = round(process.memory_info().rss / MIB, 1)
        out.finish()
    assert not out.failures and len(out.records) == n
    grown = seen["after 4/4"] - seen["after 1/4"]
    command = f"python benchmarks/speed/flat_memory.py --films {n}"
    return {
        "command": command,
        "films": n,
        "drawn_films": DRAWN,
        "side": SIZE,
        "rss_mib": seen,
        "grown_mib": round(grown, 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=400)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        write_result("flat_memory", measured(asked.films, Path(place)))
