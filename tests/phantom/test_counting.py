"""Ratios of counts, worked by hand: for one sum, and for many sums at once."""

import numpy as np
import pytest

from hf_medreport.phantom.counting import breakdown, figure_of, mean_of_defined, plain, precision_recall_f1, ratio

HITS, STATED, TRUE = np.array([2, 0, 1]), np.array([4, 0, 2]), np.array([2, 0, 4])


def test_nothing_of_nothing_is_no_figure():
    np.testing.assert_array_equal(ratio(np.array([1, 0, 0]), np.array([4, 0, 2])), [0.25, np.nan, 0])
    assert np.isnan(ratio(np.array(0), np.array(0)))


def test_a_mean_leaves_out_what_is_no_figure():
    values = np.array([[0.5, np.nan, 0.25], [np.nan] * 3])
    np.testing.assert_array_equal(mean_of_defined(values), [0.375, np.nan])


def test_precision_recall_and_f1():
    scores = precision_recall_f1(HITS, STATED, TRUE)
    np.testing.assert_array_equal(scores["precision"], [0.5, np.nan, 0.5])
    np.testing.assert_array_equal(scores["recall"], [1, np.nan, 0.25])
    np.testing.assert_allclose(scores["f1"], [2 / 3, np.nan, 1 / 3])


def test_all_rows_together_their_means_and_each_row():
    scores = plain(breakdown(HITS, STATED, TRUE, ("a", "b", "c"), "by_kind"))
    assert (scores["precision"], scores["recall"], scores["f1"]) == (0.5, 0.5, 0.5)  # 3 of 6, 3 of 6
    assert scores["macro"] == {"precision": 0.5, "recall": 0.625, "f1": pytest.approx(0.5)}  # without b
    assert scores["by_kind"]["b"] == {"precision": None, "recall": None, "f1": None}
    assert scores["by_kind"]["c"]["recall"] == 0.25


def test_many_sums_at_once_are_each_alone():
    many = breakdown(
        *(np.stack([counts, 2 * counts[::-1]]) for counts in (HITS, STATED, TRUE)), ("a", "b", "c"), "rows"
    )
    for place, turn in ((0, 1), (1, -1)):
        one = breakdown(HITS[::turn], STATED[::turn], TRUE[::turn], ("a", "b", "c"), "rows")
        for name in ("f1", "macro.recall", "rows.a.recall", "rows.b.f1"):
            np.testing.assert_array_equal(figure_of(many, name)[place], figure_of(one, name))


def test_plain_figures_are_numbers_and_none():
    tree = {"a": np.float64(0.5), "b": {"c": np.array(np.nan), "d": np.array(2)}}
    assert plain(tree) == {"a": 0.5, "b": {"c": None, "d": 2.0}} and type(plain(tree)["a"]) is float
