"""Descriptions in other words: never a negation, a side or a number less, and none that belongs to another finding."""

import random
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.diffusion.prompts import KEPT, SYNONYMS, PromptAugmentation, sentences

ALL = PromptAugmentation(synonym=1, shuffle=1, dropout=1)
GROUPS = {name: group[0] for group in SYNONYMS for name in group}


NAMES = re.compile("|".join(rf"\b{name}\b" for name in sorted(GROUPS, key=len, reverse=True)), re.IGNORECASE)


def canonical(text):
    """Names that mean the same said as one name, in lower case."""
    return NAMES.sub(lambda match: GROUPS[match[0].lower()], text).lower()


def said(augment, prompt, tries=40):
    return {augment(prompt, "CXR", random.Random(seed)) for seed in range(tries)}


def test_by_hand():
    order = PromptAugmentation(synonym=0, shuffle=1, dropout=0)
    assert said(order, "Hyperinflation, tortuous aorta.") == {
        "Hyperinflation, tortuous aorta.",
        "Tortuous aorta, hyperinflation.",
    }
    assert said(order, "Nodule. No left effusion") == {"Nodule. No left effusion", "No left effusion. Nodule."}
    less = PromptAugmentation(synonym=0, shuffle=0, dropout=0.5)
    assert said(less, "Nodules; hyperinflation. No effusion.") == {
        "Nodules, hyperinflation. No effusion.",
        "Nodules. No effusion.",
        "Hyperinflation. No effusion.",
        "No effusion.",
    }
    names = PromptAugmentation(synonym=1, shuffle=0, dropout=0)
    assert said(names, "No pleural effusion. Pleural fluid on the left.") == {
        "No pleural fluid. Pleural effusion on the left."
    }


@pytest.mark.parametrize(
    "prompt",
    [
        "no pneumonia",
        "no effusion, nodule or mass",
        "small left effusion, tortuous aorta",
        "effusion, left, nodule",
        "two nodules, mass",
        "an enlarged heart",
        "a pleural effusion",
        "FINDINGS: nodule. IMPRESSION: mass.",
        "Nodule. It has a smooth edge.",
        "Nodule. Otherwise normal.",
        "1. Nodule. 2. Mass.",
        "",
    ],
)
def test_what_stays_as_it_is(prompt):
    assert said(ALL, prompt) == {prompt}


def test_one_term_always_stays():
    assert said(ALL, "nodule, mass", 5) <= {"nodule, mass", "mass, nodule"}
    assert said(ALL, "Nodule. Mass.", 5) <= {"Nodule. Mass.", "Mass. Nodule."}


def kept(text):
    return Counter(match[0].lower() for match in KEPT.finditer(text))


def words(text):
    return Counter(re.findall(r"[\w-]+", text))


kept_words = ["no", "without", "left", "right", "bilateral", "3", "two", "mild", "possible", "upper"]
other_words = ["nodule", "mass", "tortuous aorta", "in the lung", *GROUPS]
pieces = st.lists(st.sampled_from([*kept_words, *other_words]), min_size=1, max_size=5).map(" ".join)
drawn_sentence = st.tuples(st.lists(pieces, min_size=1, max_size=4), st.sampled_from([", ", "; "])).map(
    lambda parts: (parts[1].join(parts[0])[:1].upper() + parts[1].join(parts[0])[1:]) + "."
)
prompts = st.lists(drawn_sentence, min_size=1, max_size=4).map(" ".join)
augmentations = st.builds(PromptAugmentation, *[st.sampled_from([0, 0.3, 1])] * 3)


@settings(max_examples=100, deadline=None)
@given(prompts, augmentations, st.integers(0, 99))
def test_a_sentence_with_a_kept_word_stays_whole_and_in_order(prompt, augment, seed):
    out = augment(prompt, None, random.Random(seed))
    for sentence in filter(KEPT.search, sentences(prompt)):
        assert canonical(sentence) in canonical(out)
    assert kept(out) == kept(prompt)
    assert out and words(canonical(out)) <= words(canonical(prompt))  # nothing is added
    assert out == augment(prompt, "CXR", random.Random(seed))


bits = st.sampled_from([*"aAN ,.;:!?'-3", "no ", "Left ", "left", "two", ". A", ", ", "cardiomegaly"])


@settings(max_examples=100, deadline=None)
@given(st.lists(bits, max_size=20).map("".join), st.integers(0, 99))
def test_no_text_at_all_loses_a_kept_word(text, seed):
    text = " ".join(text.split())
    assert kept(ALL(text, None, random.Random(seed))) == kept(text)


def test_other_synonyms():
    augment = PromptAugmentation(synonym=1, shuffle=0, dropout=0, synonyms=[["drusen", "colloid bodies"]])
    assert augment("Drusen, cardiomegaly", "Fundus", random.Random(0)) == "Colloid bodies, cardiomegaly"
    assert PromptAugmentation(synonyms=[])("nodule", None, random.Random(0)) == "nodule"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"shuffle": 1.5}, "shuffle: found 1.5; expected a share from 0 to 1; correct it"),
        ({"dropout": -1}, "dropout: found -1; expected a share from 0 to 1; correct it"),
        ({"synonym": 2}, "synonym: found 2; expected a share from 0 to 1; correct it"),
        (
            {"synonyms": [["effusion", "left effusion"]]},
            "synonyms: found 'left' in 'left effusion'; expected names of findings alone; leave it out",
        ),
    ],
)
def test_what_no_augmentation_is(options, message):
    with pytest.raises(InputError) as raised:
        PromptAugmentation(**options)
    assert str(raised.value) == message
