"""Configuration of MedViLL, the encoder of RadScribe: image tokens and label text in one BERT."""

from transformers import BertConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from .config_error import ConfigError
from .config_fields import refuse_misspelt_fields, refuse_other_values

# The 13 findings that the CheXpert labeler looks for, in its order; its fourteenth, No Finding, is none of them.
FINDINGS = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
MASK_MODES = ("full", "bar", "legacy")
LABEL_MODES = ("none", "oracle", "predicted")
# Sizes of each image encoder, as published; `channels` is the width of the tokens before their projection.
SIZES = {
    "vit": {"image_size": 224, "patch_size": 16},  # and whatever else ViTConfig has; its defaults are ViT-B's
    "resnet101": {"embedding_size": 64, "hidden_sizes": [256, 512, 1024], "depths": [3, 4, 23], "channels": 2048},
    "chexnet121": {
        "growth_rate": 32,
        "block_config": [6, 12, 24, 16],
        "num_init_features": 64,
        "bn_size": 4,
        "channels": 2048,
    },
    "bert_vit": {"patch_size": 32, "channels": 2048},
}


class MedViLLConfig(PreTrainedConfig):
    """What the encoder is made of.

    Args:
        bert: sizes of the BERT that mixes image and text; its defaults are bert-base-uncased's.
        image_encoder: `"vit"` (default, as in RadScribe), `"resnet101"` (torchxrayvision's 101-elastic), `"chexnet121"`
            or `"bert_vit"`, MedViLL's linear embedding of patches, which RadScribe left unimplemented.
        image_encoder_sizes: of that encoder, on top of the published ones (`SIZES`); for `"vit"` any field of
            ViTConfig. Its `image_size` may be smaller than ours: positions are interpolated.
        image_size: side in pixels of a film; 512 as published.
        num_image_embeds: image tokens in the sequence; 256 as published.
        max_text_tokens: most pieces of the text; the [SEP] after them has a place of its own. 253 makes the published
            sequence of 512.
        mask_mode: who sees whom. `"full"` (default): all see all that is no padding. `"bar"`: as MedViLL was
            pre-trained, text sees the image and the text before it. `"legacy"`: RadScribe's mask, which changes nothing
            but the rounding, so that everything sees the padding too; for its weights.
        label_mode: `"none"` (default): no labels. `"oracle"`: the labels of a film are given as text and attended to
            from the image, as RadScribe does; they come from the report that is to be written. `"predicted"`: the same,
            but a head on the image names the labels where none are given.
        label_names: what the head tells apart.
        label_pieces: BERT's ids of each name as it stands in label text, in quotes; and of the comma between two.
            `RadScribeProcessor.label_pieces` makes both. Only `"predicted"` needs them.
        label_separator: ids of the comma.
        label_threshold: probability from which a label is named; 0.5, nothing is published.
        num_label_layers: of cross-attention from image to label text; 3 as published.
        cls_token_id, sep_token_id: of bert-base-uncased.
    """

    model_type = "medvill"
    sub_configs_defaults = {"bert": SubConfigSpec(config_class=BertConfig)}

    bert: PreTrainedConfig | dict | None = None
    image_encoder: str = "vit"
    image_encoder_sizes: dict | None = None
    image_size: int = 512
    num_image_embeds: int = 256
    max_text_tokens: int = 253
    mask_mode: str = "full"
    label_mode: str = "none"
    label_names: list[str] | tuple[str, ...] = FINDINGS
    label_pieces: list[list[int]] | None = None
    label_separator: list[int] | tuple[int, ...] = ()
    label_threshold: float = 0.5
    num_label_layers: int = 3
    cls_token_id: int = 101
    sep_token_id: int = 102
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs):
        refuse_misspelt_fields(self, kwargs)
        refuse_other_values(self, "image_encoder", tuple(SIZES))
        refuse_other_values(self, "mask_mode", MASK_MODES)
        refuse_other_values(self, "label_mode", LABEL_MODES)
        published = SIZES[self.image_encoder]
        self.image_encoder_sizes = {**published, **(self.image_encoder_sizes or {})}
        if self.image_encoder != "vit":
            unknown = sorted(set(self.image_encoder_sizes) - set(published))
            if unknown:
                self._refuse(f"image_encoder_sizes field '{unknown[0]}'", ", ".join(published))
        super().__post_init__(**kwargs)
        self._refuse_sizes()

    def _refuse_sizes(self) -> None:
        """Raise ConfigError at sizes that do not fit each other."""
        places = self.bert.max_position_embeddings
        for name, used in (("num_image_embeds", 0), ("max_text_tokens", 1)):
            if not 1 <= getattr(self, name) <= places - used:
                self._refuse(f"{name}={getattr(self, name)}", f"1 to {places - used}, BERT's positions")
        stride = self.stride
        if self.image_size <= 0 or self.image_size % stride:
            self._refuse(f"image_size={self.image_size}", f"a multiple of {stride}, the image encoder's stride")
        if self.image_encoder != "vit" and self.num_image_embeds > self.grid_size**2:
            found = f"num_image_embeds={self.num_image_embeds}"
            self._refuse(found, f"at most {self.grid_size**2}, the places of a film of {self.image_size} px")
        if self.image_encoder == "vit" and self.vit_width != self.bert.hidden_size:
            found = f"a ViT of width {self.vit_width} beside a BERT of {self.bert.hidden_size}"
            self._refuse(found, "one width, for nothing projects the one to the other")
        if self.label_mode == "predicted" and len(self.label_pieces or ()) != len(self.label_names):
            found = f"{len(self.label_pieces or ())} label_pieces for {len(self.label_names)} label_names"
            self._refuse(found, "one a name, as RadScribeProcessor.label_pieces makes them")

    def _refuse(self, found: str, expected: str) -> None:
        raise ConfigError("MedViLLConfig", found, expected, "correct the configuration")

    @property
    def vit_width(self) -> int:
        """Width of the ViT, where it is the image encoder."""
        return self.image_encoder_sizes.get("hidden_size", 768)

    @property
    def stride(self) -> int:
        """Pixels a side that one place of the image encoder stands for."""
        return self.image_encoder_sizes.get("patch_size", 32)  # both CNNs: 32

    @property
    def grid_size(self) -> int:
        """Places a side of a film."""
        return self.image_size // self.stride

    @property
    def sequence_length(self) -> int:
        """Of the encoder's output: [CLS], image, [SEP], text with its [SEP]."""
        return self.num_image_embeds + self.max_text_tokens + 3


__all__ = ["MedViLLConfig"]
