"""The film shows what its facts say: on the right side, in the right zone, more of it when it is more severe."""

import time

import numpy as np
import pytest
from scipy.ndimage import label

from hf_medreport.phantom.chest import STYLES, draw_frontal
from hf_medreport.phantom.findings import KINDS, ZONES, Fact, draw_facts
from hf_medreport.processing.input_error import InputError

SEEDS = range(6)


def film(*facts, seed=0, size=128, style="standard"):
    return draw_frontal(facts, np.random.default_rng(seed), size, style)


def change(fact, seed, style="standard", size=128):
    """How much the fact brightens each pixel of the same patient."""
    with_it, without = film(fact, seed=seed, style=style, size=size), film(seed=seed, style=style, size=size)
    return with_it.image.astype(float) - without.image.astype(float)


def one_of_each(side):
    return [
        Fact("pleural_effusion", side, severity="mild"),
        Fact("pneumothorax", side, severity="mild"),
        Fact("consolidation", side, "upper"),
        Fact("atelectasis", side, "middle"),
        Fact("nodule", side, "lower", "small"),
    ]


def test_the_same_generator_state_gives_the_same_bytes():
    facts = [Fact("cardiomegaly", severity="mild"), Fact("consolidation", "left", "upper")]
    one, two, other = film(*facts, seed=3), film(*facts, seed=3), film(*facts, seed=4)
    assert one.image.tobytes() == two.image.tobytes()
    assert one.lungs.tobytes() == two.lungs.tobytes() and one.heart.tobytes() == two.heart.tobytes()
    assert one.image.tobytes() != other.image.tobytes()
    assert one.lungs.tobytes() != other.lungs.tobytes()  # another patient, not only another noise


def test_the_order_of_the_facts_does_not_matter():
    facts = [Fact("cardiomegaly", severity="mild"), *one_of_each("left")[1:]]
    assert film(*facts).image.tobytes() == film(*facts[::-1]).image.tobytes()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [32, 97, 160])
def test_shapes_types_and_use_of_the_grey_scale(size, style):
    drawn = film(size=size, style=style)
    assert drawn.image.shape == drawn.lungs.shape == drawn.heart.shape == (size, size)
    assert drawn.image.dtype == np.uint8 and drawn.lungs.dtype == drawn.heart.dtype == bool
    assert np.percentile(drawn.image, 95) - np.percentile(drawn.image, 5) > 80


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("fact", one_of_each("left") + one_of_each("right"), ids=str)
def test_the_patients_left_is_on_the_images_right(fact, style):
    for seed in SEEDS:
        touched = np.abs(change(fact, seed, style)) > 8
        columns = np.nonzero(touched)[1]
        on_images_right = columns > 64
        assert len(columns) > 10
        assert (on_images_right if fact.side == "left" else ~on_images_right).mean() > 0.98


@pytest.mark.parametrize("kind", ["consolidation", "atelectasis", "nodule"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_finding_lies_in_its_third_of_the_lung(kind, side):
    for seed in SEEDS:
        rows = np.nonzero(film(seed=seed).lungs)[0]
        apex, dome = rows.min(), np.percentile(rows, 96)
        heights = []
        for zone in ZONES:
            brighter = np.clip(change(Fact(kind, side, zone, "large" if kind == "nodule" else None), seed) - 8, 0, None)
            centre = (brighter.sum(1) @ np.arange(128)) / brighter.sum()
            heights.append((centre - apex) / (dome - apex))
        assert [int(3 * height) for height in heights] == [0, 1, 2], heights


def test_masks_are_sane_in_every_film():
    rng = np.random.default_rng(0)
    for seed in range(40):
        drawn = film(*draw_facts(rng), seed=seed)
        assert label(drawn.lungs)[1] == 2 and label(drawn.heart)[1] == 1
        assert not (drawn.lungs & drawn.heart).any()
        assert 0.12 < drawn.lungs.mean() < 0.45
        rows, columns = np.nonzero(drawn.heart)
        lung_columns = np.nonzero(drawn.lungs)[1]
        assert lung_columns.min() < columns.min() and columns.max() < lung_columns.max()  # between the walls
        assert rows.min() > 0 and rows.max() < 127
        assert drawn.image[drawn.heart].mean() > 90  # inside the body, not in the air beside it
        middle = (lung_columns.min() + lung_columns.max()) / 2
        assert (columns > middle).mean() > 0.5  # mostly on the patient's left


def width(mask):
    columns = np.nonzero(mask.any(0))[0]
    return columns.max() - columns.min() + 1


def test_the_heart_grows_with_cardiomegaly():
    for seed in SEEDS:
        films = [film(seed=seed)]
        films += [film(Fact("cardiomegaly", severity=grade), seed=seed) for grade in KINDS["cardiomegaly"].severities]
        ratios = [width(drawn.heart) / width(drawn.lungs) for drawn in films]
        areas = [drawn.heart.sum() for drawn in films]
        assert ratios[0] < 0.5 < ratios[1]  # the radiologist's rule
        assert min(np.diff(ratios)) > 0.03 and min(np.diff(areas)) > 0, ratios


def extent(fact, seed):
    """Rows an effusion climbs, columns a lung retracts, pixels a nodule covers."""
    touched = np.abs(change(fact, seed, size=160)) > 10
    if fact.kind == "pleural_effusion":
        rows = np.nonzero(touched.sum(1) > 3)[0]
        return rows.max() - rows.min()
    return touched.sum()


@pytest.mark.parametrize("kind, zone", [("pleural_effusion", None), ("pneumothorax", None), ("nodule", "middle")])
@pytest.mark.parametrize("side", ["left", "right"])
def test_each_severity_shows_more_than_the_one_before(kind, zone, side):
    for seed in SEEDS:
        extents = [extent(Fact(kind, side, zone, severity), seed) for severity in KINDS[kind].severities]
        assert all(later > 1.25 * earlier for earlier, later in zip(extents, extents[1:], strict=False)), extents


def test_air_beside_a_retracted_lung_is_darker_and_fluid_is_brighter():
    for seed in SEEDS:
        assert np.sort(change(Fact("pneumothorax", "left", severity="moderate"), seed).ravel())[200] < -5
        assert np.sort(change(Fact("pleural_effusion", "left", severity="moderate"), seed).ravel())[-300] > 40


@pytest.mark.parametrize(
    "facts, size, style, message",
    [
        ((), 31, "standard", "size: found 31 px; expected 32 to 4096 px"),
        ((), 4097, "standard", "size: found 4097 px"),
        ((), 64, "sepia", "style: found 'sepia'; expected standard or held_back"),
        (
            (Fact("nodule", "left", "upper", "small"), Fact("nodule", "left", "lower", "large")),
            64,
            "standard",
            "facts: found small left upper nodule and large left lower nodule",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(facts, size, style, message):
    with pytest.raises(InputError) as error:
        film(*facts, size=size, style=style)
    assert str(error.value).startswith(message)


def test_a_film_is_drawn_quickly():
    facts = (Fact("cardiomegaly", severity="mild"), *one_of_each("right")[1:])
    film(*facts, size=160)
    times = []
    for seed in range(5):
        start = time.perf_counter()
        film(*facts, seed=seed, size=160)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.1  # 10 to 15 ms on an idle core; the margin is for a busy one
