"""Multi-task chest X-ray: two views are reconstructed, called normal or abnormal, and reported by one model.

After the published notebook "multi-task chest X-ray": one DenseNet-121 sees both views, two U-Net decoders reconstruct
them, the pooled bottlenecks of both views are the latent that a classifier and every layer of a GPT-2 read.

    frontal -+                 +- frontal decoder -> reconstruction     (U-Net, with skips)
             +- DenseNet (one) +- lateral decoder -> reconstruction
    lateral -+                 +- latent (both) -+- classifier -> abnormal?
                                                 +- GPT-2, each layer -> report

What differs from the notebook, and why:

| notebook | here | effect |
|---|---|---|
| the latent's point of entry is not said | before every block (`LatentGPT2Config`) | each layer reads it |
| pooled bottleneck | pooled after the final normalization and ReLU | the unfrozen `bn` is used; evidence is a CAM |
| films cropped beforehand by a Keras U-Net | beforehand, or by the model's own segmenter | raw films may be given |
| both views or nothing | a missing view has a learned latent | one film alone gets a report that says so |
| padding is probably learned | masked; `include_pad_in_loss` | the text loss means what it says |

    model = CxrMultitaskForConditionalGeneration.from_encoder_decoder_pretrained("chexnet", "openai-community/gpt2")
    output = model(frontal, lateral)        # classification, reconstructions, boxes
    ids = model.generate(frontal, lateral)  # report
"""

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import nn
from transformers import GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput, can_return_tuple

from .config_error import ConfigError
from .configuration_cxr_multitask import CxrMultitaskConfig
from .densenet_encoder import DenseNetEncoder
from .keywords import known_generation_keywords, known_keywords, refuse_assistant
from .lung_crop import crop_boxes, crop_to_boxes, largest_components
from .modeling_anatomy_segmenter import AnatomySegmenterForSemanticSegmentation
from .modeling_latent_gpt2 import LatentGPT2LMHeadModel
from .saved_model import SavedModel
from .sentence_maps import sentence_maps
from .structural_similarity import structural_similarity
from .unet_decoder import UNetDecoder
from .whole_linear import linear

VIEWS = ("frontal", "lateral")
UNKNOWN = -100  # a classification that is not known
LUNGS = 0  # the segmenter's channel
OUTSIDE = 1e-3  # rounding may leave [0, 1] by so much


