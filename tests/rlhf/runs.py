"""Tiny runs of the generator's updates: pictures of 16 px, a few steps."""

from pathlib import Path

import numpy as np

from hf_medreport.rlhf.ddpo import train_ddpo
from hf_medreport.rlhf.settings import DDPOSettings
from tests.diffusion import tiny_pipeline

PROMPTS, MODALITIES = ["effusion", "edema"], ["cxr", "ct"]
TINY = {
    "rounds": 3,
    "prompts_per_round": 2,
    "samples_per_prompt": 4,
    "rewards_needed": 4,
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
    pipe = pipe or tiny_pipeline()
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
