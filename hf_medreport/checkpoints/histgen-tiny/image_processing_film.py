"""Films -> pixel values: any readable picture, resized to a square and normalised for an encoder.

The thesis' transform: bicubic resize to a square without keeping the aspect ratio, three
channels, ImageNet mean and standard deviation. Nothing is ever flipped: left and right are facts.
"""

import numpy as np
from PIL import Image
from transformers import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

from .image_reading import read_image, read_mask

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
UNSCALED = {"image_mean": (0.0, 0.0, 0.0), "image_std": (1.0, 1.0, 1.0)}  # values stay in [0, 1]


class FilmImageProcessor(BaseImageProcessor):
    """Turns films, and lung-heart masks where there are any, into arrays of one size.

    Args:
        size: side in pixels of `pixel_values`; 512 in the thesis.
        mask_size: side in pixels of `anatomical_masks`; 64 is what the thesis' segmenter puts out.
        image_mean, image_std: of the three channels, on values in [0, 1]; ImageNet's, as the pretrained encoders want.
    """

    model_input_names = ["pixel_values"]

    def __init__(
        self, size: int = 512, mask_size: int = 64, image_mean=IMAGENET_MEAN, image_std=IMAGENET_STD, **kwargs
    ):
        super().__init__(**kwargs)
        self.size = size
        self.mask_size = mask_size
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)

    def preprocess(self, images, masks=None, return_tensors=None) -> BatchFeature:
        """Read, resize and normalise.

        Args:
            images: a film or a list of films; anything that `read_image` takes (path, PIL image, array).
            masks: a lung-heart mask a film, or None; anything that `read_mask` takes.

        Returns:
            `pixel_values` (batch, 3, size, size) float32 and, with masks, `anatomical_masks`
            (batch, 1, mask_size, mask_size) float32 in [0, 1].

        Raises:
            InputError: a film or mask cannot be read, named by file or index.
        """
        images = images if isinstance(images, (list, tuple)) else [images]
        data = {"pixel_values": [self._pixels(image) for image in images]}
        if masks is not None:
            masks = masks if isinstance(masks, (list, tuple)) else [masks]
            data["anatomical_masks"] = [
                resized(read_mask(mask), self.mask_size, Image.Resampling.BOX)[None] for mask in masks
            ]
        return BatchFeature(data={name: np.stack(arrays) for name, arrays in data.items()}, tensor_type=return_tensors)

    def _pixels(self, image) -> np.ndarray:
        film = read_image(image)
        channels = [film] if film.ndim == 2 else list(np.moveaxis(film, -1, 0))
        resized_channels = [resized(channel, self.size, Image.Resampling.BICUBIC).clip(0, 1) for channel in channels]
        stacked = np.stack(resized_channels * (3 // len(channels)))
        # (3, size, size)
        return (stacked - np.float32(self.image_mean)[:, None, None]) / np.float32(self.image_std)[:, None, None]


def resized(plane: np.ndarray, size: int, resample: Image.Resampling) -> np.ndarray:
    """A (height, width) float32 plane as (size, size)."""
    return np.asarray(Image.fromarray(plane.astype(np.float32)).resize((size, size), resample))


__all__ = ["FilmImageProcessor"]
