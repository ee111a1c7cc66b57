"""Which settings of the loop are refused, and how that is said."""

from pathlib import Path

import pytest

from hf_medreport.processing.input_error import InputError
from hf_medreport.rlhf.rounds.loop_settings import LoopSettings
from hf_medreport.training.arguments import read_arguments

EXAMPLE = Path(__file__).parents[3] / "examples" / "rlhf_phantom.yaml"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"selector_threshold": 1.2}, "selector_threshold: found 1.2; expected 0 to 1; correct it"),
        ({"quality_threshold": -0.1}, "quality_threshold: found -0.1; expected 0 to 1; correct it"),
        ({"quality_threshold": float("nan")}, "quality_threshold: found nan; expected 0 to 1; correct it"),
        ({"rounds": 0}, "rounds: found 0; expected 1 or more; correct it"),
        ({"expert_level": 4}, "expert_level: found 4; expected 1 to 3; correct it"),
        (
            {"num_candidates": 5, "max_attempts": 4},
            "num_candidates: found 5 of 4 attempts; expected at most `max_attempts`; lower it, or allow more attempts",
        ),
        (
            {"update": "dpo"},
            "update: found 'dpo'; expected one of ddpo, weighted_regression, preference, best_of_n; did you mean "
            "'ddpo'?",
        ),
        (
            {"phantom_prompts": 0},
            "prompts: found neither it nor `phantom_prompts`; expected one of the two; give a table, or a number of "
            "drawn prompts",
        ),
        (
            {"prompts": "prompts.csv"},
            "prompts: found both it and `phantom_prompts`; expected one of the two; give a table, or a number of drawn "
            "prompts",
        ),
        (
            {"prompts": "prompts.csv", "phantom_prompts": 0},
            "ratings: found none; expected a table of ratings; rate pictures first: hf-medreport rate",
        ),
        (
            {"resume": True, "overwrite": True},
            "overwrite: found it beside `resume`; expected one of the two; leave out the other",
        ),
        (
            {"train_rewards": False, "selector": "selector-tiny"},
            "policy: found none without `train_rewards`; expected a folder or a shipped name; give it",
        ),
        (
            {"selector": "selector-tiny"},
            "selector: found 'selector-tiny'; expected a mapping in the YAML; write it as `argument: value` lines",
        ),
        (
            {"update_settings": "fast"},
            "update_settings: found 'fast'; expected a mapping in the YAML; write it as `argument: value` lines",
        ),
        (
            {"update_settings": {"round": 3}},
            "update_settings: found unknown field 'round'; expected a setting of ddpo; did you mean 'rounds'?",
        ),
        ({"update_settings": {"rounds": 0}}, "rounds: found 0; expected 1 or more; correct it"),
        (
            {"update_settings": {"num_inference_steps": 2}},
            "steps_trained: found 3; expected at most 1: of 2 steps the last draws nothing; give 0 for all",
        ),
    ],
)
def test_what_is_refused(changes, message):
    with pytest.raises(InputError) as error:
        LoopSettings(**{"phantom_prompts": 4} | changes)
    assert str(error.value) == message


def test_what_decides_about_the_results():
    one, other = LoopSettings(phantom_prompts=4), LoopSettings(phantom_prompts=4, output_dir="x", report_to="trackio")
    assert one.deciding() == other.deciding() and "resume" not in one.deciding()
    assert one.deciding() != LoopSettings(phantom_prompts=4, seed=1).deciding()


def test_the_example_and_a_flag_that_beats_it():
    (settings,) = read_arguments((LoopSettings,), str(EXAMPLE), ["--rounds", "1", "--overwrite"])
    assert settings.rounds == 1 and settings.overwrite and settings.update_settings == {"rounds": 6}
    assert settings.selector["model"] == "selector-tiny" and settings.policy["model"] == "policy-tiny"
