"""How alike are two pictures, pixel by pixel and structure by structure?

- MSE, PSNR: the mean squared difference, and the same in decibel below full scale.
- SSIM: Wang, Bovik, Sheikh, Simoncelli 2004, "Image quality assessment: from error visibility to structural
  similarity": Gaussian window of 11 x 11 px and sigma 1.5, K1 = 0.01, K2 = 0.03, the population's covariance, and the
  mean over those pixels only whose whole window lies in the picture. scikit-image gives the same with
  `gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1`.
- MS-SSIM: Wang, Simoncelli, Bovik 2003, "Multi-scale structural similarity for image quality assessment": the first
  scales give contrast and structure, the last one the whole SSIM, each to the power of its weight; a scale is the
  2 x 2 mean of the one before. Below 176 px a side there are fewer than five scales; the weights of those that remain
  are divided by their sum, and the numbers of two sizes cannot be compared.
- MS-SSIM diversity: the mean over random pairs of one set, as Odena, Olah, Shlens 2017 ("Conditional image synthesis
  with auxiliary classifier GANs") found collapsed classes. Lower is more diverse.

Pictures are arrays in [0, 1], (height, width) or (height, width, 3); full scale is 1. Color: each channel alone, then
their mean. What all of these miss: a shift by one pixel counts more than a missing nodule.
"""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import correlate1d

from hf_medreport.processing.input_error import InputError

__all__ = ["ms_ssim", "ms_ssim_diversity", "mse", "psnr", "scales", "ssim"]

WINDOW_PX, SIGMA_PX = 11, 1.5
C1, C2 = 0.01**2, 0.03**2  # (K x full scale) squared
WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
DIVERSITY_PAIRS = 100  # as in Odena et al.


def mse(a: np.ndarray, b: np.ndarray) -> float:
    """Mean squared difference; 0 for equal pictures, 1 at most. InputError for unequal shapes."""
    a, b = _alike(a, b)
    return float(np.mean((a - b) ** 2))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio, 10 log10(1 / MSE) dB; infinite for equal pictures. InputError for unequal shapes."""
    error = mse(a, b)
    return float(-10 * np.log10(error)) if error else np.inf


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity, 1 for equal pictures. InputError for unequal shapes or less than 11 px a side."""
    a, b = _alike(a, b)
    scales(a.shape)
    return float(np.mean([_similarity(*planes)[0] for planes in _planes(a, b)]))


def ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Multi-scale structural similarity over `scales(shape)` scales, 0 to 1. InputError as `ssim`."""
    a, b = _alike(a, b)
    weights = WEIGHTS[: scales(a.shape)]
    if len(weights) < len(WEIGHTS):  # all five stay as published, with their sum of 1.0001
        weights = weights / weights.sum()
    return float(np.mean([_multi_scale(*planes, weights) for planes in _planes(a, b)]))


def scales(shape: tuple[int, ...]) -> int:
    """How many scales, 1 to 5, a picture of (height, width, ...) has room for: the window must fit into the last.

    Raises:
        InputError: less than 11 px a side.
    """
    height, width = shape[:2]
    if min(height, width) < WINDOW_PX:
        found, expected = f"{width} x {height} px", f"at least {WINDOW_PX} px a side, the window of SSIM"
        raise InputError("picture", found, expected, "leave it out or give it at full size")
    return min(len(WEIGHTS), (min(height, width) // WINDOW_PX).bit_length())


def ms_ssim_diversity(pictures: Sequence[np.ndarray], *, pairs: int = DIVERSITY_PAIRS, seed: int = 0) -> float:
    """Mean MS-SSIM of random pairs of one set; lower is more diverse.

    Args:
        pictures: n of one shape; read one by one, so that a sequence may load them when asked.
        pairs: distinct pairs to draw; all n (n - 1) / 2 where there are no more.
        seed: of the draw.

    Raises:
        InputError: fewer than two pictures, or two of unequal shapes.
    """
    n = len(pictures)
    if n < 2:
        raise InputError("pictures", f"{n} in the set", "at least 2, to make a pair", "give more of the set")
    total = n * (n - 1) // 2
    drawn = np.random.default_rng(seed).choice(total, size=min(pairs, total), replace=False)
    return float(np.mean([ms_ssim(pictures[i], pictures[j]) for i, j in map(_pair, sorted(drawn.tolist()))]))


def _pair(number: int) -> tuple[int, int]:
    """The number-th of the pairs (0, 1), (0, 2), (1, 2), (0, 3), ..."""
    j = int((1 + np.sqrt(1 + 8 * number)) / 2)
    return number - j * (j - 1) // 2, j


def _alike(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64, of one shape."""
    if a.shape[:2] != b.shape[:2]:
        found = f"{a.shape[1]} x {a.shape[0]} and {b.shape[1]} x {b.shape[0]} px"
        raise InputError("pair", found, "two pictures of one size", "resize one set first, and say how in your report")
    if a.shape != b.shape:
        raise InputError("pair", "a gray and a color picture", "two of one kind", "convert one set first")
    return a.astype(np.float64), b.astype(np.float64)


def _planes(a: np.ndarray, b: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The channels of both, (height, width) each."""
    return [(a, b)] if a.ndim == 2 else [(a[..., channel], b[..., channel]) for channel in range(a.shape[2])]


def _multi_scale(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> float:
    factors = []
    for scale in range(len(weights)):
        if scale:
            a, b = _halved(a), _halved(b)
        whole, structure = _similarity(a, b)
        factors.append(whole if scale == len(weights) - 1 else structure)
    # A negative mean has no real power: anti-correlated pictures count as not alike at all.
    return float(np.prod(np.maximum(factors, 0) ** weights))


def _similarity(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """The means of SSIM and of its factor for contrast and structure, of (height, width) pictures."""
    mean_a, mean_b = _smooth(a), _smooth(b)
    # Rounding may leave a variance of a flat patch just below zero.
    variance_a = np.maximum(_smooth(a * a) - mean_a**2, 0)
    variance_b = np.maximum(_smooth(b * b) - mean_b**2, 0)
    covariance = _smooth(a * b) - mean_a * mean_b
    structure = (2 * covariance + C2) / (variance_a + variance_b + C2)
    luminance = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    return float(np.mean(luminance * structure)), float(np.mean(structure))


def _smooth(picture: np.ndarray) -> np.ndarray:
    """Gaussian window, (height, width) -> (height - 10, width - 10): where the window lies inside."""
    half = WINDOW_PX // 2
    taps = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * SIGMA_PX**2))
    taps /= taps.sum()
    smooth = correlate1d(correlate1d(picture, taps, axis=0), taps, axis=1)
    return smooth[half:-half, half:-half]


def _halved(picture: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 px, (height, width) -> (height // 2, width // 2); an odd last row or column is left out."""
    height, width = picture.shape[0] // 2, picture.shape[1] // 2
    return picture[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean(axis=(1, 3))
