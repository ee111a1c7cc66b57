"""BLEU equals sacrebleu's and pycocoevalcap's, corpus and report, and a value worked by hand."""

import math

import pytest
from hypothesis import given, settings

from hf_medreport.evaluation.text.bleu import bleu, sacrebleu
from hf_medreport.evaluation.text.words import coco_words
from hf_medreport.processing.input_error import InputError
from tests.evaluation.text.cases import AWKWARD, coco_form, corpora, split


def test_by_hand():
    # "the heart is big": 3 of 4 words, 2 of 3 pairs, 1 of 2 triples are in the reference of 5 words.
    score = bleu(["The heart is big."], ["the heart is normal today"], order=3)
    short = math.exp(1 - 5 / 4)
    assert score.value == pytest.approx((3 / 4 * 2 / 3 * 1 / 2) ** (1 / 3) * short, abs=1e-8)
    assert score.details["bleu1"] == pytest.approx(3 / 4 * short, abs=1e-8)
    assert score.details["words"] == 4 and score.details["reference_words"] == 5
    # sacrebleu keeps "The" and the point: 2 of 5 words, and 1 of 4 pairs; no triple.
    score = sacrebleu(["The heart is big."], ["the heart is normal today"], order=3)
    assert score.value == pytest.approx(100 * (2 / 5 * 1 / 4 * 0.5 / 3) ** (1 / 3))
    assert sacrebleu(["The heart."], ["the heart."], order=2, lowercase=True).value == pytest.approx(100)


def test_of_two_references_the_nearer_in_length_and_the_shorter_of_two():
    assert bleu(["a b c"], [["a b c d e", "a"]]).details["reference_words"] == 1
    assert bleu(["a b c"], [["a b c d e", "a b c d", "a"]]).details["reference_words"] == 4


def same_as_pycocoevalcap(corpus):
    scorer = pytest.importorskip("pycocoevalcap.bleu.bleu").Bleu(4)
    values, per_sample = scorer.compute_score(*coco_form(corpus, coco_words), verbose=0)
    for order in (1, 2, 3, 4):
        score = bleu(*split(corpus), order=order)
        assert score.value == pytest.approx(values[order - 1], abs=1e-6)
        assert score.per_sample.tolist() == pytest.approx(per_sample[order - 1], abs=1e-6)
    assert [score.details[f"bleu{n}"] for n in (1, 2, 3, 4)] == pytest.approx(values, abs=1e-6)


def same_as_sacrebleu(corpus, lowercase=False):
    package = pytest.importorskip("sacrebleu.metrics")
    said, references = split(corpus)
    most = max(map(len, references))
    streams = [[group[n] if n < len(group) else None for group in references] for n in range(most)]
    for order in (1, 2, 3, 4):
        score = sacrebleu(said, references, order=order, lowercase=lowercase)
        corpus_bleu = package.BLEU(max_ngram_order=order, lowercase=lowercase)
        assert score.value == pytest.approx(corpus_bleu.corpus_score(said, streams).score, abs=1e-6)
        one = package.BLEU(max_ngram_order=order, lowercase=lowercase, effective_order=True)
        singly = [one.sentence_score(text, group).score for text, group in zip(said, references, strict=True)]
        assert score.per_sample.tolist() == pytest.approx(singly, abs=1e-6)


def test_awkward_reports_equal_pycocoevalcap():
    same_as_pycocoevalcap(AWKWARD)
    for pair in AWKWARD:
        same_as_pycocoevalcap([pair])


@pytest.mark.parametrize("lowercase", [False, True])
def test_awkward_reports_equal_sacrebleu(lowercase):
    same_as_sacrebleu(AWKWARD, lowercase)
    for pair in AWKWARD:
        same_as_sacrebleu([pair], lowercase)


@given(corpora)
@settings(max_examples=60, deadline=None)
def test_generated_reports_equal_both(corpus):
    same_as_pycocoevalcap(corpus)
    same_as_sacrebleu(corpus)


@pytest.mark.parametrize("function", [bleu, sacrebleu])
def test_an_order_below_one(function):
    with pytest.raises(InputError, match="order: found 0; expected 1 or more"):
        function(["a"], ["a"], order=0)
