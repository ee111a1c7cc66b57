"""Stems are nltk's by default mode, without its data."""

import subprocess
import sys

import pytest

from hf_medreport.evaluation.text import porter
from hf_medreport.evaluation.text.meteor import meteor
from hf_medreport.processing.input_error import InputError


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
        ("is", "is"),
        ("", ""),
        # Only nltk's own mode says these: irregular words, a y after a vowel, "ied" in a word of four letters.
        ("dying", "die"),
        ("innings", "inning"),
        ("x-rays", "x-ray"),
        ("lay", "lay"),
        ("died", "die"),
    ],
)
def test_examples(word, expected):
    assert porter.stem(word) == expected


def test_no_corpus_is_looked_for():
    """A stem asks neither the network nor nltk's folders of data, and importing a metric does not import nltk."""
    code = (
        "import sys; from hf_medreport.evaluation.text.meteor import meteor; assert 'nltk' not in sys.modules\n"
        "import nltk; nltk.data.find = nltk.download = None\n"
        "assert meteor(['lungs'], ['lung']).value == 0.5"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def no_nltk(monkeypatch):
    """nltk is not there, and no stem is remembered."""
    monkeypatch.setitem(sys.modules, "nltk.stem.porter", None)
    porter.stem.cache_clear(), porter._stemmer.cache_clear()


def test_without_nltk(no_nltk):
    expected = "stems: found no nltk; expected nltk, for METEOR and for ROUGE's stemmer; pip install"
    with pytest.raises(InputError, match=expected):
        meteor(["lungs"], ["lung"])
