"""Pictures made worse as generators make them: blurred, noisy, compressed, or decoded from a few components.

A judge that saw crisp drawings alone fails on a picture of 37 dB. It is trained on these, and its accuracy on each kind
is the ceiling that a generator's figures are read against.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

__all__ = ["KINDS", "PatchComponents", "degraded", "shifted"]

KINDS = ("clean", "blurred", "noisy", "compressed", "decoded")
PATCH = 4  # px a side
SHIFT = 2  # px


@dataclass(frozen=True)
class PatchComponents:
    """The principal components of color patches of 4 x 4 px: what a codec without a network keeps of a picture.

    Attributes:
        center: (48,), the mean patch in [0, 255].
        basis: (48, 48), a component a row, the largest first.
        spread: (48,), the standard deviation of each.
    """

    center: np.ndarray
    basis: np.ndarray
    spread: np.ndarray

    @classmethod
    def fit(cls, images: np.ndarray) -> "PatchComponents":
        """Of uint8 (n, size, size, 3)."""
        patches = _patches(images.astype(np.float32)).reshape(-1, 3 * PATCH**2)
        center = patches.mean(axis=0)
        variances, components = np.linalg.eigh(np.cov(patches, rowvar=False))  # ascending
        return cls(center, components.T[::-1], np.sqrt(np.maximum(variances[::-1], 0)))

    def decoded(self, image: np.ndarray, kept: int, speckle: float, rng: np.random.Generator) -> np.ndarray:
        """A picture from its first `kept` components, each moved by noise of `speckle` standard deviations."""
        basis = self.basis[:kept]
        code = (_patches(image[None].astype(np.float64))[0] - self.center) @ basis.T
        code += speckle * self.spread[:kept] * rng.standard_normal(code.shape)
        patches = (code @ basis + self.center).reshape(len(image) // PATCH, -1, PATCH, PATCH, 3)
        return _whole(patches.transpose(0, 2, 1, 3, 4).reshape(image.shape))


def degraded(image: np.ndarray, kind: str, components: PatchComponents, rng: np.random.Generator) -> np.ndarray:
    """A picture made worse in one way, by chance how much.

    Args:
        image: uint8 (size, size, 3), the size a multiple of 4.
        kind: of `KINDS`.
        components: of the pictures that are decoded.
        rng: says how much.
    """
    if kind == "clean":
        return image
    if kind == "blurred":
        sigma = rng.uniform(0.4, 1.0)
        return _whole(gaussian_filter(image.astype(np.float64), (sigma, sigma, 0)))
    if kind == "noisy":
        channels = 1 if (image == image[..., :1]).all() else 3  # a gray picture stays gray
        noise = rng.normal(0, rng.uniform(3, 15), (*image.shape[:2], channels))
        return _whole(image + noise)
    if kind == "compressed":
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=int(rng.integers(40, 91)))
        return np.asarray(Image.open(buffer))
    return components.decoded(image, int(rng.integers(8, 17)), rng.uniform(0, 0.12), rng)


def shifted(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Moved by up to 2 px; what comes in is the edge again."""
    down, right = rng.integers(0, 2 * SHIFT + 1, 2)
    height, width = image.shape[:2]
    padded = np.pad(image, ((SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), mode="edge")
    return padded[down : down + height, right : right + width]


def _patches(images: np.ndarray) -> np.ndarray:
    """(n, height, width, 3) -> (n, patches, 48), row by row."""
    n, height, width, _ = images.shape
    grid = images.reshape(n, height // PATCH, PATCH, width // PATCH, PATCH, 3).transpose(0, 1, 3, 2, 4, 5)
    return grid.reshape(n, -1, 3 * PATCH**2)


def _whole(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).round().astype(np.uint8)
