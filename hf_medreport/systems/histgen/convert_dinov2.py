"""HistGen's patch encoder (a DINOv2 ViT-L/14 with SwiGLU, `dinov2_cpath_v1.pth`) -> a folder for `tile --encoder`.

The original is a training checkpoint of DINOv2: a dict with `teacher`, whose keys with "backbone" in them are the
encoder (the first dotted part is dropped) and whose heads are left out. Its blocks stand in chunks,
`blocks.CHUNK.INDEX`, with an index that counts through. Sizes are read from the tensors' shapes. The folder holds
transformers' `Dinov2Model` and HistGen's tiling: 512 px tiles of level 0, resized to the encoder's size.
"""

import math
import os
import re
from pathlib import Path

import torch
from transformers import Dinov2Config, Dinov2Model

from hf_medreport.files.writing import output_folder
from hf_medreport.hub.folder import write_versions
from hf_medreport.hub.untold import DINOV2_HEADS, heads, untold
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.regular_file import refuse_special

BLOCK = re.compile(r"blocks\.(?:\d+\.)?(\d+)\.(.+)")  # with or without a chunk
# The original's names -> those of transformers' first Dinov2Model, which every later one still reads.
RENAMED = {
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    "mask_token": "embeddings.mask_token",
    "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
    "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
    "norm.weight": "layernorm.weight",
    "norm.bias": "layernorm.bias",
}
LAYERS = {
    "norm1": "norm1",
    "norm2": "norm2",
    "attn.proj": "attention.output.dense",
    "mlp.w12": "mlp.weights_in",  # first half through SiLU, second half as it is: transformers' order too
    "mlp.w3": "mlp.weights_out",
}
RENAMED_IN_BLOCK = {f"{old}.{kind}": f"{new}.{kind}" for old, new in LAYERS.items() for kind in ("weight", "bias")}
RENAMED_IN_BLOCK |= {"ls1.gamma": "layer_scale1.lambda1", "ls2.gamma": "layer_scale2.lambda1"}
QUERY_KEY_VALUE = ("attn.qkv.weight", "attn.qkv.bias")  # one tensor there, three in transformers
NOT_NEEDED = "mask_token"  # used in training only


def convert(checkpoint: str | os.PathLike, out: str | os.PathLike, num_heads: int | None = None) -> dict:
    """Write the encoder and its tiling to `out`.

    Args:
        checkpoint: a `.pth` of DINOv2's training, read with weights only.
        out: the folder, made when absent.
        num_heads: by default those of the published DINOv2 of the width.

    Returns:
        `{"out", "config": {...}, "ignored": [heads' keys], "unexpected": [the backbone's keys without a place],
        "as_published": {argument: value that was taken}}`.

    Raises:
        InputError: the file cannot be read, has no teacher's backbone, or lacks weights.
    """
    name = Path(checkpoint).name
    teacher = read_teacher(checkpoint)
    backbone = {key.split(".", 1)[1]: value for key, value in teacher.items() if "backbone" in key and "." in key}
    if "register_tokens" in backbone:  # left out, every vector would be wrong
        found, remedy = "register tokens", "use a checkpoint without registers, as HistGen's is"
        raise InputError(name, found, "a DINOv2 without registers", remedy)
    weights, unexpected = rename_keys(backbone)
    config = dinov2_config(name, backbone, weights, num_heads)
    missing = missing_keys(backbone, config.num_hidden_layers)
    if missing:
        found = f"no {missing[0]} and {len(missing) - 1} more"
        raise InputError(name, found, "a whole backbone", "use the full file")
    try:
        model = Dinov2Model.from_pretrained(None, config=config, state_dict=weights)
    except RuntimeError as error:  # shapes that contradict each other
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            name, f"weights that do not fit ({reason})", "one DINOv2 with SwiGLU", "check the file"
        ) from error
    side, out = config.image_size, output_folder(out)
    model.save_pretrained(out)
    TileImageProcessor(size=side).save_pretrained(out)
    write_versions(out)
    sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads", "patch_size", "image_size")
    return {
        "out": str(out),
        "config": {size: getattr(config, size) for size in sizes},
        "ignored": sorted(key for key in teacher if "backbone" not in key),
        "unexpected": sorted(unexpected),
        "as_published": untold({"num_heads": num_heads}, {"num_heads": config.num_attention_heads}),
    }


