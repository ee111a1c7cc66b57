"""A drawn brain MRI slice shows its finding, at its side and lobe, in its grade."""

from hf_medreport.phantom.picture.corpus import draw_picture
from tests.phantom.picture.looking import PATIENTS, center, check_findings, check_scale, check_styles, facts_of


def test_every_finding_shows_and_grows_with_its_grade():
    check_findings("mri")


def test_the_size_changes_nothing_but_detail():
    check_scale("mri", 6)


def test_the_held_back_style():
    check_styles("mri")


def test_the_patients_right_is_on_the_left_and_the_forehead_up():
    for finding in ("mass", "infarct", "subdural hematoma"):
        for fact in facts_of("mri", finding):
            for patient in PATIENTS:
                x, y = center(draw_picture(fact, patient, 64).mask)
                assert (x < -0.1) if fact.side == "right" else (x > 0.1), fact
                if fact.zone:
                    assert {"frontal": y < -0.25, "parietal": abs(y) < 0.25, "occipital": y > 0.25}[fact.zone], fact


def test_ventricles_and_scattered_lesions_take_both_sides():
    for finding in ("hydrocephalus", "white matter lesions"):
        masks = [draw_picture(facts_of("mri", finding)[-1], patient, 64).mask for patient in PATIENTS]
        assert all(mask[:, :32].any() and mask[:, 32:].any() for mask in masks)
