"""A training step of the shipped chest model in float32 and bfloat16, channels first and last: ratios of one run.

    python benchmarks/speed/precision.py                            # this processor as it is
    ONEDNN_MAX_CPU_ISA=AVX2 python benchmarks/speed/precision.py    # as one without AVX-512: precision_AVX2.json

`bfloat16_gain` is what `bf16: auto` goes by. Writes benchmarks/results/precision.json.
"""

import itertools
import os
from time import perf_counter

import torch
from measure import write_result

from hf_medreport.inference.loading import load
from hf_medreport.training.precision import bfloat16_gain, processor

FILMS, TOKENS, STEPS = 16, 80, 5
LAYOUTS = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}


def step_seconds(model, pixels: torch.Tensor, labels: torch.Tensor, bf16: bool, layout: torch.memory_format) -> float:
    """The best of a few steps: forward, loss, backward."""
    model.to(memory_format=layout)
    pixels, best = pixels.contiguous(memory_format=layout), float("inf")
    for _ in range(STEPS):
        begun = perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model(pixels, labels=labels).loss
        loss.backward()
        best = min(best, perf_counter() - begun)
    return best


def main() -> None:
    model = load(device="cpu").model.train().requires_grad_(True)
    side = model.config.image_size
    pixels, labels = torch.randn(FILMS, 3, side, side), torch.randint(5, 300, (FILMS, TOKENS))
    seconds = {
        f"{'bfloat16' if bf16 else 'float32'}, {name}": step_seconds(model, pixels, labels, bf16, layout)
        for bf16, (name, layout) in itertools.product((False, True), LAYOUTS.items())
    }
    base = seconds["float32, channels first"]
    widest = os.environ.get("ONEDNN_MAX_CPU_ISA")
    figures = {
        "command": f"{f'ONEDNN_MAX_CPU_ISA={widest} ' if widest else ''}python benchmarks/speed/precision.py",
        "processor": processor(),
        "widest_instructions": widest or "all",
        "bfloat16_gain": round(bfloat16_gain(), 2),
        "step_times_as_fast": {name: round(base / each, 2) for name, each in seconds.items()},
    }
    write_result(f"precision_{widest}" if widest else "precision", figures)


if __name__ == "__main__":
    main()
