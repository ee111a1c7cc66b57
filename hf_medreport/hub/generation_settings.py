"""What a report model needs to write, in `generation_config.json`: a length and an end.

Without a length transformers stops after 20 tokens, without an end it never stops before the length; it says neither.
Beams and padding need not be named: transformers then takes one beam, and pads with the end. Only report models are
asked: how far a language model continues its prompt is for the caller to say.
"""

import json
from pathlib import Path

from hf_medreport.files.settings import read_settings
from hf_medreport.processing.input_error import InputError

FILE = "generation_config.json"
LENGTH = "max_new_tokens"  # not max_length, of which transformers takes off what an image is in tokens


def check_generation_file(path: Path | None, name: str, config: dict) -> None:
    """Refuse a report model whose `generation_config.json` does not say how to write.

    Args:
        path: the file; None where there is none.
        name: the model's folder or repository, as messages call it.
        config: the model's `config.json`.

    Raises:
        InputError: no such file, no JSON object, or what `check_generation` refuses.
    """
    where = f"{name}/{FILE}"
    if path is None or not path.is_file():
        remedy = "copy the file again, or save the model with max_new_tokens in its generation_config"
        raise InputError(where, "no such file", "the length and the end of a report", remedy)
    check_generation(read_settings(path, where), config, where)


def check_generation(settings: dict, config: dict, where: str) -> None:
    """The same of settings that were read.

    Raises:
        InputError: no length or no end; a length that is no positive whole number or more than the decoder's positions;
            an end or padding outside its vocabulary; beams that are no positive whole number, or more than words.
    """
    decoder = config["decoder"] if isinstance(config.get("decoder"), dict) else config
    named = {name: value for name, value in settings.items() if value not in (None, [])}
    if LENGTH not in named:
        raise InputError(where, "no max_new_tokens", "the most tokens of a report", "set it, to 128 for instance")
    if "eos_token_id" not in named:
        raise InputError(where, "no eos_token_id", "the token that ends a report", "set it to the tokenizer's")
    positions = decoder.get("n_positions", decoder.get("max_position_embeddings"))
    _check_number(where, LENGTH, named[LENGTH], 1, positions)
    _check_number(where, "num_beams", named.get("num_beams"), 1, decoder.get("vocab_size"))  # or memory runs out
    _check_number(where, "pad_token_id", named.get("pad_token_id"), 0, decoder.get("vocab_size"), -1)
    ends = named["eos_token_id"]
    for end in ends if isinstance(ends, list) else [ends]:
        _check_number(where, "eos_token_id", "null" if end is None else end, 0, decoder.get("vocab_size"), -1)


def _check_number(where: str, name: str, value, least: int, size=None, last: int = 0) -> None:
    """Refuse what is no whole number between `least` and `size + last`; None was not named."""
    most = size + last if type(size) is int else None
    if value is None or type(value) is int and value >= least and (most is None or value <= most):
        return
    expected = f"a whole number from {least}" + ("" if most is None else f" to {most}")
    raise InputError(where, f"{name} {json.dumps(value, default=str)}", expected, "correct it")
