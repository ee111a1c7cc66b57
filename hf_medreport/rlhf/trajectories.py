"""Pictures with the way by which they were drawn, and how probable each step of it is under the weights of now.

Drawn by DDIM with eta = 1 each step is a draw from a Normal, whose log-density is exact: the picture is a decision in
as many steps, and a generator a policy (Black et al., "Training Diffusion Models with Reinforcement Learning", 2023).
Log-densities are means over a latent's numbers, not sums: a ratio of sums would leave any clip range at the first step.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import DDIMScheduler

from hf_medreport.modeling.denoising import ddim_transition, log_probability

__all__ = ["Condition", "Trajectories", "draw_trajectories", "step_divergences", "step_normal", "stepping_by_ddim"]


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Pictures and their steps.

    Attributes:
        images: uint8 (n, height, width, 3).
        latents: (steps + 1, n, channels, rows, columns), from the first noise to the picture.
        timesteps: (steps,), from noise to picture.
        log_probs: (steps, n): of each step under the weights that drew it; 0 where a step draws nothing.
        drawn: numbers of the steps that draw something: all but the last.
    """

    images: np.ndarray
    latents: torch.Tensor
    timesteps: torch.Tensor
    log_probs: torch.Tensor
    drawn: list[int]


@contextmanager
def stepping_by_ddim(pipe) -> Iterator[None]:
    """Inside the block a pipeline draws by DDIM over its own noise levels; afterward as before.

    Steps are counted from the noisiest level, so that the levels between two steps are those that DDIM believes.
    """
    own, plain = pipe.scheduler, {"clip_sample": False, "thresholding": False, "timestep_spacing": "trailing"}
    pipe.register_modules(scheduler=DDIMScheduler.from_config(own.config, **plain))
    try:
        yield
    finally:
        pipe.register_modules(scheduler=own)


def draw_trajectories(
    pipe,
    prompts: Sequence[str],
    modalities: Sequence[str | None],
    seeds: Sequence[int],
    *,
    num_inference_steps: int,
    guidance_scale: float,
    batch_size: int,
) -> Trajectories:
    """Draw a picture a prompt; inside `stepping_by_ddim`.

    Args:
        pipe: a `MedicalImagePipeline`.
        prompts, modalities, seeds: of each picture.
        num_inference_steps, guidance_scale: see the pipeline.
        batch_size: pictures that pass the U-Net at once.
    """
    images, latents, log_probs = [], [], []
    for start in range(0, len(prompts), batch_size):
        part = slice(start, start + batch_size)
        output = pipe(
            list(prompts[part]),
            list(modalities[part]),
            seeds=list(seeds[part]),
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            output_type="np",
            return_trajectory=True,
        )
        images.append((output.images * 255).round().astype(np.uint8))
        latents.append(output.trajectory.latents)
        log_probs.append(output.trajectory.log_probs / latents[0][0, 0].numel())
    timesteps, whole = output.trajectory.timesteps, torch.cat(latents, dim=1)
    spreads = [ddim_transition(pipe.scheduler, whole[0, :1], each, whole[0, :1])[1] for each in timesteps]
    drawn = [number for number, spread in enumerate(spreads) if spread > 0]
    return Trajectories(np.concatenate(images), whole, timesteps, torch.cat(log_probs, dim=1), drawn)


class Condition:
    """What some pictures were asked to show, encoded once for all their steps.

    Args:
        pipe: a `MedicalImagePipeline`.
        prompts, modalities: of each picture.
        guidance_scale: by which they were drawn.
    """

    def __init__(self, pipe, prompts: Sequence[str], modalities: Sequence[str | None], guidance_scale: float):
        nulls = len(prompts)
        with torch.no_grad():
            self.encoded = pipe.encode_prompts([*prompts, *[""] * nulls], [*modalities, *[None] * nulls])
        self.guidance_scale = guidance_scale


def step_normal(
    pipe, trajectories: Trajectories, rows: Sequence[int], step: int, condition: Condition
) -> tuple[torch.Tensor, float, torch.Tensor]:
    """A step of some pictures under the weights of now, with gradients; inside `stepping_by_ddim`.

    Args:
        rows: numbers of the pictures.
        step: number of the step, one that draws.
        condition: of these pictures.

    Returns:
        the Normal's mean (rows, channels, ...), its standard deviation, and the log-probabilities (rows,) of what was
        drawn.
    """
    before, after = (trajectories.latents[number, rows] for number in (step, step + 1))
    timestep = trajectories.timesteps[step]
    prediction = pipe.predict(before, timestep, condition.encoded, condition.guidance_scale)
    mean, spread = ddim_transition(pipe.scheduler, prediction, timestep, before)
    return mean, spread, log_probability(after, mean, spread) / mean[0].numel()


def step_divergences(mean: torch.Tensor, other: torch.Tensor, spread: float) -> torch.Tensor:
    """The Kullback-Leibler divergence (rows,) of two Normals of one standard deviation, a mean over their numbers."""
    return (mean - other).square().flatten(1).mean(1) / (2 * spread**2)
