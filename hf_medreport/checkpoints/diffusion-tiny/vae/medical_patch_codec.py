"""A codec of pictures without a network: the principal components of their patches.

A small diffusion model can be trained from scratch on its latents, where a VAE would have to be trained or downloaded
first. The pipeline uses it as it uses diffusers' `AutoencoderKL`:

    codec = MedicalPatchCodec.fit(pictures, patch_size=4, latent_channels=8, gray=True)
    latents = codec.encode(pixels).latent_dist.mode()  # (batch, 8, height / 4, width / 4), of unit variance
    pixels = codec.decode(latents).sample  # (batch, 3, height, width)

Gray pictures are gray by construction: one channel is coded, and three equal ones are returned.

This file imports no sibling: a component of a diffusers folder is downloaded from the Hub as one file.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from torch import nn


class ConfigError(ValueError):
    """A configuration or an input that cannot be used: what, what was found, what was expected, what to do."""

    def __init__(self, name: str, found: str, expected: str, remedy: str):
        self.name, self.found, self.expected, self.remedy = name, found, expected, remedy
        super().__init__(f"{name}: found {found}; expected {expected}; {remedy}")

    def __reduce__(self):  # survives the way back from a worker
        return type(self), (self.name, self.found, self.expected, self.remedy)


class MedicalPatchCodec(ModelMixin, ConfigMixin):
    """Patches of p x p pixels as their first components, each divided by its standard deviation.

    Args:
        patch_size: p; a picture's sides are multiples of it.
        latent_channels: how many components are kept.
        gray: whether pictures have one channel, given and returned as three.
        scaling_factor: 1, for the latents have unit variance already.
    """

    @register_to_config
    def __init__(self, patch_size: int = 4, latent_channels: int = 8, gray: bool = False, scaling_factor: float = 1.0):
        super().__init__()
        size = (1 if gray else 3) * patch_size**2
        if not 1 <= latent_channels <= size:
            raise ConfigError(
                "latent_channels", str(latent_channels), f"1 to {size}, the numbers in a patch", "choose another"
            )
        self.center = nn.Parameter(torch.zeros(size), requires_grad=False)
        self.basis = nn.Parameter(torch.eye(latent_channels, size), requires_grad=False)  # rows are components
        self.spread = nn.Parameter(torch.ones(latent_channels), requires_grad=False)  # standard deviations

    @classmethod
    def fit(
        cls, pictures: Iterable[torch.Tensor], patch_size: int = 4, latent_channels: int = 8, gray: bool = False
    ) -> "MedicalPatchCodec":
        """The codec of some pictures, read one by one.

        Args:
            pictures: (3, height, width) or (batch, 3, height, width) in [-1, 1].
            patch_size, latent_channels, gray: of the codec.

        Raises:
            ConfigError: there are fewer patches than components.
        """
        codec = cls(patch_size, latent_channels, gray)
        size = codec.center.numel()
        count, total, squares = 0, torch.zeros(size).double(), torch.zeros(size, size).double()
        for picture in pictures:
            patches = codec._patches(picture.reshape(-1, *picture.shape[-3:]).float())
            rows = patches.transpose(1, 2).reshape(-1, size).double().cpu()
            count, total, squares = count + len(rows), total + rows.sum(0), squares + rows.T @ rows
        if count <= latent_channels:
            raise ConfigError("pictures", f"{count} patches", f"more than {latent_channels}", "give more pictures")
        center = total / count
        variances, components = torch.linalg.eigh(squares / count - center.outer(center))  # ascending
        basis = components.flip(1).T[:latent_channels]
        largest = basis.gather(1, basis.abs().argmax(1, keepdim=True))
        codec.center.copy_(center)
        codec.basis.copy_(basis * largest.sign())  # an eigenvector's sign is the library's whim
        codec.spread.copy_(variances.flip(0)[:latent_channels].clamp(min=1e-12).sqrt())
        return codec

    def _patches(self, pixels: torch.Tensor) -> torch.Tensor:
        """(batch, 3, height, width) -> (batch, numbers in a patch, patches)."""
        height, width = pixels.shape[-2:]
        size = self.config.patch_size
        if pixels.ndim != 4 or pixels.shape[1] != 3 or height % size or width % size:
            raise ConfigError(
                "pixels",
                f"shape {tuple(pixels.shape)}",
                f"(batch, 3, height, width) with sides that are multiples of {size}",
                "resize the picture",
            )
        if self.config.gray:
            pixels = pixels.mean(1, keepdim=True)
        return F.unfold(pixels, size, stride=size)

    def encode(self, x: torch.Tensor, return_dict: bool = True) -> AutoencoderKLOutput | tuple:
        """(batch, 3, height, width) in [-1, 1] -> a distribution of latents whose mean, mode and samples are one."""
        size = self.config.patch_size
        height, width = (side // size for side in x.shape[-2:])
        centered = self._patches(x) - self.center[:, None]
        latents = (self.basis @ centered / self.spread[:, None]).unflatten(2, (height, width))
        known = DiagonalGaussianDistribution(torch.cat([latents, torch.zeros_like(latents)], 1), deterministic=True)
        return AutoencoderKLOutput(latent_dist=known) if return_dict else (known,)

    def decode(self, z: torch.Tensor, return_dict: bool = True, generator=None) -> DecoderOutput | tuple:
        """(batch, latent_channels, rows, columns) -> (batch, 3, height, width); `generator` is AutoencoderKL's."""
        size = self.config.patch_size
        patches = self.basis.T @ (z.flatten(2) * self.spread[:, None]) + self.center[:, None]
        pixels = F.fold(patches, [side * size for side in z.shape[-2:]], size, stride=size)
        pixels = pixels.expand(-1, 3, -1, -1) if self.config.gray else pixels
        return DecoderOutput(sample=pixels) if return_dict else (pixels,)

    def forward(self, sample: torch.Tensor) -> DecoderOutput:
        """There and back."""
        return self.decode(self.encode(sample).latent_dist.mode())


__all__ = ["MedicalPatchCodec"]
