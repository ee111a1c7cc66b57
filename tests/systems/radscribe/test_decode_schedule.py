"""The decode schedule against the original's table, and the callback that applies it."""

from types import SimpleNamespace

import pytest
from transformers import GenerationConfig

from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.radscribe.decode_schedule import DecodeByEpoch, decode_settings

# epoch: beams, sampling, top_p, temperature, no repeated n-gram, repetition penalty; as the original's class gave them
TABLE = {
    0: (2, False, 0.8, 1.2, 2, 1.3),
    1: (2, False, 0.825, 1.1333333333333333, 2, 1.25),
    2: (2, False, 0.85, 1.0666666666666667, 2, 1.2),
    3: (3, False, 0.875, 1.0, 2, 1.15),
    4: (5, True, 0.9, 0.9333333333333333, 3, 1.1),
    5: (5, True, 0.925, 0.8666666666666666, 3, 1.05),
    6: (5, True, 0.95, 0.8, 3, 1.0),
    7: (5, True, 0.95, 0.8, 3, 1.0),
    11: (5, True, 0.95, 0.8, 3, 1.0),
}
UNSET = SimpleNamespace(generation_num_beams=None, generation_max_length=None)


@pytest.mark.parametrize("epoch", TABLE)
def test_the_originals_table(epoch):
    beams, samples, top_p, temperature, ngram, penalty = TABLE[epoch]
    assert decode_settings(epoch) == {
        "max_new_tokens": 128,
        "min_new_tokens": 64,
        "num_beams": beams,
        "do_sample": samples,
        "top_p": pytest.approx(top_p),
        "temperature": pytest.approx(temperature),
        "no_repeat_ngram_size": ngram,
        "repetition_penalty": pytest.approx(penalty),
    }


@pytest.mark.parametrize("epoch", TABLE)
def test_the_callback_leaves_a_config_that_can_be_saved(epoch, tmp_path):
    model = SimpleNamespace(generation_config=GenerationConfig(eos_token_id=1))
    DecodeByEpoch(UNSET).on_epoch_begin(None, SimpleNamespace(epoch=epoch and epoch + 0.5), None, model=model)
    model.generation_config.save_pretrained(tmp_path)
    read = GenerationConfig.from_pretrained(tmp_path)
    settings = decode_settings(epoch)
    if not settings["do_sample"]:
        settings |= {"top_p": None, "temperature": None}
    assert {name: getattr(read, name) for name in settings} == settings and read.eos_token_id == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"generation_num_beams": 4},
            "decode_schedule: found generation_num_beams 4 beside it; expected one of the two; leave "
            "generation_num_beams out, or the schedule",
        ),
        (
            {"generation_max_length": 99},
            "decode_schedule: found generation_max_length 99 beside it; expected one of the two; leave "
            "generation_max_length out, or the schedule",
        ),
    ],
)
def test_settings_that_would_win_over_the_schedule(changes, message):
    with pytest.raises(InputError) as error:
        DecodeByEpoch(SimpleNamespace(**{**vars(UNSET), **changes}))
    assert str(error.value) == message
