"""The arguments of a recipe, grouped by what they are about, with their defaults.

A recipe reads its arguments by `read_arguments`; asked for help there, it raises what it would have read. How
they look on a screen is the command's to say.
"""

import types
from dataclasses import MISSING, dataclass, fields
from typing import Union, get_args, get_origin, get_type_hints

from transformers import Seq2SeqTrainingArguments

HELP = "-h"  # among the flags of a recipe


class ArgumentsAsked(Exception):
    """Raised in place of reading arguments where `HELP` is among the flags.

    Args:
        classes: the dataclasses whose fields are the arguments.
    """

    def __init__(self, classes: tuple[type, ...]):
        super().__init__("the arguments were asked for")
        self.classes = classes


@dataclass(frozen=True)
class Group:
    """Arguments that belong together: a heading, and `(name, type, default, help)` of each."""

    title: str
    arguments: list[tuple[str, str, str, str]]


def groups_of(classes: tuple[type, ...]) -> list[Group]:
    """The arguments of some dataclasses, those of transformers' trainer last and by themselves."""
    groups, of_trainer = [], {field.name for field in fields(Seq2SeqTrainingArguments)}
    for cls in classes:
        told, hints = set(), get_type_hints(cls)
        for owner in cls.__mro__:
            names = [name for name in owner.__dict__.get("__annotations__", {}) if name in cls.__dataclass_fields__]
            ours = owner is cls or not issubclass(Seq2SeqTrainingArguments, owner)
            names = [name for name in names if name not in told and (ours or name in of_trainer)]
            told |= set(names)
            title = _first_paragraph(owner.__doc__ or owner.__name__) if ours else "Of transformers' trainer."
            arguments = [(name, _type(hints[name]), _default(cls, name), _help(cls, name, ours)) for name in names]
            if arguments and groups and groups[-1].title == title:
                groups[-1].arguments.extend(arguments)
            elif arguments:
                groups.append(Group(title, arguments))
    return groups


def _first_paragraph(text: str) -> str:
    """What a docstring says first, in one line."""
    return " ".join(text.strip().partition("\n\n")[0].split())


def _type(hint) -> str:
    """A type as one word: `float`, `str`, `list of str`."""
    if get_origin(hint) in (Union, types.UnionType):
        return "|".join(dict.fromkeys(_type(part) for part in get_args(hint) if part is not type(None)))
    if get_origin(hint) is list:
        return f"list of {_type(get_args(hint)[0])}"
    return getattr(get_origin(hint) or hint, "__name__", str(hint))


def _default(cls: type, name: str) -> str:
    field = cls.__dataclass_fields__[name]
    value = field.default_factory() if field.default_factory is not MISSING else field.default
    value = getattr(value, "value", value)  # of an enumeration
    return "none" if value is None else "''" if value == "" else str(value)


def _help(cls: type, name: str, ours: bool) -> str:
    """Its help; of transformers' arguments, which say pages, the name alone."""
    return cls.__dataclass_fields__[name].metadata.get("help", "") if ours else ""
