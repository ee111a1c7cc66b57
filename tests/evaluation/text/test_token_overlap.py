"""Token figures: RadScribe's own values, worked by hand, and each report's multiset figures."""

import pytest
from hypothesis import given

from hf_medreport.evaluation.text.token_overlap import FIGURES, set_figures, token_overlap
from hf_medreport.processing.input_error import InputError
from tests.evaluation.text.cases import corpora, split


@pytest.mark.parametrize(
    "said, given, figures",
    [
        ("", "", (1, 1, 1, 1)),
        ("", "a", (0, 0, 0, 0)),
        ("a", "", (0, 0, 0, 0)),
        ("a b c a", "c a d e f", (3 / 4, 2 / 3, 2 / 5, 1 / 2)),  # a, c, a of four; a and c of a, b, c; of five
        ("x x x y", "y z", (1 / 4, 1 / 2, 1 / 2, 1 / 2)),
        ("p q", "r s", (0, 0, 0, 0)),
    ],
)
def test_figures_of_a_set(said, given, figures):
    assert set_figures(said.split(), given.split()) == pytest.approx(dict(zip(FIGURES, figures, strict=True)))


def test_a_set_is_one_text_and_a_report_a_multiset():
    said, references = ["a a a b", "c"], ["a b b", "d c"]
    for figure, value, per_sample in (
        ("accuracy", 1, [1, 1]),
        ("precision", 1, [2 / 4, 1]),  # a once, b once of four
        ("recall", 3 / 4, [2 / 3, 1 / 2]),  # d is missed
        ("f1", 6 / 7, [4 / 7, 2 / 3]),
    ):
        score = token_overlap(said, references, figure=figure)
        assert score.value == pytest.approx(value) == score.details[figure]
        assert score.per_sample.tolist() == pytest.approx(per_sample)
        assert score.details["mean_per_sample"][figure] == pytest.approx(sum(per_sample) / 2)


def test_the_best_reference_counts_for_a_report_and_all_for_the_set():
    score = token_overlap(["a b"], [["c", "a", "a b c"]])
    assert score.per_sample.tolist() == pytest.approx([4 / 5]) and score.value == pytest.approx(4 / 5)


def test_any_tokenizer():
    score = token_overlap(["ab"], ["bc"], tokenizer=list)
    assert score.value == pytest.approx(1 / 2) and "list words" in score.convention


@given(corpora)
def test_figures_are_shares(corpus):
    for figure in FIGURES:
        score = token_overlap(*split(corpus), figure=figure)
        assert 0 <= score.value <= 1 and ((score.per_sample >= 0) & (score.per_sample <= 1)).all()
        same = token_overlap([group[0] for _, group in corpus], [group[:1] for _, group in corpus], figure=figure)
        assert same.value == 1 and (same.per_sample == 1).all()


def test_an_unknown_figure():
    with pytest.raises(InputError, match="figure: found 'f2'; expected one of accuracy, precision, recall, f1"):
        token_overlap(["a"], ["a"], figure="f2")
