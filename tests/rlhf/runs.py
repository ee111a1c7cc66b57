"""Tiny runs of the generator's updates: pictures of 16 px, a few steps."""

from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler

from hf_medreport.rlhf.ddpo import train_ddpo
from hf_medreport.rlhf.settings import DDPOSettings
from tests.diffusion import tiny_pipeline

PROMPTS, MODALITIES = ["effusion", "edema"], ["cxr", "ct"]
TINY = {
    "rounds": 3,
    "prompts_per_round": 2,
    "samples_per_prompt": 4,
    "rewards_needed": 4,
    "steps_trained": 0,
    "inner_epochs": 1,
    "num_inference_steps": 3,
    "guidance_scale": 1.0,
    "lora_rank": 2,
    "batch_size": 8,
    "learning_rate": 1e-2,
}


def brightness(images, prompts, modalities) -> list[float]:
    return (images / 255).mean((1, 2, 3)).tolist()


def ddpo(output: Path, reward=brightness, pipe=None, prompts=PROMPTS, modalities=MODALITIES, options=None, **changes):
    """Teach a tiny generator by a tiny run; returns the pipeline."""
    pipe = pipe or steady_pipeline()
    settings = DDPOSettings(**TINY | changes)
    train_ddpo(pipe, prompts, reward, settings, output, modalities=modalities, **options or {})
    return pipe


def files(folder: Path) -> dict[str, bytes]:
    """What a run has written, its checkpoints too."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def noisy_pictures(count: int, level: int, seed: int = 0) -> list[np.ndarray]:
    """uint8 (16, 16, 3) of a mean gray level."""
    rng = np.random.default_rng(seed)
    return [(level + rng.integers(-20, 20, (16, 16, 3))).astype(np.uint8) for _ in range(count)]


def steady_pipeline():
    """A tiny generator that predicts pictures, not noise: what an untrained one draws is then as its weights are, and
    not as what division by a signal of next to nothing makes of them."""
    pipe = tiny_pipeline()
    scheduler = DDIMScheduler.from_config(pipe.scheduler.config, prediction_type="sample")
    pipe.register_modules(scheduler=scheduler)
    return pipe


@torch.no_grad()
def clean_picture(pipe, prompt: str, modality: str) -> float:
    """The mean gray level, 0 to 255, of what a steady pipeline makes of nothing but noise."""
    noise = torch.randn(16, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    encoded = pipe.encode_prompts([prompt] * 16, [modality] * 16)
    latents = pipe.predict(noise, torch.tensor(999), encoded, 1.0)
    return 255 * float(pipe.decode_latents(latents).mean())
