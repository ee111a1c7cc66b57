"""Reads the facts out of a pathology report, by vocabulary rather than by template.

Sentences, clauses and negation are those of the chest's parser; the words are those of the table in `findings` and
their synonyms. Site, diagnosis, grade and size are looked for in a whole sentence, the rest in the stretch of it that
speaks of its subject ("no necrosis | and marked inflammation"). A text may state a field twice, with two values: both
are returned, and one of them at least will be false.

What it misses: other words, ranges ("fewer than 5 mitoses"), and which of two tumors a number belongs to.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from hf_medreport.phantom.chest.parser import clauses, is_negated, named_in, pieces
from hf_medreport.phantom.chest.vocabulary import GRADE_WORDS, HEDGES, SIZE, sentences
from hf_medreport.phantom.scope import ASKS
from hf_medreport.phantom.slide.findings import BENIGN

__all__ = ["parse_slide_report"]


def _words(pattern: str) -> re.Pattern:
    return re.compile(rf"\b(?:{pattern})\b")


_NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
# "fewer than 5" is a range and no count.
_RANGE = r"(?<!than )(?<!least )(?<!up to )(?<!most )(?<![<>~])(?<![<>~] )"
_COUNT = rf"(?<![\d.]){_RANGE}(?:\d{{1,3}}|{'|'.join(_NUMBERS)}|none|no|all)(?!\.\d)"

SITE_WORDS = {
    "breast": _words("breasts?|mammary|mastectomy|lumpectomy"),
    "colon": _words("colon|colonic|colorectal|colectomy|hemicolectomy|sigmoid|cecum"),
    "lung": _words("lungs?|pulmonary|lobectomy|pneumonectomy"),
    "kidney": _words("kidneys?|renal|nephrectomy"),
}
# Where a tumor has spread is not where it comes from.
_SPREAD = re.compile(r"\bmetasta\w+ (?:to|in) (?:the )?\Z")

_INVASIVE = r"(?:(?:invasive|infiltrating) )?(?:mammary |breast )?"
DIAGNOSIS_WORDS = {
    "invasive ductal carcinoma": _words(
        rf"{_INVASIVE}duct(?:al)? (?:adeno)?carcinomas?(?! in situ)|idc"
        r"|(?:invasive|infiltrating) (?:mammary |breast )?carcinomas? of no special type"
    ),
    "invasive lobular carcinoma": _words(rf"{_INVASIVE}lobular (?:adeno)?carcinomas?(?! in situ)|ilc"),
    "adenocarcinoma": _words(r"adenocarcinomas?(?! in situ)"),
    "squamous cell carcinoma": _words(r"squamous (?:cell )?carcinomas?(?! in situ)|epidermoid carcinomas?"),
    "clear cell renal cell carcinoma": _words(
        r"clear cell (?:type )?(?:renal (?:cell )?)?(?:adeno)?carcinomas?|ccrcc"
        r"|(?:conventional )?renal cell carcinomas? ?,? (?:of )?(?:the )?(?:clear cell|conventional)(?: type)?"
    ),
}
_BENIGN_WORDS = _words(
    r"benign|non neoplastic|(?:no|without|free of|negative for)(?: (?!and\b)\w+){0,3}"
    r" (?:malignan(?:cy|t cells)|carcinoma(?! in situ)|cancer|neoplas(?:m|ia))"
    r"|(?:no|without)(?: evidence of| residual)+ tumou?r"
)
# Sentences that say where a tumor is not, not that there is none.
_ELSEWHERE = _words("margins?|edges?|nod(?:es?|al)|lymphovascular|perineural|vascular|invasion")

_GRADE = re.compile(
    r"\bgrade(?: group)?(?: is| of)? (?:g ?)?([1-4]|iv|i{1,3}|one|two|three)\b(?!\.\d)|\bg([1-4])\b"
    r"|\b(high|intermediate|low) grade\b(?! dysplasia| dcis| ductal carcinoma in situ)"
    r"|\bgrade(?: is)? (high|intermediate|low)\b"
    r"|\b(well|moderately|poorly)(?: to (well|moderately|poorly))? differentiated\b"
    r"|\bdifferentiation(?: is)? (good|moderate|poor)\b|\b(undifferentiated)\b"
)
_GRADES = {"1": 1, "2": 2, "3": 3, "4": 4, "i": 1, "ii": 2, "iii": 3, "iv": 4, "one": 1, "two": 2, "three": 3}
_GRADES |= {"low": 1, "intermediate": 2, "high": 3, "well": 1, "moderately": 2, "poorly": 3}
_GRADES |= {"good": 1, "moderate": 2, "poor": 3, "undifferentiated": 4}

# What a size that follows, or stands right before, belongs to.
_MEASURED = _words(r"tumou?rs?|mass|lesion|size|diameter|dimension|extent|\w*carcinomas?|measur\w+|focus")
_NOT_MEASURED = _words(
    "margins?|edges?|nod(?:es?|al)|specimen|distance|segments?|fragments?|aggregate|received|invasion"
)
_AWAY = re.compile(r" ?(?:away )?(?:from|to|of the(?: \w+)? (?:margin|edge))\b")

_FIELDS = r"(?:high power (?:fields?|views?)|hpfs?)"
_PER_FIELDS = rf"(?:per|in|of) (?:10|ten) (?:consecutive )?{_FIELDS}"
_MITOSIS = r"(?:mitos[ei]s|mitotic(?! (?:score|grade|spindle))(?: (?:figures?|count|rate|activity|index))?)"
_MITOSES_PER_FIELDS = re.compile(rf"({_COUNT})(?: [a-z]+){{0,3}}? {_PER_FIELDS}\b")
_MITOSES_ALONE = re.compile(
    rf"({_COUNT})(?: [a-z]+)? {_MITOSIS}\b|\b{_MITOSIS}(?: [a-z]+){{0,3}}? \(?({_COUNT})\b(?! ?[cm]m\b)"
)

# Subject -> its words; each stretch of a sentence speaks of the subjects that it names.
SUBJECTS = {
    "necrosis": _words("necrosis|necrotic|necroses"),
    "inflammation": _words("inflammation|inflammatory|lymphocyt(?:es|ic)|(?:lympho\\w+|immune) infiltrates?"),
    "mitoses": _words(_MITOSIS),
    "margin": _words("margins?|(?:cut|inked|resection) (?:edges?|surfaces?|lines?)"),
    "nodes": _words("nod(?:es?|al)"),
    "other": _words("measur\\w+|size|diameter|dimension|grade|differentiated"),
}
DEGREE_WORDS = {
    "necrosis": {
        "focal": _words("focal|focally|foc(?:us|i)|patchy|limited|spotty|" + GRADE_WORDS["mild"].pattern),
        "extensive": _words(
            "extensive|extensively|widespread|diffuse|abundant|confluent|geographic|" + GRADE_WORDS["severe"].pattern
        ),
    },
    "inflammation": {
        "mild": _words("sparse|scant|scanty|few|low|weak|" + GRADE_WORDS["mild"].pattern),
        "marked": _words(
            "dense|heavy|heavily|brisk|intense|prominent|abundant|pronounced|" + GRADE_WORDS["severe"].pattern
        ),
    },
}
_MARGIN_NEGATIVE = _words(
    r"negative|uninvolved|free|clear(?! cell)|not (?:\w+ )?(?:involved|reached|positive)"
    r"|away from|from the(?: \w+)? margin"
    r"|(?:no|without)(?: \w+)? (?:tumou?r|carcinoma|involvement|malignancy)|not (?:reach|extend|involve)\w*"
)
_MARGIN_POSITIVE = _words(
    r"positive|involve(?:d|s|ment)|present (?:at|in|on)|extend(?:s|ing)? to(?! within)|reach(?:es|ed)?|touch(?:es|ed)?"
    r"|transected|(?:at|on) the(?: \w+)? (?:margins?|edges?)|(?:shows?|contains?|with) (?:tumou?r|carcinoma)"
)
_NODES_COUNTED = re.compile(
    rf"({_COUNT}) (?:out )?of (?:the |a total of )?({_COUNT})(?: [a-z]+){{0,3}} nodes?\b"
    rf"|\bnod(?:es?|al)\b(?:(?!\bgrade)[^;])*?({_COUNT}) (?:out )?of (?:the |a total of )?({_COUNT})(?! {_FIELDS})\b"
)
_NO_NODES = re.compile(
    r"\bno (?:[a-z]+ )?(?:lymph )?nodes?\b(?!(?: is| are)? (?:positive|involved|with|show\w*|contain\w*|metasta))"
    r"|\bnodes?(?: is| are)? (?:absent|not (?:submitted|received|included|identified|sampled|examined|present))"
)
_NODES_NAMED = re.compile(rf"(?:\b(all|each|both) )?(?:the )?({_COUNT})(?: [a-z]+){{0,3}}? nodes?\b")
_NODES_NEGATIVE = _words(r"no|negative|free|uninvolved|benign|without|absent|not involved")
_NODES_POSITIVE = _words(r"positive|involved|metasta\w+|tumou?r|carcinoma")

_FRACTION = re.compile(r"(?<![\d.])(\d{1,3}) ?/ ?(\d{1,3})(?![\d.]*\d)")
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d{1,2} ?[cm]m\b)", re.IGNORECASE)

Pair = tuple[str, object]


def parse_slide_report(text: str) -> frozenset[Pair]:
    """What a report states, as (field, value) pairs of the kind of `SlideFacts.facts`.

    Sizes in mm become cm; numbers are read as they stand, also those that no `SlideFacts` takes (7.5 cm, grade 4). What
    is denied is not stated, but that necrosis, inflammation or mitoses are absent is; what is asked, remembered or only
    suspected is not. A degree, a status or a count that is left open ("necrosis is present") states nothing. Never
    raises.
    """
    text = _DECIMAL_COMMA.sub(".", _FRACTION.sub(r"\1 of \2", text))
    return frozenset(pair for sentence in sentences(text) for pair in _stated(sentence))


@lru_cache(maxsize=4096)  # reports repeat each other's sentences
def _stated(sentence: str) -> frozenset[Pair]:
    if ASKS.search(sentence):
        return frozenset()
    pairs: set[Pair] = {("site", value) for value in _sites(sentence)}
    pairs |= {("diagnosis", value) for value in _diagnoses(sentence)}
    pairs |= {("grade", value) for value in _grades(sentence)}
    pairs |= {("size_cm", value) for value in _sizes_cm(sentence)}
    for clause, named in clauses(sentence, named_in(sentence, SUBJECTS)):
        for words, here in pieces(clause, named):
            if not HEDGES.search(words):
                pairs |= {(one[2], _value(one, words, clause)) for one in here}
    return frozenset(pair for pair in pairs if pair[1] is not None)


def _value(one: tuple[int, int, str], words: str, clause: str) -> object:
    """What the words say of a subject that is named in them, `one` being its place in the clause; None: nothing."""
    subject = one[2]
    if subject in DEGREE_WORDS:
        return _degree(one, words, clause)
    if subject == "mitoses":
        return _mitoses(one, words, clause)
    if subject == "margin":
        return "negative" if _MARGIN_NEGATIVE.search(words) else "positive" if _MARGIN_POSITIVE.search(words) else None
    return _nodes(words) if subject == "nodes" else None


def _sites(sentence: str) -> Iterator[str]:
    for site, pattern in SITE_WORDS.items():
        if any(not _SPREAD.search(sentence, 0, match.start()) for match in pattern.finditer(sentence)):
            yield site


def _diagnoses(sentence: str) -> set[str]:
    found = {
        one[2]
        for clause, named in clauses(sentence, named_in(sentence, DIAGNOSIS_WORDS))
        for one in named
        if not is_negated(clause, one) and not HEDGES.search(clause)
    }
    if not found and _BENIGN_WORDS.search(sentence) and not _ELSEWHERE.search(sentence):
        return {BENIGN}
    return found


def _grades(sentence: str) -> set[int]:
    return {_GRADES[word] for match in _GRADE.finditer(sentence) for word in match.groups() if word}


def _sizes_cm(sentence: str) -> Iterator[float]:
    """The largest diameter of each size of the tumor: what it belongs to stands right after it or last before."""
    for match in SIZE.finditer(sentence):
        diameters, unit = match.groups()
        before, after = sentence[: match.start()], sentence[match.end() :]
        tumor = [found.end() for found in _MEASURED.finditer(before)]
        other = [found.end() for found in _NOT_MEASURED.finditer(before)]
        if _NOT_MEASURED.match(after.lstrip()) or _AWAY.match(after):
            continue
        if _MEASURED.match(after.lstrip()) or max(tumor, default=0) >= max(other, default=0):
            largest = max(float(number) for number in re.findall(r"\d+(?:\.\d+)?", diameters))
            yield round(largest / (1 if unit[0] == "c" else 10), 2)


def _degree(one: tuple[int, int, str], words: str, clause: str) -> str | None:
    """Absent if denied beside the name, else the degree that stands nearest to it, else absent if denied from afar."""
    subject = one[2]
    start, end = SUBJECTS[subject].search(words).span()
    if is_negated(words, (start, end, subject)):
        return "absent"
    degrees = [
        (abs(match.start() - start), degree)
        for degree, pattern in DEGREE_WORDS[subject].items()
        for match in pattern.finditer(words)
    ]
    if degrees:
        return min(degrees)[1]
    return "absent" if is_negated(clause, one) else None


def _mitoses(one: tuple[int, int, str], words: str, clause: str) -> int | None:
    match = _MITOSES_PER_FIELDS.search(words) or _MITOSES_ALONE.search(re.sub(rf"\b{_PER_FIELDS}\b", "", words))
    if match:
        return _number(next(word for word in match.groups() if word))
    return 0 if is_negated(clause, one) else None


def _nodes(words: str) -> tuple[int, int] | None:
    """(positive, examined)."""
    match = _NODES_COUNTED.search(words)
    if match:
        positive, examined = (word for word in match.groups() if word)
        examined = _number(examined)
        return None if examined is None else (examined if positive == "all" else _number(positive), examined)
    if _NO_NODES.search(words):
        return 0, 0
    match = _NODES_NAMED.search(words)
    examined = _number(match[2]) if match else None
    if not examined:
        return None
    if _NODES_NEGATIVE.search(words):
        return 0, examined
    return (examined, examined) if match[1] and _NODES_POSITIVE.search(words) else None


def _number(word: str) -> int | None:
    """None for "all", which is no number."""
    if word == "all":
        return None
    return 0 if word in ("no", "none") else _NUMBERS.index(word) if word in _NUMBERS else int(word)