@dataclass
class CxrMultitaskOutput(ModelOutput):
    """All that the model says of a batch of cases.

    Attributes:
        loss: the weighted sum of those losses below whose truth was given.
        logits: (batch, text, vocabulary), with labels or text; row t scores `labels[:, t]`.
        abnormal_logits: (batch,); positive calls a case abnormal.
        frontal_reconstruction, lateral_reconstruction: (batch, 3, size, size) in [0, 1]; nan where the view is missing,
            None where no case has it.
        frontal_target, lateral_target: the same films as the encoder saw them, cropped and resized.
        boxes: (batch, 4), where the frontal film was cropped: left, top, right, bottom as fractions of it.
        views: (batch, 2) bool: whether frontal and lateral were there; a missing one had its learned substitute.
        latent: (batch, latent size), frontal then lateral.
        text_loss, abnormal_loss, frontal_loss, lateral_loss: each task's own, unweighted.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    abnormal_logits: torch.Tensor | None = None
    frontal_reconstruction: torch.Tensor | None = None
    lateral_reconstruction: torch.Tensor | None = None
    frontal_target: torch.Tensor | None = None
    lateral_target: torch.Tensor | None = None
    boxes: torch.Tensor | None = None
    views: torch.Tensor | None = None
    latent: torch.Tensor | None = None
    text_loss: torch.Tensor | None = None
    abnormal_loss: torch.Tensor | None = None
    frontal_loss: torch.Tensor | None = None
    lateral_loss: torch.Tensor | None = None


@dataclass
class SeenViews:
    """What the encoder made of a batch; lists hold frontal, then lateral, and of each only the rows that are there."""

    views: torch.Tensor  # (batch, 2) bool
    boxes: torch.Tensor  # (batch, 4)
    films: list[torch.Tensor]  # (rows, 3, size, size) in [0, 1]
    maps: list[list[torch.Tensor]]
    activations: list[torch.Tensor]  # (rows, width, rows, columns), whose mean is the latent


class AbnormalClassifier(nn.Sequential):
    """Latent -> one logit: (fully connected, batch norm, ReLU, dropout) twice, then one output."""

    def __init__(self, config: CxrMultitaskConfig):
        layers, inputs = [], config.decoder.latent_size
        for width, dropout in zip(config.classifier_channels, config.classifier_dropout, strict=True):
            layers += [linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout)]
            inputs = width
        super().__init__(*layers, linear(inputs, 1))


class CxrMultitaskForConditionalGeneration(SavedModel, PreTrainedModel, GenerationMixin):
    """Shared DenseNet -> two U-Net decoders, a classification and a latent-conditioned GPT-2."""

    config_class = CxrMultitaskConfig
    auto_classes = ("AutoModel", "AutoModelForImageTextToText")
    base_model_prefix = "model"
    main_input_name = "pixel_values"
    input_modalities = ("image", "text")
    output_modalities = ("text",)
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False  # three of the four losses are means over cases: accumulated steps are averaged
    _supports_sdpa = True
    _no_split_modules = ["LatentGPT2Block"]

    def __init__(self, config: CxrMultitaskConfig):
        super().__init__(config)
        self.encoder = DenseNetEncoder(**config.encoder)
        widths = self.encoder.widths
        self.frontal_decoder = UNetDecoder(widths, config.decoder_channels, config.use_skips)
        self.lateral_decoder = UNetDecoder(widths, config.decoder_channels, config.use_skips)
        self.missing_view = nn.Parameter(torch.zeros(2, config.view_latent_size))
        self.classifier = AbnormalClassifier(config)
        self.decoder = LatentGPT2LMHeadModel(config.decoder)
        self.segmenter = None
        if config.segmenter is not None:
            self.segmenter = AnatomySegmenterForSemanticSegmentation(config.segmenter)
        self.post_init()
        self.freeze()

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):  # as torchvision's DenseNet: or the signal dies out
            init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, CxrMultitaskForConditionalGeneration):
            init.zeros_(module.missing_view)

    @classmethod
    def from_pretrained(cls, *args, **kwargs):
        """As in transformers, whose loader makes every weight trainable: here the configuration says which are."""
        loaded = super().from_pretrained(*args, **kwargs)
        (loaded[0] if isinstance(loaded, tuple) else loaded).freeze()  # a tuple with output_loading_info=True
        return loaded

    @classmethod
    def from_encoder_decoder_pretrained(cls, encoder: str, decoder: str, segmenter: str | None = None, **kwargs):
        """Join a pretrained DenseNet and a pretrained GPT-2; decoders, classifier and projection start at random.

        Args:
            encoder: folder or id of a model of this system, whose encoder is taken, such as `hf-medreport convert
                chexnet` writes from CheXNet's weights.
            decoder: folder or id of a GPT-2.
            segmenter: folder or id of an anatomy segmenter; None crops nothing.
            kwargs: `decoder_*` go to the decoder's `from_pretrained`, the rest to the configuration.
        """
        fields = {key: kwargs.pop(key) for key in ("decoder_channels",) if key in kwargs}
        decoder_kwargs = {key[8:]: kwargs.pop(key) for key in list(kwargs) if key.startswith("decoder_")}
        source = cls.from_pretrained(encoder)
        kept = ("encoder", "encoder_mean", "encoder_std", "image_size", "encoder_trainable_last_n", "latent_grid")
        fields |= {name: getattr(source.config, name) for name in kept} | kwargs
        latent_size = CxrMultitaskConfig(
            encoder=fields["encoder"], latent_grid=fields["latent_grid"]
        ).decoder.latent_size
        writer = LatentGPT2LMHeadModel.from_pretrained(decoder, latent_size=latent_size, **decoder_kwargs)
        for settings in (writer.config, writer.generation_config):  # GPT-2 has one token for all ends, and no padding
            settings.pad_token_id = settings.eos_token_id if settings.pad_token_id is None else settings.pad_token_id
        mask_source = segmenter and AnatomySegmenterForSemanticSegmentation.from_pretrained(segmenter)
        model = cls(CxrMultitaskConfig(decoder=writer.config, segmenter=mask_source and mask_source.config, **fields))
        model.encoder.load_state_dict(source.encoder.state_dict())
        model.decoder.load_state_dict(writer.state_dict())
        if mask_source:
            model.segmenter.load_state_dict(mask_source.state_dict())
        model.generation_config = writer.generation_config
        return model.eval()

    def freeze(self) -> None:
        """Leave those of the encoder's layers trainable that the configuration names; the segmenter never is."""
        self.encoder.requires_grad_(False)
        for module in self.encoder.last_layers(self.config.encoder_trainable_last_n):
            module.requires_grad_(True)
        if self.segmenter is not None:
            self.segmenter.requires_grad_(False)

    def unfreeze(self, last_n: int | None) -> None:
        """Train the encoder's last `last_n` layers from now on; None trains all of them."""
        self.config.encoder_trainable_last_n = last_n
        self.freeze()
        self.train(self.training)

    def train(self, mode: bool = True):
        """Training mode, but frozen layers keep the statistics that they were trained with."""
        super().train(mode)
        for module in self.encoder.modules():
            if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:
                module.eval()
        if self.segmenter is not None:
            self.segmenter.eval()
        return self

    def get_input_embeddings(self):
        return self.decoder.get_input_embeddings()

    def set_input_embeddings(self, value):
        self.decoder.set_input_embeddings(value)

    def get_output_embeddings(self):
        return self.decoder.get_output_embeddings()

    def set_output_embeddings(self, value):
        self.decoder.set_output_embeddings(value)

    def encode_views(
        self,
        pixel_values: torch.Tensor | None = None,
        lateral_pixel_values: torch.Tensor | None = None,
        views: torch.Tensor | None = None,
        anatomical_masks: torch.Tensor | None = None,
    ) -> SeenViews:
        """Crop, resize and encode the films that are there, both views in one pass of the encoder.

        Args:
            pixel_values, lateral_pixel_values: (batch, 3, height, width) in [0, 1]; one of them may be None.
            views: (batch, 2), 0 where a case lacks the frontal or lateral film; None: all that are given.
            anatomical_masks: (batch, 1, rows, columns) of the lungs, to crop the frontal films by; None asks the
                segmenter, and without one nothing is cropped.
        """
        given = [pixel_values, lateral_pixel_values]
        views = checked_views(given, views, self.missing_view.device)
        boxes = self.frontal_boxes(pixel_values, views[:, 0], anatomical_masks)
        films = []
        for index, of_view in enumerate(given):
            size = self.config.image_size
            if not views[:, index].any():
                films.append(self.missing_view.new_zeros(0, 3, size, size))
                continue
            rows = views[:, index]
            whole = boxes.new_tensor([0.0, 0.0, 1.0, 1.0]).expand(int(rows.sum()), 4)
            films.append(crop_to_boxes(of_view[rows], boxes[rows] if index == 0 else whole, size))
        joined = torch.cat(films).to(self.missing_view.dtype)
        mean, deviation = (joined.new_tensor(getattr(self.config, f"encoder_{name}")) for name in ("mean", "std"))
        maps = self.encoder((joined - mean[:, None, None]) / deviation[:, None, None])
        activations = self.encoder.activations(maps[-1])
        counts = [len(of_view) for of_view in films]
        maps = list(zip(*(each.split(counts) for each in maps), strict=True))
        return SeenViews(views, boxes, films, maps, list(activations.split(counts)))

    @torch.no_grad()
    def frontal_boxes(self, pixel_values, rows: torch.Tensor, masks: torch.Tensor | None) -> torch.Tensor:
        """Where each frontal film is cropped, (batch, 4) fractions: the box of the two largest parts of its mask."""
        boxes = torch.tensor([0.0, 0.0, 1.0, 1.0], device=rows.device).repeat(len(rows), 1)
        if masks is None and (self.segmenter is None or not rows.any()):
            return boxes
        if masks is not None and len(masks) != len(rows):
            raise ConfigError(
                "anatomical_masks",
                f"{len(masks)} masks for {len(rows)} cases",
                "one a case",
                "pass an all-zero mask for a film without one",
            )
        if masks is None:
            lungs = self.segmenter(pixel_values[rows].to(self.segmenter.dtype)).logits[:, LUNGS] > 0
        else:
            lungs = masks[rows, 0] > 0.5
        boxes[rows] = crop_boxes(largest_components(lungs), self.config.crop_margin)
        return boxes

    def takes(self) -> dict[str, str]:
        """What a case may bring beside its films: name -> `"optional"` or `"required"`."""
        return {"mask": "optional"}

    @torch.no_grad()
    def see(
        self,
        pixel_values: torch.Tensor | None = None,
        lateral_pixel_values: torch.Tensor | None = None,
        views: torch.Tensor | None = None,
        anatomical_masks: torch.Tensor | None = None,
        evidence: bool = False,
    ) -> SeenViews:
        """Look at films once, for `generate`, `sentence_evidence` and `details`; arguments as in `encode_views`.

        Args:
            evidence: whether `sentence_evidence` is to follow.
        """
        return self.encode_views(pixel_values, lateral_pixel_values, views, anatomical_masks)

    @torch.no_grad()
    def details(self, seen: SeenViews, full: bool) -> dict[str, torch.Tensor]:
        """What a record says beside the words, a row a case: in full `views`, `boxes`, `abnormal_logits` and the
        targets and reconstructions of each view, named and shaped as in `CxrMultitaskOutput`."""
        if not full:
            return {}
        drawn = {name: value for name, value in self.reconstruct(seen).items() if not name.endswith("_loss")}
        logits = {"abnormal_logits": self.classifier(self.latent_of(seen))[:, 0]} if self.config.abnormal_weight else {}
        return {"views": seen.views, "boxes": seen.boxes, **logits, **drawn}

    def latent_of(self, seen: SeenViews) -> torch.Tensor:
        """(batch, latent size): the pooled views side by side, and the learned substitute of each that is missing."""
        parts = []
        for index, activations in enumerate(seen.activations):
            pooled = nn.functional.adaptive_avg_pool2d(activations, self.config.latent_grid).flatten(1)
            rows = seen.views[:, index]
            latent = self.missing_view[index].expand(len(rows), -1).clone()
            latent[rows] = pooled.to(latent.dtype)  # autocast pools in half precision
            parts.append(latent)
        latent = torch.stack(parts, dim=1)  # (batch, 2, view latent)
        if self.training and self.config.view_dropout:
            latent = torch.where(self.withheld(seen.views)[..., None], self.missing_view, latent)
        return latent.flatten(1)

    def withheld(self, views: torch.Tensor) -> torch.Tensor:
        """(batch, 2) bool, drawn anew: of some complete cases one view, never both."""
        chosen = torch.rand(len(views), device=views.device) < self.config.view_dropout
        lateral = torch.rand(len(views), device=views.device) < 0.5
        return (views.all(dim=1) & chosen)[:, None] & torch.stack([~lateral, lateral], dim=1)

    @can_return_tuple
    @known_keywords
    def forward(
        self,
        pixel_values: torch.Tensor | None = None,
        lateral_pixel_values: torch.Tensor | None = None,
        views: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        anatomical_masks: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        abnormal_labels: torch.Tensor | None = None,
        reconstruct: bool = True,
        **kwargs,
    ) -> CxrMultitaskOutput:
        """One pass over both films and, where there is any, the text.

        Args:
            pixel_values, lateral_pixel_values: (batch, 3, height, width) in [0, 1], frontal and lateral; one of them
                may be None.
            views: (batch, 2), 0 where a case lacks the frontal or lateral film.
            input_ids, attention_mask: (batch, text) tokens after <start>; taken from `labels` when absent.
            anatomical_masks: (batch, 1, rows, columns) of the lungs, instead of the segmenter's.
            labels: (batch, text), -100 where nothing is to be learned.
            abnormal_labels: (batch,), 0 normal, 1 abnormal, -100 not known.
            reconstruct: False leaves the decoders out. In training a task whose weight is 0 is left out too.

        Raises:
            ConfigError: no film, a wrong shape or number, labels that are no labels, or more tokens than positions.
        """
        seen = self.encode_views(pixel_values, lateral_pixel_values, views, anatomical_masks)
        latent = self.latent_of(seen)
        if self.training and len(latent) == 1:
            raise ConfigError(
                "pixel_values",
                "one case in training",
                "two or more for the classifier's batch norm",
                "raise the batch size, or drop the last batch",
            )
        parts = {"latent": latent, "boxes": seen.boxes, "views": seen.views}
        parts["abnormal_logits"] = self.classifier(latent)[:, 0]
        if abnormal_labels is not None:
            parts["abnormal_loss"] = self.abnormal_loss(parts["abnormal_logits"], abnormal_labels)
        if reconstruct:
            parts |= self.reconstruct(seen)
        if (labels is not None or input_ids is not None) and self.works_on("text"):
            parts |= self.write(latent, input_ids, attention_mask, labels)
        return CxrMultitaskOutput(loss=self.total_loss(parts), **parts)

    def works_on(self, task: str) -> bool:
        """Whether a task is worth its time: in training not where its loss has no weight."""
        return not self.training or bool(getattr(self.config, f"{task}_weight"))

    def total_loss(self, parts: dict[str, torch.Tensor | None]) -> torch.Tensor | None:
        """The weighted sum of those losses among `parts` that are not None; None where there is none."""
        weighted = []
        for name in ("abnormal", *VIEWS, "text"):
            weight, loss = getattr(self.config, f"{name}_weight"), parts.get(f"{name}_loss")
            if weight and loss is not None:
                weighted.append(weight * loss)
        return sum(weighted) if weighted else None

    def abnormal_loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor | None:
        """Cross-entropy over the cases whose classification is known; None where no one's is."""
        if labels.shape != logits.shape:
            raise ConfigError(
                "abnormal_labels",
                f"shape {tuple(labels.shape)} for {len(logits)} cases",
                f"({len(logits)},)",
                f"give one a case, {UNKNOWN} where it is not known",
            )
        wrong = labels[(labels != 0) & (labels != 1) & (labels != UNKNOWN)]
        if wrong.numel():
            raise ConfigError(
                "abnormal_labels",
                f"{wrong[0].item():g}",
                f"0 (normal), 1 (abnormal) or {UNKNOWN} (not known)",
                "correct the labels",
            )
        known = labels != UNKNOWN
        if not known.any():
            return None
        return nn.functional.binary_cross_entropy_with_logits(logits[known].float(), labels[known].float())

    def reconstruct(self, seen: SeenViews) -> dict[str, torch.Tensor]:
        """Reconstructions, targets and their losses, of the views that any case has."""
        parts = {}
        for index, name in enumerate(VIEWS):
            rows, target = seen.views[:, index], seen.films[index]
            if rows.any() and self.works_on(name):
                logits = getattr(self, f"{name}_decoder")(seen.maps[index]).float()
                parts[f"{name}_reconstruction"] = scattered(logits.sigmoid(), rows)
                parts[f"{name}_target"] = scattered(target, rows)
                kind = self.config.reconstruction_loss
                parts[f"{name}_loss"] = reconstruction_loss(logits, target.float(), kind)
        return parts

    def write(self, latent, input_ids, attention_mask, labels) -> dict[str, torch.Tensor]:
        """The logits of the text and, with labels, its loss."""
        decoder = self.config.decoder
        if labels is not None and self.config.include_pad_in_loss:
            labels = labels.masked_fill(labels == -100, decoder.pad_token_id)
        if input_ids is None:
            input_ids = labels[:, :-1].masked_fill(labels[:, :-1] == -100, decoder.eos_token_id)
        ids, mask = self.after_start(input_ids, attention_mask)
        if ids.shape[1] > decoder.n_positions:
            raise ConfigError(
                "forward",
                f"{ids.shape[1]} tokens of text, <start> counted",
                f"at most {decoder.n_positions}, the decoder's positions",
                "shorten the text",
            )
        logits = self.decoder(ids, latent, attention_mask=mask, use_cache=False).logits
        if labels is None:
            return {"logits": logits}
        loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=-100)
        return {"logits": logits, "text_loss": loss}

    def after_start(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None):
        """Tokens and mask with <start> before them."""
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        ids = nn.functional.pad(input_ids, (1, 0), value=self.config.decoder.bos_token_id)
        return ids, nn.functional.pad(attention_mask, (1, 0), value=1)

    @known_generation_keywords
    @torch.no_grad()
    def generate(
        self,
        pixel_values: torch.Tensor | None = None,
        lateral_pixel_values: torch.Tensor | None = None,
        views: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        anatomical_masks: torch.Tensor | None = None,
        seen: SeenViews | None = None,
        labels: torch.Tensor | None = None,
        abnormal_labels: torch.Tensor | None = None,
        **kwargs,
    ):
        """Token ids of the report: only new ones, without <start> and prompt.

        Args:
            pixel_values, lateral_pixel_values, views, anatomical_masks: as in `forward`.
            seen: of `see`, in place of these.
            input_ids, attention_mask: (batch, prompt) text to continue, left-padded; optional.
            labels, abnormal_labels: ignored; Seq2SeqTrainer passes the whole batch.
            kwargs: anything of `GenerationMixin.generate`.
        """
        refuse_assistant(kwargs)
        if seen is None:
            seen = self.see(pixel_values, lateral_pixel_values, views, anatomical_masks)
        latent = self.latent_of(seen)
        if input_ids is None:
            input_ids = torch.zeros(len(latent), 0, dtype=torch.long, device=latent.device)
        ids, mask = self.after_start(input_ids.to(latent.device), attention_mask)
        self.decoder.generation_config = self.generation_config  # or its own would fill in what is left open here
        generated = self.decoder.generate(ids, latent=latent, attention_mask=mask.to(ids.device), **kwargs)
        if isinstance(generated, torch.Tensor):
            return generated[:, ids.shape[1] :]
        generated.sequences = generated.sequences[:, ids.shape[1] :]
        return generated

    def sentence_evidence(
        self,
        generated: torch.Tensor,
        sentence_of_token: torch.Tensor,
        pixel_values: torch.Tensor | None = None,
        lateral_pixel_values: torch.Tensor | None = None,
        views: torch.Tensor | None = None,
        anatomical_masks: torch.Tensor | None = None,
        seen: SeenViews | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """How sure the model is of each token, and which parts of the films spoke for each sentence.

        Evidence is the positive part of gradient times activation, summed over channels, where the latent is pooled:
        the class activation map of a sentence's log-probability (Selvaraju et al. 2017).

        Args:
            generated: (batch, text) ids from `generate`.
            sentence_of_token: (batch, text) index of each token's sentence; -1 for padding.
            seen: of `see` with `evidence=True`, in place of the films.

        Returns:
            token log-probabilities (batch, text), and evidence (batch, sentences, rows, 2 x columns), the frontal film
            left and the lateral right, each pair of sum 1 (or 0 where nothing spoke for the sentence).
        """
        if seen is None:
            seen = self.see(pixel_values, lateral_pixel_values, views, anatomical_masks, evidence=True)
        with torch.enable_grad():
            seen = replace(seen, activations=[each.detach().requires_grad_() for each in seen.activations])
            ids, mask = self.after_start(generated[:, :-1], None)
            logits = self.decoder(ids, self.latent_of(seen), attention_mask=mask, use_cache=False).logits
            scores = logits.float().log_softmax(-1).gather(-1, generated[..., None])[..., 0]
            maps = sentence_maps(scores, sentence_of_token, seen.activations, partial(side_by_side, seen))
        side = self.config.image_size // 32
        evidence = torch.stack(maps, dim=1) if maps else scores.new_zeros(len(generated), 0, side, 2 * side)
        return scores.detach(), evidence


def checked_views(given: list[torch.Tensor | None], views: torch.Tensor | None, device) -> torch.Tensor:
    """Which views are there, (batch, 2) bool, of frontal and lateral films and `views` as `encode_views` takes them.

    Raises:
        ConfigError: no film at all or none in a case, films of a wrong shape, range or number, or `views` of another
            shape.
    """
    batch = next((len(films) for films in given if films is not None), None)
    if batch is None:
        raise ConfigError("forward", "no film", "pixel_values or lateral_pixel_values", "pass one of them")
    for name, of_view in zip(("pixel_values", "lateral_pixel_values"), given, strict=True):
        if of_view is None:
            continue
        if of_view.ndim != 4 or of_view.shape[1] != 3 or not of_view.is_floating_point():
            raise ConfigError(
                name,
                f"{of_view.dtype} of shape {tuple(of_view.shape)}",
                "floats (batch, 3, height, width)",
                "add the axes, scale to [0, 1]",
            )
        if ((of_view < -OUTSIDE) | (of_view > 1 + OUTSIDE)).any():  # NaN is refused as a latent
            low, high = of_view.min().item(), of_view.max().item()
            raise ConfigError(
                name,
                f"values from {low:.4g} to {high:.4g}",
                "[0, 1]",
                "divide by the largest gray value, and leave mean and deviation to encoder_mean and encoder_std",
            )
    if all(films is not None for films in given) and len(given[0]) != len(given[1]):
        raise ConfigError(
            "lateral_pixel_values",
            f"{len(given[1])} films for {len(given[0])} frontal ones",
            "one a case",
            "mark a missing view with 0 in views",
        )
    there = torch.tensor([[films is not None for films in given]], device=device).expand(batch, 2)
    if views is not None and views.shape != there.shape:
        raise ConfigError(
            "views",
            f"shape {tuple(views.shape)} for {batch} cases",
            f"({batch}, 2)",
            "give a row a case, 1 where the frontal and the lateral film are there",
        )
    views = there if views is None else views.to(device).bool() & there
    if not views.any(dim=1).all():
        rows = (~views.any(dim=1)).nonzero().flatten().tolist()
        raise ConfigError("views", f"no film in cases {rows}", "one or two", "leave these cases out")
    return views


def side_by_side(seen: SeenViews, *gradients: torch.Tensor) -> torch.Tensor:
    """Positive gradient times activation of both films, (batch, rows, 2 x columns); 0 of one that is missing."""
    halves = [
        scattered((gradient * activations).sum(1).clamp(min=0).float(), rows, missing=0.0)
        for gradient, activations, rows in zip(gradients, seen.activations, seen.views.T, strict=True)
    ]
    return torch.cat(halves, dim=-1)


def scattered(values: torch.Tensor, rows: torch.Tensor, missing: float = torch.nan) -> torch.Tensor:
    """Values of the chosen rows in a tensor of all rows, `missing` in the others."""
    if rows.all():
        return values
    whole = values.new_full((len(rows), *values.shape[1:]), missing)
    whole[rows] = values
    return whole


def reconstruction_loss(logits: torch.Tensor, target: torch.Tensor, kind: str) -> torch.Tensor:
    """How far reconstructed films are from the films, both (batch, 3, size, size); kinds as in `CxrMultitaskConfig`."""
    if kind == "bce":
        return nn.functional.binary_cross_entropy_with_logits(logits, target)
    drawn, losses = logits.sigmoid(), []
    if "mse" in kind:
        losses.append(nn.functional.mse_loss(drawn, target))
    if kind == "l1":
        losses.append(nn.functional.l1_loss(drawn, target))
    if "ssim" in kind:
        losses.append(1 - structural_similarity(drawn, target).mean())
    return sum(losses)


__all__ = ["CxrMultitaskForConditionalGeneration"]
