"""Prompts in parts."""

import pytest

from hf_medreport.modeling.config_error import ConfigError
from hf_medreport.modeling.structured_prompt import StructuredPrompt


def test_features_in_their_order():
    prompt = StructuredPrompt.of_features(
        "pleural effusion", visual_features="blunted angle", localization=" left base ", starts=(0, 0.2, 0.5)
    )
    assert str(prompt) == "left base, pleural effusion, blunted angle"
    assert [prompt.at(progress) for progress in (0, 0.19, 0.2, 0.5, 1)] == [
        "left base",
        "left base",
        "left base, pleural effusion",
        "left base, pleural effusion, blunted angle",
        "left base, pleural effusion, blunted angle",
    ]


def test_sections_of_a_report():
    prompt = StructuredPrompt.of_report(impression="Effusion.", history="Cough.", findings="Small left effusion.")
    assert str(prompt) == "History: Cough. Findings: Small left effusion. Impression: Effusion."
    assert prompt.at(0) == str(prompt)  # without starts, all of it all the time


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: StructuredPrompt.of_features("edema", starts=(0, 0.5)),
            "starts: found (0, 0.5); expected 1 rising shares of the way from 0 to 1, the first 0; give one a part",
        ),
        (
            lambda: StructuredPrompt(("a", "b"), (0.1, 0.5)),
            "starts: found (0.1, 0.5); expected 2 rising shares of the way from 0 to 1, the first 0; give one a part",
        ),
        (
            lambda: StructuredPrompt(("a", "b", "c"), (0, 0.5, 0.2)),
            "starts: found (0, 0.5, 0.2); expected 3 rising shares of the way from 0 to 1, the first 0; "
            "give one a part",
        ),
        (
            lambda: StructuredPrompt.of_report(history=" "),
            "StructuredPrompt: found no part; expected one that says something; give one",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ConfigError) as error:
        make()
    assert str(error.value) == message
