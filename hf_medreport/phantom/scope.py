"""What a clause says of a thing that it names: that it is stated, denied, doubted, asked after, or of another day.

The method is ConText's (Harkema et al. 2009, "ConText: an algorithm for determining negation, experiencer, and temporal
status from clinical reports"), which medspaCy has too. A *cue* is some words, what they say, the direction in which
they say it and what ends their reach. As there, a cue that says nothing hides shorter ones in it ("no change in",
"near complete resolution of"), and a clause ends every reach. What differs: our ends look at how a thing is reached,
not only at which words stand between ("after", "around", "associated with" end a denial for their own object alone);
the nearer of denial and doubt holds; what a verb says goes back to all that is listed before it. The cues are our own.

Cues are looked for from left to right, the first row of the table that fits wins, and none begins within another.
All is for text as `vocabulary.plain` leaves it.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from hf_medreport.phantom.chest.vocabulary import CONJUNCTION, STATEMENT

__all__ = ["AFTER", "ASKS", "BEFORE", "DENIES", "Cue", "said_of"]

Span = tuple[int, int]


class Cue(NamedTuple):
    """Words, what they say, and what ends their reach; which direction they reach is the table's."""

    words: str
    says: str
    ends: tuple[str, ...] = ()


# --- words that several cues share ------------------------------------------------------------------------------------

_SEEN = (
    r"(?:seen|present|there|identified|visuali[sz]ed|appreciated|detected|demonstrated|evident|apparent|noted|found"
    r"|visible|observed|recogni[sz]ed|shown|discernible|in evidence|recurred|returned|developed)"
)
_ADVERBS = r"(?:(?:\w+ly|well|yet|been|so|any|at all|quite|as|much) )*"
# What a thing does that is there, or fails to do.
_LEFT = (
    r"(?:resol\w+|clear(?:ed|ing)?|remov\w+|disappear\w*|gone?|vanish\w*|subsid\w+|abat\w+|reced\w+|regress\w*"
    r"|shr[aiu]nk\w*|gr[eo]w\w*|re ?expand\w*|drain\w*|tapped|aspirated|layer\w*|heal\w*|improv\w+|chang\w+|better"
    r"|worse\w*|smaller|larger|bigger|increas\w+|decreas\w+|reduc\w+|lessen\w*|progress\w*|advance\w*|withdrawn"
    r"|mov\w+|migrat\w+|normali[sz]\w+|displac\w+|repositioned|replaced|evacuated|diminish\w*)"
)
_COURSE = (
    r"(?:changes?|improvement|resolution|clearing|disappearance|reduction|decrease|increase|enlargement|growth"
    r"|shrinkage|regression|progression|worsening|re ?expansion|extension|expansion|migration|displacement|movement"
    r"|kink(?:ing)?|malposition\w*|complications?|response|deterioration|dislodge?ment|evolution|alteration|shift|loosening|retraction|rotation)"
)
_IN_PART = (
    r"(?:near(?:ly)?|almost|part(?:ial(?:ly)?)?|incomplete(?:ly)?|subtotal|mostly|largely|slow(?:ly)?|gradual(?:ly)?"
    r"|some(?:what)?|all but|ongoing|continu(?:ed|ing)|minimal(?:ly)?|slight(?:ly)?|virtual(?:ly)?)"
)
_RESOLUTION = r"(?:resolution|clearing|disappearance)"
_GONE = (
    r"(?:resolved|cleared|removed|disappeared|vanished|gone|subsided|extracted|explanted|taken out|pulled(?! back)"
    r"|re ?expanded|absent)"
)
_NOT_WHOLLY = rf"(?! (?:in|for|to) (?:\w+ ){{0,2}}(?:part|degree|extent)\b| {_IN_PART})"
_IS = r"(?:is|are|was|were|has|have|had)"
_OLD = r"(?:prior|previous|earlier|old|last|preceding|initial|first)"
_STUDY = r"(?:films?|stud(?:y|ies)|exam\w*|radiographs?|images?|imaging|x rays?|cxr|ct|scan|one|comparison)"
_SHOWED = r"(?:showed|shown|demonstrated|revealed|displayed|described|documented|had)"
_DAY = (
    r"(?:yesterday|last (?:week|month|year|night|time)|previously|formerly|(?:days?|weeks?|months?|years?) ago"
    r"|in (?:19|20)\d\d|at that time)"
)
_UNSURE = r"(?:unclear|uncertain|unsure|unknown|doubtful|not (?:\w+ )?(?:clear|certain|sure|known))"
_UNPROVEN = r"(?:\w+ )?(?:definite|certain|conclusive|proven|confirmed)"
_DOUBTED = (
    r"(?:possible|suspected|probable|questionable|questioned|equivocal|uncertain|unlikely|(?:less|more) likely|favored"
    r"|considered|a (?:\w+ )?(?:possibility|consideration|concern)|in the differential"
    r"|likely(?= present| there|$|,| but)|doubtful|unclear|in (?:doubt|question)|(?<!age )indeterminate"
    rf"|not {_UNPROVEN})"
)
_LACKING = r"(?:no|without|(?:lack|absence|failure) of)"
_ASKS = (
    r"rule out|r o|(?:re ?)?evaluat(?:e|ed|ion|ing) (?:for|of)|assess(?:ed|ment|ing)? (?:for|of)|exclude|history of|h o"
    r"|(?:document|ensure|confirm)(?:ing)?(?: \w+)? (?:resolution|clearing)(?: of)?|correlat\w+(?: \w+)? for"
    r"|(?:in)?sensitiv(?:e|ity) (?:for|in|to)|(?:check|look|watch|monitor|screen|search)(?:ed|ing)? for"
    r"|clinical (?:concern|suspicion|question) (?:for|of)|(?:concern|suspicion) clinically (?:for|of)|risk (?:of|for)"
    r"|in (?:case|the event) of|follow up for|(?:limited|inadequate|suboptimal) for(?: (?:the )?\w+ of)?"
    r"|for (?:the )?(?:detection|exclusion) of"
)
_DENIES = (
    r"no|not|without|neither|nor|none of|free of|clear of|negative for|absence of|absent|lack of|denies|resolved"
    r"|rather than|instead of|(?:resolution|clearing|disappearance|removal|extraction) of"
)
ASKS, DENIES = (re.compile(rf"\b(?:{words})\b") for words in (_ASKS, _DENIES))

