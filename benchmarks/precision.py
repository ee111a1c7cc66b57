"""A training step of the shipped chest model's encoder in float32 and bfloat16, channels first and last: ratios.

python benchmarks/precision.py                            # this processor as it is
ONEDNN_MAX_CPU_ISA=AVX2 python benchmarks/precision.py    # as one without AVX-512
"""

import itertools
import json
import os
from time import perf_counter

import torch

from hf_medreport.inference.loading import load
from hf_medreport.training.precision import has_bfloat16, processor

FILMS, STEPS = 32, 5


def step_seconds(model, pixels: torch.Tensor, bf16: bool, layout: torch.memory_format) -> float:
    """The best of a few steps: forward, backward, no optimizer."""
    model.to(memory_format=layout).train().requires_grad_(True)
    pixels, best = pixels.contiguous(memory_format=layout), float("inf")
    for _ in range(STEPS):
        begun = perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model(pixels).last_hidden_state.float().square().mean()
        loss.backward()
        best = min(best, perf_counter() - begun)
    return best


torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 2)))
encoder = load().model.encoder
pixels = torch.randn(FILMS, 3, 128, 128)
layouts = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}
seconds = {
    f"{'bfloat16' if bf16 else 'float32'}, {name}": step_seconds(encoder, pixels, bf16, layout)
    for bf16, (name, layout) in itertools.product((False, True), layouts.items())
}
base = seconds["float32, channels first"]
figures = {
    "processor": processor(),
    "onednn": os.environ.get("ONEDNN_MAX_CPU_ISA", "all"),
    "has_bfloat16": has_bfloat16(),
    "times_as_fast": {name: round(base / each, 2) for name, each in seconds.items()},
}
print(json.dumps(figures, indent=1))
