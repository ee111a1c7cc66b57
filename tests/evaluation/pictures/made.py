"""Drawn pictures of 32 px and a judge of them that knows nothing, both made in a moment."""

from functools import cache

import numpy as np
import torch

from hf_medreport.data.drawn.picture_folder import DrawnPictures, drawn_pictures
from hf_medreport.evaluation.pictures.judging import Judge, questions
from hf_medreport.modeling.configuration_picture_judge import PictureJudgeConfig
from hf_medreport.modeling.modeling_picture_judge import PictureJudgeModel
from hf_medreport.phantom.picture.corpus import PictureCorpus

SIZE = 32
SMALL = {"image_size": SIZE, "widths": [4, 4, 8, 8], "grid": 2, "feature_size": 8}


@cache
def drawn(n: int = 40, seed: int = 1, modalities: tuple[str, ...] = ("mri", "oct")) -> DrawnPictures:
    """Of the two that are drawn fastest."""
    return drawn_pictures(PictureCorpus(n, seed, SIZE, modalities, split="test"))


@cache
def judge() -> Judge:
    """Of random weights."""
    torch.manual_seed(0)
    return Judge(PictureJudgeModel(PictureJudgeConfig(questions=questions(), **SMALL)).eval(), "a tiny one")


def shuffled_pixels(images: np.ndarray, seed: int = 0) -> np.ndarray:
    """Noise with the same gray values."""
    rng = np.random.default_rng(seed)
    return rng.permuted(images.reshape(len(images), -1, 3), axis=1).reshape(images.shape)
