"""HistGen, the report of a whole slide from the features of its patches.

After Guo et al., "HistGen: Histopathology Report Generation via Local-Global Feature Encoding and Cross-modal Context
Interaction" (MICCAI 2024, arXiv 2403.05396). A bag of patch features is projected; evenly spaced patches ask a learned
memory, and every patch asks their answers (cross-modal context); runs of patches form regions that are encoded each for
itself, then exchange what they have, then again each for itself (local-global hierarchy); one vector a region is what
the decoder reads. Each word of the report asks the same memory.

What differs from the published code by default, and what `compatibility="histgen"` brings back for its weights:

| upstream | here by default | effect |
|---|---|---|
| regions exchange their first patch, not the global token | the global token is exchanged | the token does its work |
| padding slots are pooled too | only patches and the token are | the last region does not depend on padding |
| norm divides by (unbiased deviation + eps) | torch's LayerNorm | the field's standard |
| memory starts with deviation 1 / width | with deviation 1 | answers differ from the first step on |

Always different, and equal in value: the memory is read by a masked softmax instead of gathering its rows; its keys and
values are computed once a report; no positional table is stored; the two projections of a feature are one product
where no gradient is asked for.

    model = HistGenForConditionalGeneration.from_pretrained(folder)
    ids = model.generate(patch_features=features, num_beams=3, length_penalty=0.0, max_new_tokens=100)
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from torch.nn.functional import pad, relu, scaled_dot_product_attention
from transformers import DynamicCache, EncoderDecoderCache, GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import ModelOutput, Seq2SeqLMOutput
from transformers.utils import can_return_tuple

from .config_error import ConfigError
from .configuration_histgen import HistGenConfig
from .keywords import (
    CACHE,
    CACHE_NAMES,
    cache_by_either_name,
    known_generation_keywords,
    known_keywords,
    refuse_assistant,
    refuse_cache_under_checkpointing,
)
from .saved_model import SavedModel
from .sentence_maps import sentence_maps
from .sinusoids import sinusoids
from .whole_linear import linear

# A bag of 100,000 patches is worked on piece by piece: small buffers are used again, large ones are fetched anew.
QUERIES_AT_ONCE, PATCHES_AT_ONCE, REGIONS_AT_ONCE = 4096, 8192, 64


@dataclass
class HistGenEncoderOutput(ModelOutput):
    """What the decoder needs of a bag: `last_hidden_state` (batch, regions, width), `region_mask` (batch, regions)."""

    last_hidden_state: torch.Tensor | None = None
    region_mask: torch.Tensor | None = None


class UnbiasedNorm(nn.Module):
    """Upstream's norm: (x - mean) / (unbiased deviation + eps), scaled and shifted."""

    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight, self.bias, self.eps = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width)), eps

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        mean, deviation = states.mean(-1, keepdim=True), states.std(-1, keepdim=True)
        return self.weight * (states - mean) / (deviation + self.eps) + self.bias


def norm(config: HistGenConfig) -> nn.Module:
    """Upstream's layer norm on request, else torch's."""
    return (UnbiasedNorm if config.compatibility else nn.LayerNorm)(config.hidden_size, eps=1e-6)


