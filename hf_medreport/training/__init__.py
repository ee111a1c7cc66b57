"""Recipes on transformers' trainers: one module a system, arguments as dataclasses read from YAML and flags."""

import importlib
import logging
import os

from hf_medreport.files.nearest import did_you_mean
from hf_medreport.processing.input_error import InputError, four_fields
from hf_medreport.registry import systems

# PEFT, accelerate and diffusers import bitsandbytes where there is one; it speaks of kernels that no recipe uses.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


# Recipes that are no system's: what they train, they are told.
OTHERS = {"reinforce": "hf_medreport.training.reinforce.recipe"}


def run(system: str, config: str | None = None, flags: list[str] | None = None) -> dict:
    """Train a system; returns its last metrics, the `core_seconds` of this process, and the `processor`.

    Args:
        system: a model type, or its first word (`anatomical`); or one of `OTHERS`.
        config: a YAML file of arguments.
        flags: `["--learning_rate", "1e-4", ...]`, stronger than the file.

    Raises:
        InputError: no such recipe, file, argument or data.
    """
    recipe = _recipe(system)
    try:
        metrics = recipe.train(config, flags or [])
    except ValueError as error:
        if (said := four_fields(error)) is None or isinstance(error, InputError):
            raise
        raise InputError(**said) from error
    from hf_medreport.training.precision import processor

    return metrics | {"core_seconds": round(sum(os.times()[:4])), "processor": processor()}


def arguments_of(system: str) -> list:
    """What a recipe may be told: its arguments as `listing.Group`s, with their defaults; errors as of `run`."""
    from hf_medreport.training.listing import HELP, ArgumentsAsked, groups_of

    try:
        _recipe(system).train(None, [HELP])
    except ArgumentsAsked as asked:
        return groups_of(asked.classes)
    raise InputError("system", f"'{system}'", "a recipe that reads its arguments by `read_arguments`", "see its YAML")


def _recipe(system: str):
    """The module of a recipe."""
    recipes = {row.model_type: row.recipe for row in systems() if row.recipe} | OTHERS
    chosen = [system] if system in recipes else [name for name in recipes if system == name.split("_")[0]]
    if not chosen:
        remedy = did_you_mean(system, recipes, "name a system that has a recipe")
        raise InputError("system", f"'{system}'", f"one of {', '.join(recipes)}", remedy)
    return importlib.import_module(recipes[chosen[0]])