# --- the cues ---------------------------------------------------------------------------------------------------------

_LED_TO = ("with", "comma that lists nothing")

# What reaches the things after it.
AFTER = (
    # hides what looks like a denial
    Cue(r"(?:no|without|beyond)(?: \w+){0,2} (?:doubt|question)(?! of)|not in doubt", "nothing"),
    Cue(rf"{_LACKING}(?: (?!or\b|and\b)\w+){{0,2}} {_COURSE} (?:of|in|to)", "nothing"),
    Cue(rf"(?:no longer|not) {_ADVERBS}(?:{_LEFT}|{_SEEN}(?! (?:to|any|an?)\b))", "nothing"),
    Cue(rf"(?:{_IN_PART}|substantial|considerable|marked)(?: \w+){{0,2}} (?:{_RESOLUTION}(?: of)?|{_GONE})", "nothing"),
    Cue(rf"{_RESOLUTION} of (?:most|much|some|part|the majority) of", "nothing"),
    Cue(rf"{_IS}(?: \w+)? {_GONE}", "nothing"),
    Cue(r"(?:as|even) if", "nothing"),
    # asks
    Cue(_ASKS, "asked"),
    Cue(rf"{_UNSURE} (?:whether|if|that)|whether|if (?:any|at all)", "doubted", _LED_TO),
    Cue(
        r"if|^should|should(?: \w+){0,2} (?:signs?|symptoms?|evidence|concern|suspicion) (?:of|for)",
        "asked",
        ("comma",),
    ),
    # tells of another day
    Cue(rf"{_OLD}(?: {_STUDY}| \w+ {_STUDY})?(?: on \w+)? ?,?(?: which| that)?(?: had| have)? {_SHOWED}", "past"),
    Cue(rf"{_STUDY} (?:of|from) (?:yesterday|last \w+|\w+ \w+ ago) {_SHOWED}", "past"),
    Cue(rf"(?:{_DAY}|on (?:\w+ )?{_OLD}(?: {_STUDY})?) ?,?(?: \w+){{0,2}}? there (?:was|were|had been)", "past"),
    # doubts all that it leads to
    Cue(
        r"(?:may|might|could|can|would) (?:\w+ )?(?:be|represent|reflect|relate|indicate|suggest|signify|have)"
        r"|(?:possibly|probably|likely|perhaps) (?:to )?(?:represent|reflect|relate|due|secondary|from)\w*"
        r"|possibility of|unlikely|(?:less|more) likely|(?:more|most) consistent with|versus|vs",
        "doubted",
        _LED_TO,
    ),
    # doubts one thing
    Cue(
        r"possibl[ey]|probabl[ey]|potential(?:ly)?|questionable|equivocal|suspect(?:ed)?|likely|perhaps|presumed"
        r"|doubtful|uncertain(?! (?:significance|etiology|origin|nature|age))|query",
        "doubted",
        ("list",),
    ),
    # doubts, unless it is denied itself: "nothing to suggest X", "no concern for X"
    Cue(
        r"suggest(?:s|ed|ing|ive)?|concern(?:s|ing)? (?:for|of)|(?:suspicio(?:us|n)|worrisome|worry) (?:for|of)"
        r"|questions?(?: of)?|favor(?:ed|s|ing)?",
        "supposed",
        _LED_TO,
    ),
    Cue(r"differential|considerations? includes?", "supposed"),
    # denies
    Cue(_DENIES, "denied", ("relation", "new statement", "there is")),
)

