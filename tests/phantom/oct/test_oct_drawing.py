"""A drawn OCT scan shows its finding in its grade, and which eye it is of."""

import numpy as np

from hf_medreport.phantom.picture.corpus import draw_picture
from hf_medreport.phantom.picture.facts import PictureFact
from tests.phantom.picture.looking import PATIENTS, check_findings, check_scale, check_styles, facts_of


def test_every_finding_shows_and_grows_with_its_grade():
    check_findings("oct")


def test_the_size_changes_nothing_but_detail():
    check_scale("oct", 8)


def test_the_held_back_style():
    check_styles("oct")


def test_the_retina_is_thicker_toward_the_nose():
    for patient in PATIENTS:
        for side in ("right", "left"):
            image = draw_picture(PictureFact("oct", side=side), patient, 128).image
            thick = (image > 60).sum(0)
            nasal, temporal = (thick[100:120], thick[8:28]) if side == "right" else (thick[8:28], thick[100:120])
            assert nasal.mean() > temporal.mean() + 5


def test_fluid_is_black_and_lies_under_the_retina():
    for fact in facts_of("oct", "subretinal fluid"):
        picture = draw_picture(fact, 3, 128)
        columns = np.nonzero(picture.mask.sum(0) > 4)[0]
        assert picture.image[picture.mask].mean() < 60 and len(columns)
        for column in columns:
            top, bottom = np.nonzero(picture.mask[:, column])[0][[0, -1]]
            assert picture.image[top - 6 : top - 2, column].mean() > 60  # retina above
            assert picture.image[bottom + 1 : bottom + 5, column].max() > 150  # pigment epithelium below
