"""Which precision and memory layout a machine trains best in: what `bf16: auto` of a recipe means.

A CPU with bfloat16 instructions trains several times faster in bfloat16, one without them several times slower than in
float32 (`python benchmarks/precision.py`). Channels come last where convolutions run in half precision.
"""

import torch

from hf_medreport.processing.input_error import InputError

# What torch calls the instructions of x86 and ARM that multiply bfloat16.
BFLOAT16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "arm_bf16", "bf16")


def has_bfloat16() -> bool:
    """Whether this machine's GPU, or without one its processor, multiplies bfloat16 itself."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if torch.accelerator.is_available():  # Apple's and others' do
        return True
    return any(torch.cpu.get_capabilities().get(name) for name in BFLOAT16_INSTRUCTIONS)


def chosen_bf16(asked: bool | str, fp16: bool = False) -> bool:
    """`true` and `false` as they are asked for; `auto` is what the machine has, unless float16 was chosen.

    Raises:
        InputError: another word.
    """
    word = str(asked).lower()
    if word not in ("true", "false", "auto"):
        raise InputError("bf16", f"'{asked}'", "true, false or auto", "correct it")
    return word == "true" or (word == "auto" and not fp16 and has_bfloat16())


def lay_out(model: torch.nn.Module, bf16: bool, fp16: bool = False) -> None:
    """Put a model's weights in the layout that suits the precision, and say what was chosen."""
    half = bf16 or fp16
    model.to(memory_format=torch.channels_last if half else torch.contiguous_format)
    name = ("bfloat16" if bf16 else "float16") if half else "float32"
    place = "this GPU" if torch.accelerator.is_available() else f"this processor ({processor()})"
    able = "multiplies" if has_bfloat16() else "does not multiply"
    layout = "channels last" if half else "channels first"
    print(f"precision: {name}, {layout}; {place} {able} bfloat16")


def processor() -> str:
    """The processor's name, and the widest instructions that torch uses of it."""
    return f"{torch.cpu.get_capabilities().get('cpu_name', 'unknown')}, {torch.backends.cpu.get_cpu_capability()}"
