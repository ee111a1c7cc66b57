"""Porter's stemmer: English words that differ by their ending only become equal ("effusions" and "effusion").

Porter 1980, "An algorithm for suffix stripping", with the deviations of nltk's `PorterStemmer`, because ROUGE and
METEOR values are compared with packages that use it. Written out here so that a stemmed metric needs no package.

A stem's *measure* is how often a run of vowels is followed by a run of consonants in it; most rules ask for one or two.
"""

from functools import lru_cache

_IRREGULAR = {
    "skies": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "innings": "inning",
    "outings": "outing",
    "cannings": "canning",
    **{word: word for word in ("sky", "news", "inning", "outing", "howe", "proceed", "exceed", "succeed")},
    "canning": "canning",
}

_STEP_2 = (
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
)
_STEP_3 = (
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
)
# In this order: "ement" before "ment" before "ent".
_STEP_4 = ("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate")
_STEP_4 += ("iti", "ous", "ive", "ize")


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """The stem of one word, in lower case."""
    word = word.lower()
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 2:
        return word
    word = _past_and_participle(_plural(word))
    if word.endswith("y") and len(word) > 2 and _shape(word)[-2] == "c":
        word = word[:-1] + "i"
    word = _derivation(word)
    word = _replace_first(word, _STEP_3)
    word = _last_suffix(word)
    return _tidy(word)


def _shape(word: str) -> str:
    """Each letter as c(onsonant) or v(owel); a y is a vowel after a consonant."""
    shape = ""
    for letter in word:
        vowel = letter in "aeiou" or (letter == "y" and shape[-1:] == "c")
        shape += "v" if vowel else "c"
    return shape


def _measure(word: str) -> int:
    return _shape(word).count("vc")


def _ends_short(word: str) -> bool:
    """Whether it ends like "hop": consonant, vowel, consonant other than w, x and y; or is a vowel and a consonant."""
    shape = _shape(word)
    return (shape.endswith("cvc") and word[-1] not in "wxy") or shape == "vc"


def _replace_first(word: str, rules: tuple[tuple[str, str], ...]) -> str:
    """The first ending that fits decides, whether what stands before it is long enough or not."""
    for suffix, replacement in rules:
        if word.endswith(suffix):
            before = word.removesuffix(suffix)
            return before + replacement if _measure(before) > 0 else word
    return word


def _plural(word: str) -> str:
    if word.endswith("ies"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("sses"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _past_and_participle(word: str) -> str:
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for suffix in ("ed", "ing"):
        before = word.removesuffix(suffix)
        if before != word and "v" in _shape(before):
            break
    else:
        return word
    if before.endswith(("at", "bl", "iz")):
        return before + "e"
    if before[-1:] == before[-2:-1] and _shape(before)[-1] == "c":
        return before if before[-1] in "lsz" else before[:-1]
    return before + "e" if _measure(before) == 1 and _ends_short(before) else before


def _derivation(word: str) -> str:
    if word.endswith("alli") and _measure(word[:-4]) > 0:
        return _derivation(word[:-2])
    if word.endswith("logi"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    return _replace_first(word, _STEP_2)


def _last_suffix(word: str) -> str:
    for suffix in _STEP_4:
        if word.endswith(suffix):
            before = word.removesuffix(suffix)
            long_enough = _measure(before) > 1 and (suffix != "ion" or before[-1] in "st")
            return before if long_enough else word
    return word


def _tidy(word: str) -> str:
    if word.endswith("e"):
        before = word[:-1]
        if _measure(before) > 1 or (_measure(before) == 1 and not _ends_short(before)):
            word = before
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word
