"""How RadScribe generates in each epoch of a run: few beams and hard rules at first, sampling and soft ones later.

The table is RadScribe's (`generator_scheduler.py`). Sampled reports differ from run to run of an evaluation, and scores
of epochs that were decoded differently do not compare: it is an option, and off by default.
"""

from transformers import TrainerCallback

from hf_medreport.processing.input_error import InputError

__all__ = ["DecodeByEpoch", "decode_settings"]

BEAMS = (2, 2, 2, 3, 5)  # of each epoch; the last one's from then on
SAMPLES_FROM = 4  # epoch
SETTLED = 6  # epoch from which nothing changes


def decode_settings(epoch: int) -> dict:
    """`GenerationConfig`'s fields in an epoch, counted from 0."""
    done = min(epoch / SETTLED, 1.0)
    samples = epoch >= SAMPLES_FROM
    return {
        "max_new_tokens": 128,
        "min_new_tokens": 64,
        "num_beams": BEAMS[min(epoch, len(BEAMS) - 1)],
        "do_sample": samples,
        "top_p": 0.8 + 0.15 * done,
        "temperature": 1.2 - 0.4 * done,
        "no_repeat_ngram_size": 3 if samples else 2,
        "repetition_penalty": 1.3 - 0.3 * done,
    }


class DecodeByEpoch(TrainerCallback):
    """Puts an epoch's settings on the model's generation config, for the evaluations within it and at its end.

    Args:
        arguments: of the trainer, whose own settings would win over the schedule's.

    Raises:
        InputError: beams or a length among them.
    """

    def __init__(self, arguments):
        for name in ("generation_num_beams", "generation_max_length"):
            value = getattr(arguments, name)
            if value is not None:
                found = f"{name} {value} beside it"
                raise InputError("decode_schedule", found, "one of the two", f"leave {name} out, or the schedule")

    def on_epoch_begin(self, args, state, control, model=None, **kwargs):
        settings = decode_settings(int(state.epoch or 0))
        if not settings["do_sample"]:  # transformers refuses to save what only sampling reads
            settings |= {"top_p": None, "temperature": None}
        getattr(model, "module", model).generation_config.update(**settings)
