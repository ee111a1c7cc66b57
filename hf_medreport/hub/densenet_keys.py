"""The DenseNet of a checkpoint, whoever trained it: CheXNet, torchxrayvision, torchvision, timm or Keras -> our names.

Sizes are read from the shapes of the weights.
"""

import os
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from hf_medreport.hub.checkpoint import read_checkpoint
from hf_medreport.modeling.densenet_encoder import DenseNetEncoder, keras_layers
from hf_medreport.processing.image_processing_film import IMAGENET_MEAN, IMAGENET_STD
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.regular_file import refuse_special

SUFFIXES = "a .pth, .pt, .safetensors or .h5 checkpoint"
KERAS_SUFFIXES = (".h5", ".hdf5")
# layout -> mean and deviation on films in [0, 1]
SCALES = {
    "torchvision": (list(IMAGENET_MEAN), list(IMAGENET_STD)),
    "chexnet": (list(IMAGENET_MEAN), list(IMAGENET_STD)),
    "torchxrayvision": ([0.5] * 3, [1 / 2048] * 3),
    "keras": ([0.0] * 3, [1.0] * 3),
}
WRAPPED = re.compile(r"^densenet\d+\.(?=features\.)")
DOTTED = re.compile(r"\b(norm|conv)\.([12])\.")  # of a dense layer's parts, before PyTorch 0.4
KERAS_KINDS = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "bias": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
KERAS_EPSILON, TORCH_EPSILON = 1.001e-5, 1e-5


class Naming(NamedTuple):
    """How a file's names tell the sizes of its DenseNet."""

    stem: str  # the first convolution
    narrow: str  # of the first dense layer, down to its bottleneck
    growing: str  # of the same layer, to the channels that it adds
    layer: re.Pattern  # a dense layer's block and number
    first_block: int


TORCH = Naming(
    "features.conv0.weight",
    "features.denseblock1.denselayer1.conv1.weight",
    "features.denseblock1.denselayer1.conv2.weight",
    re.compile(r"features\.denseblock(\d+)\.denselayer(\d+)\."),
    first_block=1,
)
KERAS = Naming(
    "conv1_conv.weight",
    "conv2_block1_1_conv.weight",
    "conv2_block1_2_conv.weight",
    re.compile(r"conv(\d+)_block(\d+)_"),
    first_block=2,  # the stem is the first
)


def read_densenet(path: str | os.PathLike) -> tuple[dict, dict[str, torch.Tensor], str, list[str]]:
    """The encoder of a checkpoint.

    Returns:
        The arguments of `DenseNetEncoder`; its state, of float32 tensors; the layout, a key of `SCALES`; and the names
        in the file that have no place in it.

    Raises:
        InputError: the file cannot be read, is no DenseNet, or lacks weights.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(path.name, "a folder" if path.is_dir() else "no such file", SUFFIXES, "check the path")
    if path.suffix.lower() in KERAS_SUFFIXES:
        layout, weights, originals = "keras", read_keras(path), {}
        sizes = densenet_sizes(path.name, weights, KERAS)
    else:
        stored = read_checkpoint(path)
        originals = {torch_name(key): key for key in stored}
        weights = {name: stored[key].float() for name, key in originals.items()}
        sizes = densenet_sizes(path.name, weights, TORCH)
        layout = "chexnet" if any(map(WRAPPED.match, stored)) else "torchvision"
        if weights[TORCH.stem].shape[1] == 1:
            layout = "torchxrayvision"
            weights[TORCH.stem] = three_channels(weights[TORCH.stem])
    with torch.device("meta"):  # names and shapes only
        encoder = DenseNetEncoder(**sizes)
    state, used = fit(path.name, encoder, weights, keras_names(encoder) if layout == "keras" else {})
    return sizes, state, layout, sorted(originals.get(name, name) for name in set(weights) - used)


def torch_name(key: str) -> str:
    """A key of any of the torch layouts as today's torchvision has it."""
    return DOTTED.sub(r"\1\2.", WRAPPED.sub("", key))


def three_channels(weight: torch.Tensor) -> torch.Tensor:
    """A convolution's (out, 1, h, w) as (out, 3, h, w) that answers a gray film in three equal channels the same."""
    return weight.expand(-1, 3, -1, -1) / 3


