"""Whether a rewritten report still says what its source says: numbers, sides, negations.

A language model that summarizes a report may round a size, drop a node count, exchange left and right or turn "no
invasion" into "invasion". Each of these can be seen without understanding the text, by comparing what both texts hold:

- numbers, with the unit or the stage letter they stand with ("1.5 cm", "0/3", "T2"); "three" counts as 3, "grade II" as
  grade 2, and the numbers of a list ("1. Breast ... 2. Nodes") do not count;
- sides, with the organ they stand beside ("right kidney", "Kidney, right");
- negations, with the words of their clause ("no perineural invasion", "margins: negative").

It is a guard, no judge. It rather flags a faithful text ("5 mm" for "0.5 cm") than passes an unfaithful one, but a
number given to another organ, or a word without number, side or negation, it does not see.
"""

import re

__all__ = ["lost_facts"]

NUMBER_WORDS = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7"}
NUMBER_WORDS |= {"eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12"}
ROMAN = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5"}
LIST_NUMBER = re.compile(r"(?:^|(?<=[.;]\s))\(?\d{1,2}[.)]\s+(?=\D)")
# "Diagnosis: 1. Breast" begins a list, "Positive nodes: 1. Margins" does not: a 2. must follow.
FIRST_NUMBER = re.compile(r"(?<=:\s)\(?1[.)]\s+(?=\D.*?[.;]\s\(?2[.)]\s)")
WORD_NUMBER = re.compile(rf"\b({'|'.join(NUMBER_WORDS)})\b")
ROMAN_NUMBER = re.compile(r"\b(grade|stage|type|group|level|class)\s+(iii|ii|iv|i|v)(?=[abc]?\b)")
# The T, N and M of a stage, also run together: "pT2N0M0", "ypT1b N0".
STAGE = re.compile(r"(?:\b[ycpra]{0,2}|(?<=\d)|(?<=\d[a-d]))([tnm])(\d)(is|mi|[a-d])?(?!\d|\.\d)")
NUMBER = re.compile(
    r"([<>]=?|[≤≥])?\s*(\d+(?:[.,]\d+)*)(?:\s*(/)\s*(\d+(?:\.\d+)?))?"
    r"(?:\s*(mm|cm|kg|g|grams?|ml|%)(?![a-z]))?"
)
PRODUCT = re.compile(r"(?<![\d.])\d[\d.]*+(?:\s*[x×]\s*\d[\d.]*+)+\s*(mm|cm)\b")
SIGNS = {"≤": "<=", "≥": ">="}

SIDE = re.compile(r"\b(left|right|bilateral(?:ly)?)\b")
ORGAN = re.compile(
    r"\b(breast|kidney|renal|nephrectomy|lung|lobe|colon|hemicolectomy|axilla|axillary|ovary|ovarian|tube|testis|"
    r"adrenal|ureter|pelvis|neck|thyroid|tonsil|temporal|frontal|parietal|occipital|hip|thigh|leg|arm|shoulder|chest|"
    r"hepatic|pleura|bronchus|prostate|seminal|eye|ear)(?:s|es)?\b"
)
SAME_ORGAN = {"renal": "kidney", "nephrectomy": "kidney", "hemicolectomy": "colon", "axillary": "axilla"}
SAME_ORGAN |= {"ovarian": "ovary"}
ORGAN_REACH = 30  # letters between a side and its organ

NEGATION = re.compile(
    r"\b(?:no|not|non|none|never|nor|neither|without|negative|absent|absence|free|cannot|lack|lacks|lacking|fails?|"
    r"denies|uninvolved)\b|n't\b"
)
NO_NEGATION = re.compile(r"\bnot otherwise specified\b|\bno\.\s*(?=\d)")
CLAUSE_END = re.compile(r"[.;,](?:\s+|$)|\bbut\b|\bhowever\b")
# Words that carry no content of their own beside a negation.
EMPTY = re.compile(
    rf"\b(?:{'|'.join(NUMBER_WORDS)}|a|all|also|an|and|any|are|as|at|be|been|by|evidence|examined|for|found|from|has|"
    r"have|identified|in|involved|is|it|its|noted|of|on|or|present|see|seen|show|shows|status|that|the|there|this|to|was|were|"
    r"which|with)\b"
)
SAME_WORD = {"tumou": "tumor", "carci": "tumor", "malig": "tumor", "neopl": "tumor", "cance": "tumor"}
STEM = 5  # letters: "margin" and "margins", "invasion" and "invasive"


def lost_facts(source: str, output: str) -> list[str]:
    """What `output` lost of `source`, and what it invented.

    Returns:
        one line a fact, empty where all is kept: "lost number 1.5 cm", "invented side left kidney",
        "lost negation 'no perineural invasion'".
    """
    source, output = _plain(source), _plain(output)
    lost = _differences("number", _numbers(source), _numbers(output))
    lost += _differences("side", *_comparable(_sides(source), _sides(output)))
    return lost + _lost_negations(source, output)


