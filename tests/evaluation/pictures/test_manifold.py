"""Precision, recall, density and coverage by hand on a line, and against loops."""

import numpy as np
import pytest

from hf_medreport.evaluation.pictures.manifold import manifold_figures
from hf_medreport.processing.input_error import InputError


def test_by_hand_on_a_line():
    real, fake = np.array([[0.0], [1], [2], [10]]), np.array([[0.5], [2.5], [30], [31]])
    # One neighbor: real balls reach 1, 1, 1, 8; generated ones 2, 2, 1, 1.
    # 0.5 lies in the balls of 0 and 1; 2.5 in those of 2 and 10; 30 and 31 in none.
    # of the real, 0, 1 and 2 lie within 2 of 0.5; 10 in no ball.
    expected = {"precision": 0.5, "recall": 0.75, "density": 1.0, "coverage": 1.0}
    assert manifold_figures(real, fake, neighbors=1) == expected


def test_against_loops():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(30, 4)), rng.normal(0.5, 1, size=(20, 4))

    def far(a, b):
        return float(np.linalg.norm(a - b))

    def reach(points, k):
        return [sorted(far(one, other) for other in points)[k] for one in points]

    balls, own = reach(real, 5), reach(fake, 5)
    inside = [[far(one, other) <= ball for one, ball in zip(real, balls, strict=True)] for other in fake]
    figures = manifold_figures(real, fake)
    assert figures["precision"] == pytest.approx(np.mean([any(row) for row in inside]))
    assert figures["density"] == pytest.approx(np.mean([sum(row) / 5 for row in inside]))
    assert figures["coverage"] == pytest.approx(np.mean(np.any(inside, axis=0)))
    covered = [any(far(one, other) <= ball for other, ball in zip(fake, own, strict=True)) for one in real]
    assert figures["recall"] == pytest.approx(np.mean(covered))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [(((5, 2), (9, 2)), "pictures: found 5 in a set"), (((9, 2), (9, 3)), "features: found widths 2 and 3")],
)
def test_refusals(shapes, message):
    with pytest.raises(InputError, match=message):
        manifold_figures(*map(np.zeros, shapes))
