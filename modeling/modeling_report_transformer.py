"""The multi-task chest X-ray's from-scratch language model: a report goes on from its first words, without any image.

After Vaswani et al., "Attention Is All You Need" (NeurIPS 2017, arXiv 1706.03762), of which this is the decoder without
attention to an encoder: sinusoidal positions, embeddings scaled by the square root of the width and tied to the output,
norms after the sums. It is what the image-conditioned models are compared with: what it knows of a report, it knows
from other reports.

Upstream's notebook feeds a prompt to an encoder and the rest of the text to a decoder. Prompt and rest are one text, so
one causal stack reads both here, and any text can be prompt.

    model = ReportTransformerForCausalLM.from_pretrained(folder)
    ids = model.generate(**tokenizer("No", return_tensors="pt"), do_sample=True, temperature=0.7, top_k=50)
"""

import math

import torch
from torch import nn
from torch.nn.functional import relu, scaled_dot_product_attention
from transformers import DynamicCache, GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.utils import can_return_tuple

from .config_error import ConfigError
from .configuration_report_transformer import ReportTransformerConfig
from .keywords import (
    CACHE,
    CACHE_NAMES,
    cache_by_both_names,
    known_generation_keywords,
    known_keywords,
    refuse_cache_under_checkpointing,
)
from .saved_model import SavedModel
from .sinusoids import sinusoids


