"""What the originals of RadScribe call their tensors, and what we call them.

RadScribe's own checkpoint holds `encoder.*` (its MedViLL) and `decoder.t5.*`; MedViLL's holds `enc.*` and the heads of
its pre-training. Below these prefixes the names of BERT's and of the image parts are the same. A tensor that serves
twice is stored under all its names: they have to agree, and become one.

The image encoders are numbered `nn.Sequential`s of a library's layers in the originals, or the library's model itself:

| original, below `img_encoder.` | ours, below `image_encoder.` |
|---|---|
| `model.embeddings`, `model.encoder.layer.0` (transformers' ViT of 2025), `linear` | `vit.*`, `token_mixing` |
| `model.0` to `model.11` (torchvision's DenseNet), `model.12` | `densenet.features.*`, `conv` |
| `model.0` to `model.6` (torchxrayvision's ResNet), `model.7` | `resnet.*` as in transformers, `conv` |
"""

import re
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import torch

from hf_medreport.processing.input_error import InputError

IMAGE_ENCODER = "img_encoder.model."
# Ours -> what only it has, below `IMAGE_ENCODER`.
TOLD_BY = {
    "vit": "embeddings.patch_embeddings.projection.weight",
    "chexnet121": "4.denselayer1.conv1.weight",
    "resnet101": "4.0.conv1.weight",
}
RESNET50 = IMAGE_ENCODER + "7.0.conv1.weight"  # MedViLL's own image encoder, a ResNet of four stages
# Below the encoder's prefix; the first that fits.
ENCODER = (
    (r"txt_embeddings\.", "bert.embeddings."),
    (r"img_embeddings\.img_embeddings\.", "image_projection."),
    (r"img_embeddings\.", "bert.embeddings."),  # the same modules once more
    (r"encoder\.", "bert.encoder."),
    (r"class_transform_layer\.", "class_projection."),
    (r"cross_attention_layers\.(\d+)\.attn\.", r"label_layers.\1.attention."),
    (r"cross_attention_layers\.(\d+)\.norm\.", r"label_layers.\1.norm."),
    (r"img_encoder\.linear\.", "image_encoder.token_mixing."),
)
# Below `decoder.t5.`; T5 has one table of words.
DECODER = (
    (r"(shared|encoder\.embed_tokens|decoder\.embed_tokens|lm_head)\.weight$", "embed_tokens.weight"),
    (r"decoder\.", ""),
)
VIT_LAYER = {
    "attention.attention.query": "attention.q_proj",
    "attention.attention.key": "attention.k_proj",
    "attention.attention.value": "attention.v_proj",
    "attention.output.dense": "attention.o_proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}
DENSENET = {0: "conv0", 1: "norm0", 4: "denseblock1", 5: "transition1", 6: "denseblock2", 7: "transition2"}
DENSENET |= {8: "denseblock3", 9: "transition3", 10: "denseblock4", 11: "norm5"}
DENSENET_CONV, RESNET_CONV = 12, 7
RESNET_STEM = {0: "convolution", 1: "normalization"}
RESNET_STAGES = {4: 0, 5: 1, 6: 2}
RESNET_BLOCK = {"downsample.0": "shortcut.convolution", "downsample.1": "shortcut.normalization"}
RESNET_BLOCK |= {f"conv{index + 1}": f"layer.{index}.convolution" for index in range(3)}
RESNET_BLOCK |= {f"bn{index + 1}": f"layer.{index}.normalization" for index in range(3)}
RESNET_NUMBERS = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6}  # of torchxrayvision's own names
# Of RadScribe, in every file and with no place here: T5's encoder is never called, neither is the ViT's pooler, and
# position_ids are a counter that old versions of transformers stored.
RADSCRIBE_UNUSED = {
    "decoder.t5.encoder": re.compile(r"decoder\.t5\.encoder\.(?!embed_tokens\.)"),
    "encoder.img_encoder.model.pooler": re.compile(r"encoder\.img_encoder\.model\.pooler\."),
    "position_ids": re.compile(r".*\.position_ids$"),
}


class Renamed(NamedTuple):
    """A file's tensors under our names.

    Attributes:
        weights: float32, by our names.
        not_carried: how many tensors of a kind are known and have no place here.
        unexpected: the file's names that are not known.
    """

    weights: dict[str, torch.Tensor]
    not_carried: dict[str, int]
    unexpected: list[str]


