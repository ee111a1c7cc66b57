"""What the configurations of models that learn from ratings share."""

from transformers import PreTrainedConfig

from .config_error import ConfigError
from .config_fields import refuse_misspelt_fields, refuse_other_values

LOSSES = ("bce", "mse", "legacy_abs_loss")


class PictureRewardConfig(PreTrainedConfig):
    """The base of both; a model's own configuration says what it sees by.

    Args:
        vision_config: of a ViT that reads one gray channel; its `image_size` is that of the pictures.
        head_sizes: widths of the two hidden layers between what was seen and the score.
        dropout: in the head.
        loss: how a score learns from a rating in [0, 1]: `"bce"` (default), cross-entropy; `"mse"`, squared error;
            `"legacy_abs_loss"`, -|rating - score| log score as the seed has it, which pushes every score up.
    """

    vision_config: PreTrainedConfig | dict | None = None
    head_sizes: list[int] | tuple[int, ...] = (256, 64)
    dropout: float = 0.1
    loss: str = "bce"

    def __post_init__(self, **kwargs):
        refuse_misspelt_fields(self, kwargs)
        refuse_other_values(self, "loss", LOSSES)
        if len(self.head_sizes) != 2 or min(self.head_sizes) < 1:
            self.refuse(f"head_sizes={list(self.head_sizes)}", "two widths of 1 or more")
        if not 0 <= self.dropout < 1:
            self.refuse(f"dropout={self.dropout}", "0 or more and less than 1")
        # TRL's trainer asks for one; transformers means two where nothing is said.
        super().__post_init__(**{"num_labels": 1, **kwargs})
        channels = self.vision_config.num_channels
        if channels != 1:
            self.refuse(f"vision_config with num_channels={channels}", "1, for pictures are seen gray")

    def refuse(self, found: str, expected: str) -> None:
        """Raise ConfigError for a field of this configuration."""
        raise ConfigError(type(self).__name__, found, expected, "correct the configuration")
