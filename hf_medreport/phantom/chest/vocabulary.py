"""The words of chest reports: what names a finding, a place, a grade, a change, and what negates or doubts it.

One vocabulary for whoever reads a report. All patterns are for text as `plain` leaves it: lower case, without hyphens,
abbreviations written out and fixed phrases said in one word ("no interval change" -> "unchanged").
"""

import re

__all__ = ["ASKS", "CHANGE_WORDS", "CONJUNCTION", "CONTRAST", "GRADE_WORDS", "HEDGES", "KIND_WORDS", "NEGATES_AFTER"]
__all__ += ["NEGATES_BEFORE", "NUMBER_WORDS", "OTHER_SUBJECT", "PLACE_WORDS", "SIZE", "STATEMENT", "VERB", "plain"]
__all__ += ["sentences"]


def _words(pattern: str) -> re.Pattern:
    return re.compile(rf"\b(?:{pattern})\b")


# "opacity", "infiltrate" and "pneumonia" are left out: they do not say which finding it is.
KIND_WORDS = {
    "cardiomegaly": _words(
        r"cardiomegaly|enlarge(?:d|ment)(?:(?! and) \w+){0,3} (?:heart|cardiac)"
        r"|(?:heart|cardiac)(?:(?! and) \w+){0,5} enlarge(?:d|ment)"
    ),
    "tortuous_aorta": _words(
        r"(?:tortuous|tortuosity|unfolded|unfolding|uncoiled|uncoiling)(?: \w+){0,4} aorta"
        r"|aort(?:a|ic)(?: \w+){0,5} (?:tortuous|tortuosity|unfolded|unfolding|uncoiled|uncoiling)"
    ),
    "pleural_effusion": _words(r"(?<!pericardial )(?<!joint )effusions?|pleural fluid"),
    "pneumothorax": _words(r"pneumothora(?:x|xes|ces)"),
    "consolidation": _words(r"consolidations?|consolidative|consolidated|air ?space (?:disease|opacity|opacities)"),
    "atelectasis": _words(r"atelecta(?:sis|ses|tic)|(?:lobe|lobar) collapse|collapse of(?: \w+){1,3} lobe"),
    "interstitial_edema": _words(
        r"(?<!soft tissue )(?<!subcutaneous )(?<!peripheral )(?<!wall )(?<!leg )o?edema|kerley b? ?lines"
    ),
    "nodule": _words(r"nodules?|nodular|(?<!mediastinal )(?<!soft tissue )(?<!breast )mass(?! effect)|masses"),
    "calcified_granuloma": _words(
        r"(?:calcified (?:\w+ )?)?granulomas?|granulomata|granulomatous (?:disease|calcifications?|infections?|process)"
        r"|calcified (?:\w+ )?nodules?"
    ),
    "hyperinflation": _words(
        r"(?:hyper|over) ?(?:inflat|expan|aerat|disten)(?:ed|ded|ion|sion|tion|ded)|hyper ?lucent lungs?"
    ),
    "elevated_diaphragm": _words(
        r"(?:elevat(?:ed|ion)|raised)(?:(?! and) \w+){0,4} (?:hemi ?)?diaphragms?"
        r"|(?:hemi ?)?diaphragm(?:s|atic)?(?:(?! and) \w+){0,3} (?:elevated|elevation|raised)"
    ),
    "rib_fracture": _words(
        r"ribs?(?:(?! and) \w+){0,3} fractur(?:e|es|ed)|fractur(?:e|es|ed)(?:(?! and) \w+){0,5} ribs?|broken ribs?"
    ),
    "scoliosis": _words(r"scolio(?:sis|tic)|(?:levo|dextro) ?curvature|curvature of (?:the )?(?:\w+ ){0,2}spine"),
    "endotracheal_tube": _words(r"(?:endo ?)?tracheal tube|et tube|ett|intubated"),
    "central_line": _words(
        r"central (?:venous )?(?:\w+ )?(?:lines?|catheters?)|picc(?: lines?| catheters?)?"
        r"|port a cath|mediport|chest port"
        r"|(?:subclavian|jugular|ij|infusion)(?: \w+){0,2} (?:lines?|catheters?|ports?)"
    ),
    "pacemaker": _words(r"pace ?makers?|pacers?|pacing (?:device|leads?|wires?)|a?icd|defibrillators?"),
}

