"""What is under the microscope: more and larger nuclei by grade, mitoses as counted, tissues that differ."""

import numpy as np
import pytest

from hf_medreport.phantom.slide import cells
from hf_medreport.phantom.slide.cells import FIELD_MM2, NORMAL, TUMORS, View, draw_cells
from hf_medreport.phantom.slide.chance import lattice, numbers, smooth_noise, texture
from hf_medreport.phantom.slide.findings import BENIGN, DIAGNOSES, SlideFacts

FAR = -1e4


def view_of(facts: SlideFacts, bounds=(0.0, 0.0, 600.0, 600.0), seed=3, **fields) -> View:
    """A piece of a slide all of whose fields are even: `FAR` outside, `-FAR` deep inside."""
    fields = {"section": -FAR, "tissue": -FAR, "parenchyma": 0.0} | fields

    def at(name, points):
        return np.full(len(points), fields.get(name, FAR))

    return View(facts, seed, bounds, 1e5, 1.0, at, lambda name, far: fields.get(name, FAR) > -far, 0.0)


def tumor(grade: int, site="breast", diagnosis="invasive ductal carcinoma", mitoses=0) -> SlideFacts:
    return SlideFacts(site, diagnosis, grade=grade, mitoses=mitoses, margin="negative", size_cm=3.0)


def areas(polygons: np.ndarray) -> np.ndarray:
    x, y = polygons[..., 0], polygons[..., 1]
    return abs((x * np.roll(y, -1, 1) - np.roll(x, -1, 1) * y).sum(1)) / 2


def nuclei(view: View) -> np.ndarray:
    """Areas in um2 of all outlines as dark as a nucleus."""
    return np.concatenate([areas(o.polygons)[o.colors[:, 0] > 130] for o in draw_cells(view) if len(o.polygons)])


def test_there_is_a_tissue_for_every_site_and_diagnosis():
    assert set(NORMAL) == set(DIAGNOSES)
    assert set(TUMORS) == {(site, name) for site, names in DIAGNOSES.items() for name in names if name != BENIGN}


@pytest.mark.parametrize(("site", "diagnosis"), TUMORS)
def test_nuclei_grow_and_vary_with_the_grade(site, diagnosis):
    spindles = nuclei(view_of(SlideFacts(site, BENIGN), section=FAR)).sum()  # of the stroma, equal in all grades
    covered, largest = [], []
    for grade in (1, 2, 3):
        found = nuclei(view_of(tumor(grade, site, diagnosis), tumor=-FAR))
        covered.append(found.sum() - spindles)
        largest.append(np.quantile(found, 0.95))
    assert covered[0] < covered[1] < covered[2] and largest[0] * 1.2 < largest[1] and largest[1] * 1.2 < largest[2]


@pytest.mark.parametrize("diagnosis", [("breast", "invasive ductal carcinoma"), ("lung", "adenocarcinoma")])
def test_glands_lose_their_lumens_with_the_grade(diagnosis):
    lumens = []
    for grade in (1, 2, 3):
        outlines = list(draw_cells(view_of(tumor(grade, *diagnosis), tumor=-FAR, parenchyma=-9.0)))
        white = [areas(o.polygons)[o.colors.sum(1) < 10] for o in outlines if len(o.polygons)]
        lumens.append(np.concatenate(white).sum())
    assert lumens[0] > 1.2 * lumens[1] and lumens[1] > 5 * lumens[2]


@pytest.mark.parametrize("mitoses", [0, 5, 40])
def test_mitoses_are_as_many_a_field_as_stated(mitoses):
    side = 3000.0
    view = view_of(tumor(1, "breast", "invasive lobular carcinoma", mitoses), (0.0, 0.0, side, side), tumor=-FAR)
    plates = sum((o.colors == (255, 120)).all(1).sum() for o in cells._mitoses(view)) / 2
    ring = (side + 2 * cells.REACH) ** 2 * 1e-6  # mm2 that the piece asks for
    expected = mitoses * ring / (10 * FIELD_MM2)
    assert abs(plates - expected) <= 4 * np.sqrt(expected)


def test_necrosis_holds_debris_and_no_cells():
    alive, dead = (nuclei(view_of(tumor(2), tumor=-FAR, necrosis=necrosis)) for necrosis in (FAR, -FAR))
    assert np.median(dead) < 0.3 * np.median(alive) and dead.max() < 40


def test_inflammation_and_nodes_are_crowds_of_small_round_nuclei():
    plain = len(nuclei(view_of(SlideFacts("kidney", BENIGN), parenchyma=-9.0)))
    crowds = []
    for inflammation in ("mild", "marked"):
        facts = SlideFacts("kidney", BENIGN, inflammation=inflammation)
        crowds.append(nuclei(view_of(facts, inflammation=-FAR, parenchyma=-9.0)))
    node = nuclei(view_of(SlideFacts("kidney", BENIGN, nodes_examined=1), section=FAR, node=-FAR))
    assert 3 * plain < len(crowds[0]) < len(crowds[1]) < len(node)
    assert 20 < np.median(node) < 35  # pi x 3.0 um squared = 28


def test_a_lattice_does_not_depend_on_the_piece_that_asks():
    whole, chance = lattice(5, (-100, -100, 300, 200), (20.0, 31.0), 3, 0.8, 0.4)
    part, part_chance = lattice(5, (10, 20, 120, 90), (20.0, 31.0), 3, 0.8, 0.4)
    inside = ((whole >= (10, 20)) & (whole < (120, 90))).all(1)
    np.testing.assert_array_equal(whole[inside], part)
    np.testing.assert_array_equal(chance[inside], part_chance)
    assert len(part) == pytest.approx(110 * 70 / (20 * 31), abs=4)


def test_numbers_are_even_and_unrelated():
    columns, rows = np.mgrid[-100:100, -100:100]
    found = numbers(9, columns, rows, 4)
    assert found.min() >= 0 and found.max() < 1
    np.testing.assert_allclose(found.mean((0, 1)), 0.5, atol=0.01)
    np.testing.assert_allclose(found.var((0, 1)), 1 / 12, atol=0.002)
    neighbors = [np.corrcoef(found[1:, :, 0].ravel(), found[:-1, :, 0].ravel())[0, 1]]
    neighbors += [np.corrcoef(found[..., 0].ravel(), numbers(seed, columns, rows, 1).ravel())[0, 1] for seed in (8, 10)]
    assert max(map(abs, neighbors)) < 0.02


def test_textures_go_on_where_they_repeat():
    for name in ("fibers", "clouds", "grain"):
        image = texture(name, 1.0)[:1024, :1024]
        assert abs(image.mean()) < 1e-3 and image.std() == pytest.approx(1, abs=1e-3)
        inner = np.abs(np.diff(image, axis=1)).mean()
        assert np.abs(image[:, 0] - image[:, -1]).mean() < 1.5 * inner
    assert smooth_noise(1, 8, 100).shape == (100, 100)
