"""MINIM's fine-tuned `unet/` and the Stable Diffusion that it was tuned from -> a folder that loads anywhere.

MINIM trains the U-Net alone (512 px, epsilon, from Stable Diffusion v1-4) and saves it as diffusers does; VAE, text
encoder, tokenizer and schedule are the base's, and are taken from there. Its code never reads the modality; here it is
put in front of the prompt in words, as its README says and the tables of its successor do.
"""

import os
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel

from hf_medreport.files.settings import read_settings
from hf_medreport.hub.checkpoint import read_checkpoint
from hf_medreport.hub.folder import save_generator
from hf_medreport.inference.generators import generator_folder
from hf_medreport.modeling.medical_pipeline import MedicalImagePipeline
from hf_medreport.modeling.medical_unet import MedicalUNet2DConditionModel
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.diffusion.modalities import read_modalities

WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
OF_BASE = ("vae", "text_encoder", "tokenizer", "scheduler")


def convert(
    unet: str | os.PathLike,
    base: str | os.PathLike,
    out: str | os.PathLike,
    modalities: str | os.PathLike | None = None,
    revision: str | None = None,
) -> dict:
    """Write the generator to `out`, in float32.

    Args:
        unet: the fine-tuned `unet/`, or the folder that holds it. A `.bin` is read with weights only.
        base: folder or repository id of the Stable Diffusion 1.x that it was tuned from.
        modalities: a YAML of further modalities; MINIM's six are known.
        revision: branch, tag or commit of a repository `base`.

    Returns:
        `{"out", "unet": which file, "tensors": how many, "changed": how many differ from the base's, "guessed": what
        MINIM's folder does not say, in sentences}`.

    Raises:
        InputError: no such folders, weights that are missing, too many or of another shape (the first is named), or a
            U-Net that does not go with the base.
    """
    folder, table = _unet_folder(Path(unet)), read_modalities(modalities)
    settings, guessed = _settings(folder), []
    stock = StableDiffusionPipeline.from_pretrained(
        generator_folder(str(base), revision), safety_checker=None, requires_safety_checker=False
    )
    if settings is None:
        settings = dict(stock.unet.config)
        guessed.append("the U-Net's configuration: the base's, as the folder has no config.json")
    file = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if file is None:
        expected = f"{' or '.join(WEIGHTS)}"
        raise InputError(folder.resolve().name, "no weights", expected, "give the folder that MINIM's training saved")
    given = {name: tensor.float() for name, tensor in read_checkpoint(file).items()}
    tuned = UNet2DConditionModel.from_config(settings)
    _check_names(file.name, given, tuned.state_dict())
    _check_fits(tuned, stock)
    tuned.load_state_dict(given)
    base_weights = stock.unet.state_dict()
    changed = sum(not (name in base_weights and _same(given[name], base_weights[name])) for name in given)
    stock.unet = tuned.eval()
    pipe = MedicalImagePipeline.from_stock(stock, modalities=table)
    guessed += [f"{', '.join(OF_BASE)}: the base's", f"it predicts {pipe.scheduler.config.prediction_type}: the base's"]
    guessed.append("modalities: in words before the prompt, as MINIM's training never read them")
    return {
        "out": str(save_generator(pipe, out)),
        "unet": file.name,
        "tensors": len(given),
        "changed": changed,
        "guessed": guessed,
    }


def _unet_folder(folder: Path) -> Path:
    """The folder of the U-Net: the one given, or `unet/` in it."""
    if not folder.is_dir():
        found = "a file" if folder.exists() else "no such folder"
        raise InputError(folder.name or "unet", found, "the folder unet/ of MINIM's training", "check the path")
    return folder / "unet" if (folder / "unet").is_dir() else folder


def _settings(folder: Path) -> dict | None:
    """The U-Net's configuration; None where the folder has none."""
    if not (folder / "config.json").is_file():
        return None
    where = f"{folder.resolve().name}/config.json"
    settings = read_settings(folder / "config.json", where)
    if settings.get("_class_name") not in ("UNet2DConditionModel", MedicalUNet2DConditionModel.__name__):
        found = f"a {settings.get('_class_name') or settings.get('model_type') or 'model of no name'}"
        raise InputError(where, found, "a UNet2DConditionModel", "give the folder unet/ of MINIM's training")
    return settings


def _check_names(name: str, given: dict[str, torch.Tensor], own: dict[str, torch.Tensor]) -> None:
    """Refuse the first tensor that is missing, too many or of another shape."""
    remedy = "give the U-Net of a Stable Diffusion 1.x, as diffusers saves it"
    for key in [*own, *given]:
        if key not in given:
            raise InputError(name, f"no tensor '{key}'", f"{len(own)} tensors of the configuration's names", remedy)
        if key not in own:
            raise InputError(name, f"an unknown tensor '{key}'", "the configuration's names", remedy)
        if given[key].shape != own[key].shape:
            found = f"'{key}' of shape {tuple(given[key].shape)}"
            raise InputError(name, found, f"{tuple(own[key].shape)}, as the configuration says", remedy)


def _check_fits(unet: UNet2DConditionModel, stock: StableDiffusionPipeline) -> None:
    """Refuse a U-Net that reads other latents than the base's VAE makes, or other states than its text encoder."""
    for what, found, expected in (
        ("latent channels", unet.config.in_channels, stock.vae.config.latent_channels),
        ("cross-attention width", unet.config.cross_attention_dim, stock.text_encoder.config.hidden_size),
    ):
        if found != expected:
            remedy = "give the base that it was tuned from"
            raise InputError("base", f"a U-Net with {what} {found}", f"{expected}, as the base has", remedy)


def _same(given: torch.Tensor, base: torch.Tensor) -> bool:
    return given.shape == base.shape and torch.equal(given, base.float())