class SelfAttention(nn.Module):
    """Multi-head attention without biases (paper, section 3.2.2)."""

    def __init__(self, config: ReportTransformerConfig, layer_idx: int):
        super().__init__()
        self.heads, self.layer_idx = config.num_attention_heads, layer_idx
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, nn.Linear(config.hidden_size, config.hidden_size, bias=False))

    def forward(self, states: torch.Tensor, allowed: torch.Tensor, cache: DynamicCache | None) -> torch.Tensor:
        """`states` (batch, new, width); `allowed` (batch or 1, 1, new, seen + new), True where a query may look."""
        # (batch, new, width) -> (batch, heads, new, width / heads)
        queries, keys, values = (
            project(states).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        if cache is not None:
            keys, values = cache.update(keys, values, self.layer_idx)
        context = scaled_dot_product_attention(queries, keys, values, allowed)
        return self.o_proj(context.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Two layers with a ReLU between them."""

    def __init__(self, config: ReportTransformerConfig):
        super().__init__()
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.down_proj(relu(self.up_proj(states)))


class ReportTransformerLayer(GradientCheckpointingLayer):
    """Post-norm: what a part adds is dropped out, added, and then the sum is normed (paper, section 5.4)."""

    def __init__(self, config: ReportTransformerConfig, layer_idx: int):
        super().__init__()
        self.attention, self.feed_forward = SelfAttention(config, layer_idx), FeedForward(config)
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, states: torch.Tensor, allowed: torch.Tensor, cache: DynamicCache | None = None):
        states = self.attention_norm(states + self.dropout(self.attention(states, allowed, cache)))
        return self.feed_forward_norm(states + self.dropout(self.feed_forward(states)))


class ReportTransformerPreTrainedModel(PreTrainedModel):
    """What the stack and the model with its head share."""

    config_class = ReportTransformerConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["ReportTransformerLayer"]
    _skip_keys_device_placement = [*CACHE_NAMES]

    def _init_weights(self, module):
        """Xavier for every matrix; words start with length 1, so that scaled they are as large as positions."""
        if isinstance(module, nn.Linear):
            init.xavier_uniform_(module.weight)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=self.config.hidden_size**-0.5)
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)


class ReportTransformerModel(ReportTransformerPreTrainedModel):
    """Words to states: the stack below the head, which trainers that bring their own loss ask for by itself."""

    def __init__(self, config: ReportTransformerConfig):
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(ReportTransformerLayer(config, index) for index in range(config.num_hidden_layers))
        self.post_init()

    def get_input_embeddings(self):
        return self.embed_tokens

    def set_input_embeddings(self, value):
        self.embed_tokens = value

    @can_return_tuple
    @known_keywords
    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        cache: DynamicCache | None = None,
        use_cache: bool | None = None,
        **kwargs,
    ) -> BaseModelOutputWithPast:
        """One pass over a text, or over what a cache has not seen of it; arguments as of the model with its head.

        Returns:
            `last_hidden_state` (batch, new, width).
        """
        seen = cache.get_seq_length() if cache is not None else 0
        total = seen + input_ids.shape[-1]
        self._check(input_ids, attention_mask, cache, total)
        refuse_cache_under_checkpointing(self.layers[0], cache)
        if use_cache is None:
            use_cache = not torch.is_grad_enabled()
        if use_cache and cache is None:
            cache = DynamicCache()

        allowed, positions = look_back(attention_mask, seen, total, input_ids.device)
        states = self._embed(input_ids)
        states = self.dropout(states + sinusoids(positions, states.shape[-1], states.dtype))
        for layer in self.layers:
            states = layer(states, allowed, cache=cache)
        return BaseModelOutputWithPast(last_hidden_state=states, **{CACHE: cache})

    def _embed(self, input_ids: torch.Tensor) -> torch.Tensor:
        try:
            return self.embed_tokens(input_ids) * math.sqrt(self.config.hidden_size)
        except IndexError:  # said on the CPU only; to ask a GPU before each step would slow it down
            words = self.embed_tokens.num_embeddings
            outside = input_ids[(input_ids < 0) | (input_ids >= words)][0]
            raise ConfigError(
                "input_ids", f"id {int(outside)}", f"0 to {words - 1}", "use the tokenizer that lies beside the weights"
            ) from None

    def _check(self, input_ids, attention_mask, cache, total: int) -> None:
        if input_ids.ndim != 2 or input_ids.shape[-1] == 0:
            raise ConfigError(
                "input_ids",
                f"shape {tuple(input_ids.shape)}",
                "(batch, tokens) with at least one token",
                "begin a text with the start token",
            )
        if total > self.config.max_position_embeddings:
            raise ConfigError(
                "input_ids",
                f"{total} tokens",
                f"at most {self.config.max_position_embeddings} (max_position_embeddings)",
                "shorten the prompt or ask for fewer new tokens",
            )
        if cache is not None and cache.is_compileable:
            raise ConfigError(
                "cache",
                f"a {type(cache).__name__}",
                "a cache that grows with the text",
                "leave cache_implementation out",
            )
        if attention_mask is not None and attention_mask.shape != (input_ids.shape[0], total):
            raise ConfigError(
                "attention_mask",
                f"shape {tuple(attention_mask.shape)}",
                f"{(input_ids.shape[0], total)}, with what the cache has seen",
                "leave it out where nothing is padded",
            )


class ReportTransformerForCausalLM(SavedModel, ReportTransformerPreTrainedModel, GenerationMixin):
    """Words to the next word."""

    auto_classes = ("AutoModel", "AutoModelForCausalLM")
    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}

    def __init__(self, config: ReportTransformerConfig):
        super().__init__(config)
        self.model = ReportTransformerModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self):
        return self.model.embed_tokens

    def set_input_embeddings(self, value):
        self.model.embed_tokens = value

    def get_output_embeddings(self):
        return self.lm_head

    def set_output_embeddings(self, value):
        self.lm_head = value

    @can_return_tuple
    @known_keywords
    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        cache: DynamicCache | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        num_items_in_batch: torch.Tensor | int | None = None,
        **kwargs,
    ) -> CausalLMOutputWithPast:
        """One pass over a text, or over what a cache has not seen of it.

        Args:
            input_ids: (batch, new) token ids.
            attention_mask: (batch, seen + new), 0 on padding, which may stand on either side; it counts no position.
            labels: (batch, new), mostly the ids themselves, -100 where nothing is to be learned; row t of the logits
                scores `labels[:, t + 1]`.
            cache: what earlier calls left; grows with the text.
            use_cache: whether to start a cache; None: when nothing is being trained.
            logits_to_keep: only the last so many rows of logits; 0 keeps all.
            num_items_in_batch: what the summed loss is divided by; None: by the labels that are not -100.

        Returns:
            `logits` (batch, new, vocabulary); `loss` is the mean cross-entropy over labels that are not -100.

        Raises:
            ConfigError: no token, one outside the vocabulary, more tokens than positions, a mask of another shape, or a
                cache of fixed size.
        """
        if use_cache is None and labels is not None:
            use_cache = False
        outputs = self.model(input_ids, attention_mask, cache, use_cache)
        logits = self.lm_head(outputs.last_hidden_state[:, -logits_to_keep:])
        loss = None
        if labels is not None:
            loss = self.loss_function(logits, labels, self.config.vocab_size, num_items_in_batch=num_items_in_batch)
        return CausalLMOutputWithPast(loss=loss, logits=logits, **{CACHE: outputs.get(CACHE)})

    @known_generation_keywords
    @torch.no_grad()
    def generate(self, inputs: torch.Tensor | None = None, **kwargs):
        """`GenerationMixin.generate`, by cached steps of one token."""
        return super().generate(inputs, **kwargs)

    prepare_inputs_for_generation = cache_by_both_names(GenerationMixin.prepare_inputs_for_generation)


def look_back(mask: torch.Tensor | None, seen: int, total: int, device) -> tuple[torch.Tensor, torch.Tensor]:
    """Where each new token may look, (batch or 1, 1, new, total), and its position, (batch or 1, new)."""
    places = torch.arange(total, device=device)
    allowed = (places <= places[seen:, None])[None, None]
    if mask is None:
        return allowed, places[None, seen:]
    there = mask.bool()
    # Padding sees itself: a row without any key would be no number.
    itself = torch.eye(total, dtype=torch.bool, device=device)[seen:]
    allowed = allowed & there[:, None, None] | itself
    return allowed, (there.cumsum(-1) - 1).clamp(min=0)[:, seen:]


__all__ = ["ReportTransformerForCausalLM"]
