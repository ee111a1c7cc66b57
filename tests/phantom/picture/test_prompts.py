"""A prompt names all of a fact, and held-out wordings say it with known words in a new order."""

import itertools

import numpy as np
import pytest

from hf_medreport.phantom.picture.facts import MODALITIES, NO_FINDING, PictureFact
from hf_medreport.phantom.picture.modality import SIDES
from hf_medreport.phantom.picture.prompts import LARGE, MANY, WORDINGS, write_prompt
from hf_medreport.processing.input_error import InputError
from tests.phantom.picture.looking import facts_of

FACTS = [fact for name, row in MODALITIES.items() for one in row.findings for fact in facts_of(name, one)]
FACTS += [PictureFact(name, side=side) for name in MODALITIES for side in SIDES if MODALITIES[name].of_an_eye]
FACTS += [PictureFact(name) for name in MODALITIES if not MODALITIES[name].of_an_eye]


@pytest.fixture(scope="module")
def prompts() -> dict:
    """(fact, wordings) -> its prompts."""
    return {
        (fact, wordings): {write_prompt(fact, np.random.default_rng(seed), wordings) for seed in range(40)}
        for fact, wordings in itertools.product(FACTS, WORDINGS)
    }


def words(prompt: str) -> list[str]:
    return prompt.replace(",", "").replace(":", "").split()


def test_every_attribute_is_named_once(prompts):
    for (fact, _), written in prompts.items():
        for prompt in written:
            said = words(prompt)
            if fact.finding != NO_FINDING:
                assert fact.finding in prompt
            for name in (fact.side, fact.zone):
                assert name is None or said.count(name) == 1, prompt
            if fact.grade:
                other = (LARGE | MANY).get(fact.finding, {}).get(fact.grade, fact.grade)
                assert (fact.grade in said) + (other in said and other != fact.grade) == 1, prompt
            assert not {"left", "right"} & set(said) - {fact.side}, prompt
            assert "None" not in prompt and "  " not in prompt and " ," not in prompt


def test_no_prompt_asks_for_two_things(prompts):
    written = [prompt for each in prompts.values() for prompt in each]
    assert len(written) == len(set(written))


def test_held_out_wordings_have_known_words_only(prompts):
    vocabulary = {wordings: set() for wordings in WORDINGS}
    for (_, wordings), written in prompts.items():
        vocabulary[wordings].update(*map(words, written))
    assert vocabulary["held_out"] <= vocabulary["train"]


def test_unknown_wordings():
    with pytest.raises(InputError, match="wordings: found 'odd'; expected train or held_out; name one of the two"):
        write_prompt(FACTS[0], np.random.default_rng(0), "odd")
