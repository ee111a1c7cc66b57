"""The policy: how well a picture fits its prompt.

A ViT on the gray picture and a text encoder, frozen unless asked otherwise; both states side by side through two layers
to one score. It comes from the RLHF part of a MINIM successor. What differs from there, and why: ratings train it by
weighted cross-entropy or squared error, since the loss from there (`legacy_abs_loss`) pushes every score up; padding is
hidden from the text encoder; the file is saved as transformers saves models, not as a pickle.

Two things are added, off by default, for those who have few ratings. One rating says little of what a picture shows, so
a second loss may ask which of the batch's prompts a well rated picture belongs to (cross-entropy over prompts, as CLIP
has it: Radford et al., 2021). And two layers on two states side by side are slow to find what fits what, so a product
of both may stand beside them.

    policy = PolicyModel.from_pretrained(folder)
    policy(pixel_values, input_ids, attention_mask).scores      # pictures in [0, 1], not normalized -> (batch,)
"""

import torch
from torch import nn
from transformers import AutoModel
from transformers import initialization as init
from transformers.utils import can_return_tuple

from .config_error import ConfigError
from .configuration_policy import PolicyConfig
from .keywords import known_keywords
from .picture_reward import PictureRewardModel


class PolicyModel(PictureRewardModel):
    """Picture and prompt -> alignment."""

    config_class = PolicyConfig
    input_modalities = ("image", "text")

    def __init__(self, config: PolicyConfig):
        super().__init__(config, config.text_config.hidden_size + config.product_size)
        if config.product_size:
            self.of_picture = nn.Linear(config.vision_config.hidden_size, config.product_size)
            self.of_prompt = nn.Linear(config.text_config.hidden_size, config.product_size)
            # Factors of about 1, or their product would teach next to nothing.
            self.of_picture.spread_at_start = config.vision_config.hidden_size**-0.5
            self.of_prompt.spread_at_start = config.text_config.hidden_size**-0.5
        # In the precision of all the rest, whatever the encoder was once saved in.
        self.text = AutoModel.from_config(config.text_config, dtype=torch.get_default_dtype())
        if getattr(self.text, "pooler", None) is not None:
            self.text.pooler = None  # what is never used is not trained
        self.text.requires_grad_(not config.freeze_text)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if hasattr(module, "spread_at_start"):
            init.normal_(module.weight, std=module.spread_at_start)

    def train(self, mode: bool = True) -> nn.Module:
        """As in torch, but that a frozen text encoder keeps its dropout off."""
        super().train(mode)
        if self.config.freeze_text:
            self.text.eval()
        return self

    @can_return_tuple
    @known_keywords
    def forward(
        self,
        pixel_values: torch.Tensor,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        weights: torch.Tensor | None = None,
        **kwargs,
    ):
        """Score pictures with their prompts.

        Args:
            pixel_values: (batch, 3 or 1, image_size, image_size) in [0, 1].
            input_ids: (batch, tokens).
            attention_mask: (batch, tokens), 0 on padding; None: there is none.
            labels: (batch,), ratings in [0, 1].
            weights: (batch,), how much each rating counts.

        Returns:
            PictureRewardOutput; every picture passes.

        Raises:
            ConfigError: pictures of another shape or range, another number of prompts, or ratings outside [0, 1].
        """
        if len(input_ids) != len(pixel_values):
            found = f"{len(input_ids)} for {len(pixel_values)} pictures"
            raise ConfigError("input_ids", found, "a prompt a picture", "give as many")
        gray = self.gray(pixel_values)
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        seen, read = self.see(gray), self.read(input_ids, attention_mask)
        passed = torch.ones(len(gray), dtype=torch.bool, device=gray.device)
        output = self.output(self.together(seen, read), passed, labels, weights)
        if labels is not None and self.training and self.config.contrast:
            output.loss = output.loss + self.config.contrast * self.contrast_loss(seen, read, input_ids, labels)
        return output

    def together(self, seen: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
        """States of pictures and of prompts, (..., width) each, side by side."""
        states = [seen, read]
        if self.config.product_size:
            states.append(self.of_picture(seen) * self.of_prompt(read))
        return torch.cat(states, dim=-1)

    def contrast_loss(
        self, seen: torch.Tensor, read: torch.Tensor, input_ids: torch.Tensor, ratings: torch.Tensor
    ) -> torch.Tensor:
        """Cross-entropy of each picture's own prompt among those of the batch, by its rating; equal prompts are one."""
        count = len(seen)
        pairs = self.together(seen[:, None].expand(-1, count, -1), read[None].expand(count, -1, -1))
        logits = self.judged(pairs)[..., 0].float()  # (pictures, prompts)
        own = torch.eye(count, dtype=torch.bool, device=logits.device)
        equal = (input_ids[:, None] == input_ids[None]).all(dim=-1)
        losses = -logits.masked_fill(equal & ~own, -torch.inf).log_softmax(dim=-1).diagonal()
        return (ratings * losses).sum() / ratings.sum().clamp(min=1e-8)

    def read(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Prompts -> (batch, the text encoder's width)."""
        states = self.text(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if self.config.pooling == "cls":
            return states[:, 0]
        weights = attention_mask.to(states.dtype).unsqueeze(-1)
        return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


__all__ = ["PolicyModel"]
