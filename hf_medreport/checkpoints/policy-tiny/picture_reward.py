"""What selector and policy share: gray pictures, a ViT's first state, a head of one score, and the losses of ratings.

Scores of a batch do not depend on one another: what attends, attends within a picture. (The seed's encoder was built
without `batch_first` and attended from picture to picture.)
"""

from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel, ViTModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from .config_error import ConfigError
from .saved_model import SavedModel

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass
class PictureRewardOutput(ModelOutput):
    """
    Args:
        loss: where ratings are given.
        logits: (batch, 1), which a trainer on pairs compares.
        scores: (batch,) in [0, 1]: the sigmoid of the logits, and exactly 0 of a picture that a gate rejects.
        passed: (batch,), False where one does.
    """

    loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None
    scores: torch.FloatTensor | None = None
    passed: torch.BoolTensor | None = None


class HiddenLayer(nn.Sequential):
    """Linear layer, layer norm, ReLU, dropout."""

    def __init__(self, inputs: int, outputs: int, dropout: float):
        linear = nn.Linear(inputs, outputs)
        linear.feeds_relu = True
        super().__init__(linear, nn.LayerNorm(outputs), nn.ReLU(), nn.Dropout(dropout))


class PictureRewardModel(SavedModel, PreTrainedModel):
    """A ViT on gray pictures; a model of its own says what it adds to the first state, and which pictures pass."""

    main_input_name = "pixel_values"
    base_model_prefix = "vision"
    supports_gradient_checkpointing = True
    _supports_sdpa = True

    def __init__(self, config, beside: int = 0):
        """`beside`: width of what is added to the ViT's first state."""
        super().__init__(config)
        self.vision = ViTModel(config.vision_config, add_pooling_layer=False)
        first, second = config.head_sizes
        width = config.vision_config.hidden_size + beside
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Sequential(
            HiddenLayer(width, first, config.dropout), HiddenLayer(first, second, config.dropout)
        )
        self.score = nn.Linear(second, 1)

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if getattr(module, "feeds_relu", False):
            init.kaiming_normal_(module.weight, nonlinearity="relu")

    def gray(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(batch, 3 or 1, size, size) in [0, 1] -> (batch, 1, size, size), the luma of color.

        Raises:
            ConfigError: another shape, or values of another range: a picture that was normalized passes no gate.
        """
        side = self.config.vision_config.image_size
        if pixel_values.ndim != 4 or pixel_values.shape[1] not in (1, 3) or pixel_values.shape[2:] != (side, side):
            found, expected = tuple(pixel_values.shape), f"(batch, 3, {side}, {side}), or 1 channel"
            raise ConfigError("pixel_values", f"shape {found}", expected, "resize the pictures first")
        low, high = pixel_values.aminmax() if pixel_values.numel() else (0, 1)
        if not (low >= 0 and high <= 1):
            remedy = "give pictures as they are, without normalization"
            raise ConfigError("pixel_values", f"{low:.3g} to {high:.3g}", "0 to 1", remedy)
        if pixel_values.shape[1] == 1:
            return pixel_values
        return (pixel_values * pixel_values.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)

    def see(self, gray: torch.Tensor) -> torch.Tensor:
        """Gray pictures -> (batch, width): the ViT's first state of each."""
        return self.vision(2 * gray - 1).last_hidden_state[:, 0]

    def judged(self, states: torch.Tensor) -> torch.Tensor:
        """What was seen, (..., width), as logits (..., 1)."""
        return self.score(self.hidden(self.norm(states)))

    def output(
        self,
        states: torch.Tensor,
        passed: torch.Tensor,
        labels: torch.Tensor | None,
        weights: torch.Tensor | None,
    ) -> PictureRewardOutput:
        """What was seen (batch, width) as scores, and the loss where there are ratings."""
        logits = self.judged(states)  # (batch, 1)
        scores = torch.sigmoid(logits[:, 0]) * passed
        loss = None if labels is None else rating_loss(logits[:, 0], labels, weights, self.config.loss)
        return PictureRewardOutput(loss=loss, logits=logits, scores=scores, passed=passed)


def rating_loss(
    logits: torch.Tensor, ratings: torch.Tensor, weights: torch.Tensor | None = None, kind: str = "bce"
) -> torch.Tensor:
    """The loss of scores against ratings, in float32.

    Args:
        logits: (batch,).
        ratings: (batch,) in [0, 1].
        weights: (batch,), how much each rating counts; None: alike.
        kind: `"bce"`, `"mse"` or `"legacy_abs_loss"`.

    Raises:
        ConfigError: a rating outside [0, 1], or a weight below 0.
    """
    logits, ratings = logits.float(), ratings.float()
    if not ((ratings >= 0) & (ratings <= 1)).all():
        found, remedy = f"{ratings.min():.3g} to {ratings.max():.3g}", "give (rating - 1) / 2 of ratings from 1 to 3"
        raise ConfigError("labels", found, "ratings in [0, 1]", remedy)
    weights = torch.ones_like(ratings) if weights is None else weights.float()
    if not (weights >= 0).all():
        raise ConfigError("weights", f"{weights.min():.3g}", "0 or more", "correct the weights")
    if kind == "legacy_abs_loss":  # log(score) alone decides the direction: up, whatever the rating
        losses = -(ratings - torch.sigmoid(logits)).abs() * nn.functional.logsigmoid(logits)
    elif kind == "mse":
        losses = (torch.sigmoid(logits) - ratings) ** 2
    else:
        losses = nn.functional.binary_cross_entropy_with_logits(logits, ratings, reduction="none")
    return (weights * losses).sum() / weights.sum().clamp(min=1e-8)


__all__ = ["PictureRewardModel", "PictureRewardOutput", "rating_loss"]
