"""Read the weights of an original's checkpoint; nothing in it is executed."""

import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.regular_file import refuse_special

# Where a training checkpoint keeps the weights.
WRAPPERS = ("model_state_dict", "model", "state_dict")


def read_checkpoint(path: str | os.PathLike) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint, unwrapped; nothing in it is executed."""
    path = Path(path)
    refuse_special(path, "a checkpoint")
    if not path.is_file():
        raise InputError(path, "no such file", "a .pth, .pt or .safetensors checkpoint", "check the path")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise InputError(path.name, "broken safetensors", "a complete file", "copy it again") from error
    except OSError:
        raise
    except Exception as error:  # torch meets bad bytes with exceptions of a dozen kinds
        found = "objects besides tensors" if "GLOBAL" in str(error) else "a broken file"
        raise InputError(
            path.name, found, "a state dict saved by torch.save", "save model.state_dict() only"
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(path.name, "no state dict", "names with tensors", "save model.state_dict() only")
    return {key.removeprefix("module."): value for key, value in state.items()}  # DataParallel's prefix
