"""A trained model to go on from: what is not asked for anew is as the model has it."""

from dataclasses import replace
from pathlib import Path

from transformers import PreTrainedConfig

from hf_medreport.files.settings import read_yaml
from hf_medreport.processing.input_error import InputError


def given_names(config: str | None, flags: list[str]) -> set[str]:
    """The arguments that a YAML or a flag names; the others have their defaults."""
    of_flags = {flag.lstrip("-").split("=")[0].replace("-", "_") for flag in flags if flag.startswith("--")}
    return of_flags | (set() if config is None else set(read_yaml(config)))


def as_loaded(arguments, given: set[str], loaded: dict, sizes: tuple[str, ...]):
    """The model's arguments with the loaded model's values in the place of defaults.

    Args:
        arguments: a dataclass with the field `model`.
        given: see `given_names`.
        loaded: what the model has, by argument.
        sizes: those arguments that only a model from scratch can be given.

    Raises:
        InputError: a size that the model does not have.
    """
    name = Path(arguments.model).name
    for size in sizes:
        wanted = getattr(arguments, size)
        if size in given and wanted != loaded[size]:
            remedy = f"leave out `{size}`, or train another model"
            raise InputError(size, f"{wanted} for {name}", f"{loaded[size]}, which it has", remedy)
    return replace(arguments, **{argument: value for argument, value in loaded.items() if argument not in given})


def check_kind(argument: str, name: str, known: tuple[str, ...]) -> None:
    """Refuse a folder of another model: transformers would fill it up with random weights."""
    kind = PreTrainedConfig.get_config_dict(name)[0].get("model_type")
    if kind not in known:
        found = f"a '{kind}' in {Path(name).name}" if kind else f"no model_type in {Path(name).name}"
        raise InputError(argument, found, " or ".join(known), "name another folder or id")
