"""Frozen weights in four bits: NF4 with its scales quantized too, as QLoRA has it, by bitsandbytes.

On a GPU diffusers and transformers load a folder so; on a processor, where they refuse, layers are replaced one by one
with the same numbers, which is how it is tested here. Only linear layers are quantized: of Stable Diffusion 1.x 270 of
the U-Net's 860 million weights, and none of the VAE's convolutions.
"""

import logging
import tempfile

import bitsandbytes
import torch
from torch import nn

from hf_medreport.processing.input_error import InputError

__all__ = ["bytes_of", "dequantize", "dequantized_state", "quantize"]


def quantize(model: nn.Module, compute_dtype: torch.dtype = torch.float32) -> nn.Module:
    """The model with its linear layers in NF4, frozen.

    Args:
        model: a diffusers or transformers model; on a processor it is changed in place.
        compute_dtype: in which products are taken.

    Raises:
        InputError: a model without a linear layer.
    """
    if not any(type(layer) is nn.Linear for layer in model.modules()):
        found = f"a {type(model).__name__} without linear layers"
        raise InputError("quantize", found, "a part that has them", "leave it out of `quantize`")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it speaks of kernels that may be downloaded
    if torch.cuda.is_available():
        return _reloaded(model, compute_dtype)
    _replace_linear(model, compute_dtype)
    model.is_loaded_in_4bit = True  # what PEFT asks for, or it takes the layers for plain ones
    return model.requires_grad_(False)


def dequantized_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """The state of a quantized model as its unquantized class has it, in float32: adapters left out."""
    state = {}
    for name, parameter in [*model.named_parameters(), *model.named_buffers()]:
        if ".lora_" not in name:
            weights = getattr(parameter, "quant_state", None)
            plain = parameter if weights is None else bitsandbytes.functional.dequantize_4bit(parameter.data, weights)
            state[name.replace(".base_layer.", ".")] = plain.detach().float().cpu()
    return state


def dequantize(model: nn.Module) -> nn.Module:
    """A quantized model with plain layers of the same numbers again; on a processor it is changed in place."""
    if getattr(model, "hf_quantizer", None) is not None:
        return model.dequantize()
    for name, layer in list(model.named_modules()):
        if isinstance(layer, bitsandbytes.nn.Linear4bit):
            plain = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
            plain.load_state_dict(dequantized_state(layer))
            model.set_submodule(name, plain.requires_grad_(False))
    return model


def bytes_of(model: nn.Module) -> int:
    """What the model's weights take, the scales of quantized ones included."""
    total = 0
    for tensor in [*model.parameters(), *model.buffers()]:
        total += tensor.nbytes
        if (weights := getattr(tensor, "quant_state", None)) is not None:
            total += sum(part.nbytes for part in weights.as_dict(packed=True).values())
    return total


def _reloaded(model: nn.Module, compute_dtype: torch.dtype) -> nn.Module:
    """Saved and loaded again in four bits, on the GPU: the way of the libraries themselves."""
    if hasattr(model, "add_adapter") and hasattr(model, "enable_lora"):  # diffusers' side
        from diffusers import BitsAndBytesConfig
    else:
        from transformers import BitsAndBytesConfig
    settings = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype,
    )
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        loaded = type(model).from_pretrained(folder, quantization_config=settings, device_map={"": 0})
    return loaded.requires_grad_(False)


def _replace_linear(model: nn.Module, compute_dtype: torch.dtype) -> None:
    for name, layer in list(model.named_children()):
        if type(layer) is nn.Linear:
            setattr(model, name, _four_bit(layer, compute_dtype))
        else:
            _replace_linear(layer, compute_dtype)


def _four_bit(layer: nn.Linear, compute_dtype: torch.dtype) -> nn.Module:
    settings = {"quant_type": "nf4", "compress_statistics": True}
    made = bitsandbytes.nn.Linear4bit(
        layer.in_features, layer.out_features, layer.bias is not None, compute_dtype=compute_dtype, **settings
    )
    made.weight = bitsandbytes.nn.Params4bit(layer.weight.data, requires_grad=False, **settings)
    made.bias = layer.bias
    # Some processors would repack the weights at the first sample, and training go on with other roundings.
    made.support_avx512bf16_for_cpu = False
    return made.to("cpu")  # which quantizes
