"""Films -> pixel values: any readable picture, resized to a square and normalized for an encoder.

The default is the transform of layer-wise anatomical attention: bicubic resize to a square without keeping the aspect
ratio, three channels, ImageNet mean and standard deviation. Others keep the aspect ratio and pad or crop. Left and
right are facts: nothing is flipped, but a DICOM film turned to the standard view where `orient="header"` asks for it.
"""

import numpy as np
from PIL import Image
from transformers import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor
from transformers.utils import logging

from .film_reading import Film, read_film, refuse_mask
from .image_reading import read_mask
from .input_error import InputError

logger = logging.get_logger(__name__)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
FITS = ("stretch", "pad", "crop")
RESAMPLES = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
UNSCALED = {"image_mean": (0.0, 0.0, 0.0), "image_std": (1.0, 1.0, 1.0)}  # values stay in [0, 1]


class FilmImageProcessor(BaseImageProcessor):
    """Turns films, and lung-heart masks where there are any, into arrays of one size.

    Args:
        size: side in pixels of `pixel_values`; 512 in the thesis.
        mask_size: side in pixels of `anatomical_masks`; 64 is what the thesis' segmenter puts out.
        image_mean, image_std: of the three channels, on values in [0, 1]; ImageNet's, as the pretrained encoders want.
        fit: how a film becomes a square. `"stretch"` (default, as in the thesis) changes the aspect ratio; `"pad"` sets
            the film in the middle of black; `"crop"` keeps the middle and loses the ends of the longer side.
        resample: `"bicubic"` (as in the thesis) or `"bilinear"` (as torchvision's transforms); both average where a
            film is made smaller.

    Raises:
        InputError: another `fit` or `resample`.
    """

    model_input_names = ["pixel_values"]
    _auto_class = "AutoImageProcessor"  # by which transformers sees that there is code to save

    def __init__(
        self,
        size: int = 512,
        mask_size: int = 64,
        image_mean=IMAGENET_MEAN,
        image_std=IMAGENET_STD,
        fit: str = "stretch",
        resample: str = "bicubic",
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, value, known in (("fit", fit, FITS), ("resample", resample, RESAMPLES)):
            if value not in known:
                raise InputError(name, f"'{value}'", f"one of {', '.join(known)}", "choose one of them")
        self.fit = fit
        self.resample = resample
        self.size = size
        self.mask_size = mask_size
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)

    def preprocess(
        self,
        images,
        masks=None,
        return_tensors=None,
        orient: str | None = None,
        frame: int | None = None,
        any_modality: bool = False,
    ) -> BatchFeature:
        """Read, resize and normalize.

        Args:
            images: a film or a list of films; anything that `read_film` takes (path, bytes, PIL image, array).
            masks: a lung-heart mask a film, or None; anything that `read_mask` takes.
            orient, frame, any_modality: of all films, as in `read_film`. What a film's header gives to know is logged.

        Returns:
            `pixel_values` (batch, 3, size, size) float32 and, with masks, `anatomical_masks`
            (batch, 1, mask_size, mask_size) float32 in [0, 1].

        Raises:
            InputError: a film or mask cannot be read, or is refused by its header, named by file or index.
        """
        images = images if isinstance(images, (list, tuple)) else [images]
        films = [read_film(image, orient=orient, frame=frame, any_modality=any_modality) for image in images]
        for note in dict.fromkeys(note for film in films for note in film.notes):
            logger.warning(note)
        data = {"pixel_values": [self._pixels(film) for film in films]}
        if masks is not None:
            masks = masks if isinstance(masks, (list, tuple)) else [masks]
            for film in films:
                refuse_mask(film, "masks")
            data["anatomical_masks"] = [
                resized(self.square(read_mask(mask)), self.mask_size, Image.Resampling.BOX)[None] for mask in masks
            ]
        return BatchFeature(data={name: np.stack(arrays) for name, arrays in data.items()}, tensor_type=return_tensors)

    def _pixels(self, film: Film) -> np.ndarray:
        film = film.pixels
        channels = [film] if film.ndim == 2 else list(np.moveaxis(film, -1, 0))
        resample = RESAMPLES[self.resample]
        resized_channels = [resized(self.square(one), self.size, resample).clip(0, 1) for one in channels]
        stacked = np.stack(resized_channels * (3 // len(channels)))
        # (3, size, size)
        return (stacked - np.float32(self.image_mean)[:, None, None]) / np.float32(self.image_std)[:, None, None]

    def square(self, plane: np.ndarray) -> np.ndarray:
        """A (height, width) plane padded or cropped to a square; as it is where it will be stretched."""
        if self.fit == "stretch":
            return plane
        (top, bottom), (left, right) = self._margins(plane.shape)
        if self.fit == "pad":
            return np.pad(plane, ((top, bottom), (left, right)))
        return plane[top : plane.shape[0] - bottom, left : plane.shape[1] - right]

    def on_film(self, grid: np.ndarray, height: int, width: int) -> np.ndarray:
        """What lies of a map of the model's square on a film (height, width), as a map of about the grid's resolution.

        Of a padded film the padding is cut off; of a cropped one, zeros are put where it was cut.
        """
        if self.fit == "stretch" or height == width:
            return grid
        side = (max if self.fit == "pad" else min)(height, width)
        margins = [
            [round(margin * cells / side) for margin in of_axis]
            for of_axis, cells in zip(self._margins((height, width)), grid.shape, strict=True)
        ]
        (top, bottom), (left, right) = margins
        if self.fit == "crop":
            return np.pad(grid, margins)
        return grid[top : grid.shape[0] - bottom, left : grid.shape[1] - right]

    def _margins(self, shape: tuple[int, int]) -> list[tuple[int, int]]:
        """What has to be added (or, to crop, taken away) before and after each axis."""
        side = (max if self.fit == "pad" else min)(shape)
        return [(abs(side - length) // 2, (abs(side - length) + 1) // 2) for length in shape]


def resized(plane: np.ndarray, size: int, resample: Image.Resampling) -> np.ndarray:
    """A (height, width) float32 plane as (size, size)."""
    return np.asarray(Image.fromarray(plane.astype(np.float32)).resize((size, size), resample))


__all__ = ["FilmImageProcessor"]
