"""How long the command `hf-medreport report` takes with the shipped models: for one film over the bare imports that it
needs, and, with `--before`, for many films and pairs beside the same of another version.

Whole processes, in turn, best of 5. Writes benchmarks/results/report.json; what is not measured stays as it is there.

    python benchmarks/speed/report.py
    git worktree add ../before 3b04097
    python benchmarks/speed/report.py --before ../before
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import RESULTS, machine, write_result

ROUNDS, BOUND = 5, 2.0
FILMS, PAIRS, SIDE_PX = 20, 5, 1024  # drawn
CHECKOUT = Path(__file__).parents[2]
FILM = CHECKOUT / "examples" / "films" / "nih_00000001_000.png"
IMPORTS = """
import matplotlib.figure
import hf_medreport.cli
import hf_medreport.inference.loading, hf_medreport.inference.report, hf_medreport.inference.figures.film
from hf_medreport.registry import register_auto_classes
register_auto_classes()
from transformers import AutoModel, AutoProcessor, ResNetModel, GPT2LMHeadModel, PreTrainedTokenizerFast
import transformers.generation.utils
"""
# The command of a checkout, whichever is installed: modeling and processing lie beside its package.
OF_CHECKOUT = """
import sys
checkout, *sys.argv[1:] = sys.argv[1:]
sys.path.insert(0, checkout)
import hf_medreport
hf_medreport.__path__.append(checkout)
from hf_medreport.cli import main
main()
"""


def seconds(command: list[str], **environment: str) -> tuple[float, float]:
    """Of the wall, and of the processor in user mode, which other processes disturb less."""
    start, user = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(command, check=True, capture_output=True, env=os.environ | environment)
    return time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - user


def over_imports() -> dict:
    """Of one film with its picture."""
    with tempfile.TemporaryDirectory() as out:
        report = [sys.executable, "-m", "hf_medreport.cli", "report", str(FILM), "--out", out, "--overwrite"]
        imports = [sys.executable, "-c", IMPORTS]
        rounds = [(seconds(report)[0], seconds(imports)[0]) for _ in range(ROUNDS + 1)][1:]
    whole, bare = (min(times) for times in zip(*rounds, strict=True))
    return {
        "seconds": {"report": round(whole, 2), "imports": round(bare, 2)},
        "seconds_over_imports": round(whole - bare, 2),
        "bound": BOUND,
    }


def beside(before: Path) -> dict:
    """Of drawn films and pairs with their pictures, here and in the checkout `before`."""
    commit = subprocess.run(["git", "-C", before, "rev-parse", "--short", "HEAD"], check=True, capture_output=True)
    figures = {"command": "python benchmarks/speed/report.py --before CHECKOUT"}
    figures |= {"commit": commit.stdout.decode().strip(), "films": FILMS, "pairs": PAIRS, "side_px": SIDE_PX}
    with tempfile.TemporaryDirectory() as folder:
        for what, images in drawn(Path(folder)).items():
            commands = {
                name: [sys.executable, "-c", OF_CHECKOUT, str(checkout), "report", *images, "--out"]
                for name, checkout in {"before": before, "after": CHECKOUT}.items()
            }
            rounds = {name: [] for name in commands}
            for number in range(ROUNDS + 1):
                for name, command in commands.items():
                    out = os.path.join(folder, f"{what}-{name}-{number}")
                    rounds[name].append(seconds([*command, out], OMP_NUM_THREADS="1"))
            # The first round is a warm-up.
            best = {name: [min(column) for column in zip(*times[1:], strict=True)] for name, times in rounds.items()}
            figures[f"of_{what}"] = {
                kind: {name: round(of[place], 2) for name, of in best.items()}
                | {"ratio": round(best["before"][place] / best["after"][place], 2)}
                for place, kind in enumerate(("seconds", "user_seconds"))
            }
    return {"before": figures | {"machine": machine() | {"threads": 1}}}


def drawn(folder: Path) -> dict[str, list[str]]:
    """The arguments of the command for drawn films, and for drawn pairs."""
    draw = [sys.executable, "-m", "hf_medreport.cli", "phantom", "chest", "--format", "png", "--size", str(SIDE_PX)]
    subprocess.run([*draw, "--n", str(FILMS), "--out", folder / "films"], check=True, capture_output=True)
    subprocess.run([*draw, "--n", str(PAIRS), "--lateral", "--out", folder / "pairs"], check=True, capture_output=True)
    films = sorted(map(str, (folder / "films" / "images").iterdir()))
    table, views = folder / "pairs" / "pairs.csv", [folder / "pairs" / view for view in ("images", "lateral")]
    rows = [",".join(str(view / film.name) for view in views) for film in sorted(views[0].iterdir())]
    table.write_text("\n".join(["frontal,lateral", *rows]) + "\n", encoding="utf-8")
    return {"films": films, "pairs": ["--pairs", str(table)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="A checkout of the version to stand beside.")
    before = parser.parse_args().before
    older = json.loads((RESULTS / "report.json").read_text(encoding="utf-8"))
    if before is None:
        write_result("report", over_imports() | {name: older[name] for name in older if name == "before"})
    else:
        write_result("report", older | beside(before.resolve()))


if __name__ == "__main__":
    main()
