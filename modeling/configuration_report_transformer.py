"""Configuration of the multi-task chest X-ray's other text model: a Transformer that learns reports from nothing."""

from transformers import PreTrainedConfig

from .config_error import ConfigError
from .config_fields import refuse_misspelt_fields


class ReportTransformerConfig(PreTrainedConfig):
    """What the language model is made of. Widths and dropout are the paper's base model's.

    Args:
        vocab_size: tokens; 50,260 is GPT-2's vocabulary with `<start>`, `<end>` and `<pad>`.
        hidden_size: width (512); even, since positions are pairs of a sine and a cosine.
        intermediate_size: of the feed-forward part (2,048).
        num_hidden_layers: 4 instead of the paper's 6: a few thousand short reports fill no more.
        num_attention_heads: 8.
        max_position_embeddings: tokens of a text at most (512). Sinusoids go on for ever, but what lies beyond the
            longest text of the training is not learned.
        dropout: on embeddings and on what each part adds (0.1); as in the paper none on attention weights.
        layer_norm_eps: 1e-5, torch's.
        tie_word_embeddings: True as in the paper (section 3.4). One table instead of two halves what has to be learned
            of a word, and most words of a small corpus are rare.
    """

    model_type = "report_transformer"
    keys_to_ignore_at_inference = ["cache", "past_key_values"]

    vocab_size: int = 50260
    hidden_size: int = 512
    intermediate_size: int = 2048
    num_hidden_layers: int = 4
    num_attention_heads: int = 8
    max_position_embeddings: int = 512
    dropout: float = 0.1
    layer_norm_eps: float = 1e-5
    bos_token_id: int | None = 50257
    eos_token_id: int | None = 50258
    pad_token_id: int | None = 50259
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs):
        refuse_misspelt_fields(self, kwargs)
        self._refuse_sizes()
        super().__post_init__(**kwargs)

    def _refuse_sizes(self) -> None:
        sizes = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings")
        for name in sizes:
            if getattr(self, name) < 1:
                self._refuse(f"{name}={getattr(self, name)}", "at least 1")
        if self.hidden_size % self.num_attention_heads:
            self._refuse(
                f"hidden_size={self.hidden_size}", f"a multiple of num_attention_heads={self.num_attention_heads}"
            )
        if self.hidden_size % 2:
            self._refuse(f"hidden_size={self.hidden_size}", "an even number, for pairs of sine and cosine")
        if not 0 <= self.dropout < 1:
            self._refuse(f"dropout={self.dropout}", "at least 0 and below 1")
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            if getattr(self, name) is not None and not 0 <= getattr(self, name) < self.vocab_size:
                self._refuse(f"{name}={getattr(self, name)}", f"0 to {self.vocab_size - 1} (vocab_size)")

    def _refuse(self, found: str, expected: str) -> None:
        raise ConfigError("ReportTransformerConfig", found, expected, "correct the configuration")


__all__ = ["ReportTransformerConfig"]
