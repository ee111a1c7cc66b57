"""The grammar of scopes: an example for each cue and for each end, and what must hold of any clause."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.phantom.chest.vocabulary import sentences
from hf_medreport.phantom.scope import AFTER, BEFORE, ENDS, said_of


def said(text, thing="effusion"):
    """What the one sentence of the text says of the thing; "tube" and "nodule" may be named too."""
    (clause,) = sentences(text)
    named = [match.span() for match in re.finditer(rf"{thing}|tube|nodule", clause)]
    return said_of(clause, next(span for span in named if clause[slice(*span)] == thing), named)


# In the order of the tables; "nothing" leaves the thing stated.
AFTER_EXAMPLES = [
    ("There is no doubt about the effusion.", "stated"),
    ("No kinking of the tube or effusion.", "stated"),
    ("It has not disappeared beside the effusion.", "stated"),
    ("Near complete resolution of the effusion.", "stated"),
    ("Resolution of most of the effusion.", "stated"),
    ("It has resolved beside the effusion.", "stated"),
    ("It looks as if effusion.", "stated"),
    ("Evaluate for effusion.", "asked"),
    ("It is unclear whether effusion.", "doubted"),
    ("Ultrasound if effusion.", "asked"),
    ("The previous film showed an effusion.", "past"),
    ("The film of yesterday showed an effusion.", "past"),
    ("Last week there was an effusion.", "past"),
    ("It may represent effusion.", "doubted"),
    ("Possible effusion.", "doubted"),
    ("Suspicious for effusion.", "doubted"),
    ("The differential includes effusion.", "doubted"),
    ("No effusion.", "denied"),
]
BEFORE_EXAMPLES = [
    ("Effusion is the reason for the film.", "asked"),
    ("There was an effusion last week.", "past"),
    ("Effusion on the prior but not today.", "denied"),
    ("The effusion has not disappeared.", "stated"),
    ("The effusion has nearly resolved.", "stated"),
    ("The effusion has disappeared.", "denied"),
    ("The effusion is not seen.", "denied"),
    ("Effusion removal.", "denied"),
    ("Effusion within normal limits.", "denied"),
    ("The effusion is doubtful.", "doubted"),
    ("Effusion versus.", "doubted"),
]


def rows_that_fit(table, text):
    (clause,) = sentences(text)
    patterns = [re.compile(cue.words if cue.words[0] == "^" else rf"\b(?:{cue.words})\b") for cue in table]
    after = clause[clause.index("effusion") + len("effusion") :]
    return [bool(pattern.search(clause if table is AFTER else after)) for pattern in patterns]


@pytest.mark.parametrize(
    "table, examples", [(AFTER, AFTER_EXAMPLES), (BEFORE, BEFORE_EXAMPLES)], ids=["after", "before"]
)
def test_every_cue_has_its_example(table, examples):
    assert len(table) == len(examples)
    for row, (text, status) in enumerate(examples):
        assert rows_that_fit(table, text)[row], (text, table[row])
        assert said(text) == status, text


@pytest.mark.parametrize(
    "end, ended, reached",
    [
        ("relation", "No tube after effusion.", "No tube, or effusion."),
        ("relation", "No tube associated with the effusion.", "No tube after the film or effusion."),
        ("new statement", "No tube, small effusion.", "No tube, effusion."),
        ("new statement", "No tube and a small effusion.", "No tube and large effusion."),
        ("there is", "Removal of it there is effusion.", "Removal of it and effusion."),
    ],
)
def test_what_ends_a_denial(end, ended, reached):
    assert any(end in cue.ends for cue in AFTER if cue.says == "denied")
    assert said(ended) == "stated" and said(reached) == "denied"


@pytest.mark.parametrize(
    "end, ended, reached",
    [
        ("list", "Possible tube and effusion.", "Possible tube or effusion."),
        ("with", "May represent a tube with effusion.", "May represent a tube or effusion."),
        ("comma that lists nothing", "May represent a tube, effusion.", "May represent a tube, nodule or effusion."),
    ],
)
def test_what_ends_a_doubt(end, ended, reached):
    assert said(ended) == "stated" and said(reached) == "doubted"


def test_a_condition_ends_at_its_comma():
    assert said("If it grows, effusion.") == "stated" and said("If it grows effusion.") == "asked"


def test_every_end_is_used():
    assert {end for cue in AFTER for end in cue.ends} == set(ENDS)


def test_the_nearer_of_denial_and_doubt_holds():
    assert said("No possible effusion.") == "doubted" and said("Possibly no effusion.") == "denied"
    assert said("Nothing but no concern for effusion.") == "denied"  # a concern alone doubts
    assert said("Concern for effusion.") == "doubted"


def test_what_was_there_and_is_still():
    assert said("Last week there was an effusion which persists.") == "stated"


def test_a_verb_goes_back_to_all_that_is_listed():
    assert said("Effusion and tube have resolved.") == "denied"
    assert said("Effusion, the tube is removed.") == "stated"
    assert said("The tip of the effusion is not seen.") == "denied"
    assert said("Tube tip is not seen.", "tube") == "stated"


FILLERS = ["the", "a", "in", "on", "left", "right", "lung", "zone", "is", "are", "seen", "small", "large"]


@given(st.lists(st.sampled_from(FILLERS), max_size=6), st.lists(st.sampled_from(FILLERS), max_size=6))
def test_without_a_cue_a_thing_is_stated_and_behind_no_it_is_denied(before, after):
    words = [*before, "effusion", *after]
    clause = " ".join(words)
    span = (clause.index("effusion"), clause.index("effusion") + len("effusion"))
    assert said_of(clause, span, [span]) == "stated"
    moved = (span[0] + 3, span[1] + 3)
    assert said_of(f"no {clause}", moved, [moved]) == "denied"


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_clause_makes_it_fail(before, after):
    span = (len(before), len(before) + 8)
    assert said_of(f"{before}effusion{after}", span, [span]) in ("stated", "denied", "doubted", "asked", "past")
