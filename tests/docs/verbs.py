"""Whether a command line names verbs and flags that there are."""

import shlex
from functools import cache

import typer

from hf_medreport.cli.app import app


@cache
def _root():
    return typer.main.get_command(app)


def unknown(words: str) -> str | None:
    """The first verb or flag of a command line that there is not; None where all are there.

    What `train` and `rlhf` take beside their own flags, only the recipes' dataclasses know.
    """
    command = _root()
    try:
        parts = shlex.split(words)
    except ValueError:  # cut inside a quotation, as prose may
        parts = words.split()
    while parts and (children := getattr(command, "commands", None)) and not parts[0].startswith("-"):
        name = parts.pop(0).strip(".,:")
        if name not in children:
            return None if name.isupper() or "|" in name else name
        command = children[name]
    if command.context_settings.get("ignore_unknown_options"):
        return None
    flags = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    flags |= {"--help", "-h"}
    asked = (part.partition("=")[0].rstrip(".,:") for part in parts if part.startswith("--"))
    return next((flag for flag in asked if flag not in flags), None)
