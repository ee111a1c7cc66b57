"""What is trained, as one module: prompts and noisy latents -> what the U-Net predicts."""

from dataclasses import dataclass, fields

import torch
from torch import nn

from hf_medreport.systems.diffusion.training.draws import Draws

__all__ = ["Batch", "Denoiser"]


@dataclass
class Batch:
    """Rows that are learned from together.

    Attributes:
        latents: [B, C, H, W].
        prompts, modalities: of each row; None for no modality.
        places: (epoch, row) of each, by which its noise is drawn.
    """

    latents: torch.Tensor
    prompts: list[str]
    modalities: list[str | None]
    places: list[tuple[int, int]]

    def __getitem__(self, rows: slice) -> "Batch":
        return Batch(*(getattr(self, each.name)[rows] for each in fields(self)))

    def shown(self, draws: Draws) -> tuple[list[str], list[str | None]]:
        """Prompts and modalities as the draws leave them in: all of the condition, its words alone, or nothing."""
        prompts = ["" if left else prompt for prompt, left in zip(self.prompts, draws.without_prompt, strict=True)]
        left_out = [left or alone for left, alone in zip(draws.without_prompt, draws.without_modality, strict=True)]
        return prompts, [None if left else name for name, left in zip(self.modalities, left_out, strict=True)]


class Denoiser(nn.Module):
    """U-Net and text encoder of a pipeline, called as the pipeline calls them.

    Args:
        pipe: a `MedicalImagePipeline`.
    """

    def __init__(self, pipe):
        super().__init__()
        self.unet, self.text_encoder = pipe.unet, pipe.text_encoder
        self.encode = pipe.encode_prompts
        self.pooled = pipe.unet.config.class_embed_type == "projection"

    def forward(
        self, noisy: torch.Tensor, timesteps: torch.Tensor, prompts: list[str], modalities: list[str | None]
    ) -> torch.Tensor:
        """[B, C, H, W], as the scheduler's prediction type says."""
        condition = self.encode(prompts, modalities)
        return self.unet(
            noisy,
            timesteps,
            condition.tokens,
            class_labels=condition.pooled if self.pooled else None,
            encoder_attention_mask=None if self.text_encoder.config.attend_padding else condition.mask,
        ).sample

    def train(self, mode: bool = True) -> "Denoiser":
        """Training mode for what is trained; what is frozen drops nothing out."""
        super().train(mode)
        for module in self.modules():
            weights = list(module.parameters())
            if weights and not any(each.requires_grad for each in weights):
                module.eval()
        return self

    def trained(self) -> dict[str, nn.Parameter]:
        """{name: parameter} of what is not frozen, in one order."""
        return {name: each for name, each in self.named_parameters() if each.requires_grad}
