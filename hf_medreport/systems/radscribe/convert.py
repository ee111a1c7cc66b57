"""RadScribe's checkpoints -> a folder that loads anywhere.

RadScribe saves `{"model", "optimizer", "scheduler", "step", "epoch", "configs"}`; a bare state dict is read too. Sizes
come from the tensors' shapes (`radscribe_sizes.py`), what no shape tells from `configs`, then from what is published.
The folder keeps RadScribe's numbers: its inert mask, which the weights have learned with, and its films' mean and
deviation, also before a ResNet that wants another scale. Only films that are not square are treated differently:
they are padded, where RadScribe could not batch them.

Not carried: T5's own encoder and the ViT's pooler, which RadScribe never calls. Checked against RadScribe's own code
on tiny random weights; no trained weights were published to check against.
"""

import os
from pathlib import Path

import torch
from transformers import AutoTokenizer

from hf_medreport.hub.checkpoint import read_checkpoint
from hf_medreport.hub.densenet_keys import first_of, listed
from hf_medreport.hub.folder import save_folder
from hf_medreport.hub.untold import untold
from hf_medreport.modeling.configuration_radscribe import RadScribeConfig
from hf_medreport.modeling.modeling_radscribe import RadScribeForConditionalGeneration
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.processing_medvill import film_processor
from hf_medreport.processing.processing_radscribe import RadScribeProcessor
from hf_medreport.registry import register_auto_classes
from hf_medreport.systems.radscribe.convert_medvill import BERT, read_bert_tokenizer
from hf_medreport.systems.radscribe.original.checkpoint_keys import (
    RADSCRIBE_UNUSED,
    RESNET50,
    TOLD_BY,
    Renamed,
    image_encoder_of,
    radscribe_key,
    rename,
)
from hf_medreport.systems.radscribe.original.checkpoint_sizes import (
    WHOLE,
    configured,
    lacking,
    medvill_config,
    t5_sizes,
)

T5 = "google-t5/t5-base"
MAX_DISTANCE = 128  # of every published T5
NEW_TOKENS = 128  # as RadScribe's decoding; without it transformers stops after 20
ROUNDED_TO = 128  # T5's embeddings have as many rows as the next multiple
# RadScribe's names in `configs` -> ours.
CONFIGS = {"img_size": "image_size", "num_image_embeds": "num_image_embeds", "seq_len": "max_text_tokens"}


def convert(
    checkpoint: str | os.PathLike,
    out: str | os.PathLike,
    tokenizer: str = T5,
    label_tokenizer: str = BERT,
    image_encoder: str | None = None,
    image_size: int | None = None,
    num_image_embeds: int | None = None,
    max_text_tokens: int | None = None,
    num_heads: int | None = None,
    vit_heads: int | None = None,
    max_distance: int | None = None,
    mask_mode: str = "legacy",
) -> dict:
    """Write the checkpoint's model, its processor and the code to `out`.

    Args:
        checkpoint: `.pt` (read with weights only) or `.safetensors`.
        tokenizer, label_tokenizer: folder or id of T5's and of BERT's; RadScribe uses t5-base's and
            bert-base-uncased's.
        image_encoder: what the checkpoint is expected to have; None takes any of ours.
        image_size, num_image_embeds, max_text_tokens: as it was trained; by default what `configs` or the published
            settings say. A ViT's weights tell the first two.
        num_heads, vit_heads: of BERT and of a ViT; by default those of the published models of their width.
        max_distance: of T5's relative positions; 128 by default, as of all that are published.
        mask_mode: `legacy`, as trained; `full` or `bar` hide the padding, for training on.

    Returns:
        `{"out", "image_encoder", "label_mode", "encoder": sizes, "image_encoder_sizes", "decoder": sizes,
        "not_carried": {part: tensors}, "unexpected": [...], "as_published": {argument: value that was taken}}`.

    Raises:
        InputError: the file cannot be read, is no RadScribe, lacks a tensor, has another image encoder, or does not fit
            a tokenizer.
    """
    given = {"image_size": image_size, "num_image_embeds": num_image_embeds, "max_text_tokens": max_text_tokens}
    given |= {"num_heads": num_heads, "vit_heads": vit_heads, "max_distance": max_distance}
    model, renamed = read_radscribe(checkpoint, image_encoder, mask_mode=mask_mode, **given)
    encoder, decoder = model.config.encoder, model.config.decoder
    label_words = read_bert_tokenizer(label_tokenizer, encoder, "label_tokenizer")
    words = read_t5_tokenizer(tokenizer, decoder)
    model.generation_config.max_new_tokens = NEW_TOKENS
    names = None if encoder.label_mode == "none" else list(encoder.label_names)
    films = film_processor(encoder.image_size)
    processor = RadScribeProcessor(films, words, label_words, encoder.max_text_tokens, names)
    folder = save_folder(model, processor, out)
    return {
        "out": str(folder),
        "image_encoder": encoder.image_encoder,
        "label_mode": encoder.label_mode,
        "encoder": {
            "image_size": encoder.image_size,
            "num_image_embeds": encoder.num_image_embeds,
            "max_text_tokens": encoder.max_text_tokens,
            "num_label_layers": len(model.encoder.label_layers),
        },
        "image_encoder_sizes": encoder.image_encoder_sizes,
        "decoder": {key: getattr(decoder, key) for key in ("vocab_size", "d_model", "d_ff", "num_layers", "num_heads")},
        "not_carried": renamed.not_carried,
        "unexpected": renamed.unexpected,
        "as_published": untold(given | training_settings(checkpoint), settings_of(encoder, decoder)),
    }


