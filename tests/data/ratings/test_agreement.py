"""Agreement of raters, held to values worked by hand and to the definition."""

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from hf_medreport.data.ratings import agreement as module
from hf_medreport.data.ratings.agreement import agreement
from hf_medreport.data.ratings.table import Rating
from hf_medreport.processing.input_error import InputError


def ratings_of(**by_rater):
    return [
        Rating(Path(str(number)), value, None, 3, "p", rater)
        for rater, values in by_rater.items()
        for number, value in enumerate(values)
        if value
    ]


@pytest.fixture
def few(monkeypatch):
    """Fewer resamples, where the interval is not looked at."""
    monkeypatch.setattr(module, "RESAMPLES", 5)


def test_a_kappa_by_hand():
    # Six pictures; five alike, one differs by two steps: sum of squares 4.
    ann, bob = [1, 1, 2, 2, 3, 3], [1, 1, 2, 2, 3, 1]
    # By chance: ann 2 2 2, bob 3 2 1 of six: (2*2*1 + 2*1*4 + 2*3*1 + 2*1*1 + 2*3*4 + 2*2*1) / 6 = 48 / 6 = 8.
    figures = agreement(ratings_of(ann=ann, bob=bob))["ann and bob"]
    assert figures["kappa"] == pytest.approx(1 - 4 / 8) and figures["n"] == 6
    assert figures["same"] == pytest.approx(5 / 6)
    low, high = figures["interval"]
    assert low < 0.5 < high <= 1


def test_ends_of_the_scale(few):
    said = ratings_of(ann=[1, 1, 3, 3], same=[1, 1, 3, 3], turned=[3, 3, 1, 1])
    figures = agreement(said)
    assert figures["ann and same"]["kappa"] == 1 and figures["ann and turned"]["kappa"] == -1


def test_as_its_definition_has_it(few):
    """What pictures cost, against what all pairs of two pictures' ratings cost; see Cohen (1968)."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        ann, bob = rng.integers(1, 4, (2, 30))
        expected = 1 - np.mean((ann - bob) ** 2) / np.mean([(a - b) ** 2 for a in ann for b in bob])
        assert agreement(ratings_of(ann=ann, bob=bob))["ann and bob"]["kappa"] == pytest.approx(expected)


def test_each_two_raters_on_what_both_rated(few):
    figures = agreement(ratings_of(ann=[1, 2, 3, 3], bob=[1, 2, 3, None], cem=[None, None, None, 3], dan=[2, 2, 2, 2]))
    assert list(figures) == [f"{a} and {b}" for a, b in product(("ann", "bob", "cem", "dan"), repeat=2) if a < b]
    assert figures["ann and bob"]["kappa"] == 1 and figures["ann and bob"]["n"] == 3
    assert figures["bob and cem"] == {"n": 0, "kappa": None, "interval": None, "same": None}
    assert figures["cem and dan"]["n"] == 1 and figures["cem and dan"]["kappa"] == 0  # 3 and 2: as by chance
    assert agreement(ratings_of(ann=[1, 2])) == {}


def test_two_who_always_say_the_same_have_no_kappa(few):
    figures = agreement(ratings_of(**{"": [3, 3], "bob": [3, 3]}))
    assert figures == {"unnamed and bob": {"n": 2, "kappa": None, "interval": None, "same": 1.0}}


def test_without_scikit_learn_it_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    with pytest.raises(
        InputError, match=r"agreement of raters: found no scikit-learn; expected it installed; .*\[rlhf\]"
    ):
        agreement(ratings_of(ann=[1, 2], bob=[1, 2]))
