"""DenseNet as the encoder of a U-Net: five feature maps of a film, and its layers in the order in which Keras counts.

Huang et al. 2017, "Densely Connected Convolutional Networks". The network is torchvision's, without its classifier, so
that any DenseNet checkpoint of torch loads into it. CheXNet (Rajpurkar et al. 2017) is the 121-layer one.

    encoder = DenseNetEncoder(growth_rate=32, block_config=(6, 12, 24, 16), num_init_features=64, bn_size=4)
    maps = encoder(torch.rand(1, 3, 224, 224))  # 64 x 112, 256 x 56, 512 x 28, 1024 x 14, 1024 x 7
"""

import torch
from torch import nn


class DenseNetEncoder(nn.Module):
    """A DenseNet that gives the maps which a U-Net's decoder joins.

    Args:
        growth_rate: channels that each layer adds; 32 in DenseNet-121.
        block_config: layers of each of the four blocks; (6, 12, 24, 16) in DenseNet-121.
        num_init_features: channels of the first convolution.
        bn_size: width of the bottleneck in a layer, in growth rates.
    """

    def __init__(self, growth_rate: int, block_config: list[int], num_init_features: int, bn_size: int):
        super().__init__()
        try:
            from torchvision.models.densenet import DenseNet
        except ImportError as error:
            raise ImportError(
                "encoder: found no torchvision; expected it beside torch; pip install torchvision"
            ) from error
        self.features = DenseNet(growth_rate, tuple(block_config), num_init_features, bn_size, num_classes=1).features
        norms = [getattr(self.features, f"transition{index}").norm for index in (1, 2, 3)]  # each reads a block's map
        norms = [self.features.norm0, *norms, self.features.norm5]
        self.widths = [norm.num_features for norm in norms]  # channels of the five maps

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Five maps, (batch, widths[i], side / 2^(i+1), side / 2^(i+1)), of films (batch, 3, side, side).

        The first is the stem before its pooling, the others are the dense blocks' outputs; the last one is the
        bottleneck, before the final normalization.
        """
        features = self.features
        maps = [features.relu0(features.norm0(features.conv0(pixels)))]
        hidden = features.denseblock1(features.pool0(maps[0]))
        maps.append(hidden)
        for index in (2, 3, 4):
            hidden = getattr(features, f"transition{index - 1}")(hidden)
            hidden = getattr(features, f"denseblock{index}")(hidden)
            maps.append(hidden)
        return maps

    def activations(self, bottleneck: torch.Tensor) -> torch.Tensor:
        """What DenseNet's own classifier pools: the bottleneck after the final normalization and ReLU, same shape."""
        return nn.functional.relu(self.features.norm5(bottleneck))

    def last_layers(self, count: int | None) -> list[nn.Module]:
        """The modules with weights among the last `count` layers as Keras lists them; None is the whole network."""
        layers = keras_layers(self.features)
        chosen = layers if count is None else layers[max(0, len(layers) - count) :]
        return [module for _, module in chosen if module is not None]


def keras_layers(features: nn.Module) -> list[tuple[str, nn.Module | None]]:
    """(name, module) of each layer of a DenseNet without its classifier, as Keras names and orders them.

    Modules are torchvision's; None for layers without weights (padding, ReLU, pooling, concatenation). "The last 10
    layers" of the published notebook are counted on this list.
    """
    layers = [
        ("input", None),
        ("conv1_pad", None),
        ("conv1_conv", features.conv0),
        ("conv1_bn", features.norm0),
        ("conv1_relu", None),
        ("pool1_pad", None),
        ("pool1", None),
    ]
    for index in range(1, 5):
        block = getattr(features, f"denseblock{index}")
        for number, layer in enumerate(block.values(), start=1):
            name = f"conv{index + 1}_block{number}"
            layers += [
                (f"{name}_0_bn", layer.norm1),
                (f"{name}_0_relu", None),
                (f"{name}_1_conv", layer.conv1),
                (f"{name}_1_bn", layer.norm2),
                (f"{name}_1_relu", None),
                (f"{name}_2_conv", layer.conv2),
                (f"{name}_concat", None),
            ]
        if index < 4:
            transition, name = getattr(features, f"transition{index}"), f"pool{index + 1}"
            layers += [
                (f"{name}_bn", transition.norm),
                (f"{name}_relu", None),
                (f"{name}_conv", transition.conv),
                (f"{name}_pool", None),
            ]
    return [*layers, ("bn", features.norm5), ("relu", None)]
