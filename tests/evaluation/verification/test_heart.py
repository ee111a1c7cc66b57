"""The cardiothoracic ratio, of masks by hand and of drawn films by the shipped segmenter."""

import numpy as np
import pytest

from hf_medreport.evaluation.verification.heart import NotMeasured, cardiothoracic_ratio, ratio_of_film
from hf_medreport.inference.loading import load_segmenter
from hf_medreport.phantom.picture.corpus import draw_picture
from hf_medreport.phantom.picture.facts import PictureFact
from tests.evaluation.verification.made import film, made_segmenter


def masks(lungs: list[tuple[int, int]], heart: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows 10 to 30 of 40 x 40, columns from and to."""
    found = [np.zeros((40, 40), bool) for _ in range(2)]
    for begin, end in lungs:
        found[0][10:30, begin:end] = True
    found[1][20:30, slice(*heart)] = True
    return tuple(found)


def test_by_hand():
    lungs, heart = masks([(4, 12), (28, 36)], (12, 26))
    lungs[0, 0] = heart[0, 39] = True  # specks are no part of either
    assert cardiothoracic_ratio(lungs, heart) == 14 / 32
    assert ratio_of_film(np.array(film(heart=56)), made_segmenter()) == 56 / 80


@pytest.mark.parametrize(
    ("lungs", "heart", "why"),
    [
        ([(4, 12), (28, 36)], (0, 0), "no heart was found"),
        ([], (12, 26), "no lung was found"),
        ([(4, 12)], (12, 26), "no second lung was found"),
        ([(2, 8), (10, 16)], (20, 38), "the heart was not found between the lungs"),
    ],
)
def test_what_cannot_be_measured_is_not_guessed(lungs, heart, why):
    with pytest.raises(NotMeasured, match=why):
        cardiothoracic_ratio(*masks(lungs, heart))


def test_drawn_films_by_the_shipped_segmenter():
    segmenter = load_segmenter(device="cpu")

    def ratio(fact: PictureFact, patient: int) -> float:
        image = draw_picture(fact, patient, 64).image
        return ratio_of_film(np.repeat(image[..., None], 3, axis=-1), segmenter)

    for patient in range(5):
        assert 0.35 < ratio(PictureFact("cxr"), patient) < 0.5
        assert 0.58 < ratio(PictureFact("cxr", "cardiomegaly", grade="severe"), patient) < 0.7
