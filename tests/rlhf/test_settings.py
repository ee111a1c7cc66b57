"""Settings of the updates: read as those of any recipe, and refused where they cannot be."""

import pytest

from hf_medreport.processing.input_error import InputError
from hf_medreport.rlhf.settings import UPDATES, DDPOSettings, read_update_settings, update_settings_of


def test_a_flag_beats_the_file(tmp_path):
    (tmp_path / "ddpo.yaml").write_text("rounds: 3\nlearning_rate: 0.5\n")
    settings = read_update_settings("ddpo", str(tmp_path / "ddpo.yaml"), ["--rounds", "5"])
    assert settings == DDPOSettings(rounds=5, learning_rate=0.5)


@pytest.mark.parametrize("update", UPDATES)
def test_every_setting_has_a_default(update):
    assert read_update_settings(update) == UPDATES[update]()


@pytest.mark.parametrize(
    ("update", "flags", "message"),
    [
        ("dpo", [], "update: found 'dpo'; expected one of ddpo, weighted_regression, preference; did you mean 'ddpo'?"),
        ("ddpo", ["--round", "1"], "flag --round: found no such argument; expected a training argument"),
        ("ddpo", ["--rounds", "0"], "rounds: found 0; expected 1 or more; correct it"),
        ("ddpo", ["--clip_range", "nan"], "clip_range: found nan; expected 0 or more; correct it"),
        ("ddpo", ["--num_inference_steps", "1"], "num_inference_steps: found 1; expected 2 to 1000; correct it"),
        ("ddpo", ["--lora_rank", "0"], "lora_rank: found 0; expected 1 or more; correct it"),
        ("ddpo", ["--bf16", "true", "--fp16", "true"], "fp16: found it beside `bf16`; expected one of the two"),
        ("weighted_regression", ["--weighting", "soft"], "weighting: found 'soft'; expected one of softmax, rating"),
        ("weighted_regression", ["--prompt_dropout", "2"], "prompt_dropout: found 2; expected 0 to 1; correct it"),
        ("preference", ["--preference_strength", "-1"], "preference_strength: found -1; expected 0 or more"),
    ],
)
def test_what_cannot_be(update, flags, message):
    with pytest.raises(InputError) as raised:
        read_update_settings(update, None, flags)
    assert str(raised.value).startswith(message)


def test_a_part_of_another_file():
    assert update_settings_of("ddpo", {"learning_rate": "1e-3", "rounds": 3}) == DDPOSettings(
        learning_rate=1e-3, rounds=3
    )
    with pytest.raises(InputError) as raised:
        update_settings_of("ddpo", {"round": 3})
    assert str(raised.value).startswith(
        "update_settings: found unknown field 'round'; expected a setting of ddpo; did you"
    )
