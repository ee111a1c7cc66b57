"""Refuse a misspelt configuration field.

A transformers configuration keeps every keyword that it is given, so `mask_mod="soft"` would be stored and ignored.
"""

import difflib
from dataclasses import fields

from .config_error import ConfigError


def refuse_misspelt_fields(config, extra: dict) -> None:
    """Raise ConfigError when a key of `extra` (what the dataclass did not take) is nearly one of `config`'s fields."""
    known = [field.name for field in fields(config)]
    for key in extra:
        nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.8)
        if nearest:
            raise ConfigError(
                type(config).__name__,
                f"unknown field '{key}'",
                "one of its fields",
                f"did you mean '{nearest[0]}'?",
            )


def refuse_other_values(config, name: str, allowed: tuple) -> None:
    """Raise ConfigError unless the field `name` holds one of `allowed`."""
    value = getattr(config, name)
    if value not in allowed:
        raise ConfigError(
            type(config).__name__,
            f"{name}={value!r}",
            f"one of {', '.join(map(str, allowed))}",
            "correct the configuration",
        )
