"""Is one drawn picture a near copy of a training picture?

The similarity is `pictures.memorization`'s. A set of pictures is held against held-out ones there; of one picture, the
limit is what training pictures have among themselves: some of them are held against all others of their modality, and
a picture is suspect that is nearer than any of those. Where a patient has several training pictures, the limit is high.
"""

import os
from functools import cache

import numpy as np
from PIL import Image

from hf_medreport.data.drawn.picture_folder import read_training
from hf_medreport.evaluation.pictures.memorization import nearest
from hf_medreport.evaluation.verification.asked import read_modality
from hf_medreport.processing.input_error import InputError

__all__ = ["TrainingPictures"]

COMPARED = 100  # training pictures that are held against the others
FEWEST = 20  # of a modality


class TrainingPictures:
    """What a generator was trained on.

    Args:
        images: uint8 (n, side, side, 3).
        modalities: of each, by any name.

    Raises:
        InputError: fewer than 20 pictures.
    """

    def __init__(self, images: np.ndarray, modalities: list[str]):
        if len(images) < FEWEST:
            raise InputError("training pictures", str(len(images)), f"at least {FEWEST}", "give all of them")
        self.images, self.modalities = images, np.array([read_modality(name) or name for name in modalities])
        self.limit = cache(self._limit)

    @classmethod
    def read(cls, folder: str | os.PathLike) -> "TrainingPictures":
        """From a folder that `read_training` takes; errors as there."""
        return cls(*read_training(folder))

    def nearest(self, image: np.ndarray, modality: str | None) -> tuple[float, float] | None:
        """How near the nearest training picture of a modality is (of all where it is None), and the limit.

        None where there are too few of the modality.

        Args:
            image: uint8 (height, width, 3).
        """
        rows = self._rows(modality)
        if len(rows) < FEWEST:
            return None
        side = self.images.shape[1]
        sized = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BOX))
        (similarity,), _ = nearest(sized[None], self.images[rows])
        return float(similarity), self.limit(modality)

    def _rows(self, modality: str | None) -> np.ndarray:
        return np.flatnonzero((self.modalities == modality) | (modality is None))

    def _limit(self, modality: str | None) -> float:
        """The largest similarity of training pictures to others of their kind, half of them held against half."""
        rows = np.random.default_rng(0).permutation(self._rows(modality))
        compared = rows[: min(COMPARED, len(rows) // 2)]
        similarities, _ = nearest(self.images[compared], self.images[rows[len(compared) :]])
        return float(similarities.max())