PLACE_WORDS = {
    "right": _words("right|bilateral|bilaterally|both|bibasilar|bibasal|biapical"),
    "left": _words("left|bilateral|bilaterally|both|bibasilar|bibasal|biapical"),
    "upper": _words("upper|apex|apical|apices|biapical"),
    "middle": _words("middle|mid|midlung|midzone"),
    "lower": _words("lower|base|bases|basal|basilar|bibasilar|bibasal"),
}
GRADE_WORDS = {
    "mild": _words("mild|mildly|small|trace|tiny|minimal|minimally|slight|slightly"),
    "moderate": _words("moderate|moderately"),
    "severe": _words("severe|severely|large|massive|marked|markedly"),
}
NUMBER_WORDS = {
    "single": _words("single|solitary|isolated|one"),
    "multiple": _words("multiple|several|numerous|few|many|scattered|two|three|four|five|six"),
}
CHANGE_WORDS = {
    "new": _words("new|newly"),
    "increased": _words("increas(?:ed|ing)|enlarging|larger|worse|worsen(?:ed|ing)|progress(?:ed|ing|ive)|grown"),
    "decreased": _words(
        r"decreas(?:ed|ing)(?! (?:lung|inspir))|smaller|improv(?:ed|ing|ement)|reduced|diminished|resolving"
    ),
    "unchanged": _words("unchanged|stable|persistent|persists?|again|remains?"),
}
HEDGES = _words(
    "possibl[ey]|probabl[ey]|suspect(?:ed)?|suspicio(?:us|n)|questionabl[ey]|question of|equivocal|may|might|could"
    "|likely|suggest(?:s|ed|ing|ive)?|concern(?:ing)? for|versus|vs|uncertain"
)
# (diameters, unit), as in "1.4 x 1.1 cm".
_DIAMETER = r"(?<![\d.])\d{1,6}(?:\.\d{1,6})?"
SIZE = re.compile(
    rf"({_DIAMETER}(?: ?(?:x|by) ?{_DIAMETER}){{0,2}}) ?(mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?)\b"
)

# What a report asks or remembers is stated no more than what it denies.
ASKS = _words(
    "rule out|r o|evaluat(?:e|ion) (?:for|of)|assess(?:ment)? (?:for|of)|exclude|history of|h o"
    r"|(?:document|ensure|confirm)(?:ing)?(?: \w+)? (?:resolution|clearing)(?: of)?"
    r"|correlat\w+(?: \w+)? for|sensitive (?:for|in|to)|if there is (?:\w+ )?(?:concern|suspicion) (?:for|of)"
)
NEGATES_AFTER = _words(
    "no|not|without|neither|nor|free of|clear of|negative for|absence of|absent|lack of|denies|resolved|rather than"
    "|(?<!partial )(?<!incomplete )(?:resolution|clearing) of|removal of|" + ASKS.pattern
)
# What has nearly resolved is still there.
_IN_PART = ("nearly", "almost", "partially", "incompletely", "mostly", "largely")
_NOT_IN_PART = "".join(f"(?<!{word} )(?<!{word} completely )" for word in _IN_PART)
NEGATES_BEFORE = re.compile(
    rf"\b(?:(?:is|are|was|were|has|have)(?: (?!(?:{'|'.join(_IN_PART)})\b)\w+){{0,2}}"
    r" (?:not|no longer|absent|resolved|cleared|removed)|ruled out)\b"
    rf"|\b{_NOT_IN_PART}(?:resolved|cleared|removed|absent"
    r"|not (?:well |clearly )?(?:seen|present|identified|visuali[sz]ed|appreciated))$"
)
# What follows these words is stated anew, whatever was negated before.
CONTRAST = _words("but|however|although|though|except|with the exception of|aside from|apart from|other than")
STATEMENT = _words("there is|there are")
CONJUNCTION = re.compile(r",|\b(?:and|with|plus|while)\b")
VERB = _words("is|are|was|were|has|have|shows?|appears?|remains?")
# A stretch that speaks of something else than the finding beside it: ", the left lung is clear".
OTHER_SUBJECT = re.compile(rf"\W*(?:(?:and|with|while) )?(?:the|left|right|both|remain\w+|lungs?)\b.*{VERB.pattern}")

