"""MedViLL's checkpoint (`pytorch_model.bin`) -> a MedViLL folder, with the image encoder of your choice.

MedViLL saves its encoder below `enc.` and the heads of its pre-training, `mlm.*` and `itm.*`, beside it. RadScribe
takes over BERT and, where the image encoder is no ViT, the projection of 2048 channels; so does this. Left out and
reported:

| part | why |
|---|---|
| `mlm`, `itm`, `enc.pooler` | only pre-training uses them |
| `enc.img_encoder` | a ResNet-50 of four stages is none of ours; a patch embedding is taken for `bert_vit` |
| `enc.img_embeddings.img_embeddings` | with a ViT: nothing is projected |

What the file has no weights for is fresh, drawn by a seed, and reported. `image_weights` fills in the image encoder:

| weights | image encoder | films, from [0, 1] |
|---|---|---|
| torchxrayvision's autoencoder "101-elastic" | `resnet101` | [-1024, 1024] |
| a DenseNet, in any layout of `convert chexnet` | `chexnet121` | as there |
| transformers' ViT | `vit` | mean and deviation 0.5 |

Without them films have RadScribe's mean and deviation. The names are the published code's; no real weights of MedViLL
or torchxrayvision were at hand to check against.
"""

import os
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import AutoTokenizer

from hf_medreport.hub.checkpoint import read_checkpoint
from hf_medreport.hub.densenet_keys import KERAS_SUFFIXES, SCALES, first_of, listed, read_densenet
from hf_medreport.hub.folder import save_folder
from hf_medreport.hub.untold import untold
from hf_medreport.modeling.configuration_medvill import SIZES, MedViLLConfig
from hf_medreport.modeling.modeling_medvill import MedViLLModel
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.processing_medvill import RADSCRIBE_SCALE, MedViLLProcessor, film_processor
from hf_medreport.registry import register_auto_classes
from hf_medreport.systems.radscribe.original.checkpoint_keys import (
    Renamed,
    encoder_key,
    rename,
    torchxrayvision_key,
    vit_key,
)
from hf_medreport.systems.radscribe.original.checkpoint_sizes import WEIGHTS_OF, WHOLE, lacking, medvill_config

BERT = "google-bert/bert-base-uncased"
HALF = ([0.5] * 3, [0.5] * 3)
PATCHES = "enc.img_encoder.patch_to_embedding."
UNUSED = {
    "mlm": re.compile(r"mlm\."),
    "itm": re.compile(r"itm\."),
    "enc.pooler": re.compile(r"enc\.pooler\."),
    "position_ids": re.compile(r".*\.position_ids$"),
}
IMAGE_UNUSED = {"enc.img_encoder": re.compile(r"enc\.img_encoder\.")}
PROJECTION_UNUSED = {"enc.img_embeddings.img_embeddings": re.compile(r"enc\.img_embeddings\.img_embeddings\.")}
VIT_STEM, RESNET_STEM = "embeddings.patch_embeddings.projection.weight", "layer1.0.conv1.weight"


class ImageWeights(NamedTuple):
    """Weights of an image encoder alone, under our names, with the scale of the films that it was trained on."""

    image_encoder: str
    weights: dict[str, torch.Tensor]
    scale: tuple[list[float], list[float]]
    unexpected: list[str]


