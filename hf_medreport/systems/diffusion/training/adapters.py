"""Adapters of low rank (LoRA) on the U-Net, by PEFT: on exactly the layers that are named, and merged without loss.

The base below may be in four bits (QLoRA). What an adapter was trained on is kept with it, as a digest of the base's
weights, and another base is refused: PEFT itself loads an adapter wherever names and shapes fit.
"""

import inspect
import re
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from hf_medreport.files.settings import read_settings
from hf_medreport.files.writing import write_json, write_whole
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.patch_encoder import weights_revision
from hf_medreport.systems.diffusion.training.quantization import dequantized_state

__all__ = ["BASE", "add_adapter", "check_base", "load_adapter", "merged_unet", "save_adapter", "use_adapter"]

NAME = "default"
WEIGHTS = "pytorch_lora_weights.safetensors"
SETTINGS = "lora_adapter_metadata"  # by which diffusers knows its rank and layers
BASE = "base.json"  # beside an adapter: what it was trained on


def add_adapter(unet, rank: int, alpha: int, targets: str, seed: int) -> list[str]:
    """Freeze a U-Net and add an adapter that changes nothing yet; returns the names of its layers.

    Args:
        unet: of diffusers, quantized or not.
        rank, alpha: its size, and its scale times its rank.
        targets: a regular expression that a layer's whole name matches.
        seed: of its first weights.

    Raises:
        InputError: no expression, one that no layer matches, or one that matches what an adapter cannot be put on.
    """
    try:
        layers = [name for name, _ in unet.named_modules() if re.fullmatch(targets, name)]
    except re.error as error:
        expected = "a regular expression of layers' names"
        raise InputError("lora_targets", f"'{targets}' ({error})", expected, "correct it") from None
    if not layers:
        remedy = "leave it out, or write names as `unet.named_modules()` has them"
        raise InputError("lora_targets", f"'{targets}', which no layer matches", "names of the U-Net's layers", remedy)
    torch.manual_seed(seed)
    try:
        unet.requires_grad_(False)
        unet.add_adapter(LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets), NAME)
    except ValueError as error:  # PEFT's word for a layer of another kind
        expected, reason = "linear layers or convolutions", " ".join(str(error).split())[:120]
        raise InputError("lora_targets", f"'{targets}' ({reason})", expected, "name these alone") from error
    return layers


def load_adapter(pipe, folder: Path, revision: str) -> None:
    """Put a saved adapter's weights into the one that the U-Net has.

    Args:
        pipe: a `MedicalImagePipeline`, whose U-Net has an adapter already.
        folder: of the saved one.
        revision: of the U-Net below, see `save_adapter`.

    Raises:
        InputError: no adapter, one of other layers or of another rank, or one of another base.
    """
    if not (folder / WEIGHTS).is_file():
        raise InputError(
            "adapter", f"no {WEIGHTS} in {folder.name}", "a folder that this recipe saved", "check the path"
        )
    check_base(folder, revision)
    given = {name.removeprefix("unet."): each for name, each in pipe.lora_state_dict(str(folder))[0].items()}
    own = get_peft_model_state_dict(pipe.unet, adapter_name=NAME)
    shapes, wanted = ({name: tuple(each.shape) for name, each in state.items()} for state in (given, own))
    if shapes != wanted:
        differs = min(set(shapes.items()) ^ set(wanted.items()))[0]
        found = f"'{differs}' of {shapes.get(differs, 'no such weight')} for {wanted.get(differs, 'no such weight')}"
        raise InputError(
            "adapter", found, "one of these layers and this rank", "give `lora_rank` and `lora_targets` of it"
        )
    set_peft_model_state_dict(pipe.unet, given, adapter_name=NAME)


def use_adapter(pipe, folder: Path) -> None:
    """Let a pipeline draw with a saved adapter.

    Args:
        pipe: a `MedicalImagePipeline` without one.
        folder: of the adapter.

    Raises:
        InputError: no adapter, or one of another base.
    """
    if not (folder / WEIGHTS).is_file():
        found = f"no {WEIGHTS} in {folder.name}" if folder.is_dir() else "no such folder"
        raise InputError("adapter", found, "the folder of an adapter", "check the path")
    check_base(folder, weights_revision(pipe.unet))
    pipe.load_lora_weights(folder)


def merged_unet(unet):
    """The U-Net without its adapter, which has become part of its weights, in float32; `unet` stays as it is.

    A base in four bits is dequantized for it: merging in four bits would round the adapter away.
    """
    known = inspect.signature(type(unet).__init__).parameters
    plain = type(unet)(**{name: each for name, each in unet.config.items() if name in known})
    plain.load_state_dict(dequantized_state(unet))
    config = unet.peft_config[NAME]
    plain.add_adapter(LoraConfig(r=config.r, lora_alpha=config.lora_alpha, target_modules=config.target_modules), NAME)
    set_peft_model_state_dict(plain, get_peft_model_state_dict(unet, adapter_name=NAME), adapter_name=NAME)
    plain.fuse_lora()
    plain.unload_lora()
    return plain


def save_adapter(pipe, folder: Path, base: str, revision: str) -> None:
    """Write the U-Net's adapter, and beside it what it was trained on.

    Args:
        pipe: a `MedicalImagePipeline`.
        folder: made when absent.
        base: the base's name.
        revision: of the weights of its U-Net.
    """
    pipe.save_lora(folder)
    with safe_open(folder / WEIGHTS, "pt") as file:
        settings = file.metadata()[SETTINGS]
    tensors = load_file(folder / WEIGHTS)
    # Of two lines of metadata safetensors writes either one first; with one the bytes are the same each time.
    write_whole(folder / WEIGHTS, lambda part: save_file(tensors, part, {SETTINGS: settings}))
    write_json(folder / BASE, {"base": base, "revision": revision})


def check_base(folder: Path, revision: str) -> None:
    """Refuse an adapter's folder that names another base than the one of this revision.

    Raises:
        InputError: another base.
    """
    if (folder / BASE).is_file():
        known = read_settings(folder / BASE, f"{folder.name}/{BASE}")
        if missing := [name for name in ("base", "revision") if not isinstance(known.get(name), str)]:
            raise InputError(f"{folder.name}/{BASE}", f"no {missing[0]}", "base and revision", "copy the file again")
        if known["revision"] != revision:
            expected = f"{known['base']} of revision {known['revision']}, which it was trained on"
            raise InputError(folder.name, f"an adapter for another base than {revision}", expected, "load it on that")
