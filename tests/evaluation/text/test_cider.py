"""CIDEr-D equals pycocoevalcap's; CIDEr equals a plain computation by dictionaries; one value worked by hand."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings

from hf_medreport.evaluation.text.cider import cider, document_frequencies
from hf_medreport.evaluation.text.words import coco_words
from hf_medreport.processing.input_error import InputError
from tests.evaluation.text.cases import AWKWARD, coco_form, corpora, split


def test_by_hand():
    # Two samples. Words: "a" is in both references, so weighs 0; "b" and "c" weigh log 2, "d" (in none) too.
    # First: said b d, given b: cosine 1 / sqrt 2. Pairs of words: said "a b", "b d", given "a b": again 1 / sqrt 2.
    # Triples: said "a b d", given none: 0. The second says nothing.
    score = cider(["a b d", ""], ["a b", "a c"])
    assert score.per_sample.tolist() == pytest.approx([10 * (2 / math.sqrt(2)) / 4, 0])
    # CIDEr-D shrinks by one word too many.
    clipped = cider(["a b d", ""], ["a b", "a c"], clipped=True)
    assert clipped.value == pytest.approx(score.value * math.exp(-1 / 72))
    narrow = cider(["a b d", ""], ["a b", "a c"], clipped=True, sigma=1)
    assert narrow.value == pytest.approx(score.value * math.exp(-1 / 2))


def test_clipping_stops_the_reward_of_repeats():
    references = ["b", "c"]
    assert cider(["b b b", "c"], references).per_sample[0] == pytest.approx(10 / 4)
    # Three of "b" have length 3 log 2 and shared 1: a third; two pairs too many.
    clipped = cider(["b b b", "c"], references, clipped=True).per_sample[0]
    assert clipped == pytest.approx(10 / 4 / 3 * math.exp(-4 / 72))


def test_one_sample_alone_has_no_weights():
    assert cider(["a b"], ["a b"]).value == 0


def plain_ngrams(text):
    words = coco_words(text)
    return [Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1)) for n in (1, 2, 3, 4)]


def plain_cider(corpus, frequency, documents):
    def vectors(text):
        return [
            {ngram: count * math.log(documents / max(1, frequency[ngram])) for ngram, count in counts.items()}
            for counts in plain_ngrams(text)
        ]

    def cosine(first, second):
        norm = math.sqrt(sum(v * v for v in first.values()) * sum(v * v for v in second.values()))
        return sum(v * second.get(ngram, 0) for ngram, v in first.items()) / norm if norm else 0

    scores = []
    for said, references in corpus:
        cosines = [[*map(cosine, vectors(said), vectors(text))] for text in references]
        scores.append(10 * np.mean(cosines))
    return scores


def plain_frequency(references):
    return Counter(
        ngram
        for group in references
        for ngram in {ngram for text in group for counts in plain_ngrams(text) for ngram in counts}
    )


def same_as_plain(corpus):
    said, references = split(corpus)
    frequency = plain_frequency(references)
    expected = plain_cider(corpus, frequency, len(corpus))
    assert cider(said, references).per_sample.tolist() == pytest.approx(expected, abs=1e-6)


def same_as_pycocoevalcap(corpus):
    scorer = pytest.importorskip("pycocoevalcap.cider.cider").Cider()
    if not any(coco_words(text) for _, references in corpus for text in references):
        return  # it ends with an error on references without a word
    value, per_sample = scorer.compute_score(*coco_form(corpus, coco_words))
    score = cider(*split(corpus), clipped=True)
    assert score.value == pytest.approx(value, abs=1e-6)
    assert score.per_sample.tolist() == pytest.approx(per_sample.tolist(), abs=1e-6)


def test_awkward_reports():
    same_as_plain(AWKWARD)
    same_as_pycocoevalcap(AWKWARD)


@given(corpora)
@settings(max_examples=60, deadline=None)
def test_generated_reports(corpus):
    same_as_plain(corpus)
    same_as_pycocoevalcap(corpus)


def test_given_frequencies():
    said, references = split(AWKWARD)
    frequencies = document_frequencies(references)
    assert frequencies.counts == plain_frequency(references) and frequencies.documents == len(AWKWARD)
    for clipped in (False, True):
        whole = cider(said, references, clipped=clipped)
        assert cider(said, references, clipped=clipped, frequencies=frequencies).value == pytest.approx(whole.value)
        # One report alone then scores what it scores among all.
        alone = cider(said[6:7], references[6:7], clipped=clipped, frequencies=frequencies)
        assert alone.value == pytest.approx(whole.per_sample[6]) and alone.value > 0
    assert document_frequencies(["a b", "a"]).counts == {("a",): 2, ("b",): 1, ("a", "b"): 1}


def test_frequencies_of_no_corpus():
    with pytest.raises(InputError, match="references: found an empty list; expected at least one text"):
        document_frequencies([])


def test_frequencies_of_another_tokenizer():
    frequencies = document_frequencies(["a b"], tokenizer="whitespace")
    with pytest.raises(InputError, match="frequencies: found whitespace words; expected coco words"):
        cider(["a"], ["a"], frequencies=frequencies)


@pytest.mark.parametrize("sigma", [0, -1.0, math.nan])
def test_sigma(sigma):
    with pytest.raises(InputError, match="sigma: found .*; expected a number above 0"):
        cider(["a"], ["a"], clipped=True, sigma=sigma)
