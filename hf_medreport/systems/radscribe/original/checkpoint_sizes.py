"""The sizes of RadScribe from the shapes of its tensors, under our names.

No shape tells the number of heads, the pixels a CNN was trained with, how many
of its places are tokens, how long the text is, or from which distance on T5 calls all words far.
"""

import re
from math import isqrt

import torch

from hf_medreport.hub.densenet_keys import TORCH, densenet_sizes, first_of
from hf_medreport.hub.untold import BERT_HEADS, VIT_HEADS, heads
from hf_medreport.modeling.config_error import ConfigError
from hf_medreport.modeling.configuration_medvill import SIZES, MedViLLConfig
from hf_medreport.processing.input_error import InputError

STRIDE = 32  # of both CNNs and of MedViLL's patches
IMAGE_SIZE, TOKENS, TEXT = 512, 256, 253  # as published
WHOLE = "use the file as the training saved it"
BERT, VIT, RESNET = "bert.", "image_encoder.vit.", "image_encoder.resnet."


def shape(name: str, weights: dict[str, torch.Tensor], key: str, ndim: int) -> torch.Size:
    """The shape of a tensor of the file `name`; InputError where it is missing or of another rank."""
    if key not in weights:
        raise InputError(name, f"no tensor for {key}", "a whole checkpoint", WHOLE)
    found = weights[key].shape
    if len(found) != ndim or 0 in found:
        raise InputError(name, f"{key} of shape {tuple(found)}", f"{ndim} axes", WHOLE)
    return found


def layers(name: str, weights: dict[str, torch.Tensor], prefix: str) -> int:
    """How many numbered layers lie below `prefix`; InputError where a number is missing."""
    numbers = {int(match[1]) for key in weights if (match := re.match(re.escape(prefix) + r"(\d+)\.", key))}
    if numbers != set(range(len(numbers))):
        gap = min(set(range(max(numbers))) - numbers)
        raise InputError(name, f"no {prefix}{gap} before {prefix}{max(numbers)}", "all layers from 0 on", WHOLE)
    return len(numbers)


def bert_sizes(name: str, weights: dict[str, torch.Tensor], num_heads: int | None) -> dict:
    """Fields of BertConfig."""
    words, width = shape(name, weights, BERT + "embeddings.word_embeddings.weight", 2)
    return {
        "vocab_size": words,
        "hidden_size": width,
        "num_hidden_layers": layers(name, weights, BERT + "encoder.layer."),
        "num_attention_heads": heads(name, "BERT", width, num_heads, BERT_HEADS, "num_heads"),
        "intermediate_size": shape(name, weights, BERT + "encoder.layer.0.intermediate.dense.weight", 2)[0],
        "max_position_embeddings": shape(name, weights, BERT + "embeddings.position_embeddings.weight", 2)[0],
        "type_vocab_size": shape(name, weights, BERT + "embeddings.token_type_embeddings.weight", 2)[0],
    }


def vit_sizes(name: str, weights: dict[str, torch.Tensor], vit_heads: int | None) -> dict:
    """Of a ViT; heads leave no trace in shapes."""
    width, _, patch, _ = shape(name, weights, VIT + "embeddings.patch_embeddings.projection.weight", 4)
    positions = shape(name, weights, VIT + "embeddings.position_embeddings", 3)[1] - 1  # one is the class token's
    return {
        "hidden_size": width,
        "num_hidden_layers": layers(name, weights, VIT + "layers."),
        "num_attention_heads": heads(name, "the ViT", width, vit_heads, VIT_HEADS, "vit_heads"),
        "intermediate_size": shape(name, weights, VIT + "layers.0.mlp.fc1.weight", 2)[0],
        "patch_size": patch,
        "image_size": side(name, positions, "positions") * patch,
    }


def chexnet_sizes(name: str, weights: dict[str, torch.Tensor], vit_heads: int | None) -> dict:
    """Of CheXNet's DenseNet."""
    prefix = WEIGHTS_OF["chexnet121"]
    return densenet_sizes(name, {key.removeprefix(prefix): value for key, value in weights.items()}, TORCH)


def resnet_sizes(name: str, weights: dict[str, torch.Tensor], vit_heads: int | None) -> dict:
    """Of a ResNet's three stages."""
    stages = [f"{RESNET}encoder.stages.{index}.layers." for index in range(3)]
    return {
        "embedding_size": shape(name, weights, RESNET + "embedder.embedder.convolution.weight", 4)[0],
        "hidden_sizes": [shape(name, weights, stage + "0.layer.2.convolution.weight", 4)[0] for stage in stages],
        "depths": [layers(name, weights, stage) for stage in stages],
    }


def patch_sizes(name: str, weights: dict[str, torch.Tensor], vit_heads: int | None) -> dict:
    """Of plain patches."""
    return {"patch_size": shape(name, weights, "image_encoder.patches.weight", 4)[2]}


WEIGHTS_OF = {
    "vit": VIT,
    "chexnet121": "image_encoder.densenet.",
    "resnet101": RESNET,
    "bert_vit": "image_encoder.patches.",
}
SIZES_OF = {"vit": vit_sizes, "chexnet121": chexnet_sizes, "resnet101": resnet_sizes, "bert_vit": patch_sizes}


