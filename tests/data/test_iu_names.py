"""One name of a film of the Indiana University collection, whatever a copy calls it."""

import pytest

from hf_medreport.data.iu_names import image_key


@pytest.mark.parametrize(
    "name", ["1_IM-0001-4001.dcm.png", "CXR1_IM-0001-4001.png", "CXR1_1_IM-0001-4001", "a/1_IM-0001-4001.DCM"]
)
def test_a_film_has_one_key_in_every_copy(name):
    assert image_key(name) == ("1", "IM-0001-4001")


@pytest.mark.parametrize(
    ("name", "key"), [("cxr12_1_im-0001-3001.jpg", ("12", "IM-0001-3001")), ("chest.dcm.png", (None, "chest"))]
)
def test_capitals_are_the_same_and_other_films_have_no_number(name, key):
    assert image_key(name) == key