def read_teacher(path: str | os.PathLike) -> dict[str, torch.Tensor]:
    """The teacher's tensors; nothing in the file is executed."""
    path = Path(path)
    expected, remedy = "a checkpoint of DINOv2's training", "give the original's .pth"
    refuse_special(path, expected)
    if not path.is_file():
        raise InputError(path.name, "a folder" if path.is_dir() else "no such file", expected, "check the path")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch reports bad bytes by a dozen exception types
        found = "objects besides tensors" if "GLOBAL" in str(error) else "a broken or truncated file"
        raise InputError(path.name, found, expected, remedy) from error
    teacher = state.get("teacher") if isinstance(state, dict) else None
    if not isinstance(teacher, dict):
        found = f"entries {', '.join(map(str, sorted(state, key=str)))[:80]}" if isinstance(state, dict) else "no dict"
        raise InputError(path.name, found, "a dict with 'teacher'", remedy)
    strange = sorted(str(key) for key, value in teacher.items() if not isinstance(value, torch.Tensor))
    if strange:
        raise InputError(path.name, f"no tensor under teacher '{strange[0]}'", "names with tensors", remedy)
    return teacher


def rename_keys(backbone: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The original's keys as transformers', and those that have no place there."""
    renamed, leftover = {}, []
    for key, value in backbone.items():
        block = BLOCK.fullmatch(key)
        if key in RENAMED:
            renamed[RENAMED[key]] = value
        elif block is None:
            leftover.append(key)
        elif block[2] in QUERY_KEY_VALUE:
            for part, rows in zip(("query", "key", "value"), value.chunk(3), strict=True):
                kind = block[2].rsplit(".", 1)[1]
                renamed[f"encoder.layer.{block[1]}.attention.attention.{part}.{kind}"] = rows.contiguous()
        elif block[2] in RENAMED_IN_BLOCK:
            renamed[f"encoder.layer.{block[1]}.{RENAMED_IN_BLOCK[block[2]]}"] = value
        else:
            leftover.append(key)
    return renamed, leftover


def missing_keys(backbone: dict[str, torch.Tensor], depth: int) -> list[str]:
    """What a whole backbone of so many blocks has and this one lacks, under the original's names without chunks."""
    there = {f"blocks.{block[1]}.{block[2]}" if (block := BLOCK.fullmatch(key)) else key for key in backbone}
    in_block = [*RENAMED_IN_BLOCK, *QUERY_KEY_VALUE]
    wanted = [*RENAMED, *(f"blocks.{index}.{name}" for index in range(depth) for name in in_block)]
    return sorted(set(wanted) - there - {NOT_NEEDED})


def dinov2_config(name: str, backbone: dict, weights: dict, num_heads: int | None) -> Dinov2Config:
    """Transformers' configuration from the shapes of the original's tensors."""
    for key in ("pos_embed", "patch_embed.proj.weight"):
        if key not in backbone:
            keys = ", ".join(sorted({key.split(".")[0] for key in backbone})) or "none"
            raise InputError(name, f"a backbone of {keys}, without {key}", "a DINOv2 backbone", "check the file")
    shape = backbone["patch_embed.proj.weight"].shape
    if len(shape) != 4:
        found = f"patch_embed.proj.weight of shape {tuple(shape)}"
        raise InputError(name, found, "a convolution", "is it another model?")
    width, _, patch, _ = shape
    positions = backbone["pos_embed"].shape[1] - 1  # one is the class token's
    side = math.isqrt(positions)
    if side**2 != positions:
        found = f"{positions + 1} positions"
        raise InputError(name, found, "a square of patches and a class token", "is it another model?")
    depth = 1 + max((int(key.split(".")[2]) for key in weights if key.startswith("encoder.layer.")), default=-1)
    return Dinov2Config(
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=heads(name, "a backbone", width, num_heads, DINOV2_HEADS, "num_heads"),
        patch_size=patch,
        image_size=side * patch,
        use_swiglu_ffn=True,
        layer_norm_eps=1e-6,
    )
