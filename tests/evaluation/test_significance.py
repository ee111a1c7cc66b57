"""Intervals and p-values against scipy, closed forms and figures worked by hand."""

import numpy as np
import pytest
from scipy import stats

from hf_medreport.evaluation.significance import bootstrap_interval, holm, paired_randomisation
from hf_medreport.processing.input_error import InputError


def ratio(rows):
    """Part over whole, of mean rows (resamples, 2)."""
    with np.errstate(invalid="ignore"):
        return rows[:, 0] / rows[:, 1]


def counts(seed=0, n=120):
    rng = np.random.default_rng(seed)
    whole = rng.integers(1, 6, n)
    return np.stack([rng.binomial(whole, 0.7), whole], axis=1)


class TestBootstrap:
    def test_a_mean_as_the_normal_law(self):
        values = np.random.default_rng(0).normal(3, 2, 900)
        error = values.std() / np.sqrt(len(values))
        low, high = bootstrap_interval(values, resamples=4000)
        assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
        assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)

    def test_a_ratio_as_scipy(self):
        rows = counts()
        theirs = stats.bootstrap(
            (rows[:, 0], rows[:, 1]),
            lambda part, whole, axis: part.sum(axis) / whole.sum(axis),
            paired=True,
            vectorized=True,
            method="percentile",
            n_resamples=4000,
            rng=np.random.default_rng(1),
        ).confidence_interval
        assert bootstrap_interval(rows, ratio, resamples=4000) == pytest.approx(theirs, abs=0.005)

    def test_all_or_none_of_one_sample(self):
        # a sample of two: 0, 1/2 and 1 come with shares 1/4, 1/2, 1/4
        assert bootstrap_interval([0.0, 1.0], resamples=2000, level=0.9) == (0.0, 1.0)
        assert bootstrap_interval([0.0, 1.0], resamples=2000, level=0.4) == (0.5, 0.5)
        assert bootstrap_interval([7.0]) == (7.0, 7.0)

    def test_seed_and_level(self):
        rows = counts()
        one = bootstrap_interval(rows, ratio, seed=3)
        assert one == bootstrap_interval(rows, ratio, seed=3) != bootstrap_interval(rows, ratio, seed=4)
        narrow = bootstrap_interval(rows, ratio, seed=3, level=0.5)
        assert one[0] < narrow[0] < narrow[1] < one[1]

    def test_undefined_resamples_are_left_out(self):
        # one film of three states something, and all of it is right
        assert bootstrap_interval([[1, 1], [0, 0], [0, 0]], ratio) == (1.0, 1.0)
        assert bootstrap_interval([[0, 0], [0, 0]], ratio) is None


class TestPairedRandomisation:
    def test_every_swapping_of_few_samples(self):
        a, b = np.array([5.0, 3.0, 4.0, 6.0, 2.0, 7.0]), np.array([4.0, 3.5, 2.0, 3.0, 1.0, 5.0])
        # exact, over all 64 swappings
        signs = np.array(np.meshgrid(*[[-1, 1]] * 6)).reshape(6, -1).T
        exact = np.mean(np.abs(signs @ (a - b)) >= abs((a - b).sum()) - 1e-9)
        assert paired_randomisation(a, b, resamples=20_000) == pytest.approx(exact, abs=0.01)

    def test_a_ratio_as_scipy(self):
        a, b = counts(0, 9), counts(5, 9)
        b[:, 0] = np.maximum(b[:, 0] - 1, 0)
        rows = np.concatenate([a, b])  # scipy swaps numbers: those of the rows

        def ratio_of(which, axis):
            sums = rows[np.moveaxis(which, axis, -1).astype(int)].sum(axis=-2)
            return sums[..., 0] / sums[..., 1]

        def difference(first, second, axis):
            return ratio_of(first, axis) - ratio_of(second, axis)

        theirs = stats.permutation_test(
            (np.arange(9.0), np.arange(9.0, 18.0)),
            difference,
            permutation_type="samples",
            vectorized=True,
            n_resamples=np.inf,
        )
        assert paired_randomisation(a, b, ratio, resamples=20_000) == pytest.approx(theirs.pvalue, abs=0.012)

    def test_equal_models(self):
        assert paired_randomisation(counts(), counts(), ratio) == 1.0

    def test_the_smallest_p_is_never_zero(self):
        # 60 samples, always better: no swapping of 999 comes near, so p = (0 + 1) / (999 + 1)
        assert paired_randomisation(np.ones(60), np.zeros(60), resamples=999) == 1 / 1000

    def test_symmetric_and_by_seed(self):
        a, b = counts(0), counts(1)
        p = paired_randomisation(a, b, ratio, seed=2)
        assert p == paired_randomisation(a, b, ratio, seed=2) == paired_randomisation(b, a, ratio, seed=2)
        assert 0 < p <= 1

    def test_level_under_the_null_hypothesis(self):
        rng = np.random.default_rng(0)
        ps = [paired_randomisation(*rng.normal(size=(2, 20)), resamples=199) for _ in range(300)]
        # 300 draws at 0.05: 15 expected, standard deviation 3.8
        assert 4 <= sum(p <= 0.05 for p in ps) <= 27

    def test_undefined(self):
        assert paired_randomisation([[0, 0]], [[1, 1]], ratio) is None
        # half the swappings put both stated facts on one side and leave the other undefined; the others are as large
        assert paired_randomisation([[1, 1], [0, 0]], [[0, 0], [0, 1]], ratio) == 1.0


class TestHolm:
    def test_worked_by_hand(self):
        # sorted 0.01 x 4 = 0.04, 0.02 x 3 = 0.06, 0.03 x 2 = 0.06, 0.6 x 1
        assert holm([0.03, 0.01, 0.6, 0.02]) == pytest.approx([0.06, 0.04, 0.6, 0.06])

    def test_never_falls_and_never_passes_one(self):
        assert holm([0.04, 0.045]) == pytest.approx([0.08, 0.08])
        assert holm([0.9, 0.8]) == [1.0, 1.0]
        assert holm([]) == [] and holm([0.02]) == [0.02]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_interval([]), "samples: found none"),
        (lambda: bootstrap_interval([1.0], resamples=0), "resamples: found 0"),
        (lambda: bootstrap_interval([1.0], level=95), "level: found 95"),
        (lambda: paired_randomisation([1.0], [1.0, 2.0]), r"b: found shape \(2,\); expected \(1,\) as in a"),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(InputError, match=message):
        call()
