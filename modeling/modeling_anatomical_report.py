"""Layer-wise anatomical attention: a film's report by GPT-2 that is told in every layer where lungs and heart are.

After the UDEM thesis "layer-wise anatomical attention" (arXiv 2512.16841). Patch features of an image encoder are
projected to the decoder's width and stand before the text, `[patches][text]`; a lung-heart mask becomes one additive
attention bias a layer on the patch columns (`anatomical_prior.py`).

What differs from the published code, and why:

| upstream | here | effect |
|---|---|---|
| the bias is lost in cached generation | added in the prefill and in every decode step | text follows the prior |
| under sdpa an all-ones mask drops the bias | the float mask is always built here | eager and sdpa agree |
| no end-of-text target | the text side appends it to every target | reports end by themselves |
| a constant mask hides every patch in strict mode | a constant mask is no mask | an empty mask is harmless |
| 1,024 patches on a 32 x 32 grid | grid, prefix tokens and layers follow the configs | any encoder, any size |
| "unfrozen" encoder runs without gradient | `freeze_encoder=False` trains it | fine-tuning works |

`legacy_decode=True` brings upstream's cached generation back, for its numbers only: under sdpa the bias has no effect
in the prefill nor later; under eager it acts in the prefill, and each later step adds the bias of patch 0 to all keys
(so soft = none, and strict = uniform attention in layers that hide patch 0). Without a cache nothing changes.

    model = AnatomicalReportForConditionalGeneration.from_encoder_decoder_pretrained(
        "facebook/dinov3-vits16-pretrain-lvd1689m", "openai-community/gpt2", image_size=512
    )
    ids = model.generate(pixel_values=pixels, anatomical_masks=masks, max_new_tokens=100)
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoModel, GenerationMixin, GPT2LMHeadModel, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.utils import can_return_tuple

from .anatomical_prior import attention_bias, layer_masks
from .config_error import ConfigError
from .configuration_anatomical_report import AnatomicalReportConfig
from .gpt2_stack import GPT2Stack, NumberedGPT2Block
from .keywords import (
    CACHE,
    CACHE_NAMES,
    cache_by_either_name,
    known_generation_keywords,
    known_keywords,
    refuse_assistant,
)
from .modeling_anatomy_segmenter import AnatomySegmenterForSemanticSegmentation
from .position_expansion import expand_positions
from .saved_model import SavedModel
from .sentence_maps import sentence_maps


class AnatomicalGPT2Block(NumberedGPT2Block):
    """A GPT-2 block that adds its own layer's bias to the attention mask."""

    def forward(self, hidden_states, cache=None, attention_mask=None, /, *args, layer_bias=None, **kwargs):
        if layer_bias is not None:
            # (batch, 1, queries, keys) + (batch, 1, 1, keys)
            attention_mask = attention_mask + layer_bias[:, self.layer_idx, None, None, :]
        return super().forward(hidden_states, cache, attention_mask, *args, **kwargs)


class AnatomicalGPT2Model(GPT2Stack):
    """GPT-2 made of `AnatomicalGPT2Block`s; same weights and names."""

    block_class = AnatomicalGPT2Block
    _supports_flash_attn = False  # it takes no additive mask


class AnatomicalGPT2LMHeadModel(GPT2LMHeadModel):
    """GPT-2 with its tied head over `AnatomicalGPT2Model`; any GPT-2 checkpoint loads into it."""

    _supports_flash_attn = False

    def __init__(self, config):
        super().__init__(config)
        self.transformer = AnatomicalGPT2Model(config)
        self.post_init()


@dataclass
class SeenFilms:
    """What was made of films before a word is written.

    Attributes:
        embeddings, prior: as `encode_image` returns them.
        masks: (batch, 1, height, width), of which the prior was made; None with `mask_mode="none"`.
    """

    embeddings: torch.Tensor
    prior: torch.Tensor | None
    masks: torch.Tensor | None


