"""A tiny random Stable Diffusion 1.x as diffusers saves it: 16 x 16 pictures, CLIP of one letter a token."""

from pathlib import Path

import torch
from diffusers import PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from tests.diffusion import UNET, tiny_vae

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789,.:-"
CLIP = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 77,
}


def stock_unet(seed: int = 0, **changes) -> UNet2DConditionModel:
    torch.manual_seed(seed)
    return UNet2DConditionModel(**{**UNET, **changes}).eval()


def stock_tokenizer() -> CLIPTokenizer:
    pieces = ["<|startoftext|>", "<|endoftext|>", *LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    tokenizer = CLIPTokenizer(vocab={piece: number for number, piece in enumerate(pieces)}, merges=[])
    tokenizer.model_max_length = 77
    return tokenizer


def stock_pipeline(seed: int = 0) -> StableDiffusionPipeline:
    torch.manual_seed(seed)
    tokenizer = stock_tokenizer()
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    pipe = StableDiffusionPipeline(
        vae=tiny_vae(seed),
        text_encoder=CLIPTextModel(CLIPTextConfig(**CLIP, vocab_size=len(tokenizer), **ends)).eval(),
        tokenizer=tokenizer,
        unet=stock_unet(seed),
        scheduler=PNDMScheduler(beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def save_stock(folder: Path, seed: int = 0) -> Path:
    stock_pipeline(seed).save_pretrained(folder)
    return folder