def side(name: str, places: int, what: str) -> int:
    """The side of a square of so many places."""
    if isqrt(places) ** 2 != places:
        raise InputError(name, f"{places} {what} of the ViT", "a square number", WHOLE)
    return isqrt(places)


def t5_sizes(name: str, weights: dict[str, torch.Tensor], max_distance: int) -> dict:
    """Fields of T5Config of the decoder."""
    prefix = "decoder.block."
    attention = prefix + "0.layer.0.SelfAttention."
    gated = prefix + "0.layer.2.DenseReluDense.wi_0.weight" in weights
    words, width = shape(name, weights, "decoder.embed_tokens.weight", 2)
    buckets, count = shape(name, weights, attention + "relative_attention_bias.weight", 2)
    if max_distance <= buckets // 2:
        found, expected = str(max_distance), f"more than {buckets // 2}, half of the checkpoint's buckets"
        raise InputError("max_distance", found, expected, "correct `max_distance`")
    blocks = layers(name, weights, prefix)
    return {
        "vocab_size": words,
        "d_model": width,
        "d_kv": shape(name, weights, attention + "q.weight", 2)[0] // count,
        "d_ff": shape(name, weights, f"{prefix}0.layer.2.DenseReluDense.{'wi_0' if gated else 'wi'}.weight", 2)[0],
        "num_layers": blocks,
        "num_decoder_layers": blocks,
        "num_heads": count,
        "relative_attention_num_buckets": buckets,
        "relative_attention_max_distance": max_distance,
        "feed_forward_proj": "gated-gelu" if gated else "relu",
        "decoder_start_token_id": 0,
    }


def medvill_config(
    name: str,
    weights: dict[str, torch.Tensor],
    image_encoder: str,
    image_size: int | None = None,
    num_image_embeds: int | None = None,
    max_text_tokens: int | None = None,
    num_heads: int | None = None,
    vit_heads: int | None = None,
    image_file: str | None = None,
    **fields,
) -> MedViLLConfig:
    """The encoder's configuration, of weights under `MedViLLModel`'s names.

    Args:
        name: of the file, for messages.
        image_encoder: which one; of one that has no weights here, the published sizes.
        image_size, num_image_embeds: by default as the ViT's layer over its tokens has them; else the published 512 px,
            and 256 tokens of a ViT or all places of the others.
        max_text_tokens: 253 by default, as published.
        num_heads, vit_heads: of BERT and of the ViT; by default those of the published models of their width.
        image_file: which the image encoder's weights are of, where it is another.
        fields: others of MedViLLConfig.

    Raises:
        InputError: a tensor is missing or of another rank, or the sizes do not fit each other.
    """
    if vit_heads is not None and image_encoder != "vit":
        found = f"{vit_heads} for the image encoder {image_encoder}"
        raise InputError("vit_heads", found, "none", "leave out `vit_heads`")
    sizes = dict(SIZES[image_encoder])
    if any(key.startswith(WEIGHTS_OF[image_encoder]) for key in weights):
        sizes |= SIZES_OF[image_encoder](image_file or name, weights, vit_heads)
    if "image_projection.weight" in weights:
        sizes["channels"] = shape(name, weights, "image_projection.weight", 2)[1]
    given = {"image_size": image_size, "num_image_embeds": num_image_embeds}
    mixing = "image_encoder.token_mixing.weight"
    if mixing in weights:
        count, places = shape(name, weights, mixing, 2)
        read = {"image_size": side(name, places, "tokens") * sizes["patch_size"], "num_image_embeds": count}
        for field, value in given.items():
            if value not in (None, read[field]):
                expected = f"{read[field]}, as the checkpoint's layer over tokens has it"
                raise InputError(field, str(value), expected, f"leave out `{field}`")
        given = read
    if given["image_size"] is None:
        given["image_size"] = IMAGE_SIZE
    if given["num_image_embeds"] is None:
        places = (given["image_size"] // sizes.get("patch_size", STRIDE)) ** 2
        given["num_image_embeds"] = TOKENS if image_encoder == "vit" else places
    return configured(
        MedViLLConfig,
        bert=bert_sizes(name, weights, num_heads),
        image_encoder=image_encoder,
        image_encoder_sizes=sizes,
        max_text_tokens=TEXT if max_text_tokens is None else max_text_tokens,
        **given,
        **fields,
    )


def configured(config_class, **fields):
    """A configuration of our own; what it refuses as an InputError."""
    try:
        return config_class(**fields)
    except ConfigError as error:
        raise InputError(error.name, error.found, error.expected, "correct the options") from error


def lacking(name: str, wanted: dict[str, torch.Tensor], weights: dict[str, torch.Tensor]) -> list[str]:
    """The names among `wanted` that the file lacks.

    Raises:
        InputError: a tensor of another shape, or one that has no place in the model.
    """
    foreign = sorted(set(weights) - set(wanted))
    if foreign:
        raise InputError(name, f"{first_of(foreign)} beside a model without it", "one model's tensors", WHOLE)
    for key, tensor in weights.items():
        if tensor.shape != wanted[key].shape:
            found = f"{key} of shape {tuple(tensor.shape)}"
            expected = f"{tuple(wanted[key].shape)}, as the others have it"
            raise InputError(name, found, expected, WHOLE)
    return sorted(set(wanted) - set(weights))
