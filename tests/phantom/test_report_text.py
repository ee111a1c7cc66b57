"""The grammar and its parser: what is written is read back exactly, and free text is read sensibly."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.phantom.findings import KINDS, Fact, draw_facts
from hf_medreport.phantom.grammar import WORDINGS, write_report
from hf_medreport.phantom.parser import Mention, parse_report
from hf_medreport.processing.input_error import InputError

SEED = st.integers(0, 2**32 - 1)


@settings(max_examples=400, deadline=None)
@given(SEED, st.sampled_from(["balanced", "natural"]), st.sampled_from(sorted(WORDINGS)))
def test_what_is_written_is_read_back(seed, prevalence, wordings):
    rng = np.random.default_rng(seed)
    facts = draw_facts(rng, prevalence)
    report = write_report(facts, rng, wordings)
    assert parse_report(report) == frozenset(facts), report
    assert parse_report(report.lower()) == frozenset(facts)
    # as a word-level tokenizer gives it back
    assert parse_report(" ".join(re.findall(r"\w+|[^\w\s]", report))) == frozenset(facts)


@settings(max_examples=200, deadline=None)
@given(SEED, st.sampled_from(sorted(WORDINGS)))
def test_form_of_a_report(seed, wordings):
    rng = np.random.default_rng(seed)
    report = write_report(draw_facts(rng), rng, wordings)
    assert re.fullmatch(r"FINDINGS: ([A-Z][^.]*\. )+IMPRESSION: ([A-Z][^.]*\. )*[A-Z][^.]*\.", report)
    assert "  " not in report and "\n" not in report
    assert len(report.split()) <= 70


EXAMPLES = [
    Fact(kind, "left" if table.sides else None, "upper" if table.zones else None, severity)
    for kind, table in KINDS.items()
    for severity in table.severities or (None,)
]


@pytest.mark.parametrize("wordings", WORDINGS)
def test_every_sentence_alone_states_its_fact_or_nothing(wordings):
    words = WORDINGS[wordings]
    for fact in EXAMPLES:
        size = {"mild": "small", "severe": "large"}.get(fact.severity, fact.severity)
        for template in words.findings[fact.kind]:
            text = template.format(side="left", zone="upper", severity=fact.severity, size=size)
            assert parse_report(text) == {fact}, text
    for sentence in (*sum(words.normal.values(), ()), *words.nothing):
        assert parse_report(sentence) == frozenset(), sentence


def templates(words):
    every = (*words.findings.values(), *words.normal.values(), *words.impression.values(), words.nothing)
    return {template.lower() for group in every for template in group}


def test_held_out_wordings_are_new_sentences_of_known_words():
    train, held_out = (templates(WORDINGS[name]) for name in ("train", "held_out"))
    # the same sentence with the severity said as a size is still the same sentence
    train_shapes, held_out_shapes = ({t.replace("size", "severity") for t in group} for group in (train, held_out))
    assert not train_shapes & held_out_shapes
    words = [set(re.findall(r"\w+|[^\w\s]", " ".join(group))) for group in (train, held_out)]
    assert words[1] - words[0] == set()


def test_report_by_hand():
    facts = (Fact("pleural_effusion", "left", severity="severe"),)
    for seed in range(20):
        report = write_report(facts, np.random.default_rng(seed))
        findings, impression = report.removeprefix("FINDINGS: ").split(" IMPRESSION: ")
        assert impression in ("Left pleural effusion.", "Pleural effusion on the left.")
        heart, pleura, lungs = re.findall(r"[^.]+\.", findings)
        assert "large" in pleura.lower() and "left" in pleura.lower() and "severe" not in report
        assert "heart" in heart.lower() or "cardiac" in heart.lower()
        assert "lung" in lungs.lower() or "consolidation" in lungs.lower()


def test_unknown_wordings_are_refused():
    with pytest.raises(InputError, match="wordings: found 'test'; expected train or held_out"):
        write_report((), np.random.default_rng(0), "test")


LEFT_SMALL = Fact("pleural_effusion", "left", severity="mild")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", []),
        ("Small left-sided pleural effusion.", [LEFT_SMALL]),
        ("SMALL LEFT PLEURAL EFFUSION", [LEFT_SMALL]),
        ("There is a trace effusion, left.", [LEFT_SMALL]),
        ("No pleural effusion, pneumothorax or focal consolidation.", []),
        ("No pneumothorax, but a small left effusion is present.", [LEFT_SMALL]),
        ("No pneumothorax; small left effusion.", [LEFT_SMALL]),
        ("There is no pneumothorax and there is a small left effusion.", [LEFT_SMALL]),
        ("Small left pleural effusion without pneumothorax.", [LEFT_SMALL]),
        ("Pneumothorax is not seen. Small left effusion.", [LEFT_SMALL]),
        ("The pneumothorax has resolved.", []),
        ("No change in the small left pleural effusion.", [LEFT_SMALL]),
        ("A small left effusion cannot be excluded.", [LEFT_SMALL]),
        ("The lungs are free of consolidation.", []),
        ("Pericardial effusion.", []),
        ("The heart is not enlarged.", []),
        ("The heart is normal and the aorta is enlarged.", []),
        ("Markedly enlarged cardiac silhouette.", [Fact("cardiomegaly", severity="severe")]),
        ("Bibasilar atelectasis.", [Fact("atelectasis", side, "lower") for side in ("left", "right")]),
        (
            "Consolidation in the right upper and left lower lobes.",
            [Fact("consolidation", "right", "upper"), Fact("consolidation", "left", "lower")],
        ),
        (
            "Consolidation in the right middle and lower lobes.",
            [Fact("consolidation", "right", "middle"), Fact("consolidation", "right", "lower")],
        ),
        (
            "Mild cardiomegaly with a small left effusion and right lower lobe atelectasis.",
            [Fact("cardiomegaly", severity="mild"), LEFT_SMALL, Fact("atelectasis", "right", "lower")],
        ),
        ("A 1.5 cm small nodule in the left upper lobe.", [Fact("nodule", "left", "upper", "small")]),
        # incomplete: a mention of the kind, with what was said of it
        ("Pleural effusion.", [Mention("pleural_effusion")]),
        ("Left effusion.", [Mention("pleural_effusion", "left")]),
        ("Small to moderate left effusion.", [Mention("pleural_effusion", "left")]),
        ("Consolidation in the lower lobe.", [Mention("consolidation", None, "lower")]),
        ("Cardiomegaly.", [Mention("cardiomegaly")]),
        # said in full elsewhere in the text
        ("Left effusion. Small left effusion. Effusion.", [LEFT_SMALL]),
        ("Right effusion. Small left effusion.", [LEFT_SMALL, Mention("pleural_effusion", "right")]),
    ],
)
def test_free_text_by_hand(text, expected):
    assert parse_report(text) == frozenset(expected)


CLINICAL = st.lists(
    st.sampled_from(
        ["no", "not", "small", "left", "both", "upper", "and", ",", ".", "effusion", "nodule", "heart", "enlarged"]
    )
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), CLINICAL.map(" ".join)))
def test_no_text_makes_the_parser_fail(text):
    for stated in parse_report(text):
        assert stated.kind in KINDS and isinstance(stated, Fact | Mention)
