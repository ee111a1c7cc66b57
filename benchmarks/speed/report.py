"""How long the command `hf-medreport report` takes for one film with the shipped model, over the bare imports it needs.

Whole processes, paired, best of 5: one runs the command, the other only imports what it imports. Writes
benchmarks/results/report.json.

    python benchmarks/speed/report.py
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import write_result

ROUNDS, BOUND = 5, 2.0
FILM = Path(__file__).parents[2] / "examples" / "films" / "nih_00000001_000.png"
IMPORTS = """
import matplotlib.figure
import hf_medreport.cli
import hf_medreport.inference.loading, hf_medreport.inference.report, hf_medreport.inference.figures.film
from hf_medreport.registry import register_auto_classes
register_auto_classes()
from transformers import AutoModel, AutoProcessor, ResNetModel, GPT2LMHeadModel, PreTrainedTokenizerFast
import transformers.generation.utils
"""


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as out:
        report = [sys.executable, "-m", "hf_medreport.cli", "report", str(FILM), "--out", out]
        imports = [sys.executable, "-c", IMPORTS]
        pairs = [(seconds(report), seconds(imports)) for _ in range(ROUNDS + 1)][1:]
    whole, bare = (min(times) for times in zip(*pairs, strict=True))
    write_result(
        "report",
        {
            "seconds": {"report": round(whole, 2), "imports": round(bare, 2)},
            "seconds_over_imports": round(whole - bare, 2),
            "bound": BOUND,
        },
    )


if __name__ == "__main__":
    main()
