"""The decoder of a U-Net: from an encoder's five maps back to the film (Ronneberger et al. 2015).

A stage is a transposed convolution, batch norm and ReLU, the encoder's map of that size beside it, and a convolution:
what is published of the multi-task chest X-ray. Widths and the norm after the second convolution are ours.
"""

import torch
from torch import nn


class UNetDecoder(nn.Module):
    """Five doublings from the bottleneck to the film; the maps of the encoder are joined on the way.

    Args:
        map_widths: channels of the encoder's five maps.
        widths: channels of the five stages.
        use_skips: False joins nothing.
    """

    def __init__(self, map_widths: list[int], widths: list[int], use_skips: bool):
        super().__init__()
        self.use_skips = use_skips
        inputs, skips = map_widths[-1], [*reversed(map_widths[:-1]), 0]  # the film itself is no skip
        self.up, self.merge = nn.ModuleList(), nn.ModuleList()
        for width, skip in zip(widths, skips, strict=True):
            up = nn.ConvTranspose2d(inputs, width, kernel_size=2, stride=2, bias=False)
            self.up.append(nn.Sequential(up, nn.BatchNorm2d(width), nn.ReLU()))
            merge = nn.Conv2d(width + (skip if use_skips else 0), width, kernel_size=3, padding=1, bias=False)
            self.merge.append(nn.Sequential(merge, nn.BatchNorm2d(width), nn.ReLU()))
            inputs = width
        self.head = nn.Conv2d(inputs, 3, kernel_size=1)

    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """Logits (batch, 3, size, size) of a film's gray values, from the encoder's five maps."""
        hidden = maps[-1]
        for up, merge, skip in zip(self.up, self.merge, [*reversed(maps[:-1]), None], strict=True):
            hidden = up(hidden)
            if self.use_skips and skip is not None:
                hidden = torch.cat([hidden, skip], dim=1)
            hidden = merge(hidden)
        return self.head(hidden)
