"""Arguments that cannot be, or that contradict each other: refused before any work, one line each."""

import torch

from hf_medreport.data.pictures.fitting import FITS
from hf_medreport.files.nearest import did_you_mean
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.diffusion.training.settings import (
    PARTS,
    PREDICTIONS,
    RATES,
    SCHEDULES,
    DataArguments,
    ModelArguments,
    TrainingArguments,
)
from hf_medreport.training.recipe import check_source

__all__ = ["check", "check_noise"]

# Least and most of a number, the bounds included; None: none.
BOUNDS = {
    "learning_rate": (0, None),
    "warmup_steps": (0, None),
    "weight_decay": (0, None),
    "max_grad_norm": (0, None),
    "min_snr_gamma": (0, None),
    "noise_offset": (0, None),
    "input_perturbation": (0, None),
    "prompt_dropout": (0, 1),
    "modality_dropout": (0, 1),
    "ema_decay": (0, 1),
    "seed": (0, None),
    "logging_steps": (1, None),
    "eval_steps": (0, None),
    "validation_items": (1, None),
    "sample_steps": (0, None),
    "sample_guidance": (0, None),
    "sample_inference_steps": (1, None),
    "save_steps": (1, None),
    "save_total_limit": (1, None),
    "dataloader_num_workers": (0, None),
}


def check(model: ModelArguments, data: DataArguments, arguments: TrainingArguments) -> None:
    """Refuse, before any work, arguments that do not go together.

    Raises:
        InputError: the first of them.
    """
    check_source(data)
    _check_words(model, data, arguments)
    _check_numbers(arguments)
    _check_parts(model)
    _check_adapter(model)
    check_noise(model.zero_snr, model.prediction)
    if arguments.eval_steps and not (data.validation_data or data.phantom_validation_cases):
        raise InputError("eval_steps", "it without validation data", "`validation_data`", "name it, or leave it out")
    if arguments.fp16 and not torch.accelerator.is_available():
        raise InputError("fp16", "it without a GPU", "a GPU", "set `bf16` to auto, or leave it out")


def check_noise(zero_snr: bool, prediction: str | None) -> None:
    """Refuse levels that end in pure noise, of which a network is to tell the noise.

    Raises:
        InputError: both.
    """
    if zero_snr and prediction == "epsilon":
        remedy = "set `prediction` to v or x0, or leave `zero_snr` out"
        raise InputError("zero_snr", "it beside the prediction epsilon", "v or x0: noise alone tells nothing", remedy)


def _check_words(model: ModelArguments, data: DataArguments, arguments: TrainingArguments) -> None:
    for name, word, known in (
        ("noise_schedule", model.noise_schedule, SCHEDULES),
        ("prediction", model.prediction, PREDICTIONS),
        ("lr_scheduler_type", arguments.lr_scheduler_type, RATES),
        ("train_text_encoder", str(model.train_text_encoder).lower(), ("true", "false", "auto")),
        ("fit", data.fit, FITS),
        *(("quantize", part, PARTS) for part in model.quantize),
    ):
        if word is not None and word not in known:
            remedy = did_you_mean(word, known, "choose one of these")
            raise InputError(name, f"'{word}'", f"one of {', '.join(known)}", remedy)


def _check_numbers(arguments: TrainingArguments) -> None:
    for name, (least, most) in BOUNDS.items():
        value = getattr(arguments, name)
        if value is not None and not (value >= least and (most is None or value <= most)):
            expected = f"{least} or more" if most is None else f"{least} to {most}"
            raise InputError(name, f"{value:g}", expected, "correct it")


def _check_parts(model: ModelArguments) -> None:
    """A base, or sizes of all that a new model has."""
    for name in ("unet", "codec", "improvements"):
        if isinstance(getattr(model, name), str) and getattr(model, name):
            raise InputError(name, "a word", "a mapping, in the YAML", "see examples/diffusion_phantom.yaml")
    if bool(model.base) == bool(model.unet):
        found = "both" if model.base else "neither"
        raise InputError("base, unet", found, "one of them", "name a model to go on from, or give sizes of a new one")
    if model.base:
        for name in ("codec", "vae"):
            if getattr(model, name):
                raise InputError(name, "it beside `base`", "that of the base", "leave it out")
        if isinstance(model.text_encoder, dict):
            remedy = "leave it out, or name a pretrained one"
            raise InputError("text_encoder", "sizes beside `base`", "a folder or repository id", remedy)
        return
    if not model.text_encoder:
        remedy = "see examples/diffusion_phantom.yaml"
        raise InputError("text_encoder", "none", "a folder or id, or a BERT's sizes in the YAML", remedy)
    if bool(model.codec) == bool(model.vae):
        found = "both" if model.vae else "neither"
        raise InputError("codec, vae", found, "one of them", "give sizes of a new codec, or name a VAE")


def _check_adapter(model: ModelArguments) -> None:
    """What only goes with an adapter, and what never does."""
    if model.lora_rank < 0:
        raise InputError("lora_rank", f"{model.lora_rank}", "1 or more, 0 for none", "correct it")
    if not model.lora_rank:
        for name in ("adapter", "merge_adapter", "lora_alpha"):
            if getattr(model, name):
                raise InputError(name, "it without `lora_rank`", "an adapter", "give its rank, or leave it out")
        if "unet" in model.quantize:
            remedy = "train an adapter by `lora_rank`"
            raise InputError("quantize", "the U-Net that is to be trained", "frozen parts", remedy)
    elif not model.base:
        raise InputError("lora_rank", "it without `base`", "an adapter of a trained model", "name the base")
    elif model.improvements:
        remedy = "train these first, or leave them out"
        raise InputError("improvements", "new parts beside `lora_rank`", "the base as it is: they stay frozen", remedy)
    if "text_encoder" in model.quantize and str(model.train_text_encoder).lower() == "true":
        raise InputError("quantize", "the text encoder that is to be trained", "frozen parts", "leave it out")
