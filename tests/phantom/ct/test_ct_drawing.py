"""A drawn chest CT slice shows its finding, at its side and depth, in its grade."""

from hf_medreport.phantom.picture.corpus import draw_picture
from tests.phantom.picture.looking import PATIENTS, center, check_findings, check_scale, check_styles, facts_of


def test_every_finding_shows_and_grows_with_its_grade():
    check_findings("ct")


def test_the_size_changes_nothing_but_detail():
    check_scale("ct", 6)


def test_the_held_back_style():
    check_styles("ct")


def test_the_patients_right_is_on_the_left_and_the_breastbone_up():
    for finding in ("nodule", "consolidation", "pleural effusion", "pneumothorax"):
        for fact in facts_of("ct", finding):
            for patient in PATIENTS:
                x, y = center(draw_picture(fact, patient, 64).mask)
                assert (x < -0.1) if fact.side == "right" else (x > 0.1), fact
                if fact.zone:
                    assert (y < -0.1) if fact.zone == "anterior" else (y > 0.1), fact


def test_free_air_rises_and_fluid_sinks():
    for finding, sign in (("pneumothorax", -1), ("pleural effusion", 1)):
        for fact in facts_of("ct", finding):
            assert sign * center(draw_picture(fact, 5, 64).mask)[1] > 0.1