# Said with fewer words, or with words that cannot be misread.
_DEGREE = r"(?: (?:significant|interval|substantial|appreciable|relevant|other|large|major|evidence of))*"
_REPLACED = [
    (r"n['\u2019]t\b", " not"),
    (r"\b(?:no|without)" + _DEGREE + " (?:changes?|increase|decrease|progression|worsening)", "unchanged"),
    (r"\bnot (?:\w+ly )?(?:changed|increased|decreased|progressed|worsened|improved)", "unchanged"),
    (r"\bnot (?:\w+ly )?(?:been )?(?:resolved|cleared|removed)", "unchanged"),
    (r"\b(?:can ?not|could not|not|never) (?:be )?(?:\w+ )?(?:excluded?|ruled out)", "possible"),
    (r"\b(?:can ?not|does not|do not|not) (?:\w+ )?(?:exclude|rule out)", "possible"),
    (r"\b(?:difficult|hard) to (?:exclude|rule out)", "possible"),
    (
        r"\b(?:was |were )?not (?:\w+ly )?(?:seen|present|identified|visuali[sz]ed|appreciated)"
        r" (?:previously|before|(?:on|in) (?:the |a )?(?:prior|previous|earlier|preceding)|at that time)",
        "new since",
    ),
    (r"\bnot previously (?:seen|present|identified|visuali[sz]ed|noted)", "new"),
    (r"\band or\b", "or"),
    (r"\bnot only\b", ""),
    (r"\b(?:right|left) (?=(?:atri|ventric|heart|cardiac|main ?stem|main bronch))", ""),
    (r"\bdextro ?(?=scolio)", "convex right "),
    (r"\blevo ?(?=scolio)", "convex left "),
    (r"\bdextro ?convex", "convex right"),
    (r"\blevo ?convex", "convex left"),
    (r"\bconcave (?:to |towards? )?(?:the )?right", "convex left"),
    (r"\bconcave (?:to |towards? )?(?:the )?left", "convex right"),
    (r"\b(?:left )?lingular?\b", "left middle zone"),
    (r"\b(?:left )?retrocardiac\b", "left lower zone"),
    (r"\brul\b", "right upper lobe"),
    (r"\brml\b", "right middle lobe"),
    (r"\brll\b", "right lower lobe"),
    (r"\blul\b", "left upper lobe"),
    (r"\blll\b", "left lower lobe"),
    (r"\bptx\b", "pneumothorax"),
]
_REPLACED = [(re.compile(pattern), words) for pattern, words in _REPLACED]
_ANY_REPLACED = re.compile("|".join(pattern.pattern for pattern, _ in _REPLACED))

_ASKED = r"(?:clinical |patient )?(?:history|information|indications?)|reason for \w+|comparisons?|technique|procedure"
# From such a heading to the next one, or to an empty line, nothing is said of this film.
_ASKED_SECTION = re.compile(
    rf"\b(?:{_ASKED}|exam(?:ination)?) ?:.*?(?=\n[ \t]*\n|\b(?:findings?|impression|conclusion|opinion|report) ?:|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_HEADING = re.compile(r"\b(?:findings?|impression|conclusion|opinion|report) ?:")
# A line that begins with a capital or as an item of a list begins a sentence; any other goes on with the one before.
_NEW_LINE = re.compile(r"\n\s*(?=[A-Z*\-]|\d+[.)])|\n\s*\n")
_SENTENCE_END = re.compile(r"(?<!\bvs)\.(?!\d)|[!?;]")


def plain(sentence: str) -> str:
    """The sentence in lower case and single spaces, with hyphens, colons and known phrases replaced."""
    sentence = " ".join(re.sub(r"[-/:]", " ", sentence.lower()).split())
    if _ANY_REPLACED.search(sentence):
        for pattern, words in _REPLACED:
            sentence = pattern.sub(words, sentence)
        sentence = " ".join(sentence.split())
    return sentence


def sentences(text: str) -> list[str]:
    """The sentences that speak of this film, each as `plain` leaves it."""
    text = _NEW_LINE.sub(". ", _ASKED_SECTION.sub("", text))
    text = re.sub(r"(\d) \. (\d)", r"\1.\2", text.lower())  # a decimal point that a tokenizer has set apart
    text = _HEADING.sub(". ", text)
    return [plain(sentence) for sentence in _SENTENCE_END.split(text) if sentence.strip()]