# What reaches back to the thing before it, and to what is listed with that.
BEFORE = (
    # asks
    Cue(r"(?:is|was) the (?:reason|indication|question)", "asked"),
    # tells of another day
    Cue(r"^ (?:yesterday|last (?:week|month|night|time))(?=$|,| ,)", "past"),
    # denies
    Cue(r"not (?:today|now|currently|on (?:today|the (?:current|present)))|no more|none (?:now|today)", "denied"),
    # hides what looks like a denial
    Cue(rf"not (?!{_ADVERBS}{_SEEN}\b)(?!{_UNPROVEN}\b)(?:(?!and\b|but\b|or\b)\w+ ?){{1,4}}", "nothing"),
    Cue(rf"(?:{_IS} )?{_IN_PART}(?: \w+){{0,2}} {_GONE}", "nothing"),
    # denies what is no longer there
    Cue(
        rf"(?:now|{_IS}(?: (?!{_IN_PART}\b|not\b)\w+){{0,2}}) {_GONE}{_NOT_WHOLLY}|{_GONE}$|no longer|ruled out",
        "denied",
    ),
    Cue(rf"{_IS}(?: \w+){{0,2}} not {_ADVERBS}{_SEEN}|not {_ADVERBS}{_SEEN}(?=$|,| ,)", "denied"),
    Cue(
        r"^ (?:interval )?(?:removal|extraction|explantation)|^ ?(?:\w+ ?)?,? (?:none|nil|negative(?=$|,| ,))", "denied"
    ),
    Cue(r"^ (?:is |are |appears? )?within (?:normal )?limits", "denied"),
    # doubts
    Cue(
        r"(?:is|are|was|were|remains?|seems?|should be|may be|might be|could be|thought)"
        rf" (?:\w+ )?{_DOUBTED}(?! to\b)|(?:may|might|could) (?:also )?be (?:present|developing|there)"
        rf"|{_DOUBTED}(?=$|,| (?:in|at|on|given|but|and|or|based|by|than)\b)",
        "doubted",
    ),
    Cue(r"^(?: \w+){0,4} (?:versus|vs)", "doubted"),
)

# --- what ends a reach ------------------------------------------------------------------------------------------------

# What belongs to something that is there: it ends a denial for its own object, not for what is listed after that.
_RELATION = re.compile(
    r"\b(?:after|following|status post|post|despite|in spite of|in the (?:presence|setting|context|face) of|adjacent to"
    r"|next to|beside|near|around|surrounding|within|inside|related to|associated with|accompanying|complicating"
    r"|superimposed on|on top of|to explain|since|with (?:the|left|right|indwelling|existing|known)"
    r"|(?:due to|from|caused by) (?:the|an?)|(?:above|below|behind|along) the"
    r"|(?:at|in|on) the (?:site|tip|level|area|region|side|bed|vicinity) of)\b(?:(?! (?:and|or|nor)\b)[^,])*\Z"
)
# "no pneumothorax, small effusion", "no pneumothorax and a small effusion". A bare "and" goes on denying: "no
# pneumothorax and large effusion"; so does a list that ends in "or" or "and".
_NEW_STATEMENT = re.compile(
    r"(?: ?,|,? (?:and|with)(?= an? )| ?, (?:and|with)|,? with) (?:an? )?"
    r"(?:stable|unchanged|persistent|chronic|old|small|trace|tiny|mild|minimal|moderate|large)\b"
    r"(?!.*\b(?:or|nor|and)\b)"
)
_WITH = re.compile(r"\b(?:with|without|no)\b|^[^,]*, and\b")
_LINK = re.compile(r"\b(?:and|or|versus|vs)\b")


def _new_statement(clause: str, cue: int, thing: int) -> bool:
    return any(match.start() < thing for match in _NEW_STATEMENT.finditer(clause, cue))


