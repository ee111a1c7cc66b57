"""How a slide is cut into tiles, and how a tile becomes what an encoder takes.

Saved with a model as `preprocessor_config.json`, so that a slide is always cut as it was for training. The defaults are
HistGen's: tiles of 512 px at level 0 whatever the magnification, side by side, resized to 224 px by PIL's bicubic
filter and normalized with ImageNet's mean and standard deviation.

    processor = TileImageProcessor(mpp=0.5)
    pixel_values = processor(tiles, return_tensors="pt").pixel_values
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image
from transformers import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

from .image_processing_film import IMAGENET_MEAN, IMAGENET_STD
from .input_error import InputError

SMALLEST_PATCH_PX = 16
LARGEST_PATCH_PX = 16_384  # 800 MB a tile
KEEP_INK = "otsu-keep-ink"
TISSUE_PRESETS = ("tcga", "otsu", KEEP_INK)


class TileImageProcessor(BaseImageProcessor):
    """The settings of tiling and the transform of a tile.

    Args:
        patch_px: side of a tile in px, as it is read or (with `mpp`) after it was resized to that resolution.
        overlap_px: how many px, at the same resolution, a tile shares with the next.
        level: the level of the slide that tiles are read from; 0 unless `mpp` is given, which rules it out.
        mpp: the resolution of tiles in microns per px, the same on every slide.
        tissue: preset of the tissue mask, `tcga`, `otsu` or `otsu-keep-ink`; see `slide_tissue`.
        size: side in px of `pixel_values`.
        image_mean, image_std: of the three channels, on values in [0, 1].

    Raises:
        InputError: a setting that cannot be.
    """

    model_input_names = ["pixel_values"]
    _auto_class = "AutoImageProcessor"  # by which transformers sees that there is code to save

    def __init__(
        self,
        patch_px: int = 512,
        overlap_px: int = 0,
        level: int | None = None,
        mpp: float | None = None,
        tissue: str = "tcga",
        size: int = 224,
        image_mean: Sequence[float] = IMAGENET_MEAN,
        image_std: Sequence[float] = IMAGENET_STD,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.patch_px = patch_px
        self.overlap_px = overlap_px
        self.level = 0 if level is None and mpp is None else level
        self.mpp = mpp
        self.tissue = tissue
        self.size = size
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        self._check()

    def _check(self) -> None:
        if self.level is not None and self.mpp is not None:
            raise InputError(
                "tiling", f"level {self.level} and mpp {self.mpp:g}", "one of them", "leave out the level or the mpp"
            )
        if self.level is not None and (not isinstance(self.level, int) or self.level < 0):
            raise InputError("level", f"{self.level}", "a whole number from 0", "0 is the largest level")
        if self.mpp is not None and not 0 < self.mpp < float("inf"):
            raise InputError("mpp", f"{self.mpp:g}", "microns per px above 0", "0.25 is usual for 40x, 0.5 for 20x")
        if not isinstance(self.patch_px, int) or not SMALLEST_PATCH_PX <= self.patch_px <= LARGEST_PATCH_PX:
            expected = f"a whole number from {SMALLEST_PATCH_PX} to {LARGEST_PATCH_PX}"
            raise InputError("patch_px", f"{self.patch_px}", expected, "512 is the original's")
        if not isinstance(self.size, int) or not 1 <= self.size <= LARGEST_PATCH_PX:
            expected = f"a whole number from 1 to {LARGEST_PATCH_PX}"
            raise InputError("size", f"{self.size!r:.40}", expected, "give the side in px that the encoder takes")
        if not isinstance(self.overlap_px, int) or not 0 <= self.overlap_px < self.patch_px:
            raise InputError(
                "overlap_px",
                f"{self.overlap_px}",
                f"a whole number from 0 to {self.patch_px - 1}",
                "let tiles overlap by less than their side",
            )
        if self.tissue not in TISSUE_PRESETS:
            raise InputError("tissue", f"{self.tissue!r}", ", ".join(TISSUE_PRESETS), "choose one of them")

    def preprocess(self, images, return_tensors=None) -> BatchFeature:
        """Resize and normalize.

        Args:
            images: tiles as one uint8 array (n, px, px, 3), or a list of PIL images or uint8 arrays (height, width, 3).

        Returns:
            `pixel_values` (n, 3, size, size) float32.

        Raises:
            InputError: a tile of another form, named by its index.
        """
        images = images if isinstance(images, (list, tuple)) or np.ndim(images) == 4 else [images]
        pixel_values = np.empty((len(images), 3, self.size, self.size), np.float32)
        scale = (np.float32(255) * np.float32(self.image_std))[:, None, None]
        mean = (np.float32(255) * np.float32(self.image_mean))[:, None, None]
        for index, image in enumerate(images):
            tile = self.resized(image, f"tile {index}")
            pixel_values[index] = (tile.transpose(2, 0, 1) - mean) / scale  # (3, size, size)
        return BatchFeature(data={"pixel_values": pixel_values}, tensor_type=return_tensors)

    def resized(self, image: Image.Image | np.ndarray, name: str = "tile") -> np.ndarray:
        """One tile as uint8 (size, size, 3)."""
        if not isinstance(image, Image.Image):
            array = np.asarray(image)
            if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
                raise InputError(name, f"shape {array.shape}, {array.dtype}", "(height, width, 3), uint8", "convert it")
            image = Image.fromarray(array)
        return np.asarray(image.convert("RGB").resize((self.size, self.size), Image.Resampling.BICUBIC))


__all__ = ["TileImageProcessor"]
