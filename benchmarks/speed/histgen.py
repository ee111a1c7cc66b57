"""HistGen at its published size, random weights, two threads, float32: encoding, writing, a training step.

Encoding 1,000, 5,000, 20,000 and 100,000 patches; a report of 100 forced tokens by beam 3 from 1,000 patches; one step
(forward, backward, Adam) on 1,000 patches and 100 tokens. Best of 5 in one process (100,000: best of 2); peak memory of
a process of its own each. "products" is the time of the matrix products that encoding 20,000 patches makes, recorded
from the run and multiplied alone: what no implementation with these weights can save. Writes
benchmarks/results/histgen.json.

    python benchmarks/speed/histgen.py
"""

import json
import resource
import subprocess
import sys
import time
from collections import Counter

import torch
from measure import write_result
from torch.utils._python_dispatch import TorchDispatchMode

from hf_medreport.modeling.configuration_histgen import HistGenConfig
from hf_medreport.modeling.modeling_histgen import HistGenForConditionalGeneration

THREADS, ROUNDS, TOKENS = 2, 5, 100
BOUNDS = {
    "encode_1000_s": 0.25,
    "beam3_s": 1.1,
    "step_s": 1.5,
    "encode_1000_gib": 1.0,
    "beam3_gib": 1.0,
    "step_gib": 1.5,
    "encode_20000_over_products": 1.3,
    "encode_100000_over_5x20000": 1.2,
}


def build() -> HistGenForConditionalGeneration:
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    return HistGenForConditionalGeneration(HistGenConfig()).eval()


def encode(patches: int):
    """A function that encodes a bag of so many patches."""
    model, features = build(), torch.randn(1, patches, 1024)

    def run():
        with torch.no_grad():
            return model.encode_patches(features)

    return run


def beam():
    """A function that writes a report of 100 tokens."""
    model, features = build(), torch.randn(1, 1000, 1024)
    options = {"num_beams": 3, "length_penalty": 0.0, "max_new_tokens": TOKENS, "min_new_tokens": TOKENS}
    return lambda: model.generate(patch_features=features, **options)


def step():
    """A function that makes one training step."""
    model, features = build().train(), torch.randn(1, 1000, 1024)
    labels = torch.randint(1, model.config.vocab_size, (1, TOKENS))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def run():
        optimizer.zero_grad()
        model(patch_features=features, labels=labels).loss.backward()
        optimizer.step()

    return run


TASKS = {f"encode_{patches}": (encode, patches) for patches in (1000, 5000, 20000, 100000)}
TASKS |= {"beam3": (beam,), "step": (step,)}


def best_of(run, rounds: int = ROUNDS) -> float:
    """Seconds of the fastest round, after one to warm up."""
    run()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


class RecordProducts(TorchDispatchMode):
    """Counts the shapes of all matrix products; an attention is two."""

    def __init__(self):
        super().__init__()
        self.shapes: Counter = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        if name in ("mm", "addmm", "bmm"):
            left, right = args[-2:]
            self.shapes[(left.shape, right.shape)] += 1
        elif "scaled_dot_product" in name:
            query, key, value = (one.flatten(0, 1) for one in args[:3])
            self.shapes[(query.shape, key.transpose(1, 2).shape)] += 1
            self.shapes[((*query.shape[:2], key.shape[1]), value.shape)] += 1
        return function(*args, **(kwargs or {}))


def products(patches: int) -> float:
    """Seconds that the matrix products of an encoding take alone."""
    run = encode(patches)
    with RecordProducts() as record:
        run()
    seconds = 0.0
    for (left, right), count in record.shapes.items():
        one, other = torch.randn(left), torch.randn(right)
        seconds += count * best_of(lambda one=one, other=other: one @ other)
    return seconds


def peak_gib(name: str) -> float:
    """Peak memory of a process that only does one task twice."""
    done = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    # First, for a process begins with the peak of the one that started it.
    figures = {f"{name}_gib": peak_gib(name) for name in TASKS}
    for name, (make, *arguments) in TASKS.items():
        figures[f"{name}_s"] = best_of(make(*arguments), 2 if name == "encode_100000" else ROUNDS)
    figures["products_20000_s"] = products(20000)
    figures["encode_20000_over_products"] = figures["encode_20000_s"] / figures["products_20000_s"]
    figures["encode_100000_over_5x20000"] = figures["encode_100000_s"] / (5 * figures["encode_20000_s"])
    write_result("histgen", {"figures": {name: round(value, 3) for name, value in figures.items()}, "bounds": BOUNDS})


if __name__ == "__main__":
    if len(sys.argv) > 1:
        make, *arguments = TASKS[sys.argv[1]]
        run = make(*arguments)
        run(), run()
        print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20))
    else:
        main()
