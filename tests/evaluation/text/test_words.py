"""Tokenizers on sentences worked by hand, and what unknown ones answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.evaluation.text.words import (
    Pairs,
    coco_words,
    find_tokenizer,
    mteval_words,
    rouge_words,
    tokenize_pairs,
)
from hf_medreport.processing.input_error import InputError


@pytest.mark.parametrize(
    "text, words",
    [
        ("The patient's x-ray isn't clear.", "the patient's x-ray isn't clear"),
        ("A 1.5 cm nodule (right upper lobe); no effusion/edema -- stable...", None),
        ("2,000 ml at 12:30, 50% of T10-T11?", "2,000 ml at 12:30 50 % of t10-t11"),
        ('"Normal" heart: [see] {x} <2 cm & a+b', "normal heart see x < 2 cm & a + b"),
        ("Größe 5x6mm µm", "größe 5x6mm µm"),
        (" . , ; -- ... ''", ""),
        ("", ""),
    ],
)
def test_coco_words(text, words):
    words = "a 1.5 cm nodule right upper lobe no effusion/edema stable" if words is None else words
    assert coco_words(text) == words.split()


def test_rouge_words():
    assert rouge_words("A 1.5-cm Nodule_ größe") == ["a", "1", "5", "cm", "nodule", "gr", "e"]


@pytest.mark.parametrize(
    "text, words",
    [
        ("A 1.5 cm nodule, left.", "A 1.5 cm nodule , left ."),
        ("size: 3-4 (x-ray) &lt;2&gt; a/b", "size : 3 - 4 ( x-ray ) < 2 > a / b"),
        ("two-\nlines\nof text", "twolines of text"),
        ("ends in 5. and 1,000", "ends in 5 . and 1,000"),
    ],
)
def test_mteval_words(text, words):
    assert mteval_words(text) == words.split()


@given(st.text())
@settings(deadline=None)
def test_mteval_words_equal_sacrebleu(text):
    tokenizer = pytest.importorskip("sacrebleu.tokenizers.tokenizer_13a").Tokenizer13a()
    assert mteval_words(text) == tokenizer(text.rstrip()).split()


@given(st.text())
@settings(deadline=None)
def test_rouge_words_equal_rouge_score(text):
    assert rouge_words(text) == pytest.importorskip("rouge_score.tokenize").tokenize(text, None)


def test_a_tokenizer_is_named_or_a_function():
    assert find_tokenizer("whitespace") == ("whitespace", str.split)
    assert find_tokenizer(list) == ("list", list)
    with pytest.raises(
        InputError, match="tokenizer: found 'ptb'; expected one of coco, rouge, 13a, whitespace; or give"
    ):
        find_tokenizer("ptb")


def test_pairs_know_their_references():
    pairs = tokenize_pairs(["a b", "c"], [["a", "a b c"], "d"], str.split)
    assert pairs.references == [["a"], ["a", "b", "c"], ["d"]]
    assert pairs.owner.tolist() == [0, 0, 1] and pairs.first.tolist() == [0, 2]
    assert [length.tolist() for length in pairs.lengths()] == [[2, 1], [1, 3, 1]]


def test_best_is_the_first_of_equals():
    pairs = Pairs([], [], owner=np.array([0, 0, 0, 1, 2, 2]))
    assert pairs.best(np.array([1.0, 3.0, 3.0, 0.0, 2.0, 2.0])).tolist() == [1, 3, 4]
