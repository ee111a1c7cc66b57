"""What the bias of layer-wise anatomical attention costs: its decoder against plain GPT-2, both from 1,024 patches.

GPT-2 base with random weights, 100 greedy tokens, soft masks, float32. Times are paired, alternating in one process,
best of 5; memory is the peak of a process of its own. Writes benchmarks/results/decoder.json.

    python benchmarks/speed/decoder.py
"""

import json
import resource
import subprocess
import sys
import time

import torch
from measure import write_result
from transformers import GPT2LMHeadModel

from hf_medreport.modeling.configuration_anatomical_report import AnatomicalReportConfig
from hf_medreport.modeling.modeling_anatomical_report import AnatomicalReportForConditionalGeneration

TOKENS, ROUNDS, BOUND = 100, 5, 1.10
OPTIONS = {"max_new_tokens": TOKENS, "min_new_tokens": TOKENS, "do_sample": False, "pad_token_id": 50256}


def anatomical():
    """A function that generates with the soft prior, and the inputs that plain GPT-2 needs for the same."""
    torch.manual_seed(0)
    model = AnatomicalReportForConditionalGeneration(AnatomicalReportConfig()).eval()
    features = torch.randn(1, 1024, 384)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 12:50, 8:28] = mask[..., 12:50, 36:56] = 1
    return lambda: model.generate(encoder_outputs=features, anatomical_masks=mask, **OPTIONS)


def plain():
    """The same decoder as transformers ships it, on embeddings of the same size."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(AnatomicalReportConfig().decoder).eval()
    embeddings = torch.randn(1, 1024, 768)
    return lambda: model.generate(inputs_embeds=embeddings, **OPTIONS)


VARIANTS = {"anatomical": anatomical, "plain": plain}


def peak_gib(name: str) -> float:
    """Peak memory of a process that only generates twice with one variant."""
    done = subprocess.run([sys.executable, __file__, name], capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    generate = {name: build() for name, build in VARIANTS.items()}
    seconds = {name: [] for name in VARIANTS}
    for round_number in range(ROUNDS + 1):
        for name, function in generate.items():
            start = time.perf_counter()
            assert function().shape == (1, TOKENS)
            if round_number:  # the first is a warm-up
                seconds[name].append(time.perf_counter() - start)
    best = {name: min(times) for name, times in seconds.items()}
    memory = {name: peak_gib(name) for name in VARIANTS}
    write_result(
        "decoder",
        {
            "seconds": {name: round(value, 3) for name, value in best.items()},
            "time_ratio": round(best["anatomical"] / best["plain"], 3),
            "peak_gib": {name: round(value, 3) for name, value in memory.items()},
            "memory_ratio": round(memory["anatomical"] / memory["plain"], 3),
            "bound": BOUND,
        },
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run = VARIANTS[sys.argv[1]]()
        run(), run()
        print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20))
    else:
        main()
