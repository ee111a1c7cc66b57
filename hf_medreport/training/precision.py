"""Which precision a machine trains best in: what `bf16: auto` of a recipe means.

Instructions alone do not say: of two processors that have bfloat16 one multiplies it several times faster than float32
and one half as fast, and one without it ten times slower. So it is tried, which takes a fraction of a second;
`python benchmarks/speed/precision.py` holds the choice against whole training steps.
"""

import logging
from functools import cache
from time import perf_counter

import torch
from torch import nn

from hf_medreport.processing.input_error import InputError

logger = logging.getLogger(__name__)

SIZE, TRIES = 512, 5  # of the matrices that are multiplied


@cache
def bfloat16_gain() -> float:
    """How many times as fast as float32 this machine's GPU, or without one its processor, multiplies bfloat16."""
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    return _seconds(torch.float32, device) / _seconds(torch.bfloat16, device)


def _seconds(dtype: torch.dtype, device: torch.device) -> float:
    """The best of a few products, the first of which only warms up."""
    factor, best = torch.ones(SIZE, SIZE, dtype=dtype, device=device), float("inf")
    for _ in range(1 + TRIES):
        begun = perf_counter()
        (factor @ factor).sum().item()  # waits for a GPU
        best = min(best, perf_counter() - begun)
    return best


def chosen_bf16(asked: bool | str, fp16: bool = False) -> bool:
    """`true` and `false` as they are asked for; `auto` is what this machine is faster in, unless float16 was chosen.

    Raises:
        InputError: another word.
    """
    word = str(asked).lower()
    if word not in ("true", "false", "auto"):
        raise InputError("bf16", f"'{asked}'", "true, false or auto", "correct it")
    return word == "true" or (word == "auto" and not fp16 and bfloat16_gain() > 1)


def lay_out(model: nn.Module, bf16: bool, fp16: bool = False) -> None:
    """Put channels last, where convolutions are faster in either precision, and say what was chosen."""
    model.to(memory_format=torch.channels_last)
    name = "bfloat16" if bf16 else "float16" if fp16 else "float32"
    place = "this GPU" if torch.accelerator.is_available() else f"this processor ({processor()})"
    gain = f"{bfloat16_gain():.2g}"
    logger.info("precision: %s, channels last; %s multiplies bfloat16 %s x as fast as float32", name, place, gain)


def processor() -> str:
    """The processor's name, and the widest instructions that torch uses of it."""
    return f"{torch.cpu.get_capabilities().get('cpu_name', 'unknown')}, {torch.backends.cpu.get_cpu_capability()}"
