"""The film shows what its facts say: on the right side, in the right zone, more of it when it is more severe."""

from functools import lru_cache

import numpy as np
import pytest
from scipy.ndimage import label

from hf_medreport.phantom.chest.anatomy import FILM_MM, STYLES
from hf_medreport.phantom.chest.findings import GRADES, KINDS, SIDES, ZONES, Fact
from hf_medreport.phantom.chest.frontal import draw_frontal
from hf_medreport.phantom.chest.patients import draw_facts
from hf_medreport.processing.input_error import InputError

PATIENTS = range(6)


@lru_cache(maxsize=400)  # a patient without findings stands beside each of its films
def film(*facts, patient=0, size=128, **how):
    return draw_frontal(facts, patient, size, **how)


def change(fact, patient, style="standard", size=128):
    """How much the fact brightens each pixel of the same patient."""
    with_it, without = (film(*facts, patient=patient, style=style, size=size) for facts in ([fact], []))
    return with_it.image.astype(float) - without.image.astype(float)


def one_of(kind, side=None, zone=None, severity=None):
    row = KINDS[kind]
    return Fact(
        kind,
        side or (row.sides[0] if row.sides else None),
        zone or (row.zones[1] if row.zones else None),
        severity or (row.severities[1] if row.severities else None),
        size_mm=24 if row.sizes else None,
        number="multiple" if row.numbers else None,
    )


# Their effect crosses the midline: the line ends in the vena cava, the spine bows beyond it.
ONE_SIDED = [
    kind for kind, row in KINDS.items() if row.sides and kind not in ("central_line", "pacemaker", "scoliosis")
]


def test_the_same_patient_and_visit_give_the_same_bytes():
    facts = [one_of("cardiomegaly"), one_of("consolidation", "left", "upper")]
    one, two = (draw_frontal(facts, 3, 128) for _ in range(2))
    assert one.image.tobytes() == two.image.tobytes()
    assert one.lungs.tobytes() == two.lungs.tobytes() and one.heart.tobytes() == two.heart.tobytes()
    assert all(one.findings[fact].tobytes() == two.findings[fact].tobytes() for fact in facts)
    assert film(*facts, patient=4).lungs.tobytes() != one.lungs.tobytes()


def test_the_order_of_the_facts_does_not_matter():
    facts = [one_of(kind) for kind in ("cardiomegaly", "pneumothorax", "nodule", "rib_fracture")]
    assert film(*facts).image.tobytes() == film(*facts[::-1]).image.tobytes()


def test_another_visit_is_another_film_of_the_same_body():
    fact = one_of("nodule", "left", "upper")
    first, second = film(fact, visit=0), film(fact, visit=1)
    assert first.image.tobytes() != second.image.tobytes()
    assert abs(first.lungs.mean() - second.lungs.mean()) < 0.02
    places = [np.argwhere(drawn.findings[fact]).mean(0) for drawn in (first, second)]
    assert np.abs(places[0] - places[1]).max() < 12  # the pose moves it a little


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [32, 97, 160])
def test_shapes_types_and_use_of_the_gray_scale(size, style):
    drawn = film(size=size, style=style)
    assert drawn.image.shape == drawn.lungs.shape == drawn.heart.shape == (size, size)
    assert drawn.image.dtype == np.uint8 and drawn.lungs.dtype == drawn.heart.dtype == bool
    assert np.percentile(drawn.image, 95) - np.percentile(drawn.image, 5) > 80


def test_sixteen_bits_hold_the_same_film_in_finer_steps():
    coarse, fine = film(), film(bits=16)
    assert fine.image.dtype == np.uint16
    assert np.abs(fine.image / 65535 - coarse.image / 255).max() <= 1 / 255
    assert len(np.unique(fine.image)) > 10 * len(np.unique(coarse.image))


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_shows_and_its_mask_is_where_it_shows(kind, style):
    fact = one_of(kind)
    for patient in PATIENTS:
        for size in (64, 128):
            mask = film(fact, patient=patient, style=style, size=size).findings[fact]
            assert mask.shape == (size, size) and mask.dtype == bool and mask.any() and not mask.all()
        difference = np.abs(change(fact, patient, style))
        assert difference[mask].mean() > 2 * difference[~mask].mean(), (patient, difference[mask].mean())


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", ONE_SIDED)
def test_the_patients_left_is_on_the_images_right(kind, side, style):
    fact = one_of(kind, side)
    for patient in PATIENTS:
        touched = np.abs(change(fact, patient, style)) > 8
        columns = np.nonzero(touched)[1]
        assert len(columns) > 5
        assert ((columns > 64) if side == "left" else (columns <= 64)).mean() > 0.95


@pytest.mark.parametrize("kind", ["pacemaker", "scoliosis", "central_line"])
def test_what_crosses_the_midline_still_leans_to_its_side(kind):
    for patient in PATIENTS:
        right, left = (np.nonzero(film(f := one_of(kind, s), patient=patient).findings[f])[1].mean() for s in SIDES)
        assert right + 3 < left


@pytest.mark.parametrize("kind", [kind for kind, row in KINDS.items() if row.zones])
@pytest.mark.parametrize("side", SIDES)
def test_a_finding_lies_in_its_third_of_the_lung(kind, side):
    for patient in PATIENTS:
        rows = np.nonzero(film(patient=patient).lungs)[0]
        apex, dome = rows.min(), np.percentile(rows, 95)
        heights = []
        for zone in ZONES:
            mask = film(fact := one_of(kind, side, zone), patient=patient).findings[fact]
            heights.append((np.nonzero(mask)[0].mean() - apex) / (dome - apex))
        assert [int(3 * height) for height in heights] == [0, 1, 2], heights


