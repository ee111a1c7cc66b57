"""Counts of n-grams equal those of a plain counter."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.evaluation.text.ngrams import count_ngrams


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=9), min_size=1, max_size=5))
@settings(deadline=None)
def test_counts_equal_a_counter(texts):
    for order, ngrams in enumerate(count_ngrams(texts, 4), start=1):
        assert ngrams.order == order and ngrams.counts.has_canonical_format
        columns, dense = ngrams.spelled(), ngrams.counts.toarray()
        assert len(set(columns)) == len(columns) == dense.shape[1]
        for text, row in zip(texts, dense, strict=True):
            expected = Counter(tuple(text[i : i + order]) for i in range(len(text) - order + 1))
            assert Counter(dict(zip(columns, row.tolist(), strict=True))) == expected
            assert row.sum() == max(len(text) - order + 1, 0)
