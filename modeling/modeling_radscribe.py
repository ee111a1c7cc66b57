"""RadScribe: MedViLL encodes a film and its label text, a T5 decoder writes the report.

The decoder attends to all places of the encoder's sequence: [CLS], image, [SEP], label text and its padding. T5's own
encoder is unused in RadScribe and not carried here. For what differs from RadScribe see the table in
`modeling_medvill.py`; decoder and loss are the same.

    model = RadScribeForConditionalGeneration.from_encoder_decoder_pretrained("medvill", "google-t5/t5-base")
    ids = model.generate(pixel_values, num_beams=4, max_new_tokens=128)
"""

from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoConfig, GenerationMixin, PreTrainedModel, T5Config, T5ForConditionalGeneration
from transformers import initialization as init
from transformers.modeling_outputs import Seq2SeqLMOutput
from transformers.models.t5.modeling_t5 import T5Stack
from transformers.utils import can_return_tuple

from .config_error import ConfigError
from .configuration_radscribe import RadScribeConfig
from .keywords import (
    CACHE,
    CACHE_NAMES,
    cache_by_either_name,
    known_generation_keywords,
    known_keywords,
    refuse_assistant,
)
from .modeling_medvill import UNKNOWN, MedViLLModel, MedViLLOutput
from .saved_model import SavedModel
from .sentence_maps import sentence_maps

# What the encoder calls the label text, and what it is called here.
OF_ENCODER = {"input_ids": "label_ids", "attention_mask": "label_mask"}


@dataclass
class RadScribeOutput(Seq2SeqLMOutput):
    """What one pass gives, beside what every encoder-decoder's gives.

    Attributes:
        loss: the report's and, weighted, the labels' (those whose truth was given).
        logits: (batch, text, vocabulary); row t scores `labels[:, t]`.
        text_loss, label_loss: each one's own, unweighted.
        label_logits: (batch, labels), where the encoder predicts them.
        label_source: `"none"`, `"oracle"` or `"predicted"`: where the labels came from that the encoder was given.
        cross_attentions: of each decoder layer, (batch, heads, text, sequence), with `output_attentions`.
        encoder_last_hidden_state: (batch, sequence, width).
    """

    text_loss: torch.Tensor | None = None
    label_loss: torch.Tensor | None = None
    label_logits: torch.Tensor | None = None
    label_source: str | None = None


@dataclass
class SeenFilms:
    """What was made of films before a word is written.

    Attributes:
        encoder_outputs: of `encode`.
        label_ids: the label text that the encoder was given, see `given_labels`.
    """

    encoder_outputs: MedViLLOutput
    label_ids: torch.Tensor | None


