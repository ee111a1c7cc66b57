"""What is no report, and that a reference always is one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.evaluation.rewards.validity import NO_TEXTS, flaw, known_of, words_of
from hf_medreport.phantom.chest.grammar import write_report
from hf_medreport.phantom.chest.patients import draw_facts

TRUE = (
    "FINDINGS: The heart is mildly enlarged. There is a small left pleural effusion. IMPRESSION: Left pleural effusion."
)
# About another film, and right as a report.
OTHER = "FINDINGS: The heart is normal in size. The lungs are clear. IMPRESSION: No acute disease."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (OTHER, None),
        (TRUE, None),
        ("", "empty"),
        ("?! 12 ...", "empty"),
        ("The heart is normal in size. The lungs are clear.", "no findings"),
        ("FINDINGS: The lungs are clear.", "no impression"),
        ("FINDINGS: IMPRESSION: No acute disease.", "no findings"),
        (OTHER.removesuffix("disease."), "no end"),
        (OTHER.replace("The lungs", "The lungs are clear. The lungs"), "repetition"),
        (OTHER.replace("clear", "clear clear clear"), "repetition"),
        (OTHER.replace("are clear", "are clear and are clear and are clear and"), "repetition"),
        (OTHER + " " + OTHER, "repetition"),
        ("FINDINGS: Qwe rty zz zz. IMPRESSION: Zz qq.", "no words"),
        ("FINDINGS: Bako tirem lupo dasine remo. IMPRESSION: Tirem lupo.", "no words"),  # of English shape
        ("FINDINGS: The heart is bxkq and zzrt in size pfgh. IMPRESSION: No acute wqkj.", "no words"),
        ("FINDINGS: Heart the size in normal is clear lungs are the. IMPRESSION: Disease acute no.", "no order"),
    ],
)
def test_what_is_no_report(text, expected):
    assert flaw(text, TRUE) == expected


def test_what_the_reference_does_may_be_done():
    """No sections, no full stop, a sentence twice, words of no language: in the reference they are no flaw."""
    assert flaw("clear lungs", "no effusion") is None
    twice = "Clear lungs today. Clear lungs today."
    assert flaw(twice, "Clear lungs today.") == "repetition" and flaw(twice, twice) is None
    assert flaw("Sin xqzt bbrr.", "Sin xqzt bbrr.") is None
    assert flaw("Clear lungs.", "INDICATION: Cough. TECHNIQUE: Two views. FINDINGS: Clear.") == "no findings"
    assert flaw("FINDINGS: Clear lungs.", "INDICATION: Cough. TECHNIQUE: Two views. FINDINGS: Clear.") is None


def test_a_cut_text_has_no_end():
    assert flaw(OTHER, TRUE, ended=False) == "no end"


def test_texts_of_another_language_are_given():
    true, said = "Pulmones sin alteraciones.", "Corazón grande con derrame pleural izquierdo hoy visto ahora."
    assert flaw(said, true) == "no words"
    known = known_of([said])
    assert flaw(said, true, known) is None
    scrambled = "Ahora visto hoy izquierdo pleural derrame con grande corazón."
    assert flaw(scrambled, true, known) == "no order" and NO_TEXTS.words == frozenset()


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from(["train", "held_out"]))
@settings(max_examples=30, deadline=None)
def test_any_drawn_report_is_one_beside_any_other(one, other, wordings):
    texts = [
        write_report(draw_facts(np.random.default_rng(seed), "balanced"), np.random.default_rng(seed), wordings)
        for seed in (one, other)
    ]
    assert flaw(*texts) is None and flaw(texts[0], texts[0]) is None


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_a_reference_with_a_word_is_a_report(text):
    assert flaw(text, text) == (None if words_of(text) else "empty")