def densenet_sizes(name: str, weights: dict, naming: Naming) -> dict:
    """The arguments of `DenseNetEncoder` from the shapes of the weights."""
    widths = (naming.stem, naming.narrow, naming.growing)
    for key in widths:
        if key not in weights:
            parts = listed({key.split(".")[0] for key in weights})
            found = f"parts {parts}, without {key}" if parts else "no tensors"
            raise InputError(name, found, "a DenseNet's features", "is it a checkpoint of DenseNet-121?")
        if weights[key].ndim != 4 or 0 in weights[key].shape:
            found = f"{key} of shape {tuple(weights[key].shape)}"
            raise InputError(name, found, "a convolution", "is it a checkpoint of DenseNet-121?")
    stem, narrow, growth = (weights[key].shape[0] for key in widths)
    blocks = defaultdict(set)
    for match in filter(None, map(naming.layer.match, weights)):
        blocks[int(match[1])].add(int(match[2]))
    wanted = range(naming.first_block, naming.first_block + 4)
    if sorted(blocks) != [*wanted]:
        raise InputError(name, f"blocks {listed(blocks)}", f"blocks {listed(wanted)}", "use a whole DenseNet-121")
    for block, layers in sorted(blocks.items()):
        if layers != set(range(1, len(layers) + 1)):
            found = f"layers {listed(layers)} in block {block}"
            raise InputError(name, found, "all from 1 on", "use the full file")
    return {
        "growth_rate": growth,
        "block_config": [len(blocks[index]) for index in sorted(blocks)],
        "num_init_features": stem,
        "bn_size": max(1, narrow // growth),
    }


def first_of(keys: list[str]) -> str:
    """The first key, and how many more there are."""
    return keys[0] + (f" and {len(keys) - 1} more" if keys[1:] else "")


def listed(items) -> str:
    """Items in order, in as many signs as a message bears."""
    return ", ".join(map(str, sorted(items)))[:80]


def fit(name: str, encoder: DenseNetEncoder, weights: dict, names: dict[str, str]) -> tuple[dict, set[str]]:
    """The encoder's state from the file's weights, and which of them it took.

    Args:
        names: a module of the encoder -> the layer in the file, where they differ.
    """
    state, used, lacking = {}, set(), []
    for key, wanted in encoder.state_dict().items():
        module, kind = key.rsplit(".", 1)
        stored = f"{names.get(module, module)}.{kind}"
        used.add(stored)
        if kind == "num_batches_tracked":  # nothing reads it, and neither Keras nor old versions of torch store it
            state[key] = torch.zeros((), dtype=torch.long)
        elif stored not in weights:
            lacking.append(stored)
        elif weights[stored].shape != wanted.shape:
            found = f"{stored} of shape {tuple(weights[stored].shape)}"
            raise InputError(name, found, f"{tuple(wanted.shape)}", "is it a whole, unchanged checkpoint?")
        else:
            state[key] = weights[stored].contiguous()
    if lacking:
        raise InputError(name, f"no {first_of(lacking)}", "a whole DenseNet", "use the full file")
    return state, used


def read_keras(path: Path) -> dict[str, torch.Tensor]:
    """`layer.kind` -> tensor of a Keras file of weights or of a whole model, under torch's kinds and axis orders.

    Kernels turn from (h, w, in, out) to (out, in, h, w).
    """
    try:
        import h5py
    except ImportError as error:
        raise InputError(path.name, "an HDF5 file, but no h5py", "h5py", "pip install h5py") from error
    weights = {}

    def keep(place: str, item) -> None:
        *groups, kind = place.split("/")
        kind = kind.split(":")[0]
        if not isinstance(item, h5py.Dataset) or not groups or kind not in KERAS_KINDS:
            return
        # Old versions name the stem's layers "conv1/conv" and "conv1/bn", later ones "conv1_conv" and "conv1_bn".
        layer = f"conv1_{groups[-1]}" if groups[-2:-1] == ["conv1"] else groups[-1]
        if item.dtype.kind != "f":
            raise InputError(path.name, f"{layer}/{kind} of type {item.dtype}", "numbers", "save the weights again")
        tensor = torch.from_numpy(np.asarray(item, dtype=np.float32))
        if tensor.ndim == 4:
            tensor = tensor.permute(3, 2, 0, 1)
        if kind == "moving_variance":
            tensor = tensor + (KERAS_EPSILON - TORCH_EPSILON)
        weights[f"{layer}.{KERAS_KINDS[kind]}"] = tensor

    refuse_special(path, "Keras weights")
    try:
        with h5py.File(path, "r") as file:
            file.get("model_weights", file).visititems(keep)  # a whole model keeps its optimizer beside them
    except InputError:
        raise
    except Exception as error:  # h5py reports bad bytes by half a dozen exception types
        raise InputError(path.name, "a broken or truncated HDF5 file", "Keras weights", "copy it again") from error
    if not weights:
        remedy = "load the model in Keras and save it by model.save('name.h5')"
        raise InputError(path.name, "no tensor under a layer's name", "Keras weights", remedy)
    return weights


def keras_names(encoder: DenseNetEncoder) -> dict[str, str]:
    """A module of the encoder -> its layer in Keras."""
    ours = {module: name for name, module in encoder.named_modules()}
    return {ours[module]: layer for layer, module in keras_layers(encoder.features) if module is not None}