def convert(
    checkpoint: str | os.PathLike,
    out: str | os.PathLike,
    tokenizer: str = BERT,
    image_weights: str | os.PathLike | None = None,
    image_encoder: str | None = None,
    image_size: int = 512,
    num_image_embeds: int | None = None,
    max_text_tokens: int | None = None,
    num_heads: int | None = None,
    vit_heads: int | None = None,
    mask_mode: str = "bar",
    seed: int = 0,
) -> dict:
    """Write a `medvill` model around the checkpoint's BERT, its processor and the code to `out`.

    Args:
        checkpoint: `.bin` / `.pt` (read with weights only) or `.safetensors`.
        tokenizer: folder or id of BERT's; MedViLL uses bert-base-uncased's.
        image_weights: of the image encoder, see above.
        image_encoder: `vit`, `resnet101`, `chexnet121` or `bert_vit`; by default what the image weights are of, or what
            the checkpoint has of ours, or `vit`.
        image_size, num_image_embeds, max_text_tokens: by default as published.
        num_heads, vit_heads: of BERT and of a ViT that there are weights of; by default those of the published models
            of their width.
        mask_mode: `bar`, as it was trained; `full` or `legacy`.
        seed: of the fresh weights.

    Returns:
        `{"out", "image_encoder", "loaded": tensors, "fresh": {part: tensors}, "not_carried": {part: tensors},
        "unexpected": [...], "as_published": {argument: value that was taken}}`.

    Raises:
        InputError: a file cannot be read, is no MedViLL or no image encoder, lacks a tensor of what it is there for, or
            does not fit the other or the tokenizer.
    """
    if image_encoder not in (None, *SIZES):
        raise InputError("image_encoder", f"'{image_encoder}'", f"one of {', '.join(SIZES)}", "correct `image_encoder`")
    name = Path(checkpoint).name
    state = read_checkpoint(checkpoint)
    image = None if image_weights is None else read_image_weights(image_weights)
    if image is not None and image_encoder not in (None, image.image_encoder):
        found = f"the image encoder {image.image_encoder}"
        raise InputError(Path(image_weights).name, found, image_encoder, "correct `image_encoder` or leave it out")
    kind = image_encoder or (image.image_encoder if image else "bert_vit" if f"{PATCHES}weight" in state else "vit")
    renamed = rename_medvill(name, state, kind)
    weights = renamed.weights | (image.weights if image else {})
    image_file = Path(image_weights).name if image else name
    config = medvill_config(
        name,
        weights,
        kind,
        image_size,
        num_image_embeds,
        max_text_tokens,
        num_heads,
        vit_heads,
        image_file=image_file,
        mask_mode=mask_mode,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MedViLLModel(config)
    wanted = model.state_dict()
    if image:
        refuse_lost(image_file, lacking(image_file, wanted, image.weights), WEIGHTS_OF[kind], "a whole image encoder")
    missing = lacking(name, wanted, weights)
    refuse_lost(name, missing, "bert.", "a whole MedViLL checkpoint")
    model.load_state_dict(weights, strict=False)
    words = read_bert_tokenizer(tokenizer, config, "tokenizer")
    films = film_processor(config.image_size, image.scale if image else RADSCRIBE_SCALE)
    folder = save_folder(model.eval(), MedViLLProcessor(films, words, config.max_text_tokens), out)
    used = {"num_heads": config.bert.num_attention_heads}
    if kind == "vit" and any(key.startswith(WEIGHTS_OF[kind]) for key in weights):
        used["vit_heads"] = config.image_encoder_sizes["num_attention_heads"]
    return {
        "out": str(folder),
        "image_encoder": kind,
        "loaded": len(weights),
        "fresh": counted(missing),
        "not_carried": renamed.not_carried,
        "unexpected": sorted([*renamed.unexpected, *(image.unexpected if image else ())]),
        "as_published": untold({"num_heads": num_heads, "vit_heads": vit_heads}, used),
    }


def refuse_lost(name: str, missing: list[str], prefix: str, expected: str) -> None:
    """Refuse the file `name` where one of the `missing` tensors lies below `prefix`."""
    lost = [key for key in missing if key.startswith(prefix)]
    if lost:
        raise InputError(name, f"no tensor for {first_of(lost)}", expected, WHOLE)


def rename_medvill(name: str, state: dict[str, torch.Tensor], image_encoder: str) -> Renamed:
    """MedViLL's tensors under `MedViLLModel`'s names; InputError where the file is no MedViLL."""
    parts = {key.split(".")[0] for key in state}
    if not any(key.startswith("enc.txt_embeddings.") for key in state):
        remedy = "use `convert radscribe`" if {"encoder", "decoder"} <= parts else "is it a checkpoint of MedViLL?"
        raise InputError(name, f"parts {listed(parts)}", "enc.txt_embeddings and enc.encoder", remedy)
    patches = {key: state[key] for key in (f"{PATCHES}weight", f"{PATCHES}bias") if key in state}
    if image_encoder == "bert_vit" and len(patches) == 2:
        state = {key: value for key, value in state.items() if key not in patches}
        patches = dict(zip(("weight", "bias"), patch_convolution(name, *patches.values()), strict=True))
        patches = {f"image_encoder.patches.{kind}": tensor for kind, tensor in patches.items()}
    else:
        patches = {}
    unused = UNUSED | IMAGE_UNUSED | (PROJECTION_UNUSED if image_encoder == "vit" else {})
    renamed = rename(name, state, lambda key: medvill_key(key, image_encoder), unused)
    return renamed._replace(weights=renamed.weights | patches)


def medvill_key(key: str, image_encoder: str) -> str | None:
    """MedViLL's key -> ours, or None."""
    return encoder_key(key.removeprefix("enc."), image_encoder) if key.startswith("enc.") else None


def patch_convolution(name: str, weight: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """MedViLL's linear layer over the rows, columns and channels of a patch as the convolution that it is."""
    side = round((weight.shape[-1] / 3) ** 0.5)
    if weight.ndim != 2 or weight.shape[1] != 3 * side**2:
        found = f"{PATCHES}weight of shape {tuple(weight.shape)}"
        raise InputError(name, found, "a matrix over square patches of 3 channels", WHOLE)
    return weight.float().reshape(-1, side, side, 3).permute(0, 3, 1, 2).contiguous(), bias.float()


def read_image_weights(path: str | os.PathLike) -> ImageWeights:
    """An image encoder's weights; InputError where the file cannot be read or is none of the three."""
    path = Path(path)
    stored = {} if path.suffix.lower() in KERAS_SUFFIXES else read_checkpoint(path)
    if RESNET_STEM in stored:
        kind, key_of, scale = "resnet101", torchxrayvision_key, SCALES["torchxrayvision"]
    elif any(key.removeprefix("vit.") == VIT_STEM for key in stored):
        kind, key_of, scale = "vit", lone_vit_key, HALF
    else:
        _, state, layout, unexpected = read_densenet(path)
        weights = {f"image_encoder.densenet.{key}": value for key, value in state.items()}
        return ImageWeights("chexnet121", weights, SCALES[layout], unexpected)
    renamed = rename(path.name, stored, lambda key: (ours := key_of(key)) and f"image_encoder.{ours}", {})
    return ImageWeights(kind, renamed.weights, scale, renamed.unexpected)


def lone_vit_key(key: str) -> str | None:
    """A key of transformers' ViT, alone or below a classifier -> ours below `image_encoder.`; None for what is not its
    trunk's."""
    key = key.removeprefix("vit.")
    return vit_key(key) if key.startswith(("embeddings.", "encoder.", "layers.", "layernorm.")) else None


def read_bert_tokenizer(tokenizer: str, config: MedViLLConfig, argument: str):
    """BERT's tokenizer; InputError where there is none or it is not the encoder's."""
    name, remedy = Path(tokenizer).name, f"pass `{argument}` with the folder or id of bert-base-uncased"
    register_auto_classes()  # or transformers asks whether to run the code of a folder of ours
    try:
        words = AutoTokenizer.from_pretrained(tokenizer)
    except (OSError, ValueError) as error:
        raise InputError(name, "no tokenizer", "a folder or id", remedy) from error
    if len(words) != config.bert.vocab_size:
        found, expected = f"{len(words)} words", f"{config.bert.vocab_size}, as the encoder has embeddings"
        raise InputError(name, found, expected, remedy)
    found = (words.cls_token_id, words.sep_token_id, words.pad_token_id)
    expected = (config.cls_token_id, config.sep_token_id, config.bert.pad_token_id)
    if found != expected:
        said = "[CLS], [SEP] and [PAD] as {}, {} and {}"
        raise InputError(name, said.format(*found), said.format(*expected), remedy)
    return words


def counted(keys: list[str]) -> dict[str, int]:
    """How many of these tensors each part has; the parts of an image encoder are its own."""
    parts = (re.match(r"(image_encoder\.)?\w+", key)[0] for key in keys)
    return dict(Counter(parts))