def settings_of(encoder, decoder) -> dict[str, int]:
    """What a model has of what no tensor tells, by argument. (A ViT's layer over its tokens tells size and tokens.)"""
    told = encoder.image_encoder == "vit"
    names = ("max_text_tokens",) if told else ("image_size", "num_image_embeds", "max_text_tokens")
    return {name: getattr(encoder, name) for name in names} | {
        "num_heads": encoder.bert.num_attention_heads,
        "vit_heads": encoder.image_encoder_sizes.get("num_attention_heads"),
        "max_distance": decoder.relative_attention_max_distance,
    }


def read_radscribe(
    checkpoint: str | os.PathLike,
    image_encoder: str | None = None,
    max_distance: int | None = None,
    mask_mode: str = "legacy",
    **options,
) -> tuple[RadScribeForConditionalGeneration, Renamed]:
    """The model of a checkpoint, and what was made of its names; arguments and errors as in `convert`."""
    name = Path(checkpoint).name
    state = read_checkpoint(checkpoint)
    kind = checked_image_encoder(name, state, image_encoder)
    renamed = rename(name, state, radscribe_key(kind), RADSCRIBE_UNUSED)
    weights = renamed.weights
    seeing = {key.removeprefix("encoder."): value for key, value in weights.items() if key.startswith("encoder.")}
    told = len({key.split(".")[1] for key in seeing if key.startswith("label_layers.")})
    given = {field: value for field, value in options.items() if value is not None}
    settings = training_settings(checkpoint) | given
    config = configured(
        RadScribeConfig,
        encoder=medvill_config(
            name,
            seeing,
            kind,
            **settings,
            mask_mode=mask_mode,
            label_mode="oracle" if told else "none",
            num_label_layers=told or 3,
        ),
        decoder=t5_sizes(name, weights, MAX_DISTANCE if max_distance is None else max_distance),
    )
    model = RadScribeForConditionalGeneration(config)
    weights["lm_head.weight"] = weights["decoder.embed_tokens.weight"]
    missing = lacking(name, model.state_dict(), weights)
    if missing:
        raise InputError(name, f"no tensor for {first_of(missing)}", "a whole RadScribe checkpoint", WHOLE)
    model.load_state_dict(weights)
    return model.eval(), renamed


def checked_image_encoder(name: str, state: dict, wanted: str | None) -> str:
    """Which image encoder a RadScribe checkpoint has; InputError where it is no RadScribe or has not the `wanted`."""
    parts = {key.split(".")[0] for key in state}
    if not {"encoder", "decoder"} <= parts:
        remedy = "use `convert medvill`" if "enc" in parts else "is it a checkpoint of RadScribe?"
        raise InputError(name, f"parts {listed(parts)}", "encoder and decoder.t5", remedy)
    below = {key.removeprefix("encoder.") for key in state if key.startswith("encoder.")}
    found = image_encoder_of(below)
    if found is None:
        what = "a ResNet of four stages" if RESNET50 in below else "no image encoder that is known"
        raise InputError(name, what, f"one of {', '.join(TOLD_BY)}", "is it a checkpoint of RadScribe?")
    if wanted not in (None, found):
        raise InputError(name, f"the image encoder {found}", wanted, "correct `image_encoder` or leave it out")
    return found


def training_settings(checkpoint: str | os.PathLike) -> dict[str, int]:
    """What the training's `configs` in a checkpoint say of our fields `CONFIGS`, whole numbers only; its tensors are
    not read again."""
    if Path(checkpoint).suffix == ".safetensors":
        return {}
    content = torch.load(checkpoint, map_location="meta", weights_only=True)
    configs = content.get("configs") if isinstance(content, dict) else None
    configs = configs if isinstance(configs, dict) else {}
    return {ours: configs[key] for key, ours in CONFIGS.items() if isinstance(configs.get(key), int)}


def read_t5_tokenizer(tokenizer: str, decoder):
    """T5's tokenizer; InputError where there is none or it is not the decoder's."""
    name, remedy = Path(tokenizer).name, "pass `tokenizer` with the folder or id of the T5 that was trained"
    register_auto_classes()  # or transformers asks whether to run the code of a folder of ours
    try:
        words = AutoTokenizer.from_pretrained(tokenizer)
    except (OSError, ValueError) as error:
        raise InputError(name, "no tokenizer", "a folder or id", remedy) from error
    if not decoder.vocab_size - ROUNDED_TO < len(words) <= decoder.vocab_size:
        found, expected = f"{len(words)} words", f"those of the decoder's {decoder.vocab_size} embeddings"
        raise InputError(name, found, expected, remedy)
    marks = (words.pad_token_id, words.eos_token_id)
    if marks != (decoder.pad_token_id, decoder.eos_token_id):
        found = "padding {} and end {}".format(*marks)
        raise InputError(name, found, f"{decoder.pad_token_id} and {decoder.eos_token_id}, as T5 has them", remedy)
    return words