def rename(
    name: str,
    state: dict[str, torch.Tensor],
    key_of: Callable[[str], str | None],
    unused: dict[str, re.Pattern],
) -> Renamed:
    """The tensors of the file `name` as `key_of` calls them, without what one of the patterns `unused` fits.

    Raises:
        InputError: a tensor's names do not agree.
    """
    sources, not_carried, unexpected = {}, Counter(), []
    for key, tensor in state.items():
        group = next((group for group, pattern in unused.items() if pattern.match(key)), None)
        ours = None if group else key_of(key)
        if group:
            not_carried[group] += 1
        elif ours is None:
            unexpected.append(key)
        elif ours in sources and not torch.equal(state[sources[ours]], tensor):
            found, expected = f"{key} and {sources[ours]} that differ", "one tensor under both names"
            raise InputError(name, found, expected, "use the file as the training saved it")
        else:
            sources.setdefault(ours, key)
    weights = {ours: float_tensor(state[key]) for ours, key in sources.items()}
    return Renamed(weights, dict(not_carried), sorted(unexpected))


def float_tensor(tensor: torch.Tensor) -> torch.Tensor:
    """Half precision as float32; a batch norm's count of batches stays whole."""
    return tensor.float() if tensor.is_floating_point() else tensor


def image_encoder_of(keys) -> str | None:
    """Which image encoder these keys, below the encoder's prefix, hold; None where there is none of ours."""
    keys = set(keys)
    if RESNET50 in keys:
        return None
    return next((kind for kind, key in TOLD_BY.items() if IMAGE_ENCODER + key in keys), None)


def radscribe_key(image_encoder: str | None) -> Callable[[str], str | None]:
    """RadScribe's key -> ours in `RadScribeForConditionalGeneration`, or None."""

    def key_of(key: str) -> str | None:
        part, _, below = key.partition(".")
        if part == "encoder":
            ours = encoder_key(below, image_encoder)
        else:
            ours = substituted(DECODER, below.removeprefix("t5.")) if key.startswith("decoder.t5.") else None
        return ours and f"{part}.{ours}"

    return key_of


def encoder_key(key: str, image_encoder: str | None) -> str | None:
    """A key below the encoder's prefix -> ours in `MedViLLModel`, or None."""
    if key.startswith(IMAGE_ENCODER):
        ours = image_key(key.removeprefix(IMAGE_ENCODER), image_encoder)
        return ours and f"image_encoder.{ours}"
    return substituted(ENCODER, key)


def substituted(table, key: str) -> str | None:
    """The key by the first row of (pattern of its beginning, replacement) that fits; None where none does."""
    row = next((row for row in table if re.match(row[0], key)), None)
    return row and re.sub(*row, key, count=1)


def image_key(key: str, image_encoder: str | None) -> str | None:
    """A key of an image encoder, of `model` or of the library's model alone -> ours below `image_encoder.`, or None."""
    if image_encoder == "vit":
        return vit_key(key)
    match = re.fullmatch(r"(\d+)\.(.+)", key)
    if match is None or image_encoder is None:
        return None
    number, below = int(match[1]), match[2]
    if image_encoder == "chexnet121":
        if number == DENSENET_CONV:
            return f"conv.{below}"
        return f"densenet.features.{DENSENET[number]}.{below}" if number in DENSENET else None
    return resnet_key(number, below)


def vit_key(key: str) -> str:
    """Our name for a tensor of the original's ViT."""
    match = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)\.(weight|bias)", key)
    if match is None:
        return f"vit.{key}"
    number, part, kind = match.groups()
    return f"vit.layers.{number}.{VIT_LAYER.get(part, part)}.{kind}"


def resnet_key(number: int, below: str) -> str | None:
    """The part `number` of torchxrayvision's ResNet as transformers has it."""
    if number == RESNET_CONV:
        return f"conv.{below}"
    if number in RESNET_STEM:
        return f"resnet.embedder.embedder.{RESNET_STEM[number]}.{below}"
    match = re.fullmatch(r"(\d+)\.(\w+(?:\.\d)?)\.(\w+)", below)
    if match is None or number not in RESNET_STAGES or match[2] not in RESNET_BLOCK:
        return None
    return f"resnet.encoder.stages.{RESNET_STAGES[number]}.layers.{match[1]}.{RESNET_BLOCK[match[2]]}.{match[3]}"


def torchxrayvision_key(key: str) -> str | None:
    """A key of torchxrayvision's ResNet autoencoder -> ours below `image_encoder.`; None for what is after layer 3."""
    part, _, below = key.partition(".")
    return resnet_key(RESNET_NUMBERS[part], below) if part in RESNET_NUMBERS else None
