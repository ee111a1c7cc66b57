"""Stems equal Porter's examples and nltk's stemmer."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hf_medreport.evaluation.text.porter import _STEP_2, _STEP_3, _STEP_4, stem

ENDINGS = [rule[0] for rule in _STEP_2 + _STEP_3] + [*_STEP_4, "logi", "sion", "sses", "ies", "ied", "s", "ed", "ing"]
ENDINGS += ["eed", "y", "e", "ll", ""]
made_up = st.builds(
    "{}{}{}".format,
    st.text("aeiouybcdlstwxz", max_size=6),
    st.sampled_from(ENDINGS),
    st.sampled_from(ENDINGS),
)


@pytest.mark.parametrize(
    "word, expected",
    [
        ("caresses", "caress"),
        ("ponies", "poni"),
        ("feed", "feed"),
        ("agreed", "agre"),
        ("hopping", "hop"),
        ("falling", "fall"),
        ("relational", "relat"),
        ("adoption", "adopt"),
        ("controlling", "control"),
        ("Effusions", "effus"),
        ("dying", "die"),
        ("is", "is"),
        ("", ""),
    ],
)
def test_examples(word, expected):
    assert stem(word) == expected


@given(made_up)
@settings(max_examples=1000, deadline=None)
@example("skies")
@example("innings")
@example("geologically")
@example("yyyy")
def test_stems_equal_nltk(word):
    porter = pytest.importorskip("nltk.stem.porter").PorterStemmer()
    assert stem(word) == porter.stem(word)
