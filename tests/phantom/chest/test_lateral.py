"""The lateral film shows the same patient from the side: same heights, front on the left, more where it is worse."""

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation

from hf_medreport.phantom.chest.anatomy import STYLES
from hf_medreport.phantom.chest.findings import GRADES, KINDS, SIDES, ZONES, Fact
from hf_medreport.phantom.chest.frontal import draw_frontal
from hf_medreport.phantom.chest.lateral import draw_lateral
from hf_medreport.processing.input_error import InputError

PATIENTS = range(5)
SIZE = 128
IN_ZONES = ["consolidation", "atelectasis", "nodule", "calcified_granuloma"]
SIDED = [kind for kind in KINDS if KINDS[kind].sides]


def a_fact(kind, side="left", zone="middle", severity="moderate", **more):
    row = KINDS[kind]
    size = {"size_mm": 24} if row.sizes else {}
    return Fact(
        kind,
        side if row.sides else None,
        zone if row.zones else None,
        severity if row.severities else None,
        **{**size, **more},
    )


ONE_OF_EACH = [a_fact(kind, side) for kind in KINDS for side in (SIDES if kind in SIDED else SIDES[:1])]


@lru_cache(maxsize=400)  # a patient without findings stands beside each of its films
def film(*facts, patient=0, size=SIZE, style="standard", **more):
    return draw_lateral(facts, patient, size, style, **more)


def change(fact, patient, style="standard", size=SIZE):
    """How much the fact brightens each pixel of the same patient, of the whole range."""
    with_it, without = (film(*facts, patient=patient, style=style, size=size, bits=16) for facts in ((fact,), ()))
    return (with_it.image.astype(float) - without.image.astype(float)) / 65535


def center(mask):
    """(row, column), as shares of the film."""
    return np.array([axis.mean() for axis in np.nonzero(mask)]) / len(mask)


def top(mask):
    return np.nonzero(mask.any(1))[0].min() / len(mask)


def bottom(mask):
    return np.nonzero(mask.any(1))[0].max() / len(mask)


def test_the_same_patient_and_visit_give_the_same_bytes():
    facts = [a_fact("cardiomegaly"), a_fact("consolidation"), a_fact("interstitial_edema"), a_fact("pacemaker")]
    one, two = (draw_lateral(facts, 3, SIZE) for _ in range(2))
    assert one.image.tobytes() == two.image.tobytes()
    assert all((one.findings[fact] == two.findings[fact]).all() for fact in facts)
    assert one.image.tobytes() == film(*facts[::-1], patient=3).image.tobytes()  # whatever the order of the facts
    assert (one.lungs != film(*facts, patient=4).lungs).any()
    assert one.image.tobytes() != film(*facts, patient=3, visit=1).image.tobytes()


@pytest.mark.parametrize("fact", [fact for fact in ONE_OF_EACH if fact.side], ids=str)
def test_a_finding_lies_at_the_same_place_on_another_visit(fact):
    for patient in PATIENTS:
        places = []
        for visit in (0, 1):
            drawn = film(fact, patient=patient, visit=visit)
            places.append(center(drawn.findings[fact]) - center(drawn.lungs | drawn.heart))
        # Poses differ by at most 0.09 radians; no finding is farther than 0.45 from the middle of the lungs.
        assert np.abs(places[0] - places[1]).max() < 0.09 * 0.45


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [32, 64, 97, 160])
@pytest.mark.parametrize("bits", [8, 16])
def test_shapes_types_and_use_of_the_gray_scale(size, style, bits):
    drawn = film(size=size, style=style, bits=bits)
    assert drawn.image.shape == drawn.lungs.shape == drawn.heart.shape == (size, size)
    assert drawn.image.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert drawn.lungs.dtype == drawn.heart.dtype == bool
    assert np.percentile(drawn.image, 95) - np.percentile(drawn.image, 5) > 0.3 * 2**bits
    assert drawn.findings == {}


