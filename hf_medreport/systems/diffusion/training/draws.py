"""What training draws at random for a row: its noise, its timestep, and whether its words are left out.

All of it depends on (seed, epoch, row) alone, so that two processes, or a run that goes on after a kill, draw the same.
"""

from dataclasses import dataclass

import numpy as np
import torch

__all__ = ["Draws", "draws_of", "generator_of"]


@dataclass(frozen=True)
class Draws:
    """Those of a batch.

    Attributes:
        timesteps: [B], of 0 to the number of noise levels - 1.
        noise: [B, C, H, W], of unit variance.
        offset: [B, C, 1, 1], one number a channel, what noise offset adds.
        perturbation: [B, C, H, W], what input perturbation adds.
        without_prompt, without_modality: [B], whether a row is seen without its condition, and without its modality
            alone.
    """

    timesteps: torch.Tensor
    noise: torch.Tensor
    offset: torch.Tensor
    perturbation: torch.Tensor
    without_prompt: list[bool]
    without_modality: list[bool]

    def to(self, device: torch.device) -> "Draws":
        """The same with its tensors on a device."""
        moved = (each.to(device) for each in (self.timesteps, self.noise, self.offset, self.perturbation))
        return Draws(*moved, self.without_prompt, self.without_modality)


def generator_of(*numbers: int) -> torch.Generator:
    """A generator whose stream belongs to these numbers: neighbors have nothing in common."""
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def draws_of(
    seed: int,
    places: list[tuple[int, int]],
    shape: tuple[int, int, int],
    levels: int,
    prompt_dropout: float = 0.0,
    modality_dropout: float = 0.0,
) -> Draws:
    """The draws of a batch.

    Everything is drawn whether it is used or not, so that a run with noise offset sees the noise of the run without.

    Args:
        seed: of the run.
        places: (epoch, row) of each item.
        shape: (channels, height, width) of its latents.
        levels: number of noise levels.
        prompt_dropout, modality_dropout: how often each is left out.
    """
    channels, drawn = shape[0], []
    for epoch, row in places:
        generator = generator_of(seed, epoch, row)
        level = torch.randint(levels, (), generator=generator)
        chances = torch.rand(2, generator=generator)
        noise = torch.randn(shape, generator=generator)
        offset = torch.randn(channels, 1, 1, generator=generator)
        drawn.append((level, noise, offset, torch.randn(shape, generator=generator), *chances.tolist()))
    timesteps, noise, offset, perturbation, prompt, modality = zip(*drawn, strict=True)
    return Draws(
        torch.stack(timesteps),
        torch.stack(noise),
        torch.stack(offset),
        torch.stack(perturbation),
        [chance < prompt_dropout for chance in prompt],
        [chance < modality_dropout for chance in modality],
    )
