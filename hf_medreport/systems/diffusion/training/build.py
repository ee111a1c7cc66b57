"""The pipeline that is trained: another generator as it is, or a new one of sizes; and the noise levels it learns."""

import inspect
from collections.abc import Iterable

import torch
from diffusers import AutoencoderKL, DDPMScheduler
from transformers import AutoTokenizer

from hf_medreport.files.nearest import did_you_mean
from hf_medreport.inference.generators import load_generator
from hf_medreport.modeling.medical_patch_codec import MedicalPatchCodec
from hf_medreport.modeling.medical_pipeline import MedicalImagePipeline
from hf_medreport.modeling.medical_text_conditioner import MedicalTextConditioner, MedicalTextConditionerConfig
from hf_medreport.modeling.medical_unet import MedicalUNet2DConditionModel
from hf_medreport.processing.input_error import InputError, four_fields
from hf_medreport.systems.diffusion.training.checks import check_noise
from hf_medreport.systems.diffusion.training.settings import PREDICTIONS, SCHEDULES, ModelArguments
from hf_medreport.training.recipe import loading
from hf_medreport.training.tokenizer import train_word_pieces

__all__ = ["freeze", "from_base", "from_sizes", "noise_levels", "with_modalities"]

BETAS = {"beta_start": 0.00085, "beta_end": 0.012}  # as Stable Diffusion has them
SETTINGS = tuple(inspect.signature(MedicalUNet2DConditionModel.__init__).parameters)[1:]
CODEC = ("patch_size", "latent_channels", "gray")
POOLED = {"class_embed_type": "projection"}


def from_base(arguments: ModelArguments, modalities: list[dict]) -> MedicalImagePipeline:
    """A generator of ours or a Stable Diffusion, with the improvements and the text encoder that are asked for.

    Args:
        arguments: of the model.
        modalities: as a conditioner's configuration has them; those that the base does not know are added to its own.

    Raises:
        InputError: no such base or text encoder.
    """
    pipe = load_generator(arguments.base, device="cpu")
    conditioner, tokenizer = pipe.text_encoder, pipe.tokenizer
    if arguments.text_encoder:
        width = pipe.unet.config.cross_attention_dim
        conditioner, tokenizer = _read_conditioner(arguments, modalities, width)
    elif not arguments.lora_rank:  # beside an adapter nothing new would be trained, nor saved
        conditioner = with_modalities(conditioner, modalities)
    unet = pipe.unet
    switches = _improvements(arguments)
    if switches.get("class_embed_type") == "projection":
        switches.setdefault("projection_class_embeddings_input_dim", conditioner.config.text_config.hidden_size)
    if switches or not isinstance(unet, MedicalUNet2DConditionModel):
        unet = MedicalUNet2DConditionModel.from_stock(unet, **switches)
    return MedicalImagePipeline(pipe.vae, conditioner, tokenizer, unet, pipe.scheduler)


def from_sizes(
    arguments: ModelArguments,
    modalities: list[dict],
    texts: Iterable[str],
    pictures: Iterable[torch.Tensor],
    resolution: int,
    seed: int,
) -> MedicalImagePipeline:
    """A new U-Net over a new or a pretrained codec and text encoder.

    Args:
        arguments: of the model.
        modalities: as a conditioner's configuration has them.
        texts: the prompts, of which a new tokenizer learns its words.
        pictures: [3, H, W] in [-1, 1], on which a new codec is fitted.
        resolution: side of a picture.
        seed: of the new weights.

    Raises:
        InputError: parts that do not load.
    """
    torch.manual_seed(seed)
    _check_names("unet", arguments.unet, SETTINGS)
    if isinstance(arguments.text_encoder, dict):
        conditioner, tokenizer = _new_conditioner(arguments, modalities, texts)
    else:
        conditioner, tokenizer = _read_conditioner(arguments, modalities, arguments.unet.get("cross_attention_dim"))
    if arguments.vae:
        with loading(vae=arguments.vae):
            vae = AutoencoderKL.from_pretrained(arguments.vae)
        channels, factor = vae.config.latent_channels, 2 ** (len(vae.config.block_out_channels) - 1)
    else:
        _check_names("codec", arguments.codec, CODEC)
        vae = MedicalPatchCodec.fit(pictures, **arguments.codec)
        channels, factor = vae.config.latent_channels, vae.config.patch_size
    encoder_width = conditioner.config.text_config.hidden_size
    sizes = {
        "sample_size": resolution // factor,
        "in_channels": channels,
        "out_channels": channels,
        "cross_attention_dim": conditioner.config.cross_attention_dim or encoder_width,
        "projection_class_embeddings_input_dim": encoder_width,
        **POOLED,
    }
    settings = sizes | arguments.unet | _improvements(arguments)
    try:
        unet = MedicalUNet2DConditionModel(**settings)
    except (ValueError, TypeError, IndexError) as error:  # diffusers' words for sizes that do not go together
        if four_fields(error):
            raise
        reason = " ".join(str(error).split())[:120]
        remedy = "see examples/diffusion_phantom.yaml"
        raise InputError("unet", f"sizes that do not fit ({reason})", "those of a U-Net", remedy) from error
    return MedicalImagePipeline(vae, conditioner, tokenizer, unet, DDPMScheduler(**BETAS, clip_sample=False))


