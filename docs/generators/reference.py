"""The command line as typer has it, the arguments of every recipe as their dataclasses have them."""

import typer

from generators.results import table
from hf_medreport.cli.app import app
from hf_medreport.cli.flags import example
from hf_medreport.registry import system, systems
from hf_medreport.training import arguments_of


def verbs() -> str:
    """Every command of `hf-medreport`: its words, its arguments, its options."""
    return "\n\n".join(_command(typer.main.get_command(app), "hf-medreport", 2))


def _command(command, name: str, level: int):
    """A command and those below it, as sections."""
    if getattr(command, "hidden", False):
        return
    children = getattr(command, "commands", {})
    parameters = [each for each in command.params if not getattr(each, "hidden", False)]
    if name != "hf-medreport":
        yield f"{'#' * level} {name}"
        level += 1
        yield _words(command.help)
        yield f"```text\n{example(name)}\n```" if example(name) else ""
    rows = [_row(each) for each in parameters if each.name not in ("help", "show_help")]
    if rows:
        yield table(["", "default", "what it is"], rows)
    for child, sub in sorted(children.items()):
        yield from _command(sub, f"{name} {child}", level)


def _words(help: str | None) -> str:
    """The help of a command, a line a paragraph."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in (help or "").split("\n\n"))


def _row(parameter) -> list[str]:
    positional = parameter.param_type_name == "argument"
    name = parameter.name.upper() if positional else ", ".join(f"`{opt}`" for opt in parameter.opts)
    default = parameter.default
    shown = "" if default in (None, False, (), []) or callable(default) else f"`{default}`"
    return [name, "required" if parameter.required else shown, _cell(getattr(parameter, "help", "") or "")]


def recipes() -> str:
    """Every argument of every recipe, a section a system and a table a group."""
    parts = []
    for row in systems():
        if row.recipe and row.model.startswith("hf_medreport."):
            parts += [f"## {row.model_type}", recipe(row.model_type)]
    return "\n\n".join(parts)


def recipe(model_type: str) -> str:
    """The arguments of one recipe; those of transformers' trainer, which say pages, by name alone."""
    parts = []
    for group in arguments_of(system(model_type).model_type):
        if group.title.startswith("Of transformers"):
            names = ", ".join(f"`{name}`" for name, *_ in group.arguments)
            parts.append(f"Of transformers' `Seq2SeqTrainingArguments`, as it documents them: {names}.")
            continue
        rows = [
            [f"`{name}`", kind.replace("|", " or "), _code(default), _cell(text)]
            for name, kind, default, text in group.arguments
        ]
        parts.append(f"**{group.title}**\n\n" + table(["argument", "type", "default", "what it is"], rows))
    return "\n\n".join(parts)


def _code(default: str) -> str:
    return f"`{default}`".replace("|", "\\|")


def _cell(text: str) -> str:
    """Text that stays in its cell and means itself: `<`, `|` and `*` open nothing."""
    for sign in "\\|<*_":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


PUBLIC = (verbs, recipes, recipe)
