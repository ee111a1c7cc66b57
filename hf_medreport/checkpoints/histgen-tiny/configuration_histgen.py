"""Configuration of HistGen: a bag of patch features in, a pathology report out."""

from transformers import PreTrainedConfig

from .config_error import ConfigError
from .config_fields import refuse_misspelt_fields, refuse_other_values

# Every field's default is the published training script's (`train_wsi_report.sh`), unless its line says otherwise.


class HistGenConfig(PreTrainedConfig):
    """What the report model is made of.

    Args:
        feature_size: width of a patch feature; 1,024 is DINOv2 ViT-L's.
        visual_size: width between the two projections of a feature (2,048).
        hidden_size: width of encoder, memory and decoder (512).
        intermediate_size: of every feed-forward part (512).
        num_attention_heads: of every attention (8).
        num_hidden_layers: of the decoder (3); the encoder always has its two levels.
        region_size: slots of a region: patches and one global token (96).
        memory_slots, memory_top_k: rows of the cross-modal memory, and how many a query may use (2,048 and 512).
        num_prototypes: evenly spaced patches that ask the memory on behalf of all (512).
        vocab_size: tokens, id 0 included, which is start, end and padding in one.
        dropout: between parts (0.1).
        attention_dropout: on attention weights; upstream has 0.1 whatever its `--dropout` says.
        projection_dropout: after the projection of the features (0.5).
        compatibility: None, or `"histgen"`, which brings back upstream's quirks for its weights; see the table in
            `modeling_histgen.py`.
        statement: what has to be said beside every report; it travels with the weights. Empty by default.
    """

    model_type = "histgen"
    keys_to_ignore_at_inference = ["cache", "past_key_values", "encoder_last_hidden_state"]

    feature_size: int = 1024
    visual_size: int = 2048
    hidden_size: int = 512
    intermediate_size: int = 512
    num_attention_heads: int = 8
    num_hidden_layers: int = 3
    region_size: int = 96
    memory_slots: int = 2048
    memory_top_k: int = 512
    num_prototypes: int = 512
    vocab_size: int = 5001
    dropout: float = 0.1
    attention_dropout: float = 0.1
    projection_dropout: float = 0.5
    compatibility: str | None = None
    statement: str = ""
    is_encoder_decoder: bool = True
    bos_token_id: int | None = 0
    eos_token_id: int | None = 0
    pad_token_id: int | None = 0
    decoder_start_token_id: int | None = 0
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs):
        refuse_misspelt_fields(self, kwargs)
        refuse_other_values(self, "compatibility", (None, "histgen"))
        self._refuse_sizes()
        super().__post_init__(**kwargs)

    def _refuse_sizes(self) -> None:
        limits = {"memory_top_k": (1, self.memory_slots), "region_size": (2, None), "num_prototypes": (1, None)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if value < low or high is not None and value > high:
                expected = f"{low} to {high} (memory_slots)" if high is not None else f"at least {low}"
                raise ConfigError("HistGenConfig", f"{name}={value}", expected, "correct the configuration")
        if self.hidden_size % self.num_attention_heads:
            raise ConfigError(
                "HistGenConfig",
                f"hidden_size={self.hidden_size}",
                f"a multiple of num_attention_heads={self.num_attention_heads}",
                "correct the configuration",
            )


__all__ = ["HistGenConfig"]