@pytest.mark.parametrize("style", STYLES)
def test_the_patient_faces_left(style):
    for patient in PATIENTS:
        drawn = film(patient=patient, style=style)
        heart, chest = np.nonzero(drawn.heart), np.nonzero(drawn.lungs | drawn.heart)
        front, back = chest[1].min(), chest[1].max()
        assert heart[1].min() < front + 0.15 * (back - front)  # the heart touches the front wall
        assert heart[1].max() < front + 0.60 * (back - front)  # and leaves a clear space before the spine
        assert heart[0].mean() > chest[0].mean()
        assert not (drawn.lungs & drawn.heart).any()
        image = drawn.image.astype(float)
        outside = ~binary_dilation(drawn.lungs | drawn.heart, iterations=25)
        assert image[drawn.heart].mean() > image[drawn.lungs].mean() + 20
        assert np.median(image[outside & (np.indices(image.shape)[0] < 90)]) < image[drawn.heart].mean()


def test_the_angles_at_the_back_are_the_deepest():
    for patient in PATIENTS:
        drawn = film(patient=patient)
        rows, columns = np.nonzero(drawn.lungs)
        assert columns[rows.argmax()] > np.percentile(columns, 80)
        assert bottom(drawn.lungs) > bottom(drawn.heart) + 0.05


@pytest.mark.parametrize("style", ["standard", pytest.param("held_back", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", IN_ZONES)
@pytest.mark.parametrize("side", ["left", pytest.param("right", marks=pytest.mark.slow)])
def test_heights_are_those_of_the_frontal_film(kind, side, style):
    for patient in PATIENTS:
        heights = []
        for zone in ZONES:
            fact = a_fact(kind, side, zone)
            both = [draw((fact,), patient, SIZE, style) for draw in (draw_frontal, draw_lateral)]
            frontal, lateral = (center(drawn.findings[fact])[0] for drawn in both)
            # The tilt moves what lies 0.35 from the middle by up to 0.016; frayed edges move a patch's center.
            assert abs(frontal - lateral) < 0.05
            heights.append(lateral)
        assert min(np.diff(heights)) > 0.1


@pytest.mark.parametrize("grade", GRADES)
def test_fluid_stands_and_tubes_end_as_high_as_on_the_frontal_film(grade):
    for patient in PATIENTS:
        facts = (a_fact("pleural_effusion", severity=grade), a_fact("endotracheal_tube"), a_fact("central_line"))
        frontal, lateral = (draw(facts, patient, SIZE) for draw in (draw_frontal, draw_lateral))
        levels = [top(drawn.findings[facts[0]]) for drawn in (frontal, lateral)]
        assert abs(levels[0] - levels[1]) < 0.05
        for device in facts[1:]:
            assert abs(bottom(frontal.findings[device]) - bottom(lateral.findings[device])) < 0.03


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", ["cardiomegaly", "pleural_effusion", "pneumothorax"])
def test_a_worse_finding_covers_more(kind, side):
    for patient in PATIENTS:
        facts = [a_fact(kind, side, severity=grade) for grade in GRADES]
        areas = [film(fact, patient=patient).findings[fact].sum() for fact in facts]
        assert all(later > 1.1 * earlier for earlier, later in zip(areas, areas[1:], strict=False)), areas


@pytest.mark.parametrize("kind", ["interstitial_edema", "scoliosis", "pneumothorax", "pleural_effusion"])
def test_a_worse_finding_changes_the_film_more(kind):
    for patient in PATIENTS:
        changes = [np.abs(change(a_fact(kind, severity=grade), patient)).sum() for grade in GRADES]
        assert all(later > 1.1 * earlier for earlier, later in zip(changes, changes[1:], strict=False)), changes


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("fact", [f for f in ONE_OF_EACH if f.kind != "hyperinflation"], ids=str)
def test_masks_are_where_the_film_changes(fact, style):
    for patient in PATIENTS:
        mask = film(fact, patient=patient, style=style, size=SIZE, bits=16).findings[fact]
        changed = np.abs(change(fact, patient, style))
        outside = ~binary_dilation(mask, iterations=4)
        assert changed[mask].mean() > 0.02
        assert changed[mask].mean() > 4 * changed[outside].mean()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [64, 160])
@pytest.mark.parametrize("fact", ONE_OF_EACH, ids=str)
def test_every_finding_has_a_mask(fact, size, style):
    for patient in PATIENTS:
        drawn = film(fact, patient=patient, size=size, style=style)
        assert list(drawn.findings) == [fact]
        mask = drawn.findings[fact]
        assert mask.shape == (size, size) and mask.dtype == bool and mask.any() and mask.mean() < 0.5


def test_overexpanded_lungs_are_deep_and_stand_low():
    for patient in PATIENTS:
        usual, wide = film(patient=patient), film(a_fact("hyperinflation"), patient=patient)
        assert bottom(wide.heart) > bottom(usual.heart) + 0.03
        assert np.ptp(np.nonzero(wide.lungs)[1]) > np.ptp(np.nonzero(usual.lungs)[1])
        angle = bottom(wide.lungs) - bottom(wide.heart)  # a flat diaphragm has a shallow angle
        assert angle < 0.75 * (bottom(usual.lungs) - bottom(usual.heart))


@pytest.mark.parametrize("side", SIDES)
def test_fluid_and_a_raised_diaphragm_are_bright_and_free_air_is_dark(side):
    for patient in PATIENTS:
        for kind, sign in (("pleural_effusion", 1), ("elevated_diaphragm", 1), ("pneumothorax", -1)):
            fact = a_fact(kind, side)
            drawn = film(fact, patient=patient, style="standard", size=SIZE, bits=16)
            inside = change(fact, patient)[drawn.findings[fact]]
            assert sign * np.median(inside) > 0.02, kind


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].doubtful])
def test_a_possible_finding_has_about_half_the_contrast(kind):
    for patient in PATIENTS:
        sure, faint = (change(a_fact(kind, certain=certain), patient) for certain in (True, False))
        assert 0.35 < faint.sum() / sure.sum() < 0.75


