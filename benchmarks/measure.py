"""How a benchmark writes its result: JSON on the screen and in benchmarks/results/, with the machine it ran on."""

import json
import os
import platform
from pathlib import Path

import torch
import transformers

RESULTS = Path(__file__).parent / "results"


def write_result(name: str, figures: dict) -> None:
    """Print the figures and keep them as `results/NAME.json`."""
    machine = {
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    text = json.dumps({"command": f"python benchmarks/{name}.py", **figures, "machine": machine}, indent=2)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(text)
