"""A tiny random Stable Diffusion 1.x as diffusers saves it: 16 x 16 pictures, prompts of 77 letters."""

from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel

from tests.diffusion import UNET, tiny_stable_diffusion


def stock_unet(**changes) -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(**{**UNET, **changes}).eval()


def stock_pipeline() -> StableDiffusionPipeline:
    pipe = tiny_stable_diffusion(tokens=77)
    pipe.register_modules(unet=stock_unet())
    return pipe


def save_stock(folder: Path) -> Path:
    stock_pipeline().save_pretrained(folder)
    return folder
