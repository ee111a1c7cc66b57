"""Configuration of RadScribe: MedViLL sees, the decoder of a T5 writes."""

from transformers import PreTrainedConfig, T5Config
from transformers.configuration_utils import SubConfigSpec

from .config_error import ConfigError
from .config_fields import refuse_misspelt_fields
from .configuration_medvill import MedViLLConfig

# ClinicalT5-base's, which are t5-base's.
T5_BASE = {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12, "decoder_start_token_id": 0}


class RadScribeConfig(PreTrainedConfig):
    """What the report model is made of.

    Args:
        encoder: MedViLL's configuration; what is seen, which labels it is given, who attends to whom.
        decoder: of any model of the T5 family; its defaults are t5-base's, which ClinicalT5-base has too. Its own
            encoder is not carried.
        label_loss_weight: of the label head's loss beside the report's, where the encoder predicts labels; 1, since the
            original has no such head.
        statement: what has to be said beside every report; it travels with the weights. Empty by default.
    """

    model_type = "radscribe"
    sub_configs_defaults = {
        "encoder": SubConfigSpec(config_class=MedViLLConfig),
        "decoder": SubConfigSpec(config_class=T5Config, init_kwargs=T5_BASE),
    }
    keys_to_ignore_at_inference = [
        "cache",
        "past_key_values",
        "encoder_last_hidden_state",
        "label_logits",
        "label_source",
    ]

    encoder: PreTrainedConfig | dict | None = None
    decoder: PreTrainedConfig | dict | None = None
    label_loss_weight: float = 1.0
    statement: str = ""
    is_encoder_decoder: bool = True
    bos_token_id: int | None = None
    eos_token_id: int | None = 1
    pad_token_id: int | None = 0
    decoder_start_token_id: int | None = 0
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs):
        refuse_misspelt_fields(self, kwargs)
        if isinstance(self.decoder, dict):  # a T5 of another name, such as mT5, is read as one
            self.decoder = {key: value for key, value in self.decoder.items() if key != "model_type"}
        super().__post_init__(**kwargs)
        if self.label_loss_weight < 0:
            self._refuse(f"label_loss_weight={self.label_loss_weight}", "0 or more")
        widths = self.decoder.d_model, self.encoder.bert.hidden_size
        if widths[0] != widths[1]:
            self._refuse("a decoder of width {} beside an encoder of {}".format(*widths), "one width")
        self.decoder.is_decoder, self.decoder.is_encoder_decoder = True, True
        self.decoder.num_layers = self.decoder.num_decoder_layers
        for name in ("eos_token_id", "pad_token_id"):
            setattr(self, name, getattr(self.decoder, name))
        start = getattr(self.decoder, "decoder_start_token_id", None)  # T5Config has no such field of its own
        self.decoder_start_token_id = self.decoder.pad_token_id if start is None else start

    def _refuse(self, found: str, expected: str) -> None:
        raise ConfigError("RadScribeConfig", found, expected, "correct the configuration")

    @property
    def vocab_size(self) -> int:
        """Of the decoder."""
        return self.decoder.vocab_size

    @vocab_size.setter
    def vocab_size(self, value: int) -> None:  # resize_token_embeddings sets it
        self.decoder.vocab_size = value


__all__ = ["RadScribeConfig"]
