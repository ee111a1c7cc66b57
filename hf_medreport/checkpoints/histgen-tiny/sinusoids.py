"""Sinusoidal positions (Vaswani et al. 2017, section 3.5)."""

import math

import torch


def sinusoids(positions: torch.Tensor, width: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """(..., width) for positions (...): column 2i is sin(p / 10000^(2i / width)), column 2i + 1 its cosine.

    Computed when needed, so no table has to be stored, moved or restored.
    """
    rates = torch.exp(torch.arange(0, width, 2, device=positions.device) * (-math.log(10000.0) / width))
    angles = positions[..., None].float() * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2).to(dtype)
