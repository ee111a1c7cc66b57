"""What the tests of the drawers ask of a picture."""

import numpy as np
from PIL import Image

from hf_medreport.phantom.picture.corpus import draw_picture
from hf_medreport.phantom.picture.facts import MODALITIES, NO_FINDING, PictureFact
from hf_medreport.phantom.picture.modality import GRADES, SIDES

PATIENTS = (3, 8)


def facts_of(modality: str, finding: str) -> list[PictureFact]:
    """All that a finding can be."""
    row = MODALITIES[modality].findings[finding]
    sides = SIDES if MODALITIES[modality].of_an_eye else row.sides or (None,)
    grades, zones = row.grades or (None,), row.zones or (None,)
    return [PictureFact(modality, finding, s, z, g) for s in sides for z in zones for g in grades]


def normal(fact: PictureFact) -> PictureFact:
    return PictureFact(fact.modality, NO_FINDING, fact.side if MODALITIES[fact.modality].of_an_eye else None)


def center(mask: np.ndarray) -> tuple[float, float]:
    """(x, y) of a mask's middle, each from -1 to 1."""
    y, x = np.nonzero(mask)
    side = len(mask)
    return (x.mean() + 0.5) * 2 / side - 1, (y.mean() + 0.5) * 2 / side - 1


def check_findings(modality: str) -> None:
    """Every finding changes the picture, shows a mask, and grows with its grade; nothing else than it changes much."""
    for finding, row in MODALITIES[modality].findings.items():
        areas = dict.fromkeys(GRADES, 0)
        for fact in facts_of(modality, finding):
            for patient in PATIENTS:
                drawn, plain = (draw_picture(one, patient, 64) for one in (fact, normal(fact)))
                change = np.abs(drawn.image.astype(int) - plain.image.astype(int)).reshape(64, 64, -1).max(-1)
                assert drawn.mask.sum() >= 4 and not plain.mask.any(), fact
                assert np.quantile(change[drawn.mask], 0.8) > 25, fact  # of 255: it can be seen at 64 px
                if fact.grade:
                    areas[fact.grade] += drawn.mask.sum()
        if row.grades:
            assert 1.3 * areas["mild"] < areas["moderate"] and 1.3 * areas["moderate"] < areas["severe"], finding


def check_scale(modality: str, tolerance: float) -> None:
    """A picture of 128 px, made smaller, is that of 64 px but for noise."""
    for finding in MODALITIES[modality].findings:
        fact = facts_of(modality, finding)[-1]
        small, large = (draw_picture(fact, 3, size) for size in (64, 128))
        halved = np.asarray(Image.fromarray(large.image).reduce(2), dtype=int)
        assert np.abs(halved - small.image).mean() < tolerance, fact
        assert (large.mask[::2, ::2] != small.mask).mean() < 0.04, fact


def check_styles(modality: str) -> None:
    """The held-back look shows the same finding in the same place, and is another picture."""
    fact = facts_of(modality, next(iter(MODALITIES[modality].findings)))[0]
    standard, held_back = (draw_picture(fact, 3, 64, style) for style in ("standard", "held_back"))
    assert np.abs(standard.image.astype(int) - held_back.image).mean() > 5
    assert np.hypot(*np.subtract(center(standard.mask), center(held_back.mask))) < 0.3
