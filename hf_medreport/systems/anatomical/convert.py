"""Checkpoints of the UDEM thesis -> a folder that loads anywhere.

The originals are plain state dicts (`encoder.model.*`, `linear_projection.proj.*`, `decoder.*`, `segmenter.*`), alone
or inside a training checkpoint. Sizes are read from the tensors' shapes. The segmenter's weights are reported and left
out: the thesis changed its layout between runs, and masks can be given instead.
"""

import os
import re
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

from hf_medreport.hub.checkpoint import read_checkpoint
from hf_medreport.hub.folder import save_folder
from hf_medreport.hub.untold import GPT2_HEADS, heads, untold
from hf_medreport.modeling.configuration_anatomical_report import THESIS_ENCODER, AnatomicalReportConfig
from hf_medreport.modeling.modeling_anatomical_report import AnatomicalReportForConditionalGeneration, encoder_width
from hf_medreport.processing.image_processing_film import FilmImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.processing_anatomical_report import AnatomicalReportProcessor

RENAMED = {"encoder.model.": "encoder.", "linear_projection.proj.": "projection.", "decoder.": "decoder."}
# Causal masks that older versions of GPT-2 stored.
BUFFERS = re.compile(r"\.attn\.(masked_)?bias$")
IMAGE_SIZE = 512  # the thesis'
NEW_TOKENS = 150  # as the thesis' evaluation, whose models hardly end by themselves


def convert(
    checkpoint: str | os.PathLike,
    out: str | os.PathLike,
    encoder: str | None = None,
    tokenizer: str = "openai-community/gpt2",
    num_heads: int | None = None,
    image_size: int | None = None,
    mask_mode: str | None = None,
) -> dict:
    """Write the checkpoint's model, its tokenizer and the code to `out`.

    Args:
        checkpoint: `.pth` / `.pt` (read with weights only) or `.safetensors`.
        encoder: folder or id of the encoder. Needed when the checkpoint holds no encoder weights, or weights of another
            encoder than the thesis' DINOv3 ViT-S/16.
        tokenizer: folder or id; the thesis uses GPT-2's.
        num_heads: of the decoder; by default those of the published GPT-2 of its width.
        image_size: side of the film in pixels; by default the thesis' 512.
        mask_mode: `none`, `soft` or `strict`: how the checkpoint was trained; by default `soft`, as in the thesis.

    Returns:
        `{"out", "decoder": {...}, "missing": [...], "unexpected": [...], "as_published": {argument: value that was
        taken}}`; missing keys keep random values and are
        only ever those of an encoder taken from `encoder`.

    Raises:
        InputError: the file cannot be read, is no checkpoint of this system, or lacks parts.
    """
    name, given = Path(checkpoint).name, {"num_heads": num_heads, "image_size": image_size, "mask_mode": mask_mode}
    image_size, mask_mode = image_size or IMAGE_SIZE, mask_mode or "soft"
    weights, unexpected = rename_keys(read_checkpoint(checkpoint))
    decoder = decoder_sizes(name, weights, num_heads)
    encoder_weights = {key[8:]: value for key, value in weights.items() if key.startswith("encoder.")}
    encoder_model, missing = _encoder(name, encoder_weights, encoder, image_size)
    weights = {key: value for key, value in weights.items() if not key.startswith("encoder.")}
    try:
        words = AutoTokenizer.from_pretrained(tokenizer)
    except (OSError, ValueError) as error:
        raise InputError(tokenizer, "no tokenizer", "a folder or id", "pass `tokenizer` with GPT-2's folder") from error
    width, wanted = encoder_width(encoder_model.config), weights["projection.weight"].shape[1]
    if width != wanted:
        found = f"an encoder of width {width}"
        raise InputError("encoder", found, f"width {wanted}, as the checkpoint's projection has", "check `encoder`")
    config = AnatomicalReportConfig(
        encoder=encoder_model.config, decoder=decoder, image_size=image_size, mask_mode=mask_mode
    )
    model = AnatomicalReportForConditionalGeneration(config)
    model.encoder.load_state_dict(encoder_model.state_dict(), strict=False)  # a ViT's pooler is not ours
    result = model.load_state_dict(weights, strict=False)
    lacking = [key for key in result.missing_keys if not key.startswith("encoder.")]
    if lacking:
        raise InputError(name, f"no {lacking[0]} and {len(lacking) - 1} more", "a whole decoder", "use the full file")
    model.generation_config.max_new_tokens = NEW_TOKENS
    processor = AnatomicalReportProcessor(FilmImageProcessor(image_size), words)
    folder = save_folder(model.eval(), processor, out)
    used = {"num_heads": decoder["n_head"], "image_size": image_size, "mask_mode": mask_mode}
    return {
        "out": str(folder),
        "decoder": decoder,
        "missing": missing,
        "unexpected": sorted([*unexpected, *result.unexpected_keys]),
        "as_published": untold(given, used),
    }


