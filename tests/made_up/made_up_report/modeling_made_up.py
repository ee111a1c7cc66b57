"""The network, which travels: a GPT-2 that continues `[patches of the film][report]`.

What it takes over from GPT-2 is all of generation. What a report model adds: `takes`, `see`, `details`, `generate` that
takes what was `seen`, and `sentence_evidence`.
"""

import torch
from torch import nn
from transformers import GPT2LMHeadModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from .configuration_made_up import MadeUpConfig


class MadeUpForConditionalGeneration(GPT2LMHeadModel):
    """Patch embedding -> GPT-2."""

    config_class = MadeUpConfig
    input_modalities = ("image", "text")
    output_modalities = ("text",)

    def __init__(self, config: MadeUpConfig):
        super().__init__(config)
        self.eyes = nn.Conv2d(3, config.n_embd, config.patch_size, stride=config.patch_size)
        self.post_init()

    def takes(self) -> dict[str, str]:
        """A case brings nothing beside its image."""
        return {}

    @torch.no_grad()
    def see(self, pixel_values: torch.Tensor, evidence: bool = False) -> torch.Tensor:
        """Patch embeddings (batch, patches, width) of `pixel_values` (batch, 3, height, width)."""
        return self._patches(pixel_values)

    def details(self, seen: torch.Tensor, full: bool) -> dict[str, torch.Tensor]:
        """Nothing is said beside the words."""
        return {}

    def forward(self, input_ids=None, pixel_values=None, inputs_embeds=None, labels=None, position_ids=None, **kwargs):
        """GPT-2's, and with `pixel_values` over film and text.

        Args:
            pixel_values: (batch, 3, height, width).
            input_ids: (batch, text) after the film; taken from `labels` where absent.
            labels: (batch, text), -100 where nothing is to be learned; the last patch predicts `labels[:, 0]`.
            position_ids: named, or `generate` would not count them, and padding before a prompt would have places.

        Returns:
            `logits` (batch, patches + text, vocabulary), with labels (batch, text, vocabulary) and the `loss`.
        """
        if pixel_values is None:
            return super().forward(input_ids, inputs_embeds=inputs_embeds, position_ids=position_ids, **kwargs)
        if labels is not None:
            input_ids = labels.clamp(min=0)
        patches = self._patches(pixel_values)
        logits = super().forward(inputs_embeds=self._with_text(patches, input_ids), use_cache=False).logits
        if labels is None:
            return CausalLMOutputWithPast(logits=logits)
        logits = logits[:, patches.shape[1] - 1 : -1].contiguous()
        loss = self.loss_function(logits, None, self.config.vocab_size, shift_labels=labels.contiguous(), **kwargs)
        return CausalLMOutputWithPast(loss=loss, logits=logits)

    @torch.no_grad()
    def generate(self, pixel_values=None, input_ids=None, attention_mask=None, seen=None, labels=None, **kwargs):
        """Token ids of the report, the new ones only.

        Args:
            input_ids, attention_mask: (batch, prompt) text to continue, padded on the left.
            seen: of `see`, in place of `pixel_values`.
            labels: ignored; Trainer passes the whole batch.
        """
        patches = self.see(pixel_values) if seen is None else seen
        embeds = self._with_text(patches, input_ids)
        if attention_mask is None:
            attention_mask = embeds.new_ones(embeds.shape[:2], dtype=torch.long)
        else:
            attention_mask = nn.functional.pad(attention_mask, (patches.shape[1], 0), value=1)
        return super().generate(inputs_embeds=embeds, attention_mask=attention_mask, **kwargs)

    def sentence_evidence(self, generated, sentence_of_token, pixel_values=None, seen=None):
        """How sure the model is of each token, and which patches spoke for each sentence.

        Args:
            generated: (batch, text) ids of `generate`.
            sentence_of_token: (batch, text) index of each token's sentence; -1 for none.

        Returns:
            token log-probabilities (batch, text), and evidence (batch, sentences, rows, columns), each map of sum 1.
        """
        patches = (self.see(pixel_values) if seen is None else seen).detach()
        side = self.config.image_size // self.config.patch_size
        maps = [patches.new_zeros(len(patches), 0, side, side)]
        with torch.enable_grad():
            patches.requires_grad_()
            logits = super().forward(inputs_embeds=self._with_text(patches, generated), use_cache=False).logits
            rows = logits[:, patches.shape[1] - 1 : -1].float().log_softmax(-1)
            scores = rows.gather(-1, generated[..., None])[..., 0]
            for sentence in range(int(sentence_of_token.max()) + 1):
                total = scores[sentence_of_token == sentence].sum()
                (gradient,) = torch.autograd.grad(total, patches, retain_graph=True)
                spoke = (gradient * patches).sum(-1).clamp(min=0).detach()
                spoke = spoke / spoke.sum(-1, keepdim=True).clamp(min=1e-30)
                maps.append(spoke.unflatten(-1, (1, side, side)))
        return scores.detach(), torch.cat(maps, dim=1).float()

    def _patches(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.eyes(pixel_values.to(self.dtype)).flatten(2).transpose(1, 2)

    def _with_text(self, patches: torch.Tensor, ids: torch.Tensor | None) -> torch.Tensor:
        return patches if ids is None else torch.cat([patches, self.get_input_embeddings()(ids)], dim=1)


__all__ = ["MadeUpForConditionalGeneration"]
