"""The words of chest reports: what names a finding, a place, a grade, a change. What denies or doubts: `phantom.scope`.

One vocabulary for whoever reads a report. All patterns are for text as `plain` leaves it: lower case, without hyphens,
abbreviations written out and fixed phrases said in one word ("no interval change" -> "unchanged").
"""

import re

__all__ = ["CHANGE_WORDS", "CONJUNCTION", "CONTRAST", "GRADE_WORDS", "HEDGES", "KIND_WORDS", "NUMBER_WORDS"]
__all__ += ["OTHER_SUBJECT", "PLACE_WORDS", "SIZE", "STATEMENT", "VERB", "plain", "sentences", "sizes_mm"]


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
    "consolidation": _words(r"consolidations?|consolidative|consolidated|air ?space disease"),
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
# A size of another day: "14 mm (previously 20 mm)", "decreased from 20 mm to 14 mm", "20 mm previously, now 14 mm".
_EARLIER = "previously|formerly|originally|initially|earlier|before"
_CHANGED = r"(?:(?:de|in)creas\w+|grown|shrunk|reduced|improved|changed)(?: \w+){0,3}|up|down"
_UP_TO_SIZE = r"(?:,? (?:it|measur\w+|was|at|of|about|only|an?|the|size))*,? "
_EARLIER_SIZE = re.compile(
    rf"\b(?:{_EARLIER}|prior|last (?:year|month|week)|compared (?:to|with)|(?:{_CHANGED}) from){_UP_TO_SIZE}"
    rf"{SIZE.pattern}|{SIZE.pattern} ?,?\(? ?(?:{_EARLIER}|on the (?:prior|previous))\b(?!{_UP_TO_SIZE}\d)"
)


def sizes_mm(words: str) -> tuple[float, ...]:
    """The largest diameter in mm of each size in the words, in lower case, but none of another day.

    "1.4 x 1.1 cm" is 14, "14 mm (previously 20 mm)" is 14 too.
    """
    if len(SIZE.findall(words)) > 1:
        words = _EARLIER_SIZE.sub(" ", words)
    return tuple(
        max(float(number) for number in re.findall(r"\d+(?:\.\d+)?", diameters)) * (10 if unit[0] == "c" else 1)
        for diameters, unit in SIZE.findall(words)
    )


# What follows these words is stated anew, whatever was negated before.
CONTRAST = _words(
    "but|however|although|though|except|with the exception of|aside from|apart from|other than|beyond|besides"
    "|in addition to|only|just|merely|simply|solely|rather(?! than)"
)
STATEMENT = _words("there is|there are")
CONJUNCTION = re.compile(r",|\b(?:and|with|plus|while)\b")
VERB = _words("is|are|was|were|has|have|shows?|appears?|remains?")
# A stretch that speaks of something else than the finding beside it: ", the left lung is clear".
OTHER_SUBJECT = re.compile(rf"\W*(?:(?:and|with|while) )?(?:the|left|right|both|remain\w+|lungs?)\b.*{VERB.pattern}")