def _plain(text: str) -> str:
    return " ".join(text.lower().replace("’", "'").split())


def _differences(kind: str, source: set[str], output: set[str]) -> list[str]:
    lost = [f"lost {kind} {fact}" for fact in sorted(source - output)]
    return lost + [f"invented {kind} {fact}" for fact in sorted(output - source)]


# --- numbers ---


def _numbers(text: str) -> set[str]:
    text = LIST_NUMBER.sub("", FIRST_NUMBER.sub("", text))
    text = WORD_NUMBER.sub(lambda match: NUMBER_WORDS[match[1]], text)
    text = ROMAN_NUMBER.sub(lambda match: f"{match[1]} {ROMAN[match[2]]}", text)
    # "3 x 2 cm" is "3 cm x 2 cm"
    text = PRODUCT.sub(lambda match: re.sub(r"\s*[x×]", f" {match[1]} x", match[0]), text)
    stages = {f"{letter.upper()}{number}{part}" for letter, number, part in STAGE.findall(text)}
    return stages | {_number(match) for match in NUMBER.finditer(STAGE.sub(" ", text))}


def _number(match: re.Match) -> str:
    sign, value, slash, whole, unit = match.groups(default="")
    unit = {"gram": "g", "grams": "g"}.get(unit, unit)
    return f"{SIGNS.get(sign, sign)}{_value(value)}{slash}{_value(whole)}" + (f" {unit}" if unit else "")


def _value(digits: str) -> str:
    """ "1.50" and "1.5" are one number, as are "1,200" and "1200"."""
    digits = re.sub(r",(?=\d{3}\b)", "", digits)
    if re.fullmatch(r"\d+\.\d+", digits):
        digits = digits.rstrip("0").rstrip(".")
    return re.sub(r"^0+(?=\d)", "", digits)


# --- sides ---


def _sides(text: str) -> set[tuple[str, str]]:
    """Each side with the organ nearest to it in its sentence, or with ""."""
    found = set()
    for sentence in re.split(r"[.;](?:\s+|$)", text):
        organs = list(ORGAN.finditer(sentence))
        for match in SIDE.finditer(sentence):
            near = [(_gap(match, organ), organ[1]) for organ in organs if _gap(match, organ) <= ORGAN_REACH]
            organ = min(near)[1] if near else ""
            found.add((match[1].removesuffix("ly"), SAME_ORGAN.get(organ, organ)))
    return found


def _gap(one: re.Match, other: re.Match) -> int:
    return max(one.start() - other.end(), other.start() - one.end())


def _comparable(source: set, output: set) -> tuple[set[str], set[str]]:
    """Sides that both texts tie to an organ are compared with it, the others alone."""
    shared = {organ for _, organ in source} & {organ for _, organ in output} - {""}
    return tuple(
        {side for side, _ in sides} | {f"{side} {organ}" for side, organ in sides if organ in shared}
        for sides in (source, output)
    )


# --- negations ---


def _lost_negations(source: str, output: str) -> list[str]:
    told, kept = _negated(source), _negated(output)
    told_words, kept_words = (set().union(*clauses.values()) for clauses in (told, kept))
    lost = []
    for clause, words in told.items():
        if not (any(_covers(other, words) for other in kept.values()) if words else kept):
            lost.append(f"lost negation '{clause}'")
    for clause, words in kept.items():
        if not (_covers(told_words, words) if words else told):
            lost.append(f"invented negation '{clause}'")
    return lost


def _covers(words: set[str], wanted: set[str]) -> bool:
    """Whether most are there: of "lymph-vascular invasion" two of three, of "perineural invasion" both."""
    return 2 * len(words & wanted) > len(wanted)


def _negated(text: str) -> dict[str, set[str]]:
    """Each clause with a negation -> the stems of its other words.

    A bare "negative" or "no tumor" is said of what stands before the comma.
    """
    found, before = {}, ""
    for clause in map(str.strip, CLAUSE_END.split(NO_NEGATION.sub(" ", text))):
        if NEGATION.search(clause):
            words = _stems(clause)
            if words <= {"tumor"} and before:
                clause = f"{before}, {clause}"
                words = _stems(clause)
            found[clause] = words
        before = clause
    return found


def _stems(clause: str) -> set[str]:
    words = re.findall(r"[a-z]{2,}", EMPTY.sub(" ", NEGATION.sub(" ", clause)))
    stems = {word[:STEM] for word in words}
    return {SAME_WORD.get(stem, stem) for stem in stems}