class AnatomicalReportForConditionalGeneration(SavedModel, PreTrainedModel, GenerationMixin):
    """Image encoder -> projection -> GPT-2 with a layer-wise anatomical bias."""

    config_class = AnatomicalReportConfig
    auto_classes = ("AutoModel", "AutoModelForImageTextToText")
    base_model_prefix = "model"
    input_modalities = ("image", "text")
    output_modalities = ("text",)
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["AnatomicalGPT2Block"]
    _skip_keys_device_placement = [*CACHE_NAMES]

    def __init__(self, config: AnatomicalReportConfig):
        super().__init__(config)
        for part in convolutional_parts(config).values():
            part._attn_implementation = "eager"
        self.encoder = without_pooler(AutoModel.from_config(config.encoder))
        self.projection = nn.Linear(encoder_width(config.encoder), config.decoder.hidden_size)
        self.decoder = AnatomicalGPT2LMHeadModel(config.decoder)
        self.segmenter = None
        if config.segmenter is not None:
            self.segmenter = AnatomySegmenterForSemanticSegmentation(config.segmenter)
        self.post_init()
        self.freeze()

    @classmethod
    def from_pretrained(cls, *args, **kwargs):
        """As in transformers, whose loader makes every weight trainable: here the configuration says which are."""
        loaded = super().from_pretrained(*args, **kwargs)
        (loaded[0] if isinstance(loaded, tuple) else loaded).freeze()  # a tuple with output_loading_info=True
        return loaded

    @classmethod
    def from_encoder_decoder_pretrained(
        cls,
        encoder: str,
        decoder: str,
        segmenter: str | None = None,
        position_expansion: str = "linear",
        **kwargs,
    ):
        """Join a pretrained vision encoder and a pretrained GPT-2; the projection starts at random.

        Args:
            encoder, decoder, segmenter: folders or repository ids.
            position_expansion: how the decoder's positions grow by the number of patches; see `expand_positions`.
            kwargs: `encoder_*` and `decoder_*` go to their `from_pretrained`, the rest to the configuration.
        """
        encoder_kwargs = {key[8:]: kwargs.pop(key) for key in list(kwargs) if key.startswith("encoder_")}
        decoder_kwargs = {key[8:]: kwargs.pop(key) for key in list(kwargs) if key.startswith("decoder_")}
        encoder_model = without_pooler(AutoModel.from_pretrained(encoder, **encoder_kwargs))
        decoder_model = AnatomicalGPT2LMHeadModel.from_pretrained(decoder, **decoder_kwargs)
        segmenter_model = segmenter and AnatomySegmenterForSemanticSegmentation.from_pretrained(segmenter)

        image_size = kwargs.setdefault("image_size", getattr(encoder_model.config, "image_size", 512))
        with torch.no_grad():
            probe = torch.zeros(1, 3, image_size, image_size, dtype=encoder_model.dtype)
            num_patches = patch_features(encoder_model, probe)[0].shape[1]
        table = decoder_model.transformer.wpe.weight.data
        expanded = expand_positions(table, table.shape[0] + num_patches, position_expansion)
        decoder_model.transformer.wpe = nn.Embedding.from_pretrained(expanded, freeze=False)
        decoder_model.config.n_positions = expanded.shape[0]

        config = AnatomicalReportConfig(
            encoder=encoder_model.config,
            decoder=decoder_model.config,
            segmenter=segmenter_model.config if segmenter_model else None,
            **kwargs,
        )
        model = cls(config)
        model.encoder.load_state_dict(encoder_model.state_dict())
        model.decoder.load_state_dict(decoder_model.state_dict())
        if segmenter_model:
            model.segmenter.load_state_dict(segmenter_model.state_dict())
        model.generation_config = decoder_model.generation_config
        return model.eval()

    def frozen_parts(self) -> list[nn.Module]:
        """What the configuration freezes; the segmenter always is."""
        frozen = {"encoder": self.config.freeze_encoder, "decoder": self.config.freeze_decoder, "segmenter": True}
        parts = [getattr(self, name) for name, is_frozen in frozen.items() if is_frozen]
        return [part for part in parts if part is not None]

    def freeze(self) -> None:
        """Once, when built or loaded: what is added or unfrozen later (adapters, by hand) stays trainable."""
        for part in self.frozen_parts():
            part.eval().requires_grad_(False)

    def train(self, mode: bool = True):
        """Training mode, but frozen parts stay in evaluation mode (dropout, batch statistics)."""
        super().train(mode)
        for part in self.frozen_parts():
            part.eval()
        return self

    def set_attn_implementation(self, attn_implementation, *args, **kwargs):
        """As in transformers, but one name for all is not asked of parts that have no attention."""
        if isinstance(attn_implementation, str):
            spared = convolutional_parts(self.config)
            names = [name for name in ("", *self.config.sub_configs) if name not in spared]
            attn_implementation = dict.fromkeys(names, attn_implementation)
        super().set_attn_implementation(attn_implementation, *args, **kwargs)

    def get_input_embeddings(self):
        return self.decoder.get_input_embeddings()

    def set_input_embeddings(self, value):
        self.decoder.set_input_embeddings(value)

    def get_output_embeddings(self):
        return self.decoder.get_output_embeddings()

    def set_output_embeddings(self, value):
        self.decoder.set_output_embeddings(value)

    def encode_image(
        self,
        pixel_values: torch.Tensor | None = None,
        encoder_outputs: torch.Tensor | None = None,
        anatomical_masks: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What the decoder needs of a film.

        Returns:
            image embeddings (batch, patches, decoder width), and the prior (batch, layers, rows, columns) in [0, 1],
            None when `mask_mode` is `"none"`.
        """
        if encoder_outputs is not None:
            features = getattr(encoder_outputs, "last_hidden_state", encoder_outputs)
            grid = square_grid(features.shape[1])
        elif pixel_values is not None:
            features, grid = patch_features(self.encoder, pixel_values.to(self.encoder.dtype))
        else:
            raise ConfigError("forward", "no image", "pixel_values or encoder_outputs", "pass one of them")
        if features.shape[-1] != self.projection.in_features:
            raise ConfigError(
                "encoder_outputs",
                f"width {features.shape[-1]}",
                str(self.projection.in_features),
                "pass patch features of the configured encoder, before the projection",
            )
        embeddings = self.projection(features.to(self.dtype))
        anatomical_masks = self.masks_of(pixel_values, anatomical_masks)
        if anatomical_masks is None:
            return embeddings, None
        if anatomical_masks.shape[0] != embeddings.shape[0]:
            raise ConfigError(
                "anatomical_masks",
                f"{anatomical_masks.shape[0]} masks for {embeddings.shape[0]} images",
                "one an image",
                "pass an all-zero mask for an image without one",
            )
        config = self.config
        prior = layer_masks(
            anatomical_masks, grid, config.decoder.num_hidden_layers, config.base_kernel, config.kernel_growth
        )
        return embeddings, prior

    def masks_of(self, pixel_values: torch.Tensor | None, given: torch.Tensor | None) -> torch.Tensor | None:
        """The masks given, or those that the segmenter draws; None with `mask_mode="none"`."""
        if self.config.mask_mode == "none":
            return None
        if given is not None:
            return given
        if self.segmenter is None or pixel_values is None:
            raise ConfigError(
                "anatomical_masks",
                f"none with mask_mode='{self.config.mask_mode}' and no segmenter to draw them",
                "(batch, 1, height, width)",
                "pass masks, build with a segmenter, or set mask_mode='none'",
            )
        return self.segmenter.anatomical_masks(pixel_values.to(self.segmenter.dtype))

    def takes(self) -> dict[str, str]:
        """What a case may bring beside its image: name -> `"optional"` or `"required"`."""
        alone = self.config.mask_mode != "none" and self.segmenter is None
        return {"mask": "required" if alone else "optional"}

    @torch.no_grad()
    def see(
        self,
        pixel_values: torch.Tensor | None = None,
        anatomical_masks: torch.Tensor | None = None,
        encoder_outputs: torch.Tensor | None = None,
        evidence: bool = False,
    ) -> SeenFilms:
        """Look at films once, for `generate`, `sentence_evidence` and `details`; arguments as in `forward`.

        Args:
            evidence: whether `sentence_evidence` is to follow.
        """
        masks = self.masks_of(pixel_values, anatomical_masks)
        return SeenFilms(*self.encode_image(pixel_values, encoder_outputs, masks), masks)

    def details(self, seen: SeenFilms, full: bool) -> dict[str, torch.Tensor]:
        """What a record says beside the words, a row a case: in full the `prior`, (batch, height, width) in [0, 1]."""
        return {"prior": seen.masks[:, 0]} if full and seen.masks is not None else {}

    @can_return_tuple
    @known_keywords
    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        anatomical_masks: torch.Tensor | None = None,
        encoder_outputs: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        prior: torch.Tensor | None = None,
        cache=None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        num_items_in_batch: torch.Tensor | int | None = None,
        **kwargs,
    ) -> CausalLMOutputWithPast:
        """One pass over film and text.

        Args:
            pixel_values: (batch, 3, height, width), normalized.
            input_ids: (batch, text) token ids after the image; taken from `labels` when absent.
            attention_mask: (batch, text), 0 on padding; together with `inputs_embeds` or a cache it covers image and
                text.
            anatomical_masks: (batch, 1, height, width), any size; drawn by the segmenter when absent.
            encoder_outputs: (batch, patches, encoder width) patch features before the projection, instead of
                pixel_values; the grid is then square.
            labels: (batch, text), -100 where nothing is to be learned. `labels[:, 0]` is predicted from the last patch.
            inputs_embeds, prior: image (and prompt) embeddings and prior as `encode_image` gives them; what `generate`
                passes. A cache holds no prior: pass it in each step.
            logits_to_keep: only the last so many rows of logits; 0 keeps all.

        Returns:
            `logits` (batch, image + text, vocabulary); with labels (batch, text, vocabulary), row t scoring
            `labels[:, t]`. `loss` is the mean cross-entropy over labels that are not -100.

        Raises:
            ConfigError: no image, no mask or prior where one is needed, a wrong shape, or more tokens than positions.
        """
        if input_ids is None and labels is not None:
            input_ids = labels.masked_fill(labels == -100, self.config.decoder.eos_token_id)
        seen = cache.get_seq_length() if cache is not None else 0
        num_patches = 0
        if inputs_embeds is None and seen == 0:
            image_embeds, prior = self.encode_image(pixel_values, encoder_outputs, anatomical_masks)
            num_patches = image_embeds.shape[1]
            inputs_embeds = self._append_text(image_embeds, input_ids)
            if attention_mask is not None:
                attention_mask = nn.functional.pad(attention_mask, (num_patches, 0), value=1)
        elif inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        if prior is None and self.config.mask_mode != "none":
            raise ConfigError(
                "forward",
                f"no prior with mask_mode='{self.config.mask_mode}'",
                "one beside inputs_embeds and in every step with a cache",
                "pass the prior that encode_image gives",
            )

        length = seen + inputs_embeds.shape[1]
        if length > self.config.decoder.n_positions:
            raise ConfigError(
                "forward",
                f"{length} tokens (image and text)",
                f"at most {self.config.decoder.n_positions}, the decoder's positions",
                "shorten the text or expand the positions",
            )
        dtype = working_dtype(inputs_embeds)
        outputs = self.decoder.transformer(
            inputs_embeds=inputs_embeds,
            attention_mask=causal_mask(inputs_embeds, seen, attention_mask, dtype),
            position_ids=positions(attention_mask, seen, length, inputs_embeds.device),
            layer_bias=self._layer_bias(prior, length, seen, cache is not None, dtype),
            use_cache=False if use_cache is None and labels is not None else use_cache,
            **{CACHE: cache},
            **kwargs,
        )
        hidden = outputs.last_hidden_state
        loss = None
        if labels is not None:
            # The row before a token predicts it; the last patch predicts the first.
            hidden = hidden[:, num_patches - 1 : -1] if num_patches else hidden[:, -labels.shape[1] - 1 : -1]
            logits = self.decoder.lm_head(hidden)
            loss = self.loss_function(
                logits,
                None,
                self.config.decoder.vocab_size,
                num_items_in_batch=num_items_in_batch,
                shift_labels=labels.contiguous(),
            )
        else:
            logits = self.decoder.lm_head(hidden[:, -logits_to_keep:])
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            **{CACHE: outputs.get(CACHE)},
        )

    def _append_text(self, image_embeds: torch.Tensor, input_ids: torch.Tensor | None) -> torch.Tensor:
        if input_ids is None or input_ids.shape[1] == 0:
            return image_embeds
        return torch.cat([image_embeds, self.get_input_embeddings()(input_ids).to(image_embeds.dtype)], dim=1)

    def _layer_bias(self, prior, length: int, seen: int, cached: bool, dtype: torch.dtype) -> torch.Tensor | None:
        """(batch, layers, keys): the prior on the patch columns, zero on the text columns."""
        if prior is None:
            return None
        legacy = self.config.legacy_decode and cached
        if legacy and self.decoder.config._attn_implementation != "eager":
            return None
        bias = attention_bias(prior, self.config.mask_mode, self.config.bias_strength, dtype)
        if legacy and seen:
            return bias[:, :, :1].expand(-1, -1, length)
        return nn.functional.pad(bias, (0, length - bias.shape[-1]))

    @known_generation_keywords
    @torch.no_grad()
    def generate(
        self,
        pixel_values: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        anatomical_masks: torch.Tensor | None = None,
        encoder_outputs: torch.Tensor | None = None,
        seen: SeenFilms | None = None,
        labels: torch.Tensor | None = None,
        **kwargs,
    ):
        """Token ids of the report: only new ones, without image and prompt.

        Args:
            pixel_values, anatomical_masks, encoder_outputs: as in `forward`.
            seen: of `see`, in place of these.
            input_ids, attention_mask: (batch, prompt) text to continue, left-padded; optional.
            labels: ignored; Seq2SeqTrainer passes the whole batch.
            kwargs: anything of `GenerationMixin.generate`, which always uses a cache for a model given embeddings.
        """
        refuse_assistant(kwargs)
        if kwargs.get("cache_implementation") is not None:
            raise ConfigError(
                "cache_implementation",
                f"'{kwargs['cache_implementation']}'",
                "none",
                "this model decodes with its default cache, which grows with the text",
            )
        if seen is None:
            seen = self.see(pixel_values, anatomical_masks, encoder_outputs)
        image_embeds, prior = seen.embeddings, seen.prior
        inputs_embeds = self._append_text(image_embeds, input_ids)
        if attention_mask is None:
            attention_mask = inputs_embeds.new_ones(inputs_embeds.shape[:2], dtype=torch.long)
        else:
            attention_mask = nn.functional.pad(attention_mask, (image_embeds.shape[1], 0), value=1)
        return super().generate(inputs_embeds=inputs_embeds, attention_mask=attention_mask, prior=prior, **kwargs)

    @cache_by_either_name
    def prepare_inputs_for_generation(self, input_ids, cache=None, inputs_embeds=None, **kwargs):
        """Image and prompt in the prefill, later only the tokens that the cache has not seen."""
        seen = cache.get_seq_length() if cache is not None else 0
        model_inputs = {"cache": cache, "logits_to_keep": 1}
        if seen == 0:
            model_inputs["inputs_embeds"] = self._append_text(inputs_embeds, input_ids)
        else:
            model_inputs["input_ids"] = input_ids[:, seen - inputs_embeds.shape[1] :]
        for name in ("attention_mask", "prior", "use_cache", "output_attentions", "output_hidden_states"):
            if kwargs.get(name) is not None:
                model_inputs[name] = kwargs[name]
        return model_inputs

    def sentence_evidence(
        self,
        generated: torch.Tensor,
        sentence_of_token: torch.Tensor,
        pixel_values: torch.Tensor | None = None,
        anatomical_masks: torch.Tensor | None = None,
        encoder_outputs: torch.Tensor | None = None,
        seen: SeenFilms | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """How sure the model is of each token, and which patches spoke for each sentence.

        Evidence of a patch is the positive part of gradient times embedding: to first order, how much a sentence's
        log-probability would fall if the patch's embedding were set to zero.

        Args:
            generated: (batch, text) ids from `generate`.
            sentence_of_token: (batch, text) index of each token's sentence; -1 for padding.
            seen: of `see` with `evidence=True`, in place of the films.

        Returns:
            token log-probabilities (batch, text), and evidence (batch, sentences, rows, columns), each map of sum 1
            (or 0 where no patch spoke for the sentence).
        """
        if seen is None:
            seen = self.see(pixel_values, anatomical_masks, encoder_outputs, evidence=True)
        prior = seen.prior
        with torch.enable_grad():
            image_embeds = seen.embeddings.detach().requires_grad_()
            num_patches = image_embeds.shape[1]
            inputs_embeds = self._append_text(image_embeds, generated)
            logits = self(inputs_embeds=inputs_embeds, prior=prior, logits_to_keep=generated.shape[1] + 1).logits
            scores = logits[:, :-1].float().log_softmax(-1).gather(-1, generated[..., None])[..., 0]
            maps = sentence_maps(
                scores,
                sentence_of_token,
                [image_embeds],
                lambda gradient: (gradient * image_embeds).sum(-1).clamp(min=0),
            )
        rows, columns = prior.shape[-2:] if prior is not None else square_grid(num_patches)
        evidence = torch.stack(maps, dim=1) if maps else image_embeds.new_zeros(len(generated), 0, num_patches)
        return scores.detach(), evidence.unflatten(-1, (rows, columns))


def convolutional_parts(config: AnatomicalReportConfig) -> dict:
    """The parts without attention; transformers refuses sdpa for them."""
    parts = {"encoder": config.encoder, "segmenter": config.segmenter}
    return {name: part for name, part in parts.items() if part and not hasattr(part, "num_attention_heads")}


def without_pooler(encoder: PreTrainedModel) -> PreTrainedModel:
    """Drop a ViT's pooler: reports never reach it, and distributed training stumbles over idle weights."""
    if any(True for _ in getattr(encoder, "pooler", nn.Identity()).parameters()):
        encoder.pooler = None
    return encoder


def encoder_width(config) -> int:
    """Channels of an encoder's output: `hidden_size`, or the last of a convolutional encoder's `hidden_sizes`."""
    return config.hidden_sizes[-1] if hasattr(config, "hidden_sizes") else config.hidden_size


def square_grid(num_patches: int) -> tuple[int, int]:
    """(side, side) of a square patch grid."""
    side = math.isqrt(num_patches)
    if side * side != num_patches:
        raise ConfigError(
            "encoder_outputs",
            f"{num_patches} patches",
            "a square number",
            "drop class and register tokens, or pass pixel_values",
        )
    return side, side


def patch_features(encoder: PreTrainedModel, pixel_values: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
    """Patch tokens of a film, row-major, without class and register tokens: (batch, patches, width), and the grid."""
    hidden = encoder(pixel_values).last_hidden_state
    if hidden.ndim == 4:  # a feature map: (batch, width, rows, columns) -> (batch, patches, width)
        # contiguous: bitsandbytes' 4-bit product on a CPU reads a transposed one wrongly, without a word
        return hidden.flatten(2).transpose(1, 2).contiguous(), tuple(hidden.shape[-2:])
    patch = encoder.config.patch_size
    rows, columns = pixel_values.shape[-2] // patch, pixel_values.shape[-1] // patch
    prefix = hidden.shape[1] - rows * columns
    expected = 1 + getattr(encoder.config, "num_register_tokens", 0)
    if prefix != expected:
        raise ConfigError(
            "encoder",
            f"{hidden.shape[1]} tokens for a grid of {rows} x {columns}",
            f"{expected} before the patches (class and registers)",
            "give the encoder the image size of its configuration",
        )
    return hidden[:, prefix:], (rows, columns)


def working_dtype(tensor: torch.Tensor) -> torch.dtype:
    """The dtype in which attention runs: autocast's where it is on, else the tensor's."""
    device = tensor.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else tensor.dtype


def causal_mask(embeds: torch.Tensor, seen: int, attention_mask: torch.Tensor | None, dtype: torch.dtype):
    """(batch or 1, 1, queries, keys): 0 where a query may look, -inf elsewhere. Patches are never padding, so no row is
    empty."""
    queries = embeds.shape[1]
    keys = torch.arange(seen + queries, device=embeds.device)
    allowed = (keys[None, :] <= keys[seen:, None])[None, None]
    if attention_mask is not None:
        allowed = allowed & attention_mask[:, None, None, : seen + queries].bool()
    return torch.zeros(allowed.shape, dtype=dtype, device=embeds.device).masked_fill(~allowed, -torch.inf)


def positions(attention_mask: torch.Tensor | None, seen: int, length: int, device) -> torch.Tensor:
    """(batch or 1, queries) positions; padding does not count."""
    if attention_mask is None:
        return torch.arange(seen, length, device=device)[None]
    return (attention_mask[:, :length].long().cumsum(-1) - 1)[:, seen:].clamp(min=0)


__all__ = ["AnatomicalReportForConditionalGeneration"]
