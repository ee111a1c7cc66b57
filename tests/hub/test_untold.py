"""What no tensor tells is given, or that of the very size that was published, and then said."""

import pytest

from hf_medreport.hub.untold import BERT_HEADS, VIT_HEADS, heads, said, untold
from hf_medreport.processing.input_error import InputError


def test_heads_are_given_or_those_of_the_published_width():
    assert heads("f", "BERT", 768, None, BERT_HEADS, "num_heads") == 12
    assert heads("f", "the ViT", 1280, None, VIT_HEADS, "vit_heads") == 16  # not 1280 / 64
    assert heads("f", "BERT", 768, 6, BERT_HEADS, "num_heads") == 6


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (5, "vit_heads: found 5; expected a divisor of the ViT's width 64; correct `vit_heads`"),
        (0, "vit_heads: found 0; expected a divisor of the ViT's width 64; correct `vit_heads`"),
        (
            None,
            "f: found the ViT of width 64; expected a published one (192, 384, 768, 1024, 1280); pass `vit_heads`, "
            "as it was trained: no tensor tells it",
        ),
    ],
)
def test_heads_that_cannot_be_and_such_as_must_be_given(given, message):
    with pytest.raises(InputError) as error:
        heads("f", "the ViT", 64, given, VIT_HEADS, "vit_heads")
    assert str(error.value) == message


def test_what_was_taken_is_said():
    taken = untold({"a": None, "b": 2}, {"a": 1, "b": 2, "c": 3, "d": None})
    assert taken == {"a": 1, "c": 3}
    assert said({"as_published": taken}) == ["taken as published, since no tensor tells: a 1, c 3"]
    assert said({"as_published": {}}) == []
