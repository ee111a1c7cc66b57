"""Near copies of training pictures."""

import numpy as np
import pytest

from hf_medreport.evaluation.pictures.memorization import disguised
from hf_medreport.evaluation.verification.copies import TrainingPictures
from hf_medreport.processing.input_error import InputError


def pictures(seed: int, count: int) -> np.ndarray:
    """Noise of 16 x 16 in blocks of 4, which blur and a shift leave to be known again."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 1), dtype=np.uint8)
    return np.repeat(coarse.repeat(4, axis=1).repeat(4, axis=2), 3, axis=-1)


def test_a_copy_is_nearer_than_training_pictures_are_to_each_other():
    training = TrainingPictures(pictures(0, 60), ["X-Ray"] * 30 + ["ChestCT"] * 30)
    for number, copy in enumerate(disguised(training.images[:4])):
        similarity, limit = training.nearest(copy, "cxr")
        assert similarity > limit, number
    similarity, limit = training.nearest(training.images[0], "ct")  # of another modality
    assert similarity < limit < 1
    assert training.nearest(pictures(1, 1)[0], None)[0] < training.nearest(pictures(1, 1)[0], None)[1]
    assert training.nearest(training.images[0], "oct") is None


def test_too_few():
    with pytest.raises(InputError) as error:
        TrainingPictures(pictures(0, 3), ["cxr"] * 3)
    assert str(error.value) == "training pictures: found 3; expected at least 20; give all of them"