def test_masks_are_sane_in_every_film():
    rng = np.random.default_rng(0)
    for patient in range(60):
        facts = draw_facts(rng)
        drawn = film(*facts, patient=patient)
        assert label(drawn.lungs)[1] == 2 and label(drawn.heart)[1] == 1
        assert not (drawn.lungs & drawn.heart).any()
        assert 0.12 < drawn.lungs.mean() < 0.55
        rows, columns = np.nonzero(drawn.heart)
        lung_columns = np.nonzero(drawn.lungs)[1]
        assert lung_columns.min() < columns.min() and columns.max() < lung_columns.max()  # between the walls
        assert rows.min() > 0 and rows.max() < 127
        assert drawn.image[drawn.heart].mean() > 90  # inside the body, not in the air beside it
        middle = (lung_columns.min() + lung_columns.max()) / 2
        assert (columns > middle).mean() > 0.5  # mostly on the patient's left
        assert list(drawn.findings) == list(facts) and all(mask.any() for mask in drawn.findings.values())


def width(mask):
    columns = np.nonzero(mask.any(0))[0]
    return columns.max() - columns.min() + 1


def test_the_heart_grows_with_cardiomegaly():
    for patient in PATIENTS:
        films = [film(patient=patient), *(film(one_of("cardiomegaly", severity=g), patient=patient) for g in GRADES)]
        ratios = [width(drawn.heart) / width(drawn.lungs) for drawn in films]
        assert ratios[0] < 0.5 < ratios[1]  # the radiologist's rule
        assert min(np.diff(ratios)) > 0.03 and min(np.diff([drawn.heart.sum() for drawn in films])) > 0, ratios


@pytest.mark.parametrize("kind", ["pleural_effusion", "pneumothorax", "interstitial_edema", "scoliosis"])
def test_each_severity_changes_more_than_the_one_before(kind):
    for patient in PATIENTS:
        effects = [np.abs(change(one_of(kind, severity=grade), patient)).sum() for grade in GRADES]
        assert all(later > 1.2 * earlier for earlier, later in zip(effects, effects[1:], strict=False)), effects


@pytest.mark.parametrize("size_mm", [12, 24, 48])
def test_a_nodule_measures_what_its_fact_says(size_mm):
    fact = Fact("nodule", "right", "middle", size_mm=size_mm)
    for patient in PATIENTS:
        area = film(fact, patient=patient, size=512).findings[fact].sum()
        diameter = 2 * np.sqrt(area / np.pi) / 512 * FILM_MM
        assert abs(diameter - size_mm) < 0.15 * size_mm + 2


def test_multiple_is_more_than_single():
    for kind in ("calcified_granuloma", "rib_fracture"):
        for patient in PATIENTS:
            few, many = (
                Fact(kind, "left", KINDS[kind].zones[:1] and "upper" or None, number=number)
                for number in ("single", "multiple")
            )
            counts = [label(film(f, patient=patient, size=256).findings[f])[1] for f in (few, many)]
            assert counts[0] == 1 and counts[1] >= 3, counts


def test_a_possible_finding_is_fainter():
    for kind in ("consolidation", "atelectasis", "nodule"):
        for patient in PATIENTS:
            sure, faint = (
                np.abs(change(Fact(kind, "left", "middle", certain=c), patient)).sum() for c in (True, False)
            )
            assert 0.3 * sure < faint < 0.8 * sure


def test_overexpanded_lungs_are_longer_and_a_raised_dome_shorter():
    for patient in PATIENTS:
        plain, wide, raised = (
            film(*f, patient=patient) for f in ([], [Fact("hyperinflation")], [one_of("elevated_diaphragm", "right")])
        )
        assert wide.lungs.sum() > 1.05 * plain.lungs.sum()
        right = np.arange(128) < 64
        assert raised.lungs[:, right].sum() < 0.9 * plain.lungs[:, right].sum()
        assert raised.lungs[:, ~right].sum() == plain.lungs[:, ~right].sum()


def test_air_beside_a_retracted_lung_is_darker_and_fluid_is_brighter():
    for patient in PATIENTS:
        assert np.sort(change(one_of("pneumothorax", "left"), patient).ravel())[200] < -5
        assert np.sort(change(one_of("pleural_effusion", "left"), patient).ravel())[-300] > 40


@pytest.mark.parametrize(
    "facts, how, message",
    [
        ((), {"size": 31}, "size: found 31 px; expected 32 to 4096 px; choose a side in that range"),
        ((), {"size": 4097}, "size: found 4097 px; expected 32 to 4096 px; choose a side in that range"),
        ((), {"bits": 12}, "bits: found 12; expected 8 or 16; choose one of the two"),
        ((), {"style": "sepia"}, "style: found 'sepia'; expected standard or held_back; name one of the two"),
        (
            (one_of("nodule", "left", "upper"), one_of("nodule", "left", "lower")),
            {},
            "facts: found 24 mm left upper nodule and 24 mm left lower nodule; expected facts that one film can show "
            "together; drop or move one of them",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(facts, how, message):
    with pytest.raises(InputError) as error:
        film(*facts, **how)
    assert str(error.value) == message
