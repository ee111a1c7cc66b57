"""MedViLL: a film's tokens and a text in one BERT, the encoder of RadScribe.

After Moon et al., "Multi-modal Understanding and Generation for Medical Images and Text via Vision-Language
Pre-Training" (IEEE JBHI 2022), with the image encoders, the label text and the cross-attention that RadScribe adds.

    sequence:  [CLS]  image tokens  [SEP]  text  [SEP]  padding
    segments:    0         0          0     1      1       1
    positions:   0      0, 1, ...     0    0, 1, ...

BERT's position, segment and norm weights serve image and text alike: there is one module for both. With a ViT the
[CLS] place holds its projected class token instead of the word.

What differs from RadScribe by default, and what `mask_mode="legacy"` brings back for its weights:

| RadScribe | here by default | effect |
|---|---|---|
| a mask that adds a constant to rows of scores: inert | padding hidden; or MedViLL's mask | padding says nothing |
| label cross-attention sees the padding too | it is hidden | the same |
| [SEP] of a film without labels at its report's length | padding alone | the length does not leak |

Labels that are taken from the report to be written, as RadScribe does also in evaluation, are `label_mode="oracle"`,
and every output says so. `"predicted"` names them by a head on the image.

    model = MedViLLModel.from_pretrained(folder)
    states = model(pixel_values).last_hidden_state  # (batch, 1 + image + 1 + text + 1, width)
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import BertModel, PreTrainedModel
from transformers import initialization as init
from transformers.models.bert.modeling_bert import BertLayer, BertLMPredictionHead, BertPooler, BertSelfAttention
from transformers.utils import ModelOutput, can_return_tuple
from transformers.utils.output_capturing import capture_outputs

from .config_error import ConfigError
from .configuration_medvill import MedViLLConfig
from .image_tokens import ENCODERS
from .keywords import known_keywords
from .saved_model import SavedModel
from .whole_linear import linear

UNKNOWN = -100  # a label that is not known; a word that is not to be guessed
INERT = -10000.0  # what RadScribe's mask adds to every score of a row


@dataclass
class MedViLLOutput(ModelOutput):
    """States of the whole sequence, and what the labels were.

    Attributes:
        last_hidden_state: (batch, 1 + image + 1 + text + 1, width).
        label_logits: (batch, labels), where the model has a head for them.
        label_source: where the label text came from: `"none"`, `"oracle"` (it was given) or `"predicted"`.
        features: (batch, places, width), the image encoder's, before tokens are made of them.
        hidden_states, attentions: of BERT's layers, where they were asked for.
    """

    last_hidden_state: torch.Tensor | None = None
    label_logits: torch.Tensor | None = None
    label_source: str | None = None
    features: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


class LabelCrossAttention(nn.Module):
    """Image tokens ask the label text; residual, then norm."""

    def __init__(self, config):
        super().__init__()
        width, heads, dropout = config.hidden_size, config.num_attention_heads, config.attention_probs_dropout_prob
        self.attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.norm = nn.LayerNorm(width)

    def forward(self, image: torch.Tensor, text: torch.Tensor, hidden: torch.Tensor | None) -> torch.Tensor:
        """`image` (batch, n, width), `text` (batch, t, width), `hidden` (batch, t), True where no one looks."""
        answers, _ = self.attention(image, text, text, key_padding_mask=hidden, need_weights=False)
        return self.norm(image + answers)


class MedViLLPreTrainedModel(SavedModel, PreTrainedModel):
    """Weights and attention backends of both classes below."""

    config_class = MedViLLConfig
    base_model_prefix = "medvill"
    main_input_name = "pixel_values"
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["BertLayer", "LabelCrossAttention"]
    _can_record_outputs = {"hidden_states": BertLayer, "attentions": BertSelfAttention}

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d):  # as torchvision's DenseNet: or the signal dies out
            init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, BertLMPredictionHead):
            init.zeros_(module.bias)


class MedViLLModel(MedViLLPreTrainedModel):
    """Film and label text -> states of one joint sequence."""

    def __init__(self, config: MedViLLConfig):
        super().__init__(config)
        self.bert = BertModel(config.bert, add_pooling_layer=False)
        self.image_encoder = ENCODERS[config.image_encoder](config)
        width, is_vit = config.bert.hidden_size, config.image_encoder == "vit"
        self.image_projection = nn.Identity() if is_vit else nn.Linear(self.image_encoder.width, width)
        self.class_projection = nn.Linear(width, width) if is_vit else None
        layers = 0 if config.label_mode == "none" else config.num_label_layers
        self.label_layers = nn.ModuleList(LabelCrossAttention(config.bert) for _ in range(layers))
        self.label_head = None
        if config.label_mode == "predicted":
            self.label_head = linear(width, len(config.label_names))
        self.post_init()

    def get_input_embeddings(self):
        return self.bert.embeddings.word_embeddings

    def set_input_embeddings(self, value):
        self.bert.embeddings.word_embeddings = value

    @capture_outputs(tie_last_hidden_states=False)
    @known_keywords
    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        features: torch.Tensor | None = None,
        class_features: torch.Tensor | None = None,
        **kwargs,
    ) -> MedViLLOutput:
        """One pass over film and text.

        Args:
            pixel_values: (batch, 3, image_size, image_size), normalized as the image encoder wants it.
            input_ids: (batch, max_text_tokens + 1) text, [SEP] and padding. None: no text, or with
                `label_mode="predicted"` the names that the model's own head gives.
            attention_mask: (batch, max_text_tokens + 1), 1 for text and [SEP].
            features, class_features: what `image_features` gave, in place of `pixel_values`.

        Raises:
            ConfigError: a film of another size, text of another length, or labels where the model takes none or needs
                them.
        """
        if features is None:
            features, class_features = self.image_features(pixel_values)
        tokens, places = self.image_encoder.tokens(features)
        image = self.image_projection(tokens)
        label_logits = None
        if self.label_head is not None:
            label_logits = self.label_head(nn.functional.gelu(image).mean(dim=1))
        ids, mask, source = self.text_part(input_ids, attention_mask, label_logits, len(image))
        image, text, marks = self.embed(image, places, class_features, ids)
        hidden = None if self.config.mask_mode == "legacy" else ~mask
        for layer in self.label_layers:
            image = layer(image, text, hidden)
        sequence = torch.cat([marks[:, :1], image, marks[:, 1:], text], dim=1)
        allowed = attention_bias(self.config.mask_mode, image.shape[1], mask, sequence.dtype)
        states = self.bert.encoder(sequence, allowed, **kwargs).last_hidden_state
        return MedViLLOutput(states, label_logits, source, features)

    def image_features(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """What the image encoder makes of films: (batch, places, width), row by row, and a ViT's class token."""
        side = self.config.image_size
        if pixel_values is None or pixel_values.shape[1:] != (3, side, side):
            found = "none" if pixel_values is None else f"shape {tuple(pixel_values.shape)}"
            expected = f"(batch, 3, {side}, {side})"
            raise ConfigError("pixel_values", found, expected, "let the model's processor read films")
        return self.image_encoder(pixel_values.to(self.dtype))

    def text_part(self, ids, mask, label_logits, batch: int) -> tuple[torch.Tensor, torch.Tensor, str]:
        """Ids and mask (batch, max_text_tokens + 1) of the text, and where it came from."""
        config, length = self.config, self.config.max_text_tokens + 1
        if ids is not None:
            self.check_text(ids, mask, (batch, length))
            mask = ids != config.bert.pad_token_id if mask is None else mask.bool()
            if self.label_layers and config.mask_mode != "legacy" and not mask.any(dim=1).all():
                raise ConfigError(
                    "attention_mask", "a text without any token", "[SEP] at least", "let the model's processor write it"
                )
            return ids, mask, "oracle" if self.label_layers else "none"
        if config.label_mode == "oracle":
            raise ConfigError(
                "input_ids",
                "no labels",
                "those of each film, for label_mode is oracle",
                "give them, or use a model that predicts them or needs none",
            )
        if config.label_mode == "predicted":
            return *self.predicted_text(label_logits), "predicted"
        device = self.bert.embeddings.word_embeddings.weight.device
        ids = torch.full((batch, length), config.bert.pad_token_id, device=device)
        return ids, torch.zeros_like(ids, dtype=torch.bool), "none"

    def check_text(self, ids: torch.Tensor, mask: torch.Tensor | None, shape: tuple[int, int]) -> None:
        """ConfigError for text or mask of another shape, or with ids that are no pieces of BERT's."""
        remedy, pieces = "let the model's processor write them", self.config.bert.vocab_size
        for name, given in (("input_ids", ids), ("attention_mask", mask)):
            if given is not None and given.shape != shape:
                raise ConfigError(name, f"shape {tuple(given.shape)}", f"{shape}, max_text_tokens and [SEP]", remedy)
        if ids.is_floating_point() or ((ids < 0) | (ids >= pieces)).any():
            found = f"{ids.min()} to {ids.max()} ({ids.dtype})"
            raise ConfigError("input_ids", found, f"integers from 0 to {pieces - 1}", remedy)

    @torch.no_grad()
    def predicted_text(self, label_logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The names that the head gives, as ids and mask: what the tokenizer would make of them."""
        config, rows = self.config, []
        for row in (label_logits.float().sigmoid() >= config.label_threshold).tolist():
            ids = []
            for pieces, named in zip(config.label_pieces, row, strict=True):
                if named:
                    ids += [*(config.label_separator if ids else ()), *pieces]
            rows.append(torch.tensor([*ids[: config.max_text_tokens], config.sep_token_id]))
        length, device = config.max_text_tokens + 1, label_logits.device
        ids = pad_sequence(rows, True, config.bert.pad_token_id)
        ids = nn.functional.pad(ids, (0, length - ids.shape[1]), value=config.bert.pad_token_id).to(device)
        used = torch.tensor([len(row) for row in rows], device=device)
        return ids, torch.arange(length, device=device) < used[:, None]

    def embed(self, image, places, class_features, text_ids) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Image (batch, n, width), text (batch, t, width) and [CLS] and [SEP] (batch, 2, width), all as BERT takes
        them."""
        embeddings, config, batch = self.bert.embeddings, self.config, len(image)
        segments = torch.zeros(image.shape[:2], dtype=torch.long, device=image.device)
        image = embeddings(inputs_embeds=image, position_ids=places[None], token_type_ids=segments)
        marks = torch.tensor([config.cls_token_id, config.sep_token_id], device=image.device).expand(batch, 2)
        marks = embeddings(marks, position_ids=torch.zeros_like(marks), token_type_ids=torch.zeros_like(marks))
        if self.class_projection is not None:
            marks = torch.cat([self.class_projection(class_features), marks[:, 1:]], dim=1)
        text = embeddings(text_ids, token_type_ids=torch.ones_like(text_ids))
        return image, text, marks


def attention_bias(mode: str, image: int, text: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What is added to the scores of a sequence [CLS], `image` tokens, [SEP] and text: (batch, 1, length, length).

    Args:
        mode: `"full"`, `"bar"` or `"legacy"`, as in `MedViLLConfig`.
        text: (batch, places of the text), True where there is text.
    """
    seen = nn.functional.pad(text, (image + 2, 0), value=True)  # (batch, length)
    length = seen.shape[1]
    if mode == "legacy":
        rows = torch.arange(length, device=text.device) < seen.sum(dim=1, keepdim=True)
        bias = torch.where(rows, 0.0, INERT)[:, None, :, None].expand(-1, 1, -1, length)
        return bias.to(dtype)
    allowed = seen[:, None, None, :].expand(-1, 1, length, -1)
    if mode == "bar":
        places = torch.arange(length, device=text.device)
        is_text = places >= image + 2
        later_text = is_text & (places > places[:, None])  # (row, column)
        allowed = allowed & ~(is_text[:, None] & later_text)
    return torch.zeros(allowed.shape, dtype=dtype, device=text.device).masked_fill(~allowed, torch.finfo(dtype).min)


@dataclass
class MedViLLPreTrainingOutput(ModelOutput):
    """Losses and scores of pre-training.

    Attributes:
        loss: the sum of those losses below whose truth was given.
        prediction_logits: (batch, max_text_tokens + 1, vocabulary).
        match_logits: (batch, 2): another film's text, or this one's.
        word_loss, match_loss: each task's own.
    """

    loss: torch.Tensor | None = None
    prediction_logits: torch.Tensor | None = None
    match_logits: torch.Tensor | None = None
    word_loss: torch.Tensor | None = None
    match_loss: torch.Tensor | None = None


class MedViLLForPreTraining(MedViLLPreTrainedModel):
    """MedViLL's own tasks: guess masked words of a report, and tell whether it is this film's."""

    accepts_loss_kwargs = False  # the matching loss is a mean over cases: accumulated steps are averaged
    _tied_weights_keys = {"words.decoder.weight": "medvill.bert.embeddings.word_embeddings.weight"}

    def __init__(self, config: MedViLLConfig):
        super().__init__(config)
        self.medvill = MedViLLModel(config)
        self.words = BertLMPredictionHead(config.bert)
        self.pooler, self.match = BertPooler(config.bert), nn.Linear(config.bert.hidden_size, 2)
        self.post_init()

    def get_output_embeddings(self):
        return self.words.decoder

    def set_output_embeddings(self, value):
        self.words.decoder = value

    @can_return_tuple
    @known_keywords
    def forward(
        self,
        pixel_values: torch.Tensor,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        match_labels: torch.Tensor | None = None,
        **kwargs,
    ) -> MedViLLPreTrainingOutput:
        """Scores and, with their truth, losses.

        Args:
            pixel_values, input_ids, attention_mask: as in `MedViLLModel`; some of the ids are [MASK].
            labels: (batch, max_text_tokens + 1) the words that are masked, -100 elsewhere.
            match_labels: (batch,), 1 where the text is this film's report, 0 where it is another's.
        """
        states = self.medvill(pixel_values, input_ids, attention_mask, **kwargs).last_hidden_state
        words = self.words(states[:, -input_ids.shape[1] :])
        match = self.match(self.pooler(states))
        word_loss = match_loss = None
        if labels is not None:
            # Nothing may be masked in a small batch: a sum over no words is 0, a mean is not a number.
            total = nn.functional.cross_entropy(words.float().flatten(0, 1), labels.flatten(), reduction="sum")
            word_loss = total / (labels != UNKNOWN).sum().clamp(min=1)
        if match_labels is not None:
            match_loss = nn.functional.cross_entropy(match.float(), match_labels)
        losses = [loss for loss in (word_loss, match_loss) if loss is not None]
        return MedViLLPreTrainingOutput(
            loss=sum(losses) if losses else None,
            prediction_logits=words,
            match_logits=match,
            word_loss=word_loss,
            match_loss=match_loss,
        )


__all__ = ["MedViLLForPreTraining", "MedViLLModel"]
