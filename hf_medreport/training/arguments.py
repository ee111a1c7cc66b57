"""Training arguments from a YAML file and flags: dataclasses say what there is, a flag beats the file."""

from collections.abc import Callable

from transformers import HfArgumentParser
from transformers.hf_argparser import string_to_bool

from hf_medreport.files.nearest import did_you_mean
from hf_medreport.files.settings import read_yaml
from hf_medreport.processing.input_error import InputError
from hf_medreport.training.listing import HELP, ArgumentsAsked

KINDS = {int: ((int,), "a whole number"), float: ((int, float), "a number"), string_to_bool: ((bool,), "true or false")}
# What arguments were called once -> what every recipe calls them now.
RENAMED = {
    f"{prefix}_{noun}": f"{prefix}_cases"
    for prefix in ("phantom", "phantom_validation", "evaluation")
    for noun in ("films", "slides")
} | {"published_optimiser": "published_optimizer"}


def read_arguments(
    classes: tuple[type, ...], config: str | None, flags: list[str], translate: Callable[[dict], dict] = dict
) -> tuple:
    """One instance of each dataclass.

    Args:
        classes: dataclasses whose fields are the arguments.
        config: a YAML file of `field: value`, or None.
        flags: `["--field", "value", ...]`.
        translate: what the file holds -> `{field: value}`, where it may be written in other words.

    Raises:
        ArgumentsAsked: `HELP` is among the flags.
        InputError: a missing or broken file, a field or flag that no dataclass has (the nearest is named), a value of
            another type.
    """
    if HELP in flags:
        raise ArgumentsAsked(classes)
    parser = HfArgumentParser(classes, exit_on_error=False)
    # The first of each name: behind one that is true by default comes its `--no_...`.
    known = {action.dest: action for action in reversed(parser._actions) if action.dest != "help"}
    if config is not None:
        values = translate(read_yaml(config))
        for key in values:
            if key not in known:
                remedy = _nearest(key, known)
                raise InputError(config, f"unknown field '{key}'", "a training argument", remedy)
            known[key].required = False
            many = known[key].nargs in ("+", "*")
            if many and not isinstance(values[key], list | None):
                values[key] = [values[key]]
            for value in values[key] or () if many else [values[key]]:
                _check_kind(f"{config}, {key}", value, known[key].type)
        parser.set_defaults(**values)
    for flag in flags:
        name = flag.lstrip("-").split("=")[0].replace("-", "_")
        if flag.startswith("--") and name not in known:
            raise InputError(f"flag {flag}", "no such argument", "a training argument", _nearest(name, known))
    try:
        return parser.parse_args_into_dataclasses(flags, look_for_args_file=False)
    except InputError:
        raise
    except Exception as error:  # argparse and the dataclasses report by several types; all of them are about a value
        raise InputError("training arguments", str(error), "a value of the argument's type", "correct it") from error


def _check_kind(name: str, value: object, kind: object) -> None:
    """Refuse a YAML's value of another kind than a number's or truth value's field has: unlike a flag's text it would
    be taken as it is, 7 as true."""
    if kind not in KINDS or isinstance(value, str | None):
        return
    kinds, expected = KINDS[kind]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise InputError(name, f"{value!r:.40}", expected, "correct it")


def _nearest(name: str, known) -> str:
    if RENAMED.get(name) in known:
        return f"it is called '{RENAMED[name]}' now"
    return did_you_mean(name, known, "see the recipe's YAML in examples/")