def rename_keys(state: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The original's key names as ours, and the keys that have no place here."""
    renamed, leftover = {}, []
    for key, value in state.items():
        old = next((prefix for prefix in RENAMED if key.startswith(prefix)), None)
        if old is None:
            leftover.append(key)
        elif not BUFFERS.search(key) or value.ndim == 1:  # attn.c_attn.bias and its like are vectors
            renamed[RENAMED[old] + key.removeprefix(old)] = value
    return renamed, leftover


def decoder_sizes(name: str, weights: dict[str, torch.Tensor], num_heads: int | None) -> dict:
    """GPT-2's configuration from the shapes of its tensors."""
    words, positions = "decoder.transformer.wte.weight", "decoder.transformer.wpe.weight"
    if words not in weights or positions not in weights or "projection.weight" not in weights:
        keys = ", ".join(sorted({key.split(".")[0] for key in weights})) or "none of ours"
        raise InputError(
            name,
            f"parts {keys}",
            "linear_projection and decoder",
            "is it a checkpoint of layer-wise anatomical attention?",
        )
    vocabulary, width = weights[words].shape
    layers = {int(match[1]) for key in weights if (match := re.match(r"decoder\.transformer\.h\.(\d+)\.", key))}
    return {
        "vocab_size": vocabulary,
        "n_embd": width,
        "n_layer": len(layers),
        "n_head": heads(name, "the decoder", width, num_heads, GPT2_HEADS, "num_heads"),
        "n_positions": weights[positions].shape[0],
        "bos_token_id": vocabulary - 1,  # GPT-2's end-of-text is its last word; the thesis pads with it too
        "eos_token_id": vocabulary - 1,
        "pad_token_id": vocabulary - 1,
    }


def _encoder(name: str, weights: dict, encoder: str | None, image_size: int):
    """The encoder with the checkpoint's weights, or its own where the checkpoint has none; and what was missing."""
    if not weights and encoder is None:
        raise InputError(name, "no encoder weights", "an encoder", "pass `encoder` with its folder or id")
    try:
        if not weights:
            return AutoModel.from_pretrained(encoder), []
        config = (
            AutoConfig.from_pretrained(encoder)
            if encoder
            else AutoConfig.for_model("dinov3_vit", **{**THESIS_ENCODER, "image_size": image_size})
        )
        with torch.device("meta"):
            model_class = type(AutoModel.from_config(config))
        # from_pretrained knows how keys of older transformers are called today.
        model, info = model_class.from_pretrained(None, config=config, state_dict=weights, output_loading_info=True)
    except (OSError, ValueError, RuntimeError) as error:
        what = encoder or "encoder weights"
        reason = str(error).splitlines()[0]
        raise InputError(what, f"no usable encoder ({reason})", "its folder or id", "check `encoder`") from error
    return model, sorted(info["missing_keys"])
