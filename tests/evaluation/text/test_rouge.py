"""ROUGE equals rouge_score's and pycocoevalcap's, and values worked by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.evaluation.text.rouge import longest_common_subsequence, rouge, rouge_coco
from hf_medreport.evaluation.text.words import coco_words
from hf_medreport.processing.input_error import InputError
from tests.evaluation.text.cases import AWKWARD, coco_form, corpora, split


def test_by_hand():
    said, reference = ["the left lung is clear"], ["lung is clear the right one"]
    # Words shared: the, lung, is, clear: 4 of 5 said, 4 of 6 given.
    score = rouge(said, reference, kind="rouge1")
    assert score.details == {"precision": pytest.approx(4 / 5), "recall": pytest.approx(4 / 6)}
    assert score.value == pytest.approx(8 / 11)
    # Pairs shared: "lung is", "is clear": 2 of 4 and 2 of 5.
    assert rouge(said, reference, kind="rouge2").value == pytest.approx(4 / 9)
    # In order: "lung is clear": 3 of 5 and 3 of 6.
    assert rouge(said, reference, kind="rougeL").value == pytest.approx(6 / 11)
    p, r, b = 3 / 5, 3 / 6, 1.2**2
    assert rouge_coco(said, reference).value == pytest.approx((1 + b) * p * r / (r + b * p))


def test_coco_takes_precision_and_recall_from_different_references():
    # "a b" finds all of itself in the first (2/2; 2/4), all of the second (1/2; 1/1).
    assert rouge_coco(["a b"], [["a b c d", "a"]]).value == pytest.approx(1)
    assert rouge(["a b"], [["a b c d", "a"]]).value == pytest.approx(2 / 3)


def test_two_empty_texts_are_alike_for_coco_only():
    assert rouge_coco([""], [""]).value == 1 and rouge([""], [""]).value == 0


def test_stems():
    assert rouge(["effusions"], ["effusion"], stemmer=True).value == 1
    assert rouge(["effusions"], ["effusion"]).value == 0


def plain_lcs(first, second):
    table = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


@given(st.lists(st.integers(0, 4), max_size=80), st.lists(st.integers(0, 4), max_size=80))
@settings(deadline=None)
def test_longest_common_subsequence_equals_the_table(first, second):
    assert longest_common_subsequence(first, second) == plain_lcs(first, second)


def same_as_rouge_score(corpus):
    package = pytest.importorskip("rouge_score.rouge_scorer")
    said, references = split(corpus)
    for stemmer in (False, True):
        scorer = package.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=stemmer)
        expected = [scorer.score_multi(group, text) for text, group in zip(said, references, strict=True)]
        for kind in ("rouge1", "rouge2", "rougeL"):
            score = rouge(said, references, kind=kind, stemmer=stemmer)
            assert score.per_sample.tolist() == pytest.approx([one[kind].fmeasure for one in expected], abs=1e-6)
            precision = sum(one[kind].precision for one in expected) / len(said)
            recall = sum(one[kind].recall for one in expected) / len(said)
            assert score.details == pytest.approx({"precision": precision, "recall": recall}, abs=1e-6)
            assert score.value == pytest.approx(score.per_sample.mean(), abs=1e-12)


def same_as_pycocoevalcap(corpus):
    scorer = pytest.importorskip("pycocoevalcap.rouge.rouge").Rouge()
    value, per_sample = scorer.compute_score(*coco_form(corpus, coco_words))
    score = rouge_coco(*split(corpus))
    assert score.value == pytest.approx(value, abs=1e-6)
    assert score.per_sample.tolist() == pytest.approx(per_sample.tolist(), abs=1e-6)


def test_awkward_reports_equal_both():
    same_as_rouge_score(AWKWARD)
    same_as_pycocoevalcap(AWKWARD)


@given(corpora)
@settings(max_examples=60, deadline=None)
def test_generated_reports_equal_both(corpus):
    same_as_rouge_score(corpus)
    same_as_pycocoevalcap(corpus)


def test_an_unknown_kind():
    with pytest.raises(InputError, match="kind: found 'rouge3'; expected one of rouge1, rouge2, rougeL"):
        rouge(["a"], ["a"], kind="rouge3")
