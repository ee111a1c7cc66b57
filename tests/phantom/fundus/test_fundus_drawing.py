"""A drawn fundus photograph shows its finding, in its half and grade, and which eye it is of."""

from hf_medreport.phantom.picture.corpus import draw_picture
from hf_medreport.phantom.picture.facts import PictureFact
from tests.phantom.picture.looking import PATIENTS, center, check_findings, check_scale, check_styles, facts_of


def test_every_finding_shows_and_grows_with_its_grade():
    check_findings("fundus")


def test_the_size_changes_nothing_but_detail():
    check_scale("fundus", 6)


def test_the_held_back_style():
    check_styles("fundus")


def test_it_is_in_color_and_its_disc_lies_toward_the_nose():
    for patient in PATIENTS:
        for side in ("right", "left"):
            image = draw_picture(PictureFact("fundus", side=side), patient, 64).image
            assert image.shape == (64, 64, 3) and image[..., 0].mean() > 1.5 * image[..., 2].mean()
            x, _ = center(image[..., 1] > 185)
            assert (x > 0.4) if side == "right" else (x < -0.4)


def test_superior_is_up_and_the_disc_stays_free_of_spots():
    for finding in ("hemorrhages", "hard exudates", "cotton wool spots"):
        for fact in facts_of("fundus", finding):
            for patient in PATIENTS:
                mask = draw_picture(fact, patient, 64).mask
                assert (center(mask)[1] < -0.1) if fact.zone == "superior" else (center(mask)[1] > 0.1), fact
                disc = mask[30:34, 50:54] if fact.side == "right" else mask[30:34, 10:14]
                assert not disc.any(), fact
