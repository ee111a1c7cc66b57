"""Checkpoints of HistGen -> a folder that loads anywhere.

Upstream saves `{"epoch", "state_dict", "optimizer", "monitor_best"}`, without the vocabulary. Sizes are read from the
tensors' shapes; what no shape tells (heads, region size, top-k, prototypes, longest report) has the published script's
values. Half of an upstream file is never used: positional tables, a ResNet-101, templates of layers. It is left out,
and what is neither known nor of these is reported.
"""

import os
import re
from pathlib import Path

import torch
from transformers import GenerationConfig

from hf_medreport.hub.checkpoint import read_checkpoint
from hf_medreport.hub.folder import save_folder
from hf_medreport.hub.untold import untold
from hf_medreport.modeling.configuration_histgen import HistGenConfig
from hf_medreport.modeling.modeling_histgen import HistGenForConditionalGeneration
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.processing_histgen import HistGenProcessor
from hf_medreport.systems.histgen.tokenizer import legacy_tokenizer, placeholder_vocabulary, read_vocabulary

_LINEARS = {"linears.0": "q_proj", "linears.1": "k_proj", "linears.2": "v_proj", "linears.3": "o_proj"}
_FEED_FORWARD = {"feed_forward.w_1": "feed_forward.up_proj", "feed_forward.w_2": "feed_forward.down_proj"}
_ENCODER_LAYER = {
    **{f"self_attn.{old}": f"attention.{new}" for old, new in _LINEARS.items()},
    **_FEED_FORWARD,
    "sublayer.0.norm": "attention_norm",
    "sublayer.1.norm": "feed_forward_norm",
}
_DECODER_LAYER = {
    **{f"self_attn.{old}": f"self_attention.{new}" for old, new in _LINEARS.items()},
    **{f"src_attn.{old}": f"cross_attention.{new}" for old, new in _LINEARS.items()},
    **_FEED_FORWARD,
    "sublayer.0.norm": "self_norm",
    "sublayer.1.norm": "cross_norm",
    "sublayer.2.norm": "feed_forward_norm",
}
# Upstream's module -> ours, and what lies below it.
MODULES = {
    "wsi_mapping": ("feature_projection", {}),
    "encoder_decoder.att_embed.0": ("patch_projection", {}),
    "encoder_decoder.memory_matrix": ("context.memory", {}),
    "encoder_decoder.cmn": ("context", _LINEARS),
    "encoder_decoder.attn_mem": ("encoder.context_attention", _LINEARS),
    "encoder_decoder.logit": ("lm_head", {}),
    "encoder_decoder.model.tgt_embed.0.lut": ("decoder.embed_tokens", {}),
    "encoder_decoder.model.encoder.layer.0.global_token": ("encoder.global_token", {}),
    "encoder_decoder.model.encoder.layer.0.region_encoder": ("encoder.first_region_layer", _ENCODER_LAYER),
    "encoder_decoder.model.encoder.layer.0.WSI_encoder": ("encoder.slide_layer", _ENCODER_LAYER),
    "encoder_decoder.model.encoder.layer.1.region_encoder": ("encoder.second_region_layer", _ENCODER_LAYER),
    "encoder_decoder.model.encoder.norm": ("encoder.norm", {}),
    "encoder_decoder.model.encoder.pooler.dense": ("encoder.pooler.dense", {}),
    "encoder_decoder.model.encoder.pooler.attentive_pooling.lin_proj": ("encoder.pooler.score_proj", {}),
    "encoder_decoder.model.encoder.pooler.attentive_pooling.v": ("encoder.pooler.score", {}),
    "encoder_decoder.model.decoder.norm": ("decoder.norm", {}),
}
_DECODER_KEY = re.compile(r"encoder_decoder\.model\.decoder\.layers\.(\d+)")
# In every upstream file, and used by none of its forward passes (or, the second memory, a copy).
UNUSED = re.compile(
    r"visual_extractor\.|encoder_decoder\.model\.cmn\.|.*\.pe$|.*\.position_embeddings\.weight$"
    r"|encoder_decoder\.model\.encoder\.layer\.\d+\.(attn|ff)\.|encoder_decoder\.model\.encoder\.layer\.1\.global_token$"
)
PUBLISHED = {"num_heads": 8, "region_size": 96, "top_k": 512, "num_prototypes": 512, "max_length": 100}  # the script's
NORM_PARTS = {"a_2": "weight", "b_2": "bias"}


