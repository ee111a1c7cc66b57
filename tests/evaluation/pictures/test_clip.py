"""CLIP figures by hand, of an extractor that is made up."""

import numpy as np
import pytest

from hf_medreport.evaluation.images.features import Extractor
from hf_medreport.evaluation.pictures.clip import clip_figures
from hf_medreport.phantom.picture.facts import PictureFact

# A picture's gray value says which way it looks; a prompt says it by its word.
WAYS = {"up": (0.0, 1.0), "right": (1.0, 0.0)}
EXTRACTOR = Extractor(
    "made up",
    lambda pictures: (np.array([WAYS["up" if picture.mean() < 0.5 else "right"] for picture in pictures]), None),
    lambda texts: np.array([WAYS[text] for text in texts]),
)


def test_own_prompts_and_others_of_the_modality():
    facts = [PictureFact("mri", "infarct", "left"), PictureFact("mri", "infarct", "right"), PictureFact("ct")]
    images = np.zeros((3, 4, 4, 3), np.uint8)
    images[1] = 255
    figures = clip_figures(EXTRACTOR, images, ["up", "right", "right"], facts)
    # the first two fit their prompts, the third does not; only these two have another prompt of their modality
    assert figures["score"] == pytest.approx(200 / 3) and figures["other_prompt"] == 0 and figures["own_is_better"] == 1
    low, high = figures["interval"]
    assert low <= figures["score"] <= high and figures["model"] == "made up"


def test_alone_in_its_modality_there_is_no_other_prompt():
    figures = clip_figures(EXTRACTOR, np.zeros((1, 4, 4, 3), np.uint8), ["up"], [PictureFact("ct")])
    assert figures["other_prompt"] is None and figures["own_is_better"] is None
