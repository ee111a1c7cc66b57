"""A small convolutional network that says what a drawn picture shows: modality, finding, side, zone, grade.

It judges generators: whoever asked for "a severe subdural hematoma on the left" learns what the picture shows. Two
things are not usual. The coordinates go in as two channels and the last map is pooled to a coarse grid, since a side is
a place and not a texture. And a question may have no answer (no zone of a cardiomegaly): such a label is -100, the head
answers anyway, and only who knows what was asked can tell whether the answer means anything.

    judge = PictureJudgeModel.from_pretrained(folder)
    output = judge(pixel_values)            # (batch, 3, 64, 64) in [-1, 1]
    judge.answers(output.logits)[0]         # {"modality": "ct", "finding": "nodule", "side": "left", ...}
    output.features                         # (batch, 128): the space in which sets of pictures are compared
"""

from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput, can_return_tuple

from .config_error import ConfigError
from .configuration_picture_judge import PictureJudgeConfig
from .keywords import known_keywords
from .saved_model import SavedModel

NO_ANSWER = -100


@dataclass
class PictureJudgeOutput(ModelOutput):
    """
    Args:
        loss: mean cross-entropy of each question over the pictures that have an answer, summed.
        logits: (batch, answers of all questions), in the order of the configuration.
        features: (batch, feature_size).
    """

    loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None
    features: torch.FloatTensor | None = None


class ConvNorm(nn.Sequential):
    """Convolution of 3 x 3 and batch norm."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        super().__init__(convolution, nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """Two convolutions beside the way straight on."""

    def __init__(self, width: int):
        super().__init__()
        self.first, self.second = ConvNorm(width, width), ConvNorm(width, width)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return torch.relu(hidden + self.second(torch.relu(self.first(hidden))))


class PictureJudgeModel(SavedModel, PreTrainedModel):
    """Picture -> answers and features."""

    config_class = PictureJudgeConfig
    base_model_prefix = "network"
    main_input_name = "pixel_values"
    input_modalities = ("image",)

    def __init__(self, config: PictureJudgeConfig):
        super().__init__(config)
        first, *rest = config.widths
        layers: list[nn.Module] = [ConvNorm(config.num_channels + 2, first), nn.ReLU()]
        for inputs, outputs in zip(config.widths[:-1], rest, strict=True):
            layers += [ConvNorm(inputs, outputs, stride=2), nn.ReLU(), Residual(outputs)]
        self.network = nn.Sequential(*layers)
        narrow = max(1, rest[-1] // 4)
        self.squeeze = nn.Conv2d(rest[-1], narrow, 1)
        self.pool = nn.AdaptiveAvgPool2d(config.grid)
        self.to_features = nn.Linear(narrow * config.grid**2 + rest[-1], config.feature_size)
        self.heads = nn.Linear(config.feature_size, sum(map(len, config.answers.values())))
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, nonlinearity="relu")

    @can_return_tuple
    @known_keywords
    def forward(self, pixel_values: torch.Tensor, labels: torch.Tensor | None = None, **kwargs):
        """What pictures show.

        Args:
            pixel_values: (batch, 3, image_size, image_size) in [-1, 1].
            labels: (batch, questions): the number of each answer, -100 where there is none.

        Returns:
            PictureJudgeOutput.

        Raises:
            ConfigError: pictures of another shape.
        """
        config = self.config
        wanted = (config.num_channels, config.image_size, config.image_size)
        if tuple(pixel_values.shape[1:]) != wanted:
            found, expected = " x ".join(map(str, pixel_values.shape[1:])), " x ".join(map(str, wanted))
            raise ConfigError("pixel_values", found, expected, "resize the pictures first")
        hidden = self.network(torch.cat([pixel_values, _coordinates(pixel_values)], dim=1))
        places = self.pool(torch.relu(self.squeeze(hidden))).flatten(1)  # (batch, narrow * grid * grid)
        anywhere = hidden.amax(dim=(2, 3))  # a spot of a few pixels drowns in a mean
        features = torch.relu(self.to_features(torch.cat([places, anywhere], dim=1)))
        logits = self.heads(features)
        loss = None if labels is None else self._loss(logits, labels)
        return PictureJudgeOutput(loss=loss, logits=logits, features=features)

    def by_question(self, logits: torch.Tensor) -> dict[str, torch.Tensor]:
        """(batch, answers of all questions) as {question: (batch, its answers)}."""
        sizes = [len(answers) for answers in self.config.answers.values()]
        return dict(zip(self.config.answers, logits.split(sizes, dim=-1), strict=True))

    def answers(self, logits: torch.Tensor) -> list[dict[str, str]]:
        """The likeliest answer to each question, a picture each."""
        known = self.config.answers
        chosen = {name: part.argmax(dim=-1).tolist() for name, part in self.by_question(logits).items()}
        return [{name: known[name][numbers[row]] for name, numbers in chosen.items()} for row in range(len(logits))]

    def _loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        parts = self.by_question(logits.float()).values()
        loss = logits.new_zeros((), dtype=torch.float32)
        for part, wanted in zip(parts, labels.unbind(dim=1), strict=True):
            total = nn.functional.cross_entropy(part, wanted, ignore_index=NO_ANSWER, reduction="sum")
            loss = loss + total / (wanted != NO_ANSWER).sum().clamp(min=1)
        return loss


def _coordinates(pixel_values: torch.Tensor) -> torch.Tensor:
    """x and y from -1 to 1 as two channels: (batch, 2, height, width)."""
    batch, _, height, width = pixel_values.shape
    rows = torch.linspace(-1, 1, height, dtype=pixel_values.dtype, device=pixel_values.device)
    columns = torch.linspace(-1, 1, width, dtype=pixel_values.dtype, device=pixel_values.device)
    grid = torch.stack([columns.expand(height, width), rows[:, None].expand(height, width)])
    return grid.expand(batch, 2, height, width)


__all__ = ["PictureJudgeModel"]
