"""The loss of a denoiser: noise of more than one kind, and how much each noise level counts.

What the U-Net is asked for, and by what its error is weighed (min-SNR), says `modeling/denoising.py`.
"""

from dataclasses import dataclass

import torch

from hf_medreport.modeling.denoising import min_snr_weights, target
from hf_medreport.systems.diffusion.training.draws import Draws

__all__ = ["NoiseSettings", "denoising_losses", "noisy_latents"]


@dataclass(frozen=True)
class NoiseSettings:
    """What is done to the noise, and how levels are weighted.

    Attributes:
        offset: how much of one number a channel is added to the noise: so very dark and bright pictures are learned.
        perturbation: how much more noise the network sees than it is asked to find.
        min_snr_gamma: the signal-to-noise ratio beyond which a level counts no more; None weights all alike.
    """

    offset: float = 0.0
    perturbation: float = 0.0
    min_snr_gamma: float | None = None


def noisy_latents(scheduler, latents: torch.Tensor, draws: Draws, settings: NoiseSettings):
    """What the network sees, and what it is asked for; both [B, C, H, W].

    Args:
        scheduler: diffusers' `DDPMScheduler`.
        latents: [B, C, H, W].
        draws: of this batch.
        settings: of the noise.
    """
    noise = draws.noise + settings.offset * draws.offset
    seen = scheduler.add_noise(latents, noise + settings.perturbation * draws.perturbation, draws.timesteps)
    return seen, target(scheduler.config.prediction_type, latents, noise, _alpha_bar(scheduler, draws))


def denoising_losses(
    scheduler, predicted: torch.Tensor, asked: torch.Tensor, draws: Draws, gamma: float | None
) -> torch.Tensor:
    """The loss [B] of each row, in float32: its mean squared error, times its level's weight where there is a gamma."""
    errors = (predicted.float() - asked.float()).square().flatten(1).mean(dim=1)
    if gamma is None:
        return errors
    return errors * min_snr_weights(scheduler.config.prediction_type, _alpha_bar(scheduler, draws), gamma)


def _alpha_bar(scheduler, draws: Draws) -> torch.Tensor:
    return scheduler.alphas_cumprod.to(draws.timesteps.device)[draws.timesteps]