def convert(
    checkpoint: str | os.PathLike,
    out: str | os.PathLike,
    vocabulary: str | os.PathLike | None = None,
    num_heads: int | None = None,
    region_size: int | None = None,
    top_k: int | None = None,
    num_prototypes: int | None = None,
    max_length: int | None = None,
) -> dict:
    """Write the checkpoint's model with `compatibility="histgen"`, its tokenizer and the code to `out`.

    The folder has no patch encoder, since upstream's checkpoint has none: reports are made of feature files until one
    is put into `patch_encoder/` (`hf-medreport convert dinov2`).

    Args:
        checkpoint: `.pth` (read with weights only) or `.safetensors`.
        vocabulary: tokenizer.json or annotation.json; None shows ids as `<id>`.
        num_heads, region_size, top_k, num_prototypes, max_length: as it was trained; no tensor's shape tells them, and
            the published script's are taken by default.

    Returns:
        `{"out", "config": sizes that were read, "vocabulary": words or None, "unexpected": keys with no place here,
        "as_published": {argument: value that was taken}}`.

    Raises:
        InputError: the file cannot be read, is no HistGen checkpoint, lacks a tensor, or does not fit the vocabulary.
    """
    given = {"num_heads": num_heads, "region_size": region_size, "top_k": top_k}
    given |= {"num_prototypes": num_prototypes, "max_length": max_length}
    settings = PUBLISHED | {argument: value for argument, value in given.items() if value is not None}
    num_heads, region_size, top_k, num_prototypes, max_length = settings.values()
    name = Path(checkpoint).name
    weights, unexpected = rename_keys(read_checkpoint(checkpoint))
    sizes = read_sizes(name, weights)
    options = {"memory_top_k": top_k, "num_prototypes": num_prototypes, "region_size": region_size}
    if top_k > sizes["memory_slots"]:
        found, expected = f"{top_k} for a memory of {sizes['memory_slots']} slots", "at most as many as slots"
        raise InputError("top_k", found, expected, "give the training's `top_k`")
    if sizes["hidden_size"] % num_heads:
        found, expected = f"{num_heads} heads for a width of {sizes['hidden_size']}", "a divisor of the width"
        raise InputError("num_heads", found, expected, "give the training's `num_heads`")
    words = sizes["vocab_size"] - 1
    ids = placeholder_vocabulary(words) if vocabulary is None else read_vocabulary(vocabulary, words)
    config = HistGenConfig(**sizes, **options, num_attention_heads=num_heads, compatibility="histgen")
    model = HistGenForConditionalGeneration(config)
    _check_tensors(name, model.state_dict(), weights)
    model.load_state_dict(weights)
    model.generation_config = published_generation(max_length)
    processor = HistGenProcessor(TileImageProcessor(), legacy_tokenizer(ids, max_length), region_size)
    folder = save_folder(model.eval(), processor, out)
    return {
        "out": str(folder),
        "config": sizes,
        "vocabulary": None if vocabulary is None else words,
        "unexpected": unexpected,
        "as_published": untold(given, settings),
    }


def _check_tensors(name: str, wanted: dict[str, torch.Tensor], weights: dict[str, torch.Tensor]) -> None:
    """Refuse a checkpoint that lacks a tensor, or whose tensors belong to different models."""
    missing = sorted(set(wanted) - set(weights))
    if missing:
        found = f"no tensor for {missing[0]} and {len(missing) - 1} more"
        raise InputError(name, found, "a whole HistGen checkpoint", "use the file as the training saved it")
    for key, tensor in wanted.items():
        if tensor.shape != weights[key].shape:
            found = f"{key} of shape {tuple(weights[key].shape)}"
            expected = f"{tuple(tensor.shape)}, as the other tensors have it"
            raise InputError(name, found, expected, "use the file as the training saved it")


def published_generation(max_length: int) -> GenerationConfig:
    """Upstream's decoding: beam 3, the best sum of log-probabilities, no length penalty."""
    ends = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"), 0)
    return GenerationConfig(num_beams=3, length_penalty=0.0, max_new_tokens=max_length, **ends)


def rename_keys(state: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Upstream's keys as ours without those it never uses, and the keys that have no place here."""
    renamed, leftover = {}, []
    for key, value in state.items():
        if UNUSED.match(key):
            continue
        new = _renamed(key)
        if new is None:
            leftover.append(key)
        else:
            renamed[new] = value.reshape(1, 1, 1, -1) if new == "encoder.global_token" else value
    return renamed, sorted(leftover)


def _renamed(key: str) -> str | None:
    """Our name of one tensor, None for a key that no HistGen has."""
    layer = _DECODER_KEY.match(key)
    modules = {layer[0]: (f"decoder.layers.{layer[1]}", _DECODER_LAYER)} if layer else MODULES
    for old, (new, below) in modules.items():
        if key == old:
            return new
        if not key.startswith(f"{old}."):
            continue
        part, _, tensor = key.removeprefix(f"{old}.").rpartition(".")
        if part == "" and not below or part in below:
            inner = f".{below[part]}" if part else ""
            return f"{new}{inner}.{NORM_PARTS.get(tensor, tensor)}"
    return None


def read_sizes(name: str, weights: dict[str, torch.Tensor]) -> dict[str, int]:
    """The configuration's sizes from the shapes of the tensors."""
    shapes = {key: value.shape for key, value in weights.items()}
    wanted = {
        "feature_size": ("feature_projection.weight", 1),
        "visual_size": ("feature_projection.weight", 0),
        "hidden_size": ("patch_projection.weight", 0),
        "intermediate_size": ("encoder.slide_layer.feed_forward.up_proj.weight", 0),
        "memory_slots": ("context.memory", 0),
        "vocab_size": ("lm_head.weight", 0),
    }
    lacking = [key for key, _ in wanted.values() if key not in shapes]
    if lacking:
        found = f"no tensor for {lacking[0]}"
        raise InputError(name, found, "a HistGen checkpoint", "give a checkpoint of HistGen's training")
    for key, _ in wanted.values():
        if len(shapes[key]) != 2:
            found = f"{key} of shape {tuple(shapes[key])}"
            raise InputError(name, found, "a matrix", "use the file as the training saved it")
    sizes = {size: shapes[key][axis] for size, (key, axis) in wanted.items()}
    memory_width = shapes["context.memory"][1]
    if memory_width != sizes["hidden_size"]:
        found = f"a memory of width {memory_width} beside a model of width {sizes['hidden_size']}"
        raise InputError(name, found, "equal widths", "use a checkpoint whose cmm_dim is its d_model")
    layers = {key.split(".")[2] for key in shapes if key.startswith("decoder.layers.")}
    return {**sizes, "num_hidden_layers": len(layers)}
