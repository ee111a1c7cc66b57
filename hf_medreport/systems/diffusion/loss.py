"""The loss of a denoiser: what it is asked for, and how much each noise level counts.

A picture's latents x are mixed with noise e as a x + s e, where a^2 + s^2 = 1. The network is asked for e ("epsilon"),
for a e - s x ("v_prediction"), or for x ("sample"). Its squared error counts by min-SNR (arXiv:2303.09556), whose
weight belongs to x: in terms of the others it is divided by what turns their error into one of x.
"""

from dataclasses import dataclass

import torch

from hf_medreport.systems.diffusion.draws import Draws

__all__ = ["NoiseSettings", "denoising_losses", "min_snr_weights", "noisy_latents"]


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
    prediction = scheduler.config.prediction_type
    if prediction == "epsilon":
        return seen, noise
    if prediction == "v_prediction":
        return seen, scheduler.get_velocity(latents, noise, draws.timesteps)
    return seen, latents


def min_snr_weights(scheduler, timesteps: torch.Tensor, gamma: float | None) -> torch.Tensor:
    """The weight [B] of each noise level's squared error.

    Of x: min(SNR, gamma). An error of e is SNR times one of x, so min(SNR, gamma) / SNR; one of v is SNR + 1 times, so
    min(SNR, gamma) / (SNR + 1). Where nothing is left of the picture (SNR 0) x and v count nothing.
    """
    if gamma is None:
        return torch.ones(timesteps.shape, device=timesteps.device)
    signal = scheduler.alphas_cumprod.double()[timesteps.cpu()]
    ratio = signal / (1 - signal)
    prediction = scheduler.config.prediction_type
    divisor = {"epsilon": ratio, "v_prediction": ratio + 1, "sample": torch.ones_like(ratio)}[prediction]
    return (ratio.clamp(max=gamma) / divisor).float().to(timesteps.device)


def denoising_losses(scheduler, predicted: torch.Tensor, target: torch.Tensor, draws: Draws, gamma: float | None):
    """The loss [B] of each row, in float32: its mean squared error times its level's weight."""
    errors = (predicted.float() - target.float()).square().flatten(1).mean(dim=1)
    return errors * min_snr_weights(scheduler, draws.timesteps, gamma)
