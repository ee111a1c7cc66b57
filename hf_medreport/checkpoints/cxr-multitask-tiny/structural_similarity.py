"""SSIM as something to train on: how alike two pictures are in structure, differentiable.

Wang, Bovik, Sheikh, Simoncelli 2004: a Gaussian window of 11 x 11 px and sigma 1.5, K1 = 0.01, K2 = 0.03, full scale 1,
the mean over those pixels only whose whole window lies in the picture.
"""

import torch
from torch import nn

WINDOW_PX, SIGMA_PX = 11, 1.5
C1, C2 = 0.01**2, 0.03**2  # (K x full scale) squared


def structural_similarity(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """SSIM of pairs of pictures.

    Args:
        a, b: (batch, channels, height, width) in [0, 1], at least 11 px a side.

    Returns:
        (batch,) float32, 1 for equal pictures.
    """
    # The squares of means are subtracted from means of squares: half precision would leave noise.
    a, b = a.float(), b.float()
    mean_a, mean_b = _blurred(a), _blurred(b)
    variance_a, variance_b = _blurred(a * a) - mean_a**2, _blurred(b * b) - mean_b**2
    covariance = _blurred(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    structure = (2 * covariance + C2) / (variance_a + variance_b + C2)
    return (luminance * structure).mean(dim=(1, 2, 3))


def _blurred(pictures: torch.Tensor) -> torch.Tensor:
    """The Gaussian mean around every pixel whose window lies in the picture."""
    offsets = torch.arange(WINDOW_PX, device=pictures.device) - WINDOW_PX // 2
    window = torch.exp(-(offsets**2) / (2 * SIGMA_PX**2)).float()
    window = (window / window.sum()).expand(pictures.shape[1], 1, 1, WINDOW_PX)
    with torch.autocast(pictures.device.type, enabled=False):
        rows = nn.functional.conv2d(pictures, window, groups=pictures.shape[1])
        return nn.functional.conv2d(rows, window.transpose(2, 3), groups=pictures.shape[1])
