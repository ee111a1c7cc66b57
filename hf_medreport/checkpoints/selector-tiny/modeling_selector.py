"""The selector: how good a picture is, without its prompt.

A ViT on the gray picture, its first state through two layers to one score, and two gates that reject a picture before
it is scored. It comes from the RLHF part of a MINIM successor; what differs from there, and why:

- Each picture is scored by itself; there a batch attended to itself.
- The gates look at the picture as it is. There they looked at it after its range had been stretched to [0, 1], so that
  contrast was always 1 and rejected nothing.
- `snr` is the standard deviation of what is no noise over that of the noise. There it was the mean over the standard
  deviation of the picture, which lets plain noise pass (1.7 of uniform noise) and rejects most of an OCT on black.
  The noise is estimated after Immerkaer 1996, "Fast noise variance estimation", by a mask that cancels flat and sloping
  ground.
- Ratings train it by weighted cross-entropy or squared error; the loss from there, which pushes every score up, is kept
  as `legacy_abs_loss`.

    selector = SelectorModel.from_pretrained(folder)
    selector(pixel_values).scores          # (batch, 3, 64, 64) in [0, 1], not normalized -> (batch,)
"""

import math

import torch
from torch import nn
from transformers.utils import can_return_tuple

from .configuration_selector import SelectorConfig
from .keywords import known_keywords
from .picture_reward import PictureRewardModel

NOISE_MASK = ((1.0, -2.0, 1.0), (-2.0, 4.0, -2.0), (1.0, -2.0, 1.0))  # its squares add up to 6 squared


class SelectorModel(PictureRewardModel):
    """Picture -> quality."""

    config_class = SelectorConfig
    input_modalities = ("image",)

    def __init__(self, config: SelectorConfig):
        super().__init__(config)
        self.post_init()

    @can_return_tuple
    @known_keywords
    def forward(
        self,
        pixel_values: torch.Tensor,
        labels: torch.Tensor | None = None,
        weights: torch.Tensor | None = None,
        **kwargs,
    ):
        """Score pictures.

        Args:
            pixel_values: (batch, 3 or 1, image_size, image_size) in [0, 1].
            labels: (batch,), ratings in [0, 1].
            weights: (batch,), how much each rating counts.

        Returns:
            PictureRewardOutput. The gates hold for its scores alone: a picture that they reject can be learned from.

        Raises:
            ConfigError: pictures of another shape or range, or ratings outside [0, 1].
        """
        gray = self.gray(pixel_values)
        return self.output(self.see(gray), self.passes(gray), labels, weights)

    def passes(self, gray: torch.Tensor) -> torch.Tensor:
        """Which gray pictures (batch, 1, size, size) in [0, 1] are sharp enough from their noise and have contrast."""
        gray = gray.float()
        return (signal_to_noise(gray) >= self.config.min_snr) & (contrast(gray) >= self.config.min_contrast)


def signal_to_noise(gray: torch.Tensor) -> torch.Tensor:
    """Spread of what is no noise over that of the noise: (batch, 1, height, width) -> (batch,).

    About 0 of plain noise, whatever its spread; 0 of a flat picture, infinite of one without noise.
    """
    mask = gray.new_tensor(NOISE_MASK)[None, None]
    noise = math.sqrt(math.pi / 2) / 6 * nn.functional.conv2d(gray, mask).abs().mean(dim=(1, 2, 3))
    variance = gray.var(dim=(1, 2, 3), correction=0)
    signal = (variance - noise**2).clamp(min=0).sqrt()
    return torch.where(signal > 0, signal / noise, torch.zeros_like(signal))


def contrast(gray: torch.Tensor) -> torch.Tensor:
    """The brightest less the darkest value: (batch, 1, height, width) -> (batch,)."""
    return gray.amax(dim=(1, 2, 3)) - gray.amin(dim=(1, 2, 3))


__all__ = ["SelectorModel"]
