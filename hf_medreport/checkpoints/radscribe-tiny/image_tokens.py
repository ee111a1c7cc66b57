"""Four image encoders that turn a film into tokens for a BERT: what RadScribe may see with.

Each gives the features of a grid of places first, (batch, places, width), so that a place can be held to account for
what was written, and then tokens of them. The CNNs and the patch embedding pick tokens among the places; the ViT mixes
all places into each token by a linear layer over the token axis.

| name | after | places at 512 px | token |
|---|---|---|---|
| `vit` | Dosovitskiy et al. 2021, google/vit-base-patch16-224-in21k | 32 x 32 | mixture of all places |
| `resnet101` | torchxrayvision's autoencoder "101-elastic" (Cohen et al. 2022), to layer 3 | 16 x 16 | a place |
| `chexnet121` | CheXNet (Rajpurkar et al. 2017): DenseNet-121 up to its last norm, no ReLU | 16 x 16 | a place |
| `bert_vit` | MedViLL's (Moon et al. 2022) linear embedding of 32 px patches | 16 x 16 | a place |
"""

import torch
from torch import nn
from transformers import ResNetConfig, ResNetModel, ViTConfig, ViTModel

from .configuration_medvill import MedViLLConfig
from .densenet_encoder import DenseNetEncoder


class ImageTokens(nn.Module):
    """What the three encoders have in common whose tokens are places."""

    def __init__(self, config: MedViLLConfig):
        super().__init__()
        self.count, self.width = config.num_image_embeds, config.image_encoder_sizes.get("channels")

    def tokens(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens (batch, count, width) among `features` (batch, places, width), and their places (count).

        As published, training draws them anew each time; here evaluation takes evenly spaced ones instead, so that a
        film has one report. Where every place is a token, as published, there is nothing to draw.
        """
        places, device = features.shape[1], features.device
        if self.training:
            chosen = torch.randperm(places, device=device)[: self.count].sort().values
        else:
            chosen = torch.linspace(0, places - 1, self.count, device=device).round().long()
        return features[:, chosen], chosen


class ViTTokens(ImageTokens):
    """A ViT; a linear layer over the token axis makes `count` tokens of its patches."""

    def __init__(self, config: MedViLLConfig):
        super().__init__(config)
        vit = ViTConfig(**config.image_encoder_sizes)
        vit._attn_implementation = config._attn_implementation
        self.vit = ViTModel(vit, add_pooling_layer=False)
        self.width, self.interpolates = vit.hidden_size, vit.image_size != config.image_size
        self.token_mixing = nn.Linear(config.grid_size**2, self.count)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        states = self.vit(pixels, interpolate_pos_encoding=self.interpolates).last_hidden_state
        return states[:, 1:], states[:, :1]

    def tokens(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mixed = self.token_mixing(features.transpose(1, 2)).transpose(1, 2)
        return mixed, torch.arange(self.count, device=features.device)


class CheXNetTokens(ImageTokens):
    """A DenseNet without its classifier, and a 1x1 convolution to the tokens' width."""

    def __init__(self, config: MedViLLConfig):
        super().__init__(config)
        sizes = dict(config.image_encoder_sizes)
        channels = sizes.pop("channels")
        self.densenet = DenseNetEncoder(**sizes)
        self.conv = nn.Conv2d(self.densenet.widths[-1], channels, 1)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, None]:
        features = self.densenet.features(pixels)  # ends with its norm; DenseNet's classifier would add a ReLU
        return self.conv(features).flatten(2).transpose(1, 2), None


class ResNetTokens(ImageTokens):
    """The first three stages of a ResNet that reads one channel, a 1x1 convolution and a maximum over 2 x 2."""

    def __init__(self, config: MedViLLConfig):
        super().__init__(config)
        sizes = dict(config.image_encoder_sizes)
        channels = sizes.pop("channels")
        self.resnet = ResNetModel(ResNetConfig(num_channels=1, **sizes))
        for stage in self.resnet.encoder.stages:
            for block in stage.layers:
                # torchxrayvision's blocks have a ReLU before the shortcut is added too, published ResNets have none.
                # A threshold at 0 is one, and its gradient survives that transformers then adds in place.
                block.layer[-1].activation = nn.Threshold(0.0, 0.0)
        self.conv = nn.Conv2d(sizes["hidden_sizes"][-1], channels, 1)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, None]:
        hidden = self.resnet(pixels.mean(dim=1, keepdim=True)).last_hidden_state
        return nn.functional.max_pool2d(self.conv(hidden), 2).flatten(2).transpose(1, 2), None


class PatchTokens(ImageTokens):
    """A linear embedding of patches and nothing else: the BERT does the seeing."""

    def __init__(self, config: MedViLLConfig):
        super().__init__(config)
        patch = config.image_encoder_sizes["patch_size"]
        self.patches = nn.Conv2d(3, self.width, patch, stride=patch)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, None]:
        return self.patches(pixels).flatten(2).transpose(1, 2), None


ENCODERS = {"vit": ViTTokens, "resnet101": ResNetTokens, "chexnet121": CheXNetTokens, "bert_vit": PatchTokens}