# Said with fewer words, or with words that cannot be misread.
_DEGREE = (
    r"(?: (?:significant|interval|substantial|appreciable|relevant|other|large|major|evidence of|signs? of|further))*"
)
_REPLACED = [
    (r"n['\u2019]t\b", " not"),
    (
        r"\b(?:no|without|(?:lack|absence|failure) of)"
        + _DEGREE
        + " (?:changes?|increase|decrease|progression|worsening|improvement|regression"
        "|reduction|growth|shrinkage|enlargement|resolution|clearing|re ?expansion)",
        "unchanged",
    ),
    (r"\bnot (?:\w+ly )?(?:changed|increased|decreased|progressed|worsened|improved)", "unchanged"),
    (r"\bnot (?:\w+ly )?(?:been )?(?:resolved|cleared|removed)", "unchanged"),
    (
        r"\babsence of ([\w ]+?) (?:can ?not|could not) be (?:\w+ )?(?:confirmed|established|verified|proven)",
        r"possible \1",
    ),
    (r"\b(?:can ?not|could not) be (?:\w+ )?(?:confirmed|established|verified|proven)", "is possible"),
    (r"\bfail(?:s|ed|ing)? to (?:clear|resolve|improve|change|decrease|regress|re ?expand)", "unchanged"),
    (
        r"\b(?:can ?not|could not|can no longer|could no longer) (?:be )?(?=seen|identified|visuali[sz]ed|appreciated"
        "|detected|demonstrated)",
        "is not ",
    ),
    (r"\brule in or out", "rule out"),
    (r"\b(?:can ?not|could not|not|never) (?:be )?(?:\w+ )?(?:excluded?|ruled out)", "possible"),
    (r"\b(?:can ?not|does not|do not|not) (?:\w+ )?(?:exclude|rule out)", "possible"),
    (r"\b(?:difficult|hard|(?:im|not )possible) to (?:exclude|rule out|tell|say|determine|judge)", "possible"),
    (
        r"\b(?:was |were )?not (?:\w+ly )?(?:seen|present|identified|visuali[sz]ed|appreciated|noted|visible|evident)"
        r" (?:previously|before|(?:on|in) (?:the |a )?(?:prior|previous|earlier|preceding)|at that time)",
        "new since",
    ),
    (r"\bnot previously (?:seen|present|identified|visuali[sz]ed|noted)", "new"),
    (r"\band or\b", "or"),
    (r"\bnot only\b", ""),
    (r"\bnever\b", "not"),
    (r"\b(?:right|left) (?=(?:atri|ventric|heart|cardiac|main ?stem|main bronch))", ""),
    (r"\b(?:left )?lingular?\b", "left middle zone"),
    (r"\b(?:left )?retrocardiac\b", "left lower zone"),
    (r"\bdextro ?(?=scolio)", "convex right "),
    (r"\blevo ?(?=scolio)", "convex left "),
    (r"\bdextro ?convex", "convex right"),
    (r"\blevo ?convex", "convex left"),
    (r"\bconcave (?:to |towards? )?(?:the )?right", "convex left"),
    (r"\bconcave (?:to |towards? )?(?:the )?left", "convex right"),
]
_REPLACED = [(re.compile(pattern), words) for pattern, words in _REPLACED]
_ANY_REPLACED = re.compile("|".join(pattern.pattern for pattern, _ in _REPLACED))
# Short forms of one word.
_SHORT_FORMS = (
    "rul=right upper lobe|rml=right middle lobe|rll=right lower lobe|lul=left upper lobe|lll=left lower lobe"
    "|ptx=pneumothorax|pna=pneumonia|atx=atelectasis|eff=effusion|effs=effusions|consol=consolidation"
    "|infilt=infiltrate|fx=fracture|fxs=fractures|cardiomeg=cardiomegaly|pulm=pulmonary|cath=catheter"
    "|caths=catheters|ngt=ng tube|ogt=og tube|dht=dobhoff tube|cvl=central line|cvc=central line|ppm=pacemaker"
    "|iabp=balloon pump|trach=tracheostomy|bilat=bilateral|rt=right|lt=left|mod=moderate|sm=small|lg=large"
    "|poss=possible|prob=probable|neg=negative|hx=history|nl=normal|wnl=within normal limits"
)
_SHORT = dict(pair.split("=") for pair in _SHORT_FORMS.split("|"))
_WORD = re.compile(r"\w+")
# "w/o", "s/p", "L pl eff", as `plain` has them without the stroke.
_LETTERS = [
    (re.compile(r"\bw (?:o|out)\b"), "without"),
    (re.compile(r"\bw (?=\w)"), "with "),
    (re.compile(r"\bs p\b"), "status post"),
    (re.compile(r"\bb l\b"), "bilateral"),
    (re.compile(r"\bpl (?=eff)"), "pleural "),
]
_SIDED = (
    "pl|pleural|eff\\w*|ptx|pneumo\\w*|lung|base|basal|basilar|lower|upper|mid\\w*|apical|apex|sided?|hemi\\w*|picc|ij|ribs?"
    "|subclav\\w*|central|chest|lobe|atx|atelectasis|pna|consol\\w*|opacit\\w*|costophrenic|hil\\w*|perihilar|port|fx|scapula"
)
_LETTERS += [(re.compile(rf"\b{side[0]} (?=(?:{_SIDED})\b)"), f"{side} ") for side in ("left", "right")]
_A_LETTER = re.compile(r"\b(?:w|s|b|pl|l|r) ")
# What is listed with a stroke between is left open where one is a cause: "atelectasis/pneumonia".
_SIGN = (
    r"(?:atelecta\w+|atx|consolidation|consol|infiltrates?|effusions?|o?edema|opacit\w+|scar\w*|collapse|thickening)"
)
_CAUSE = r"(?:pneumonia|pna|infection|aspiration|mass|nodule|tumou?r|malignancy|hemorrhage)"
_STROKE = re.compile(rf"({_SIGN}) ?/ ?(?=(?:\w+ )?{_CAUSE}\b)|\b({_CAUSE}) ?/ ?(?=(?:\w+ )?(?:{_SIGN}|{_CAUSE})\b)")
# "Effusion: none", "Pneumothorax - no", "Edema (-)"; "negative" says the same without a colon.
_NONE = re.compile(
    r"(?:[:=\u2013\u2014]| -{1,2} | \() ?[(\[]?(?:none|no|nil|absent|not|n|0|-)"
    r"(?: (?:seen|present|identified|visuali[sz]ed|detected|evident|noted|evidence))?[)\]]?(?=\s*(?:[,.;]|$))"
)
_NOT_THERE = " is not there"
# "Effusion? No." answers, "Effusion?" and "? effusion" only ask. A text has few of them.
_ANSWERED = [
    (re.compile(r"\?+\s*(?:no|none|negative|absent)\b(?=\s*(?:[.,;]|$))", re.IGNORECASE), _NOT_THERE),
    (re.compile(r"\?+\s*(?:yes|present)\b", re.IGNORECASE), " is present"),
    (re.compile(r"(?:(?<![^.;,:(\n])|(?<=[.;,:(] )|(?<=\s)(?=\?+\w))\?+\s*(?=\w)"), "possible "),
    (re.compile(r"(?<=\w)\s*\(?\?+\)?(?=[\s.,;]|$)"), " questioned. "),
]
# In capitals, and no length: "CM with mild CHF".
_CARDIOMEGALY = re.compile(
    r"(?<![\dX] )(?<![\dX.])(?<!SEVERAL )(?<!FEW )(?<!ABOUT )\bCM\b(?! (?:above|below|from|in|ABOVE|BELOW|FROM|IN)\b)"
)

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
    """The sentence in lower case and single spaces, with hyphens, colons, short forms and known phrases replaced."""
    sentence = _NONE.sub(_NOT_THERE, sentence.lower())
    if "/" in sentence:
        sentence = _STROKE.sub(r"\1\2 or ", sentence)
    sentence = " ".join(re.sub(r"[-/:=]", " ", sentence).split())
    if _A_LETTER.search(sentence):
        for pattern, words in _LETTERS:
            sentence = pattern.sub(words, sentence)
    if not _SHORT.keys().isdisjoint(_WORD.findall(sentence)):
        sentence = _WORD.sub(lambda word: _SHORT.get(word[0], word[0]), sentence)
    if _ANY_REPLACED.search(sentence):
        for pattern, words in _REPLACED:
            sentence = pattern.sub(words, sentence)
        sentence = " ".join(sentence.split())
    return sentence


def sentences(text: str) -> list[str]:
    """The sentences that speak of this film, each as `plain` leaves it."""
    text = _CARDIOMEGALY.sub("cardiomegaly", _NEW_LINE.sub(". ", _ASKED_SECTION.sub("", text)))
    if "?" in text:
        for pattern, words in _ANSWERED:
            text = pattern.sub(words, text)
    text = re.sub(r"(\d) \. (\d)", r"\1.\2", text.lower())  # a decimal point that a tokenizer has set apart
    text = _HEADING.sub(". ", text)
    return [plain(sentence) for sentence in _SENTENCE_END.split(text) if sentence.strip()]
