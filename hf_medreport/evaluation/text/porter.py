"""Porter's stemmer: English words that differ by their ending only become equal ("effusions" and "effusion").

It is nltk's `PorterStemmer` with nltk's own deviations from Porter 1980, its default: rouge_score, and the METEOR of
nltk and `evaluate`, with which our values are compared, stem so. No data of nltk's is needed.
"""

from functools import cache, lru_cache

from hf_medreport.processing.input_error import InputError


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """The stem of one word, in lower case; InputError where nltk is missing."""
    return _stemmer().stem(word)


@cache
def _stemmer():
    try:
        from nltk.stem.porter import PorterStemmer  # here: importing it takes a second
    except ImportError:
        remedy = 'pip install "hf-medreport[evaluate]"'
        raise InputError("stems", "no nltk", "nltk, for METEOR and for ROUGE's stemmer", remedy) from None
    return PorterStemmer()