def with_modalities(conditioner: MedicalTextConditioner, modalities: list[dict]) -> MedicalTextConditioner:
    """A conditioner that knows these modalities too, behind its own; what it says of its own stays."""
    known = conditioner.config.modalities
    new = [each for each in modalities if not _knows(conditioner, each["name"])]
    if not new:
        return conditioner
    settings = conditioner.config.to_dict() | {"modalities": [*known, *new]}
    grown, state = MedicalTextConditioner(MedicalTextConditionerConfig(**settings)), conditioner.state_dict()
    if known:
        rows = grown.modality.weight.detach().clone()
        rows[: len(known) + 1] = state["modality.weight"]
        state["modality.weight"] = rows
    grown.load_state_dict(state, strict=bool(known))  # a first table and its fusion are new
    return grown


def _knows(conditioner: MedicalTextConditioner, name: str) -> bool:
    try:
        return conditioner.modality_id(name) > 0
    except ValueError:
        return False


def _improvements(arguments: ModelArguments) -> dict:
    switches = dict(arguments.improvements or {})
    _check_names("improvements", switches, SETTINGS)
    return switches


def _check_names(argument: str, given: dict, known: Iterable[str]) -> None:
    for name in given:
        if name not in known:
            expected = "a setting of the U-Net" if known is SETTINGS else f"one of {', '.join(known)}"
            raise InputError(argument, f"'{name}'", expected, did_you_mean(name, known, "correct its name"))


def _new_conditioner(arguments: ModelArguments, modalities: list[dict], texts) -> tuple:
    """A BERT of sizes, and word pieces of the prompts as the conditioner will read them."""
    starts = [each["template"].replace("{prompt}", "") for each in modalities if each.get("template")]
    tokenizer = train_word_pieces([*starts, *texts], arguments.vocabulary_size)
    bert = {"model_type": "bert", "max_position_embeddings": arguments.max_length, **arguments.text_encoder}
    bert |= {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    config = MedicalTextConditionerConfig(text_config=bert, modalities=modalities, max_length=arguments.max_length)
    return MedicalTextConditioner(config), tokenizer


def _read_conditioner(arguments: ModelArguments, modalities: list[dict], width: int | None) -> tuple:
    """A pretrained text encoder and its tokenizer, projected where the U-Net's cross-attention has another width."""
    name = arguments.text_encoder
    with loading(text_encoder=name):
        tokenizer = AutoTokenizer.from_pretrained(name)
        conditioner = MedicalTextConditioner.from_text_encoder(
            name, modalities=modalities, max_length=arguments.max_length, cross_attention_dim=width
        )
    return conditioner, tokenizer


def noise_levels(arguments: ModelArguments, pipe: MedicalImagePipeline) -> DDPMScheduler:
    """The noise levels that are learned: those of the pipeline, less what the arguments say otherwise.

    Raises:
        InputError: levels that end in pure noise, of which a network is to tell the noise.
    """
    changes = {"clip_sample": False}
    if arguments.noise_schedule:
        changes |= {"beta_schedule": SCHEDULES[arguments.noise_schedule], "trained_betas": None}
    if arguments.prediction:
        changes |= {"prediction_type": PREDICTIONS[arguments.prediction]}
    if arguments.zero_snr:
        changes |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    levels = DDPMScheduler.from_config(pipe.scheduler.config, **changes)
    check_noise(levels.config.rescale_betas_zero_snr, levels.config.prediction_type)
    return levels


def freeze(pipe: MedicalImagePipeline, train_text_encoder: bool, adapter: bool) -> None:
    """Leave to training what is to be trained: of an adapter's run the adapter alone, which is added later; else the
    U-Net, the modalities and their fusion, and the text encoder itself where that is asked for."""
    pipe.vae.requires_grad_(False).eval()
    pipe.unet.requires_grad_(not adapter)
    pipe.text_encoder.requires_grad_(not adapter)
    if not train_text_encoder:
        pipe.text_encoder.encoder.requires_grad_(False)
    if pipe.unet.config.class_embed_type != "projection":  # nobody reads the pooled state
        for name in ("fuse_pooled", "encoder.pooler"):
            for part in (part for known, part in pipe.text_encoder.named_modules() if known == name):
                part.requires_grad_(False)
