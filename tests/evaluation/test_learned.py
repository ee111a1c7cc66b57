"""The adapter for metrics that are models."""

import pytest

from hf_medreport.evaluation.learned import learned
from hf_medreport.evaluation.registry import metric
from hf_medreport.processing.input_error import InputError


def alike(said, given):
    """A stand-in for a model: the share of the reference's words that are said."""
    return [len({*a.split()} & {*b.split()}) / len(b.split()) for a, b in zip(said, given, strict=True)]


def test_the_best_reference_counts():
    score = metric("learned")(["a b", "c"], [["x", "a", "a x"], "c d"], scorer=alike, name="alike", convention="words")
    assert score.per_sample.tolist() == [1.0, 0.5] and score.value == 0.75
    assert (score.name, score.convention) == ("alike", "words")


@pytest.mark.parametrize(
    "figures, message",
    [
        (
            [0.5],
            "scorer learned: found figures of shape (1,); expected 2, one for each pair; return the figures of the",
        ),
        (0.5, "scorer learned: found figures of shape (); expected 2, one for each pair; return the figures of the"),
        ([0.5, float("nan")], "scorer learned: found nan for pair 1; expected a finite number; look at that pair"),
    ],
)
def test_bad_figures(figures, message):
    with pytest.raises(InputError) as caught:
        learned(["a", "b"], ["a", "b"], scorer=lambda said, given: figures)
    assert str(caught.value).startswith(message)
