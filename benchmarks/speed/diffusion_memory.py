"""What a training step of a U-Net takes, all of it trained, an adapter (LoRA), and an adapter on four bits (QLoRA).

    python benchmarks/speed/diffusion_memory.py          # about 2 minutes on two cores
    python benchmarks/speed/diffusion_memory.py --tiny   # tries the script, and keeps nothing

Measured, on a processor: a U-Net of the shape of Stable Diffusion 1.x with a quarter of its channels, each kind in a
process of its own; four bits save memory there and no time, since a processor takes the weights apart at each use.
Computed: what weights, gradients and AdamW's two moments take of Stable Diffusion 1.x itself, in float32, activations
left out. Writes benchmarks/results/diffusion_memory.json.
"""

import argparse
import json
import re
import resource
import subprocess
import sys
from time import perf_counter

import torch
from diffusers import UNet2DConditionModel
from measure import machine, write_result
from torch import nn

from hf_medreport.systems.diffusion.training.adapters import add_adapter
from hf_medreport.systems.diffusion.training.quantization import bytes_of, quantize
from hf_medreport.systems.diffusion.training.settings import CROSS_ATTENTION

KINDS = ("full", "LoRA", "QLoRA")
RANK, STEPS, BATCH, TOKENS, WIDTH = 8, 4, 4, 77, 768
STABLE_DIFFUSION = (320, 640, 1280, 1280)
FLOAT, MOMENTS = 4, 2
BLOCK, BLOCKS = 64, 256  # weights that share a scale, scales that share one of their own
MIB = 2**20


def unet_of(channels: tuple[int, ...]) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=32, block_out_channels=channels, cross_attention_dim=WIDTH, attention_head_dim=8
    )


def measured(kind: str, channels: tuple[int, ...]) -> dict:
    """One kind: bytes that are held, the most memory beyond what was there before, and the time of a step."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    torch.manual_seed(0)
    unet = unet_of(channels)
    if kind == "QLoRA":
        quantize(unet)
    if kind != "full":
        add_adapter(unet, RANK, RANK, CROSS_ATTENTION, seed=0)
    trained = [each for each in unet.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    latents, states = torch.randn(BATCH, 4, 32, 32), torch.randn(BATCH, TOKENS, WIDTH)
    best = float("inf")
    for _ in range(STEPS):
        begun = perf_counter()
        unet(latents, torch.tensor(500), states).sample.square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        best = min(best, perf_counter() - begun)
    numbers = sum(each.numel() for each in trained)
    return {
        "weights_mib": bytes_of(unet) / MIB,
        "gradients_and_moments_mib": (1 + MOMENTS) * FLOAT * numbers / MIB,
        "peak_mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
        "trained_parameters": numbers,
        "seconds": best,
    }


def computed() -> dict:
    """Gibibytes of Stable Diffusion 1.x by kind, from the numbers of its weights."""
    with torch.device("meta"):
        unet = unet_of(STABLE_DIFFUSION)
    total = sum(each.numel() for each in unet.parameters())
    linear = sum(layer.weight.numel() for layer in unet.modules() if type(layer) is nn.Linear)
    adapter = 0
    for name, layer in unet.named_modules():
        if re.fullmatch(CROSS_ATTENTION, name):
            rows, columns, *kernel = layer.weight.shape
            adapter += RANK * (rows + columns * (kernel[0] * kernel[1] if kernel else 1))
    four_bits = linear / 2 + linear / BLOCK + FLOAT * linear / BLOCK / BLOCKS
    weights = {
        "full": FLOAT * total,
        "LoRA": FLOAT * (total + adapter),
        "QLoRA": four_bits + FLOAT * (total - linear + adapter),
    }
    learned = {"full": total, "LoRA": adapter, "QLoRA": adapter}
    gib = {kind: (weights[kind] + (1 + MOMENTS) * FLOAT * learned[kind]) / 2**30 for kind in KINDS}
    return {
        "parameters": total,
        "of_linear_layers": linear,
        "of_the_adapter": adapter,
        "weights_gib": {kind: round(each / 2**30, 2) for kind, each in weights.items()},
        "weights_gradients_and_moments_gib": {kind: round(each, 2) for kind, each in gib.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--kind", choices=KINDS, help="Measure this one alone, and print it.")
    asked = parser.parse_args()
    channels = (32, 32, 64, 64) if asked.tiny else tuple(each // 4 for each in STABLE_DIFFUSION)
    if asked.kind:
        print(json.dumps(measured(asked.kind, channels)))
        return
    figures = {}
    for kind in KINDS:
        command = [sys.executable, __file__, "--kind", kind, *(["--tiny"] if asked.tiny else [])]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        figures[kind] = json.loads(output.splitlines()[-1])
    table = {kind: {name: round(each, 2) for name, each in row.items()} for kind, row in figures.items()}
    result = {"channels": channels, "batch": BATCH, "measured": table, "stable_diffusion_1_computed": computed()}
    if asked.tiny:
        print(json.dumps(result | {"machine": machine()}, indent=2))
    else:
        write_result("diffusion_memory", result)


if __name__ == "__main__":
    main()