class Attention(nn.Module):
    """Multi-head attention with biases."""

    def __init__(self, config: HistGenConfig, layer_idx: int | None = None):
        super().__init__()
        self.heads, self.dropout, self.layer_idx = config.num_attention_heads, config.attention_dropout, layer_idx
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, nn.Linear(config.hidden_size, config.hidden_size))

    def split(self, states: torch.Tensor) -> torch.Tensor:
        """(batch, tokens, width) -> (batch, heads, tokens, width / heads)."""
        return states.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_values(self, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of the states, each (batch, heads, tokens, width / heads)."""
        return self.split(self.k_proj(states)), self.split(self.v_proj(states))

    def forward(self, queries: torch.Tensor, keys_values: tuple, mask: torch.Tensor | None = None) -> torch.Tensor:
        """`queries` (batch, tokens, width); `keys_values` as above; `mask` is True where a query may look."""
        dropout = self.dropout if self.training else 0.0
        context = scaled_dot_product_attention(self.split(self.q_proj(queries)), *keys_values, mask, dropout)
        return self.o_proj(context.transpose(1, 2).flatten(2))


class CrossModalContext(Attention):
    """A learned memory that patches and words both ask; each query uses the `top_k` slots that fit it best."""

    def __init__(self, config: HistGenConfig):
        super().__init__(config)
        self.memory = nn.Parameter(torch.empty(config.memory_slots, config.hidden_size))
        self.top_k = config.memory_top_k

    def memory_keys_values(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(heads, slots, width / heads) twice; the same for every query until the weights change."""
        keys, values = self.keys_values(self.memory[None])
        return keys[0], values[0]

    def forward(self, queries: torch.Tensor, keys_values: tuple) -> torch.Tensor:
        """The memory's answer to each of `queries` (batch, tokens, width)."""
        # Queries of all batches are rows of one product: the memory is the same for all.
        parts = queries.flatten(0, 1).split(QUERIES_AT_ONCE)
        return torch.cat([self._answer(part, *keys_values) for part in parts]).view_as(queries)

    def _answer(self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        queries = self.split(self.q_proj(queries)[None])[0] / math.sqrt(keys.shape[-1])
        scores = queries @ keys.transpose(-1, -2)  # (heads, queries, slots)
        if self.top_k < scores.shape[-1]:
            weakest = scores.detach().topk(self.top_k, dim=-1, sorted=False).values.amin(-1, keepdim=True)
            scores.masked_fill_(scores.detach() < weakest, -torch.inf)
        weights = nn.functional.dropout(scores.softmax(-1), self.dropout, self.training)
        return self.o_proj((weights @ values).transpose(0, 1).flatten(1))


class FeedForward(nn.Module):
    """Two layers with a ReLU between them."""

    def __init__(self, config: HistGenConfig):
        super().__init__()
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self.down_proj(self.dropout(relu(self.up_proj(states))))


class EncoderLayer(GradientCheckpointingLayer):
    """Pre-norm self-attention and feed-forward."""

    def __init__(self, config: HistGenConfig):
        super().__init__()
        self.attention, self.feed_forward = Attention(config), FeedForward(config)
        self.attention_norm, self.feed_forward_norm = norm(config), norm(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """`states` (sets, tokens, width); `mask` (sets, tokens), True for what is there."""
        normed = self.attention_norm(states)
        attended = self.attention(normed, self.attention.keys_values(normed), mask[:, None, None])
        states = states + self.dropout(attended)
        return states + self.dropout(self.feed_forward(self.feed_forward_norm(states)))


class RegionPooler(nn.Module):
    """One vector a region: a weighted mean of its slots."""

    def __init__(self, config: HistGenConfig):
        super().__init__()
        self.score_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.score = linear(config.hidden_size, 1, bias=False)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, slots: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        # (regions, slots, width) -> (regions, width)
        scores = self.score(self.score_proj(slots)).tanh()
        if mask is not None:
            scores = scores.masked_fill(~mask[..., None], -torch.inf)
        return self.dense((scores.softmax(dim=1) * slots).sum(dim=1)).tanh()


class HistGenEncoder(nn.Module):
    """Patches to regions, locally and globally ("local-global hierarchical encoder", paper section 2.1)."""

    main_input_name = "patch_features"  # asked for by transformers' generation

    def __init__(self, config: HistGenConfig):
        super().__init__()
        self.config = config
        self.context_attention = Attention(config)
        self.global_token = nn.Parameter(torch.empty(1, 1, 1, config.hidden_size))
        self.first_region_layer, self.slide_layer = EncoderLayer(config), EncoderLayer(config)
        self.second_region_layer = EncoderLayer(config)
        self.norm, self.pooler, self.dropout = norm(config), RegionPooler(config), nn.Dropout(config.dropout)

    def forward(self, patches: torch.Tensor, mask: torch.Tensor, context: CrossModalContext, memory: tuple):
        """`patches` (batch, patches, width), `mask` (batch, patches) -> HistGenEncoderOutput."""
        prototypes = patches.gather(1, self.prototypes(mask)[..., None].expand(-1, -1, patches.shape[-1]))
        answers = context(prototypes, memory)
        keys_values = self.context_attention.keys_values(answers)
        parts = patches.split(PATCHES_AT_ONCE, dim=1)
        patches = torch.cat([part + self.context_attention(part, keys_values) for part in parts], dim=1)

        patches_each = self.config.region_size - 1
        missing = -patches.shape[1] % patches_each
        batch = patches.shape[0]
        # (batch, patches, width) -> (batch, regions, slots, width); what is not there is zero.
        slots = pad(patches.masked_fill(~mask[..., None], 0), (0, 0, 0, missing)).unflatten(1, (-1, patches_each))
        slot_mask = pad(mask, (0, missing)).unflatten(1, (-1, patches_each))
        region_mask = slot_mask.any(-1)
        slots = torch.cat([slots, self.global_token.expand(*slots.shape[:2], -1, -1).to(slots.dtype)], dim=2)
        slot_mask = pad(slot_mask, (0, 1), value=True).flatten(0, 1)

        slots = self._within_regions(self.first_region_layer, slots.flatten(0, 1), slot_mask)
        slots = self._between_regions(slots.unflatten(0, (batch, -1)), region_mask)
        slots = self._within_regions(self.second_region_layer, slots.flatten(0, 1), slot_mask)
        parts = zip(slots.split(REGIONS_AT_ONCE), slot_mask.split(REGIONS_AT_ONCE), strict=True)
        pooled = torch.cat(
            [self.pooler(self.norm(part), None if self.config.compatibility else of_part) for part, of_part in parts]
        )
        return HistGenEncoderOutput(pooled.unflatten(0, (batch, -1)), region_mask)

    def prototypes(self, mask: torch.Tensor) -> torch.Tensor:
        """Indices (batch, prototypes) of evenly spaced patches; they repeat in a bag with fewer patches than that."""
        rows = []
        for there in mask:
            (indices,) = there.nonzero(as_tuple=True)
            # Upstream's rounding is that of a float32 linspace, cut to whole numbers.
            chosen = torch.linspace(0, len(indices) - 1, self.config.num_prototypes, device=mask.device).long()
            rows.append(indices[chosen])
        return torch.stack(rows)

    def _within_regions(self, layer: EncoderLayer, slots: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        places = sinusoids(torch.arange(slots.shape[1], device=slots.device), slots.shape[-1], slots.dtype)
        parts = zip(slots.split(REGIONS_AT_ONCE), mask.split(REGIONS_AT_ONCE), strict=True)
        return torch.cat([layer(self.dropout(part + places), of_part) for part, of_part in parts])

    def _between_regions(self, slots: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Regions exchange one slot each: the global token, in upstream the first patch."""
        place = 0 if self.config.compatibility else slots.shape[2] - 1
        regions = torch.arange(slots.shape[1], device=slots.device)
        exchanged = self.dropout(slots[:, :, place] + sinusoids(regions, slots.shape[-1], slots.dtype))
        exchanged = self.slide_layer(exchanged, mask)[:, :, None]
        return torch.cat([slots[:, :, :place], exchanged, slots[:, :, place + 1 :]], dim=2)


class DecoderLayer(GradientCheckpointingLayer):
    """Pre-norm self-attention, attention to the regions, feed-forward."""

    def __init__(self, config: HistGenConfig, layer_idx: int):
        super().__init__()
        self.self_attention, self.cross_attention = Attention(config, layer_idx), Attention(config, layer_idx)
        self.feed_forward = FeedForward(config)
        self.self_norm, self.cross_norm, self.feed_forward_norm = norm(config), norm(config), norm(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, states, regions, self_mask, region_mask, cache: EncoderDecoderCache | None = None):
        normed = self.self_norm(states)
        keys_values = self.self_attention.keys_values(normed)
        if cache is not None:
            keys_values = cache.self_attention_cache.update(*keys_values, self.self_attention.layer_idx)
        states = states + self.dropout(self.self_attention(normed, keys_values, self_mask))
        keys_values = self._regions_keys_values(regions, cache)
        attended = self.cross_attention(self.cross_norm(states), keys_values, region_mask[:, None, None])
        states = states + self.dropout(attended)
        return states + self.dropout(self.feed_forward(self.feed_forward_norm(states)))

    def _regions_keys_values(self, regions: torch.Tensor, cache: EncoderDecoderCache | None):
        if cache is None:
            return self.cross_attention.keys_values(regions)
        index = self.cross_attention.layer_idx
        if not cache.is_updated.get(index):
            cache.is_updated[index] = True
            return cache.cross_attention_cache.update(*self.cross_attention.keys_values(regions), index)
        layer = cache.cross_attention_cache.layers[index]
        return layer.keys, layer.values


class HistGenDecoder(nn.Module):
    """Words to hidden states; each word asks the memory before the first layer."""

    def __init__(self, config: HistGenConfig):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(config, index) for index in range(config.num_hidden_layers))
        self.norm, self.dropout = norm(config), nn.Dropout(config.dropout)

    def forward(self, ids, mask, encoded: HistGenEncoderOutput, context: CrossModalContext, memory, cache):
        """`ids` (batch, new), `mask` (batch, seen + new) or None -> (batch, new, width)."""
        seen = cache.get_seq_length() if cache is not None else 0
        total = seen + ids.shape[1]
        places = torch.arange(total, device=ids.device)
        allowed = (places <= places[seen:, None])[None, None]  # (1, 1, new, seen + new)
        if mask is not None:
            mask = mask[:, :total].bool()
            blank = mask.cumsum(-1) == 0  # before a prompt that is padded on the left
            places = (places - blank.sum(-1, keepdim=True)).clamp(min=0)
            # A blank query sees the blanks up to itself: a row without any key would be no number.
            allowed = allowed & (mask | blank)[:, None, None] & (blank[:, seen:, None] | ~blank[:, None])[:, None]
        states = self.embed_tokens(ids) * math.sqrt(self.embed_tokens.embedding_dim)
        states = self.dropout(states + sinusoids(places[..., seen:], states.shape[-1], states.dtype))
        states = states + context(states, memory)
        for layer in self.layers:
            states = layer(states, encoded.last_hidden_state, allowed, encoded.region_mask, cache)
        return self.norm(states)


@dataclass
class SeenSlides:
    """What was made of bags of features before a word is written.

    Attributes:
        encoder_outputs: of `encode_patches`.
        memory_key_values: of `context.memory_keys_values()`.
        patches: (batch, patches, hidden_size) projected features, by which evidence is asked for.
        mask: (batch, patches), 0 on padding.
    """

    encoder_outputs: HistGenEncoderOutput
    memory_key_values: tuple
    patches: torch.Tensor
    mask: torch.Tensor


class HistGenForConditionalGeneration(SavedModel, PreTrainedModel, GenerationMixin):
    """Patch features -> regions -> report."""

    config_class = HistGenConfig
    auto_classes = ("AutoModel", "AutoModelForImageTextToText")
    base_model_prefix = "model"
    main_input_name = "patch_features"
    input_modalities = ("image", "text")
    output_modalities = ("text",)
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["EncoderLayer", "DecoderLayer", "CrossModalContext"]
    _skip_keys_device_placement = [*CACHE_NAMES]

    def __init__(self, config: HistGenConfig):
        super().__init__(config)
        self.feature_projection = nn.Linear(config.feature_size, config.visual_size)
        self.patch_projection = nn.Linear(config.visual_size, config.hidden_size)
        self.projection_dropout = nn.Dropout(config.projection_dropout)
        self.context = CrossModalContext(config)
        self.encoder = HistGenEncoder(config)
        self.decoder = HistGenDecoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()

    def _init_weights(self, module):
        """Xavier for every matrix, as upstream; see the table above for the memory."""
        if isinstance(module, (nn.Linear, nn.Embedding)):
            init.xavier_uniform_(module.weight)
            if getattr(module, "bias", None) is not None:
                init.zeros_(module.bias)
        elif isinstance(module, (nn.LayerNorm, UnbiasedNorm)):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, CrossModalContext):
            init.normal_(module.memory, std=1 / self.config.hidden_size if self.config.compatibility else 1.0)
        elif isinstance(module, HistGenEncoder):
            init.xavier_uniform_(module.global_token)

    def get_encoder(self):
        return self.encoder

    def get_input_embeddings(self):
        return self.decoder.embed_tokens

    def set_input_embeddings(self, value):
        self.decoder.embed_tokens = value

    def get_output_embeddings(self):
        return self.lm_head

    def set_output_embeddings(self, value):
        self.lm_head = value

    def project(self, patch_features: torch.Tensor) -> torch.Tensor:
        """(batch, patches, feature_size) -> (batch, patches, hidden_size)."""
        features = patch_features.to(self.context.memory.dtype)  # of the linear layers it may be an integer
        first, second = self.feature_projection, self.patch_projection
        plain = type(first) is type(second) is nn.Linear  # neither quantized nor with an adapter
        if torch.is_grad_enabled() or not plain:
            return self.projection_dropout(relu(second(first(features))))
        # Nothing stands between the two: one product of their product.
        weight, bias = second.weight @ first.weight, second(first.bias)
        parts = features.split(PATCHES_AT_ONCE, dim=1)
        return self.projection_dropout(
            torch.cat([functional.linear(part, weight, bias).relu_() for part in parts], dim=1)
        )

    def encode_patches(
        self,
        patch_features: torch.Tensor,
        patch_attention_mask: torch.Tensor | None = None,
        memory_key_values: tuple | None = None,
    ) -> HistGenEncoderOutput:
        """What the decoder needs of each bag.

        Args:
            patch_features: (batch, patches, feature_size), padded with anything.
            patch_attention_mask: (batch, patches), 0 on padding; None: nothing is padded. A run of `region_size - 1`
                columns is a region, so several slides of one case are each padded to whole regions.
            memory_key_values: of `context.memory_keys_values()`, where the caller has them.

        Raises:
            ConfigError: another width than feature_size, a mask of another shape, or a bag without patches.
        """
        mask = self.checked_mask(patch_features, patch_attention_mask)
        memory = memory_key_values if memory_key_values is not None else self.context.memory_keys_values()
        return self.encoder(self.project(patch_features), mask, self.context, memory)

    def checked_mask(self, patch_features: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """(batch, patches) bool; errors as `encode_patches`."""
        if patch_features.ndim != 3 or patch_features.shape[-1] != self.config.feature_size:
            raise ConfigError(
                "patch_features",
                f"shape {tuple(patch_features.shape)}",
                f"(batch, patches, {self.config.feature_size})",
                "encode the slide with the patch encoder that this model was trained with",
            )
        if mask is None:
            mask = torch.ones(patch_features.shape[:2], device=patch_features.device)
        mask = mask.bool()
        if mask.shape != patch_features.shape[:2] or not mask.any(-1).all():
            found = "a bag without patches" if mask.shape == patch_features.shape[:2] else f"shape {tuple(mask.shape)}"
            raise ConfigError(
                "patch_attention_mask",
                found,
                f"(batch, patches) = {tuple(patch_features.shape[:2])} with at least one patch a bag",
                "correct the mask",
            )
        return mask

    def takes(self) -> dict[str, str]:
        """What a case may bring beside its slides: nothing."""
        return {}

    @torch.no_grad()
    def see(
        self, patch_features: torch.Tensor, patch_attention_mask: torch.Tensor | None = None, evidence: bool = False
    ) -> SeenSlides:
        """Look at bags once, for `generate` and `sentence_evidence`; arguments as in `encode_patches`.

        Args:
            evidence: whether `sentence_evidence` is to follow, which asks for gradients by the projected features.
        """
        mask = self.checked_mask(patch_features, patch_attention_mask)
        patches = self.project(patch_features).detach()
        with torch.set_grad_enabled(evidence):
            patches.requires_grad_(evidence)
            memory = self.context.memory_keys_values()
            return SeenSlides(self.encoder(patches, mask, self.context, memory), memory, patches, mask)

    def details(self, seen: SeenSlides, full: bool) -> dict[str, torch.Tensor]:
        """What a record says beside the words: nothing."""
        return {}

    @can_return_tuple
    @known_keywords
    def forward(
        self,
        patch_features: torch.Tensor | None = None,
        patch_attention_mask: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        decoder_attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        encoder_outputs: HistGenEncoderOutput | None = None,
        memory_key_values: tuple | None = None,
        cache: EncoderDecoderCache | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        num_items_in_batch: torch.Tensor | int | None = None,
        **kwargs,
    ) -> Seq2SeqLMOutput:
        """One pass over a bag and its report.

        Args:
            patch_features, patch_attention_mask: as in `encode_patches`.
            decoder_input_ids: (batch, text) ids that begin with id 0; taken from `labels` when absent.
            decoder_attention_mask: (batch, text), 0 on padding; with a cache it covers what the cache has seen too.
            labels: (batch, text), -100 where nothing is to be learned; row t of the logits scores `labels[:, t]`.
            encoder_outputs: of `encode_patches`, in place of the patches.
            memory_key_values: of `context.memory_keys_values()`; what `generate` passes.
            logits_to_keep: only the last so many rows of logits; 0 keeps all.

        Returns:
            `logits` (batch, text, vocabulary); `loss` is the mean cross-entropy over labels that are not -100.

        Raises:
            ConfigError: neither patches nor encoder outputs, neither ids nor labels, or what `encode_patches` raises.
        """
        memory = memory_key_values if memory_key_values is not None else self.context.memory_keys_values()
        if encoder_outputs is None:
            if patch_features is None:
                raise ConfigError("forward", "neither patch_features nor encoder_outputs", "one", "pass the features")
            encoder_outputs = self.encode_patches(patch_features, patch_attention_mask, memory)
        if decoder_input_ids is None:
            if labels is None:
                raise ConfigError("forward", "neither decoder_input_ids nor labels", "one", "pass the report")
            decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        if use_cache is None:
            use_cache = labels is None and not torch.is_grad_enabled()
        refuse_cache_under_checkpointing(self.decoder.layers[0], cache)
        if use_cache and cache is None:
            cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        hidden = self.decoder(decoder_input_ids, decoder_attention_mask, encoder_outputs, self.context, memory, cache)
        logits = self.lm_head(hidden[:, -logits_to_keep:])
        loss = None
        if labels is not None:
            loss = self.loss_function(
                logits,
                None,
                self.config.vocab_size,
                num_items_in_batch=num_items_in_batch,
                shift_labels=labels.contiguous(),
            )
        return Seq2SeqLMOutput(
            loss=loss,
            logits=logits,
            encoder_last_hidden_state=encoder_outputs.last_hidden_state,
            **{CACHE: cache},
        )

    def prepare_decoder_input_ids_from_labels(self, labels: torch.Tensor) -> torch.Tensor:
        """The start token, then all labels but the last; the name is what transformers' collators call."""
        shifted = pad(labels[:, :-1], (1, 0), value=self.config.decoder_start_token_id)
        return shifted.masked_fill(shifted == -100, self.config.pad_token_id)

    @known_generation_keywords
    @torch.no_grad()
    def generate(
        self,
        patch_features: torch.Tensor | None = None,
        patch_attention_mask: torch.Tensor | None = None,
        encoder_outputs: HistGenEncoderOutput | None = None,
        seen: SeenSlides | None = None,
        labels: torch.Tensor | None = None,
        **kwargs,
    ):
        """Token ids of the report, the start token first.

        Args:
            patch_features, patch_attention_mask, encoder_outputs: as in `forward`.
            seen: of `see`, in place of these.
            labels: ignored; Seq2SeqTrainer passes the whole batch.
            kwargs: anything of `GenerationMixin.generate`; `decoder_input_ids` with `decoder_attention_mask` continue
                prompts that are padded on the left.
        """
        refuse_assistant(kwargs)
        memory = self.context.memory_keys_values() if seen is None else seen.memory_key_values
        if seen is not None:
            encoder_outputs = seen.encoder_outputs
        elif encoder_outputs is None:
            if patch_features is None:
                raise ConfigError("generate", "neither patch_features nor encoder_outputs", "one", "pass the features")
            encoder_outputs = self.encode_patches(patch_features, patch_attention_mask, memory)
        # transformers guesses a mask, and warns, where none is given; the regions' own travels in encoder_outputs.
        mask = encoder_outputs.region_mask.long()
        # A copy: transformers puts the rows that it repeats for beams into what it is given.
        states = HistGenEncoderOutput(encoder_outputs.last_hidden_state, encoder_outputs.region_mask)
        return super().generate(encoder_outputs=states, attention_mask=mask, memory_key_values=memory, **kwargs)

    @cache_by_either_name
    def prepare_inputs_for_generation(
        self,
        input_ids,
        cache=None,
        attention_mask=None,
        decoder_attention_mask=None,
        encoder_outputs=None,
        **kwargs,
    ):
        """Only the tokens that the cache has not seen."""
        seen = cache.get_seq_length() if cache is not None else 0
        return {
            "decoder_input_ids": input_ids[:, seen:],
            "decoder_attention_mask": decoder_attention_mask,
            "encoder_outputs": encoder_outputs,
            "memory_key_values": kwargs["memory_key_values"],
            "cache": cache,
            "use_cache": kwargs.get("use_cache", True),
            "logits_to_keep": 1,
        }

    def sentence_evidence(
        self,
        generated: torch.Tensor,
        sentence_of_token: torch.Tensor,
        patch_features: torch.Tensor | None = None,
        patch_attention_mask: torch.Tensor | None = None,
        seen: SeenSlides | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """How sure the model is of each token, and which patches spoke for each sentence.

        Evidence of a patch is the positive part of gradient times projected feature: to first order, how much a
        sentence's log-probability would fall if the patch's projection were set to zero.

        Args:
            generated: (batch, text) ids from `generate`, the start token first.
            sentence_of_token: (batch, text) index of each token's sentence; -1 for padding and the start.
            seen: of `see` with `evidence=True`, in place of the features.

        Returns:
            token log-probabilities (batch, text), 0 for the start token, and evidence (batch, sentences, patches), each
            row of sum 1 (or 0 where no patch spoke for the sentence).
        """
        if seen is None:
            seen = self.see(patch_features, patch_attention_mask, evidence=True)
        encoded, memory, patches, mask = seen.encoder_outputs, seen.memory_key_values, seen.patches, seen.mask
        with torch.enable_grad():
            logits = self(decoder_input_ids=generated[:, :-1], encoder_outputs=encoded, memory_key_values=memory).logits
            scores = logits.float().log_softmax(-1).gather(-1, generated[:, 1:, None])[..., 0]
            scores = pad(scores, (1, 0))
            maps = sentence_maps(
                scores,
                sentence_of_token,
                [patches],
                lambda gradient: (gradient * patches).sum(-1).clamp(min=0) * mask,
            )
        evidence = torch.stack(maps, dim=1) if maps else patches.new_zeros(len(generated), 0, mask.shape[1])
        return scores.detach(), evidence


__all__ = ["HistGenForConditionalGeneration"]
