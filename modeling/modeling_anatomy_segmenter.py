"""Lung and heart segmenter: the anatomical prior of layer-wise anatomical attention, alone or inside a report model.

Two architectures behind one output. `convnext` is the head of the UDEM thesis on the last
feature map of a ConvNeXt; there lung and heart had a copy of the frozen backbone each, here they share one. `unet` is a
small U-Net on a reduced image for machines without a GPU. Lung and heart are not exclusive on a projection image, so
both are logits of their own: positive means inside.

    segmenter = AnatomySegmenterForSemanticSegmentation(AnatomySegmenterConfig())
    masks = segmenter.anatomical_masks(pixel_values)  # (batch, 1, height, width), 1.0 in lung or heart
"""

import torch
from torch import nn
from transformers import AutoModel, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SemanticSegmenterOutput
from transformers.utils import can_return_tuple

from .configuration_anatomy_segmenter import AnatomySegmenterConfig
from .keywords import known_keywords
from .saved_model import SavedModel


class ConvNextHead(nn.Module):
    """Feature map of stride 32 -> logits of stride 8: 1x1 and 3x3 convolution, then twice doubled.

    Args:
        in_channels: channels of the feature map.
        widths: the four inner widths.
        out_channels: classes of the structure.
    """

    def __init__(self, in_channels: int, widths: list[int], out_channels: int):
        super().__init__()
        first, second, third, fourth = widths
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, first, kernel_size=1),
            nn.Conv2d(first, second, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(second, third, kernel_size=2, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(third, fourth, kernel_size=2, stride=2),
            nn.ReLU(),
            nn.Conv2d(fourth, out_channels, kernel_size=1),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.layers(features)


class ConvNextSegmenter(nn.Module):
    """The thesis' two heads; its heart head has three classes, of which the third is the heart."""

    def __init__(self, config: AnatomySegmenterConfig):
        super().__init__()
        self.backbone = AutoModel.from_config(config.backbone)
        features = config.backbone.hidden_sizes[-1]
        self.lung_head = ConvNextHead(features, config.head_channels, out_channels=1)
        self.heart_head = ConvNextHead(features, config.head_channels, out_channels=3)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        features = self.backbone(pixel_values, output_hidden_states=True).hidden_states[-1]
        lung = self.lung_head(features)
        classes = self.heart_head(features)
        # argmax == 2 is the same as: the heart's logit exceeds the larger of the other two.
        heart = classes[:, 2:] - classes[:, :2].amax(dim=1, keepdim=True)
        return torch.cat([lung, heart], dim=1)


class UNetSegmenter(nn.Module):
    """A U-Net at a fixed small size; GroupNorm, so that one image gives the same as a batch."""

    def __init__(self, config: AnatomySegmenterConfig):
        super().__init__()
        self.size = config.unet_size
        widths = list(config.unet_channels)
        self.down = nn.ModuleList()
        for inputs, outputs in zip([config.num_channels, *widths[:-1]], widths, strict=True):
            self.down.append(self._block(inputs, outputs))
        self.up = nn.ModuleList()
        for inputs, outputs in zip(reversed(widths[1:]), reversed(widths[:-1]), strict=True):
            self.up.append(self._block(inputs + outputs, outputs))
        self.head = nn.Conv2d(widths[0], 2, kernel_size=1)

    @staticmethod
    def _block(inputs: int, outputs: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for width in (inputs, outputs):
            layers += [nn.Conv2d(width, outputs, 3, padding=1), nn.GroupNorm(max(1, outputs // 8), outputs), nn.ReLU()]
        return nn.Sequential(*layers)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        size = (self.size, self.size)
        # Antialiased resizing exists in float32 only on a CPU.
        hidden = nn.functional.interpolate(pixel_values.float(), size, mode="bilinear", antialias=True)
        hidden = hidden.to(pixel_values.dtype)
        skips = []
        for index, block in enumerate(self.down):
            hidden = block(nn.functional.max_pool2d(hidden, 2) if index else hidden)
            skips.append(hidden)
        skips.pop()
        for block in self.up:
            skip = skips.pop()
            hidden = nn.functional.interpolate(hidden, skip.shape[-2:], mode="nearest")
            hidden = block(torch.cat([hidden, skip], dim=1))
        return self.head(hidden)


class AnatomySegmenterForSemanticSegmentation(SavedModel, PreTrainedModel):
    """Film -> lung and heart logits."""

    config_class = AnatomySegmenterConfig
    auto_classes = ("AutoModel", "AutoModelForSemanticSegmentation")
    _supports_sdpa = True  # there is no attention in it: a model that it is part of may have either kind
    base_model_prefix = "network"
    main_input_name = "pixel_values"
    input_modalities = ("image",)

    def __init__(self, config: AnatomySegmenterConfig):
        super().__init__(config)
        self.network = ConvNextSegmenter(config) if config.architecture == "convnext" else UNetSegmenter(config)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            init.kaiming_normal_(module.weight, nonlinearity="relu")
            init.zeros_(module.bias)

    @can_return_tuple
    @known_keywords
    def forward(self, pixel_values: torch.Tensor, labels: torch.Tensor | None = None, **kwargs):
        """Logits of lung and heart.

        Args:
            pixel_values: (batch, 3, height, width), normalized as for the encoder.
            labels: (batch, 2, height, width), 1 inside lung (channel 0) and heart (channel 1), else 0.

        Returns:
            SemanticSegmenterOutput with `logits` (batch, 2, h, w) at the network's own size (64 for a 512 px film in
            the thesis) and, with labels, `loss`: cross-entropy plus one minus Dice, both per structure.
        """
        logits = self.network(pixel_values)
        loss = None
        if labels is not None:
            size = logits.shape[-2:]
            target = nn.functional.interpolate(labels.to(logits.dtype), size, mode="bilinear", antialias=True)
            overlap = 2 * (logits.sigmoid() * target).sum(dim=(2, 3))
            total = (logits.sigmoid() + target).sum(dim=(2, 3))
            dice = (overlap + 1) / (total + 1)
            loss = nn.functional.binary_cross_entropy_with_logits(logits, target) + (1 - dice).mean()
        return SemanticSegmenterOutput(loss=loss, logits=logits)

    @torch.no_grad()
    def anatomical_masks(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Lung or heart as 0.0 / 1.0: (batch, 1, h, w), the union rule of the thesis."""
        return (self(pixel_values).logits > 0).any(dim=1, keepdim=True).to(pixel_values.dtype)


__all__ = ["AnatomySegmenterForSemanticSegmentation"]
