"""Descriptions of films, as who asks for a picture writes them: read back, they are the facts they were made of."""

import numpy as np
import pytest

from hf_medreport.phantom.chest.findings import KINDS, Fact
from hf_medreport.phantom.chest.grammar import WORDINGS, write_description
from hf_medreport.phantom.chest.parser import facts_from_text
from hf_medreport.phantom.chest.patients import draw_facts
from hf_medreport.processing.input_error import InputError


def described(facts, seed, wordings="train"):
    return write_description(facts, np.random.default_rng(seed), wordings)


@pytest.mark.parametrize("wordings", WORDINGS)
def test_read_back_they_are_the_facts(wordings):
    kinds, sentences = set(), 0
    for seed in range(120):
        facts = draw_facts(np.random.default_rng(seed)) or (Fact("tortuous_aorta"),)
        text = described(facts, seed, wordings)
        sentences += text.endswith(".")
        kinds |= {fact.kind for fact in facts}
        # The strict reader takes no side that a finding does not have: "edema in both lungs".
        read = facts_from_text(text.replace("both lungs", "the lungs").replace("Both lungs", "The lungs"))
        assert {(fact.key, fact.size_mm, fact.number, fact.certain) for fact in read} == {
            (fact.key, fact.size_mm, fact.number, fact.certain) for fact in facts
        }, text
    assert kinds == set(KINDS) and 40 < sentences < 90  # both forms


def test_by_hand():
    effusion = [Fact("pleural_effusion", "left", severity="mild")]
    assert {described(effusion, seed) for seed in range(30)} == {
        "small left pleural effusion",
        "small pleural effusion on the left",
        "There is a small left pleural effusion.",
        "A small pleural effusion is seen on the left.",
        "Small left-sided pleural effusion is present.",
        "The left pleural space shows a small effusion.",
    }
    words = {described([Fact("cardiomegaly", severity="severe")], seed) for seed in range(30)}
    assert {"severe cardiomegaly", "severely enlarged heart"} <= words
    nodule = {described([Fact("nodule", "right", "upper", size_mm=40, certain=False)], seed) for seed in range(20)}
    assert "possible 40 mm right upper zone mass" in nodule
    several = [Fact("calcified_granuloma", "left", "lower", number="multiple")]
    assert "multiple left lower zone calcified granulomas" in {described(several, seed) for seed in range(20)}


def test_train_and_held_out_share_no_description_of_a_sided_finding():
    facts = [Fact("pleural_effusion", "left", severity="mild")]
    sets = [{described(facts, seed, wordings) for seed in range(40)} for wordings in ("train", "held_out")]
    assert not sets[0] & sets[1]


def test_nothing_is_described_too():
    assert {described([], seed) for seed in range(30)} == set(WORDINGS["train"].nothing)


def test_unknown_wordings():
    with pytest.raises(InputError, match="wordings: found 'other'; expected train or held_out"):
        described([], 0, "other")