def _list(clause: str, cue: int, thing: int) -> bool:
    joint = CONJUNCTION.search(clause, cue, thing)
    return bool(joint) and not (joint[0] == "," and " or " in clause[joint.end() :])


def _comma_that_lists_nothing(clause: str, cue: int, thing: int) -> bool:
    comma = clause.find(",", cue, thing)
    return comma >= 0 and not _LINK.search(clause, comma)


# What ends a reach -> whether it does between a cue that ends at the first place and a thing that begins at the second.
ENDS: dict[str, Callable[[str, int, int], object]] = {
    "relation": lambda clause, cue, thing: _RELATION.search(clause, cue, thing),
    "new statement": _new_statement,
    "there is": lambda clause, cue, thing: STATEMENT.search(clause, cue, thing),
    "list": _list,
    "with": lambda clause, cue, thing: _WITH.search(clause[cue:thing]),
    "comma": lambda clause, cue, thing: clause.find(",", cue, thing) >= 0,
    "comma that lists nothing": _comma_that_lists_nothing,
}
# What is not seen of a device that is there; "in position" says where the device was.
_PART_OF_IT = re.compile(r"(?<!\bin )\b(?:tip|end|side port|position|course|portion)\b")
# What was there on another day and is there today: "there was an effusion, now smaller".
_STILL = re.compile(
    r"\b(?:still|persist\w*|unchanged|again|stable|remain\w*|now (?:\w+ )?(?:small\w*|large\w*|(?:de|in)creas\w+"
    r"|improv\w+|moderate|mild|worse|less|more|tiny|trace|seen|present))\b"
)
# What may stand between two things that one verb speaks of.
_LISTED = re.compile(
    r"(?: (?!is\b|are\b|has\b|have\b|with\b)\w+){0,4} ?,?(?: (?!is\b|are\b|has\b|have\b|with\b)\w+){0,5} "
)


# --- reading ----------------------------------------------------------------------------------------------------------


def said_of(clause: str, thing: Span, named: Sequence[Span]) -> str:
    """What the clause says of a thing: "stated", "denied", "doubted", "asked" (also whether it ever was) or "past".

    Args:
        clause: as `parser.clauses` cuts it.
        thing: where the words stand that name it.
        named: of all that the clause names, in its order, `thing` too.
    """
    start, end = thing
    last = {"denied": -1, "doubted": -1}
    supposed = False
    for says, ends, at in _cues_after(clause):
        if at > end or any(ENDS[name](clause, at, start) for name in ends):
            continue
        if says == "asked" or says == "past" and not _STILL.search(clause, end):
            return says
        supposed = supposed or says == "supposed"
        if says in last:
            last[says] = at
    back = _said_before(_after(clause, thing, named))
    if "asked" in back:
        return "asked"
    if "past" in back and not _STILL.search(clause, end):
        return "past"
    if "denied" in back or last["denied"] > last["doubted"]:
        return "denied"
    return "doubted" if "doubted" in back or supposed or last["doubted"] >= 0 else "stated"


def _scanner(cues: Sequence[Cue]) -> re.Pattern:
    """One pattern of a table; the number of the group that fits is that of the cue's row, from 1."""
    return re.compile("|".join(rf"({'' if cue.words[0] == '^' else chr(92) + 'b'}(?:{cue.words})\b)" for cue in cues))


_AFTER, _BEFORE = _scanner(AFTER), _scanner(BEFORE)


@lru_cache(maxsize=4096)
def _cues_after(clause: str) -> list[tuple[str, tuple[str, ...], int]]:
    """(what it says, what ends it, where its words end) of each cue that says something, in order."""
    found = [(AFTER[match.lastindex - 1], match.end()) for match in _AFTER.finditer(clause)]
    return [(cue.says, cue.ends, end) for cue, end in found if cue.says != "nothing"]


def _said_before(words: str) -> set[str]:
    said = {BEFORE[match.lastindex - 1].says for match in _BEFORE.finditer(words)}
    return said - {"denied"} if _PART_OF_IT.search(words) else said


def _after(clause: str, thing: Span, named: Sequence[Span]) -> str:
    """What the clause says after a thing and what is listed with it, up to the next that is named."""
    last = place = named.index(thing)
    while place + 1 < len(named):
        gap = clause[named[place][1] : named[place + 1][0]]
        if not _LISTED.fullmatch(gap):
            break
        place += 1
        last = place if _LINK.search(gap) else last
    end = named[last][1]
    return clause[end : next((start for start, _ in named if start >= end), None)]