def test_a_nodule_has_its_size():
    for size_mm in (12, 24, 44):
        fact = a_fact("nodule", size_mm=size_mm)
        area = film(fact, size=400).findings[fact].sum()  # at 400 px a pixel is a millimeter
        assert np.sqrt(4 * area / np.pi) == pytest.approx(size_mm, rel=0.2)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**31),
    st.sampled_from([fact for fact in ONE_OF_EACH if fact.zone or KINDS[fact.kind].organ in ("pleura", "lungs")]),
)
def test_what_is_in_a_lung_lies_between_the_walls_of_the_chest(patient, fact):
    drawn = film(fact, patient=patient, size=64)
    chest = binary_dilation(drawn.lungs | drawn.heart, iterations=2)
    assert drawn.findings[fact].any() and (drawn.findings[fact] & chest).sum() > 0.85 * drawn.findings[fact].sum()


@pytest.mark.parametrize(
    "facts, size, style, bits, message",
    [
        ((), 31, "standard", 8, "size: found 31 px; expected 32 to 4096 px"),
        ((), 4097, "standard", 8, "size: found 4097 px"),
        ((), 64, "standard", 12, "bits: found 12; expected 8 or 16"),
        ((), 64, "sepia", 8, "style: found 'sepia'; expected standard or held_back"),
        ((a_fact("pleural_effusion"), a_fact("pneumothorax")), 64, "standard", 8, "facts: found moderate left pleural"),
    ],
)
def test_what_cannot_be_drawn_is_refused(facts, size, style, bits, message):
    with pytest.raises(InputError) as error:
        film(*facts, size=size, style=style, bits=bits)
    assert str(error.value).startswith(message)
