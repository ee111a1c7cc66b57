"""How good is one picture, without another beside it?

- `snr`: mean gray value over the standard deviation of the noise. The noise is estimated after Immerkaer 1996, "Fast
  noise variance estimation": the mean magnitude of a mask that cancels flat, sloping and evenly curved ground, scaled
  to the standard deviation of white Gaussian noise. (Mean over the standard deviation of the *picture*, as
  some code has it, calls anatomy noise.)
- `contrast`: root-mean-square contrast, the standard deviation of the gray values in [0, 1]; Peli 1990, "Contrast in
  complex images".
- `sharpness`: the Tenengrad, the mean squared gradient by Sobel's masks; Krotkov 1988, "Focusing". Per px squared.
- `uniformity`: the chance that two pixels have the same of 256 gray values, Gonzalez and Woods, "Digital Image
  Processing": 1 for a flat picture, 1/256 where all values are equally frequent.

Pictures are arrays in [0, 1], (height, width) or (height, width, 3); color counts as its luma (ITU-R BT.601).
What they miss: fine texture counts as noise, noise counts as sharpness, and a picture can be crisp and wrong. A set is
good when its figures are those of the real set, not when they are high.
"""

import numpy as np
from scipy.ndimage import correlate, sobel

__all__ = ["contrast", "noise", "sharpness", "snr", "uniformity"]

LUMA = np.array([0.299, 0.587, 0.114])
NOISE_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float64)  # its squares add up to 6 squared
SOBEL_SUM = 8  # Sobel's masks give 8 times the slope


def snr(picture: np.ndarray) -> float:
    """Mean over `noise`; infinite where there is none."""
    gray = _gray(picture)
    sigma = noise(gray)
    return float(gray.mean() / sigma) if sigma else np.inf


def noise(picture: np.ndarray) -> float:
    """Standard deviation of white noise in a picture in [0, 1], estimated."""
    response = correlate(_gray(picture), NOISE_MASK)[1:-1, 1:-1]
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(response).mean())


def contrast(picture: np.ndarray) -> float:
    """Standard deviation of the gray values: 0 for a flat picture, 0.5 for one half black, half white."""
    return float(_gray(picture).std())


def sharpness(picture: np.ndarray) -> float:
    """Mean squared slope: a ramp of s a pixel has s squared."""
    gray = _gray(picture)
    slopes = [sobel(gray, axis=axis)[1:-1, 1:-1] / SOBEL_SUM for axis in (0, 1)]
    return float(sum(np.mean(slope**2) for slope in slopes))


def uniformity(picture: np.ndarray) -> float:
    """Sum of the squared shares of the 256 gray values."""
    values = np.rint(255 * _gray(picture)).astype(np.int64)
    return float(np.sum((np.bincount(values.ravel(), minlength=256) / values.size) ** 2))


def _gray(picture: np.ndarray) -> np.ndarray:
    """(height, width) in float64."""
    picture = picture.astype(np.float64)
    return picture if picture.ndim == 2 else picture @ LUMA
