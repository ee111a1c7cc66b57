"""How a benchmark writes its result: JSON on the screen and in benchmarks/results/, with the machine it ran on."""

import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
import transformers

from hf_medreport.files.writing import write_text

RESULTS = Path(__file__).parents[1] / "results"


def best_seconds(functions: dict[str, Callable], rounds: int) -> dict[str, float]:
    """Each function's best time; they alternate, so that all meet the same machine."""
    seconds = {name: [] for name in functions}
    for round_number in range(rounds + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if round_number:  # the first is a warm-up
                seconds[name].append(time.perf_counter() - start)
    return {name: round(min(times), 3) for name, times in seconds.items()}


def machine() -> dict:
    """What a result was measured on."""
    return {
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def write_result(name: str, figures: dict) -> None:
    """Print the figures and keep them as `results/NAME.json`; those that say their `machine` were measured there."""
    figures = {"command": f"python benchmarks/speed/{name}.py", **figures}
    figures.setdefault("machine", machine())
    text = json.dumps(figures, indent=2)
    RESULTS.mkdir(exist_ok=True)
    write_text(RESULTS / f"{name}.json", text + "\n")
    print(text)
