"""Errors as a command line says them: the library names an argument as Python has it, a verb's user knows a flag."""

import inspect
import re
from collections.abc import Sequence
from contextvars import ContextVar
from importlib.resources import files

import typer
import yaml
from typer.core import TyperCommand
from typer.models import ParameterInfo

from hf_medreport.files.interruption import INTERRUPTIONS, exit_code, terminable
from hf_medreport.files.writing import readable
from hf_medreport.processing.input_error import InputError, four_fields

# What the library calls otherwise than a verb does: its name, or a value of it, and the verb's.
OTHER_NAMES = {"masks": "mask", "options": "option", "embed": "no_embed", "out=None": "dry_run"}
OTHER_NAMES |= {"guidance_scale": "guidance", "num_inference_steps": "steps", "image": "init"}
OTHER_NAMES |= {"height": "size", "width": "size"}
OTHER_NAMES |= {"facts": "findings", "Endpoint": "endpoint", "url": "endpoint", "model": "llm", "folder": "llm"}
NAMED = re.compile(r"`([A-Za-z_]\w*)(?:=([^`]*))?`")  # `slide_mpp`, or `tissue="otsu"`
ALTERNATIVE = re.compile(r", or [^,;`]*`([A-Za-z_]\w*)`(?=[,;]|\Z)")  # that names an argument: "or raise `max_pixels`"
ABOUT = re.compile(r"\w+(?=: found )")  # what a whole error is about

HELP = {"help_option_names": ["--help", "-h"]}
# What the parser refuses, in its words.
UsageError = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError")
MAY_BE_EMPTY = ("--labels", "--negative-prompt")  # a film without findings; nothing to be unlike
WANTED = re.compile(r"Input should be (.*?)(?:, unable .*)?\.?")  # of pydantic, which typer may ask
EXTRA = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)\.?", re.DOTALL)
UNKNOWN = re.compile(r"No such command '([^']*)'.*", re.DOTALL)

_running: ContextVar["Verb"] = ContextVar("running")


class Verb(TyperCommand):
    """A command that says by its own flags what cannot be used, and then exits with 2; after a signal it says what was
    done (the interruption's notes), and exits with 130 or 143."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        try:
            refuse_empty(args)
        except InputError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(2) from None
        return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context):
        _running.set(self)
        try:
            with terminable():
                return super().invoke(ctx)
        except INTERRUPTIONS as interruption:
            print_error("; ".join(getattr(interruption, "__notes__", ["interrupted"])))
            raise typer.Exit(exit_code(interruption)) from None
        except ValueError as error:
            if four_fields(error) is None:
                raise
            print_error(str(error))
            raise typer.Exit(2) from None

    def format_help(self, ctx: typer.Context, formatter) -> None:
        asked = [param for param in self.params if param.required]
        must = [f"--{each.name} FOLDER" if each.param_type_name == "option" else each.name.upper() for each in asked]
        self.epilog = f"Example:  {example(ctx.command_path) or ' '.join([ctx.command_path, *must])}"
        super().format_help(ctx, formatter)

    def flag(self, name: str) -> str | None:
        """The flag of an argument of the library; a positional's own name; None where this verb has no such."""
        flags = {each.name: max(each.opts, key=len) for each in self.params}
        return flags.get(name) or flags.get(OTHER_NAMES.get(name))


class Verbs(typer.Typer):
    """A group of them; each is asked for help by -h too."""

    def __init__(self, **settings):
        super().__init__(context_settings=HELP, **settings)

    def command(self, name: str | None = None, context_settings: dict | None = None, **settings):
        register = super().command(name, cls=Verb, context_settings=HELP | (context_settings or {}), **settings)
        return lambda function: register(_unasked(function))


def _unasked(function):
    """A verb whose paths the parser does not ask for permission to read: one such film would end the others' run."""
    for parameter in inspect.signature(function).parameters.values():
        for said in getattr(parameter.annotation, "__metadata__", ()):
            if isinstance(said, ParameterInfo):
                said.readable = False
    return function


def example(path: str) -> str:
    """An example of a command, which its help ends with; empty where `examples.yaml` has none."""
    return yaml.safe_load((files("hf_medreport.cli") / "examples.yaml").read_text(encoding="utf-8")).get(path, "")


def print_error(message: str) -> None:
    """A message of the library on stderr, in the running verb's words and in one line."""
    typer.echo(readable(as_flags(message)), err=True)


def as_flags(message: str) -> str:
    """A message with the running verb's flags for its arguments; a name in backticks that is none of them stays, but an
    alternative by an argument that the verb lacks is left out."""
    verb = _running.get()

    def flagged(match: re.Match) -> str:
        name, value = match.groups()
        if flag := verb.flag(match[0].strip("`")):  # of a name, or of a value for which the verb has one
            return flag
        flag = verb.flag(name) or (f"--{name}" if any_flag else None)
        return match[0] if flag is None else " ".join([flag, value.strip('"')] if value else [flag])

    any_flag = verb.context_settings.get("ignore_unknown_options")  # as `train` takes every argument
    about = ABOUT.match(message)
    if about and (flag := verb.flag(about[0])):
        message = flag + message[about.end() :]
    if not any_flag:
        message = ALTERNATIVE.sub(lambda match: match[0] if verb.flag(match[1]) else "", message)
    return NAMED.sub(flagged, message)


# --- what the parser says ---


def refuse_empty(arguments: Sequence[str]) -> None:
    """InputError for an argument without a sign in it: mostly a variable of the shell that is not set.

    Without this an empty name would mean the default, and an empty path the folder that one stands in.
    """
    for before, argument in zip(["", *arguments], arguments, strict=False):
        flag, is_joined, value = argument.partition("=") if argument.startswith("--") else (before, "", argument)
        if (value or is_joined or not argument) and not value.strip() and flag not in MAY_BE_EMPTY:
            name = flag if flag.startswith("--") else "arguments"
            raise InputError(name, "an empty argument", "a name or a value", "fill it in, or leave it out")


def as_input_error(error: UsageError) -> InputError:
    """A refusal of the parser with its four fields."""
    path = error.ctx.command_path if error.ctx is not None else "hf-medreport"
    message, remedy = error.message, f"see {path} --help"
    param = getattr(error, "param", None)
    name = max(param.opts, key=len) if param is not None else getattr(error, "param_hint", None)
    if type(error).__name__ == "NoSuchOption":
        near = ", ".join(sorted(error.possibilities or ()))
        return InputError(
            error.option_name, "no such option", f"an option of {path}", f"did you mean {near}?" if near else remedy
        )
    if type(error).__name__ == "MissingParameter":
        return InputError(name or path, "none", "it to be given", remedy)
    if match := WANTED.fullmatch(message):
        return InputError(name or path, "a value that is not of its kind", match[1], remedy)
    if match := EXTRA.fullmatch(message):
        return InputError(path, f"more arguments than it takes ({match[1]})", "fewer", remedy)
    if match := UNKNOWN.fullmatch(message):
        return InputError(path, f"no command '{match[1]}'", "one of its commands", remedy)
    return InputError(name or path, message.rstrip(".") or "wrong arguments", f"arguments of {path}", remedy)
