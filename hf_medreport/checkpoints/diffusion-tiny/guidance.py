"""Classifier-free guidance: how strong at which moment, and what keeps a strong one from washing a picture out.

The guided prediction is `without + s (with - without)` (Ho and Salimans, 2022): s = 1 is the prompt alone, s = 0 is no
prompt. `progress` runs from 0 (nothing but noise) to 1 (the picture).
"""

import math
from collections.abc import Callable

import torch

from .config_error import ConfigError

# What is taken of the way from 1 to the full scale at a moment.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "linear": lambda progress: progress,
    "cosine": lambda progress: (1 - math.cos(math.pi * progress)) / 2,
}


def progress_of(timestep: float, num_train_timesteps: int) -> float:
    """0 at the noisiest timestep of training, 1 at the last."""
    return min(max(1 - float(timestep) / (num_train_timesteps - 1), 0.0), 1.0)


def guidance_at(progress: float, scale: float, schedule: str = "constant", window=(0.0, 1.0)) -> float:
    """The scale at a moment: on the schedule from 1 to `scale`, and 1 outside the window.

    Guidance in a limited interval: Kynkäänniemi et al. (2024). Rising schedules: Wang et al. (2024).
    """
    if not window[0] <= progress <= window[1]:
        return 1.0
    return 1.0 + (scale - 1.0) * SCHEDULES[schedule](progress)


def rescaled(guided: torch.Tensor, conditional: torch.Tensor, share: float) -> torch.Tensor:
    """The guided prediction (batch, ...), brought towards the spread of the conditional one by `share`.

    Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed" (2023), 3.4.
    """
    places = tuple(range(1, guided.ndim))
    ratio = conditional.std(dim=places, keepdim=True) / guided.std(dim=places, keepdim=True)
    return guided * (share * ratio + 1 - share)


def thresholded(guided: torch.Tensor, conditional: torch.Tensor, percentile: float) -> torch.Tensor:
    """Clean latents of a guided prediction (batch, ...), in the range of those of the conditional one.

    Dynamic thresholding (Saharia et al., 2022): what is beyond the percentile of the absolute values is cut, and the
    rest shrunk. Pixels have [-1, 1] to shrink into; latents have no such range, so the conditional prediction's is
    taken. Where the guided one is no wider, nothing changes.
    """
    bounds = [each.flatten(1).abs().float().quantile(percentile, dim=1) for each in (guided, conditional)]
    wide, right = (bound.reshape(-1, *[1] * (guided.ndim - 1)).to(guided.dtype) for bound in bounds)
    cut = guided.clamp(-wide, wide) * (right / wide)
    return torch.where(wide > right, cut, guided)


def check_guidance(scale: float, schedule: str, window, rescale: float, percentile: float | None) -> None:
    """ConfigError at the first that cannot be."""
    if not math.isfinite(scale) or scale < 0:
        raise ConfigError("guidance_scale", str(scale), "0 or more", "choose another, such as 7.5")
    if schedule not in SCHEDULES:
        raise ConfigError("guidance_schedule", repr(schedule), f"one of {', '.join(SCHEDULES)}", "choose another")
    if len(window) != 2 or not 0 <= window[0] <= window[1] <= 1:
        raise ConfigError("guidance_window", str(tuple(window)), "two shares of the way, 0 to 1, rising", "mend it")
    if not 0 <= rescale <= 1:
        raise ConfigError("guidance_rescale", str(rescale), "0 to 1", "choose another, such as 0.7")
    if percentile is not None and not 0 < percentile <= 1:
        raise ConfigError("dynamic_threshold", str(percentile), "a share above 0, at most 1", "take 0.995, or None")


__all__ = ["SCHEDULES", "check_guidance", "guidance_at", "progress_of", "rescaled", "thresholded"]