class RadScribeForConditionalGeneration(SavedModel, PreTrainedModel, GenerationMixin):
    """MedViLL -> T5 decoder."""

    config_class = RadScribeConfig
    auto_classes = ("AutoModel", "AutoModelForImageTextToText")
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    input_modalities = ("image", "text")
    output_modalities = ("text",)
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["BertLayer", "T5Block"]
    _skip_keys_device_placement = [*CACHE_NAMES]
    _tied_weights_keys = {"lm_head.weight": "decoder.embed_tokens.weight"}

    def __init__(self, config: RadScribeConfig):
        super().__init__(config)
        self.encoder = MedViLLModel(config.encoder)
        self.decoder = T5Stack(config.decoder)
        self.lm_head = nn.Linear(config.decoder.d_model, config.decoder.vocab_size, bias=False)
        self.post_init()
        # T5 asks for "wo", which is found in BERT's "word_embeddings" too: float32 words in a float16 encoder.
        self._keep_in_fp32_modules = {"DenseReluDense.wo"}

    @torch.no_grad()
    def _init_weights(self, module):
        if module is getattr(self, "lm_head", None):
            init.normal_(module.weight, std=self.config.decoder.initializer_factor)  # as T5; it may be the embedding
        else:
            super()._init_weights(module)

    @classmethod
    def from_encoder_decoder_pretrained(cls, encoder: str, decoder: str, **kwargs):
        """Join a pretrained MedViLL and the decoder of a pretrained T5.

        Args:
            encoder: folder or id of a MedViLL, such as `hf-medreport train medvill` or `convert medvill` writes.
            decoder: folder or id of any model of the T5 family whose width is the encoder's.
            kwargs: `encoder_*` change the encoder's configuration, the rest are fields of `RadScribeConfig`.
        """
        changes = {key[8:]: kwargs.pop(key) for key in list(kwargs) if key.startswith("encoder_")}
        seeing = MedViLLModel.from_pretrained(encoder, **changes)
        sizes = T5Config.from_pretrained(decoder)
        if AutoConfig.from_pretrained(decoder).model_type == "mt5":  # T5Config would read it as one that scales
            sizes.scale_decoder_outputs = False
        writer = T5ForConditionalGeneration.from_pretrained(decoder, config=sizes)
        # T5Config calls every T5 tied; whether it is, only its weights say.
        tied = torch.equal(writer.lm_head.weight, writer.decoder.embed_tokens.weight)
        config = RadScribeConfig(
            encoder=seeing.config, decoder=writer.config.to_dict(), tie_word_embeddings=tied, **kwargs
        )
        model = cls(config)
        model.encoder.load_state_dict(seeing.state_dict())
        model.decoder.load_state_dict(writer.decoder.state_dict())
        model.lm_head.load_state_dict(writer.lm_head.state_dict())
        return model.eval()

    def get_encoder(self, modality: str | None = None):
        return self.encoder

    def get_input_embeddings(self):
        return self.decoder.embed_tokens

    def set_input_embeddings(self, value):
        self.decoder.embed_tokens = value

    def get_output_embeddings(self):
        return self.lm_head

    def set_output_embeddings(self, value):
        self.lm_head = value

    def encode(
        self,
        pixel_values: torch.Tensor | None,
        label_ids: torch.Tensor | None = None,
        label_mask: torch.Tensor | None = None,
        **kwargs,
    ) -> MedViLLOutput:
        """The encoder's states of films and labels; arguments as in `forward`, `kwargs` go to the encoder."""
        if label_ids is not None and self.config.encoder.label_mode == "none":
            raise ConfigError("label_ids", "labels for a model with label_mode none", "films alone", "leave them out")
        try:
            return self.encoder(pixel_values, label_ids, label_mask, **kwargs)
        except ConfigError as error:
            name = OF_ENCODER.get(error.name, error.name)
            raise ConfigError(name, error.found, error.expected, error.remedy) from error

    def takes(self) -> dict[str, str]:
        """What a case may bring beside its image: name -> `"optional"` or `"required"`."""
        mode = self.config.encoder.label_mode
        return {} if mode == "none" else {"labels": "required" if mode == "oracle" else "optional"}

    @torch.no_grad()
    def see(
        self,
        pixel_values: torch.Tensor,
        label_ids: torch.Tensor | None = None,
        label_mask: torch.Tensor | None = None,
        evidence: bool = False,
    ) -> SeenFilms:
        """Look at films once, for `generate`, `sentence_evidence` and `details`; arguments as in `forward`.

        Args:
            evidence: whether `sentence_evidence` is to follow, which asks for gradients by the image's features.
        """
        features, class_features = self.encoder.image_features(pixel_values)
        with torch.set_grad_enabled(evidence):
            features = features.detach().requires_grad_(evidence)
            states = self.encode(None, label_ids, label_mask, features=features, class_features=class_features)
        return SeenFilms(states, self.given_labels(states, label_ids))

    def details(self, seen: SeenFilms, full: bool) -> dict[str, torch.Tensor]:
        """What a record says beside the words, a row a case: the `label_ids` that the encoder was given, and whether
        they are `oracle` labels."""
        if seen.label_ids is None:
            return {}
        oracle = torch.full((len(seen.label_ids),), seen.encoder_outputs.label_source == "oracle")
        return {"label_ids": seen.label_ids, "oracle": oracle}

    def given_labels(
        self, encoder_outputs: MedViLLOutput, label_ids: torch.Tensor | None = None
    ) -> torch.Tensor | None:
        """The label text that the encoder was given, as ids (batch, max_text_tokens + 1); None where it takes none.

        Args:
            encoder_outputs: of `encode`.
            label_ids: what `encode` was given.
        """
        if encoder_outputs.label_source == "predicted":
            return self.encoder.predicted_text(encoder_outputs.label_logits)[0]
        return label_ids

    @can_return_tuple
    @known_keywords
    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        label_ids: torch.Tensor | None = None,
        label_mask: torch.Tensor | None = None,
        label_targets: torch.Tensor | None = None,
        decoder_input_ids: torch.Tensor | None = None,
        decoder_attention_mask: torch.Tensor | None = None,
        encoder_outputs: MedViLLOutput | None = None,
        cache=None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        num_items_in_batch: torch.Tensor | int | None = None,
        output_attentions: bool = False,
        **kwargs,
    ) -> RadScribeOutput:
        """One pass over films and text.

        Args:
            pixel_values: (batch, 3, image_size, image_size).
            label_ids, label_mask: (batch, max_text_tokens + 1) label text with [SEP] and padding, and 1 where there is
                text; given labels are oracle labels. None where the model takes none or predicts them.
            label_targets: (batch, labels), 1 present, 0 absent, -100 not known: what the label head is to learn.
            decoder_input_ids, decoder_attention_mask: (batch, text), the start token first; from `labels` when absent.
            encoder_outputs: of `encode`, in place of films.
            labels: (batch, text), -100 where nothing is to be learned.
            num_items_in_batch: tokens of all accumulated batches, by which the loss is divided.

        Raises:
            ConfigError: neither films nor encoder outputs, neither ids nor labels, or what the encoder raises.
        """
        if encoder_outputs is None:
            encoder_outputs = self.encode(pixel_values, label_ids, label_mask)
        if decoder_input_ids is None:
            if labels is None:
                raise ConfigError("forward", "neither decoder_input_ids nor labels", "one", "pass the report")
            decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        if use_cache is None:
            use_cache = labels is None and not torch.is_grad_enabled()
        decoded = self.decoder(
            input_ids=decoder_input_ids,
            attention_mask=decoder_attention_mask,
            encoder_hidden_states=encoder_outputs.last_hidden_state,
            use_cache=use_cache,
            output_attentions=output_attentions,
            **{CACHE: cache},
        )
        hidden = decoded.last_hidden_state[:, -logits_to_keep:]
        if self.config.decoder.scale_decoder_outputs:
            hidden = hidden * self.config.decoder.d_model**-0.5
        logits = self.lm_head(hidden)
        text_loss = label_loss = loss = None
        if labels is not None:
            rows = logits.float().flatten(0, 1)
            text_loss = loss = nn.functional.cross_entropy(rows, labels.flatten(), ignore_index=UNKNOWN)
        if label_targets is not None and encoder_outputs.label_logits is not None:
            label_loss = self.label_loss(encoder_outputs.label_logits, label_targets)
            if label_loss is not None:
                loss = self.config.label_loss_weight * label_loss + (0 if loss is None else loss)
        if loss is not None and labels is not None and num_items_in_batch is not None:
            loss = loss * (labels != UNKNOWN).sum() / num_items_in_batch  # this batch's share of the accumulated ones
        return RadScribeOutput(
            loss=loss,
            logits=logits,
            text_loss=text_loss,
            label_loss=label_loss,
            label_logits=encoder_outputs.label_logits,
            label_source=encoder_outputs.label_source,
            cross_attentions=decoded.cross_attentions,
            encoder_last_hidden_state=encoder_outputs.last_hidden_state,
            **{CACHE: decoded.get(CACHE)},
        )

    def label_loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor | None:
        """Cross-entropy over the labels that are known, summed over the labels of a film; None where none is."""
        if targets.shape != logits.shape:
            raise ConfigError(
                "label_targets",
                f"shape {tuple(targets.shape)}",
                f"{tuple(logits.shape)}, one a label name",
                f"give {UNKNOWN} where a label is not known",
            )
        known = targets != UNKNOWN
        if not known.any():
            return None
        losses = nn.functional.binary_cross_entropy_with_logits(
            logits.float(), targets.float().clamp(min=0), reduction="none"
        )
        return (losses * known).sum() / known.any(dim=1).sum()

    def prepare_decoder_input_ids_from_labels(self, labels: torch.Tensor) -> torch.Tensor:
        """The start token, then all labels but the last; the name is what transformers' collators call."""
        shifted = nn.functional.pad(labels[:, :-1], (1, 0), value=self.config.decoder_start_token_id)
        return shifted.masked_fill(shifted == UNKNOWN, self.config.pad_token_id)

    @known_generation_keywords
    @torch.no_grad()
    def generate(
        self,
        pixel_values: torch.Tensor | None = None,
        label_ids: torch.Tensor | None = None,
        label_mask: torch.Tensor | None = None,
        encoder_outputs: MedViLLOutput | None = None,
        seen: SeenFilms | None = None,
        labels: torch.Tensor | None = None,
        label_targets: torch.Tensor | None = None,
        **kwargs,
    ):
        """Token ids of the report, the start token first.

        Args:
            pixel_values, label_ids, label_mask, encoder_outputs: as in `forward`.
            seen: of `see`, in place of these.
            labels, label_targets: ignored; Seq2SeqTrainer passes the whole batch.
            kwargs: anything of `GenerationMixin.generate`; `decoder_input_ids` with `decoder_attention_mask` continue
                prompts that are padded on the left.
        """
        refuse_assistant(kwargs)
        if seen is not None:
            encoder_outputs = seen.encoder_outputs
        elif encoder_outputs is None:
            encoder_outputs = self.encode(pixel_values, label_ids, label_mask)
        # Only states: what else there is has no row a case, and beams repeat rows. All places are attended to.
        states = MedViLLOutput(last_hidden_state=encoder_outputs.last_hidden_state)
        mask = torch.ones(states.last_hidden_state.shape[:2], dtype=torch.long, device=self.device)
        return super().generate(encoder_outputs=states, attention_mask=mask, **kwargs)

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
            "cache": cache,
            "use_cache": kwargs.get("use_cache", True),
            "output_attentions": kwargs.get("output_attentions", False),
            "logits_to_keep": 1,
        }

    def sentence_evidence(
        self,
        generated: torch.Tensor,
        sentence_of_token: torch.Tensor,
        pixel_values: torch.Tensor | None = None,
        label_ids: torch.Tensor | None = None,
        label_mask: torch.Tensor | None = None,
        seen: SeenFilms | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """How sure the model is of each token, and which parts of the film spoke for each sentence.

        Evidence of a place is the positive part of gradient times feature, summed over the image encoder's channels
        (Selvaraju et al. 2017), before tokens are made of places. What labels say is no evidence of the film.

        Args:
            generated: (batch, text) ids from `generate`, the start token first.
            sentence_of_token: (batch, text) index of each token's sentence; -1 for padding and the start.
            seen: of `see` with `evidence=True`, in place of the films.

        Returns:
            token log-probabilities (batch, text), 0 for the start token, and evidence (batch, sentences, rows,
            columns), each map of sum 1 (or 0 where nothing spoke for the sentence).
        """
        side = self.config.encoder.grid_size
        if seen is None:
            seen = self.see(pixel_values, label_ids, label_mask, evidence=True)
        states, features = seen.encoder_outputs, seen.encoder_outputs.features
        with torch.enable_grad():
            logits = self(decoder_input_ids=generated[:, :-1], encoder_outputs=states, use_cache=False).logits
            scores = logits.float().log_softmax(-1).gather(-1, generated[:, 1:, None])[..., 0]
            scores = nn.functional.pad(scores, (1, 0))
            maps = sentence_maps(
                scores,
                sentence_of_token,
                [features],
                lambda gradient: (gradient * features).sum(-1).clamp(min=0).unflatten(1, (side, side)),
            )
        evidence = torch.stack(maps, dim=1) if maps else features.new_zeros(len(generated), 0, side, side)
        return scores.detach(), evidence


__all__ = ["RadScribeForConditionalGeneration"]
