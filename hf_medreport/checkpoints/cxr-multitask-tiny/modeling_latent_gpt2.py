"""GPT-2 that is told in every layer what an image's latent says: the report writer of the multi-task chest X-ray.

A latent (batch, latent_size) is projected to GPT-2's width and added to the hidden states of all positions, at every
block. The published notebook says "added to the hidden states by broadcasting over the sequence" and not where; see
`LatentGPT2Config.latent_injection` for the choice and its alternatives. Without a latent, or with a projection of
zeros, this is plain GPT-2 to the last bit, and any GPT-2 checkpoint loads into it:

    model = LatentGPT2LMHeadModel.from_pretrained("openai-community/gpt2", latent_size=2048, zero_init_projection=True)
    model.generate(ids, latent=torch.randn(1, 2048), do_sample=True, temperature=0.7, top_k=50)
"""

import torch
from transformers import GPT2LMHeadModel
from transformers import initialization as init

from .config_error import ConfigError
from .configuration_latent_gpt2 import LatentGPT2Config
from .gpt2_stack import GPT2Stack, NumberedGPT2Block
from .keywords import CACHE, cache_by_both_names, known_generation_keywords, known_keywords
from .saved_model import SavedModel
from .whole_linear import linear


class LatentGPT2Block(NumberedGPT2Block):
    """A GPT-2 block to whose input or output the latent is added."""

    def __init__(self, config, layer_idx: int):
        super().__init__(config, layer_idx)
        first = layer_idx == 0
        self.adds_before = config.latent_injection == "pre_block" or (
            config.latent_injection == "embedding_only" and first
        )
        self.adds_after = config.latent_injection == "post_block"

    def forward(self, hidden_states, *args, latent_embeds=None, **kwargs):
        if latent_embeds is None:
            return super().forward(hidden_states, *args, **kwargs)
        layer = self.layer_idx if latent_embeds.shape[1] > 1 else 0
        embedding = latent_embeds[:, layer, None].to(hidden_states.dtype)  # (batch, 1, width)
        if self.adds_before:
            hidden_states = hidden_states + embedding
        hidden_states = super().forward(hidden_states, *args, **kwargs)
        return hidden_states + embedding if self.adds_after else hidden_states


class LatentGPT2Model(GPT2Stack):
    """GPT-2 made of `LatentGPT2Block`s; same weights and names."""

    config_class = LatentGPT2Config
    block_class = LatentGPT2Block


class LatentGPT2LMHeadModel(SavedModel, GPT2LMHeadModel):
    """GPT-2 with its tied head and a projection of the latent."""

    config_class = LatentGPT2Config
    auto_classes = ("AutoModel", "AutoModelForCausalLM")

    def __init__(self, config: LatentGPT2Config):
        super().__init__(config)
        self.transformer = LatentGPT2Model(config)
        layers = config.n_layer if config.per_layer_projection else 1
        self.latent_projection = linear(config.latent_size, layers * config.n_embd)
        self.latent_projection.starts_at_zero = config.zero_init_projection
        self.post_init()

    def _init_weights(self, module):
        super()._init_weights(module)
        if getattr(module, "starts_at_zero", False):
            init.zeros_(module.weight)

    def project_latent(self, latent: torch.Tensor) -> torch.Tensor:
        """The latent as each layer gets it: (batch, latent_size) -> (batch, layers or 1, width).

        Raises:
            ConfigError: a latent of another form or width, or one that is not finite.
        """
        expected = f"(batch, {self.config.latent_size})"
        if latent.ndim != 2 or latent.shape[1] != self.config.latent_size:
            raise ConfigError(
                "latent",
                f"shape {tuple(latent.shape)}",
                expected,
                "pass the latent that the model was built for, or set latent_size",
            )
        if not latent.isfinite().all():
            rows = (~latent.isfinite().all(dim=1)).nonzero().flatten().tolist()
            raise ConfigError(
                "latent",
                f"NaN or infinite values in rows {rows}",
                "finite numbers",
                "check the images and the encoder that made it",
            )
        return self.latent_projection(latent.to(self.dtype)).unflatten(1, (-1, self.config.n_embd))

    @known_keywords
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        latent: torch.Tensor | None = None,
        latent_embeds: torch.Tensor | None = None,
        cache=None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        **kwargs,
    ):
        """GPT-2's forward, conditioned; what `generate` looks for in the signature is named in it.

        Args:
            input_ids: (batch, text) token ids.
            latent: (batch, latent_size); None leaves GPT-2 as it is.
            latent_embeds: (batch, layers or 1, width), what `project_latent` gives, instead of `latent`.
            attention_mask: (batch, cached + text), 0 on padding, which takes no position.
            others: as in `GPT2LMHeadModel.forward`.

        Raises:
            ConfigError: see `project_latent`; or another number of latents than of texts.
        """
        if latent is not None:
            latent_embeds = self.project_latent(latent)
        if latent_embeds is not None:
            texts = input_ids if input_ids is not None else inputs_embeds
            if texts is not None and len(latent_embeds) != len(texts):
                raise ConfigError(
                    "latent",
                    f"{len(latent_embeds)} rows for {len(texts)} texts",
                    "one a text",
                    "repeat or choose the rows",
                )
            kwargs["latent_embeds"] = latent_embeds
        if position_ids is None and attention_mask is not None and attention_mask.ndim == 2:
            # As in generation, which GPT-2's own forward leaves to the caller: padding takes no position.
            queries = (input_ids if input_ids is not None else inputs_embeds).shape[1]
            position_ids = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)[:, -queries:]
        return super().forward(
            input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            labels=labels,
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
            **{CACHE: cache},
            **kwargs,
        )

    @known_generation_keywords
    @torch.no_grad()
    def generate(self, inputs: torch.Tensor | None = None, latent: torch.Tensor | None = None, **kwargs):
        """`GenerationMixin.generate` with a latent (batch, latent_size), which is projected once for all tokens."""
        if latent is not None:
            kwargs["latent_embeds"] = self.project_latent(latent)
        return super().generate(inputs, **kwargs)

    prepare_inputs_for_generation = cache_by_both_names(GPT2LMHeadModel.prepare_inputs_for_generation)

    def generate_text(
        self,
        prompt: str,
        latent: torch.Tensor | None = None,
        temperature: float = 0.7,
        top_k: int = 50,
        *,
        tokenizer,
        max_new_tokens: int = 128,
    ) -> str:
        """One sampled text that begins with the prompt: temperature first, then the `top_k` likeliest tokens.

        The published notebook names neither value; these are common ones.

        Args:
            latent: (1, latent_size) or None.
            tokenizer: of the model; its start token goes before the prompt.
        """
        words = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        ids = torch.tensor([[self.config.bos_token_id, *words]], device=self.device)
        sampling = {"do_sample": True, "temperature": temperature, "top_k": top_k, "max_new_tokens": max_new_tokens}
        ids = self.generate(ids, latent=latent, attention_mask=torch.ones_like(ids), **sampling)
        return tokenizer.decode(ids[0], skip_special_tokens=True)


__all__ = ["LatentGPT2LMHeadModel"]
