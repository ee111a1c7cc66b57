"""Which modalities there are: MINIM's six, and a line in a YAML for each further one.

# modalities.yaml
DXA: {aliases: [bone density], template: "Bone density scan: {prompt}"}

table = read_modalities("modalities.yaml")
Modalities(table).named("bone-density")   # "DXA"
"""

import os
import re
from importlib.resources import files

from hf_medreport.files.nearest import did_you_mean
from hf_medreport.files.settings import read_yaml
from hf_medreport.processing.input_error import InputError

__all__ = ["Modalities", "read_modalities"]

FIELDS = ("aliases", "template", "gray")
A_LINE = 'a line like `DXA: {aliases: [bone density], template: "DXA: {prompt}"}`'
PROMPT = "{prompt}"


def read_modalities(path: str | os.PathLike | None = None) -> list[dict]:
    """The modalities as a conditioner's configuration has them: `[{"name", "aliases", "template"}]`,
    and `"gray": True` of a gray one.

    Args:
        path: a YAML of further modalities, or of other aliases or templates for the six; they follow these, or take
            the place of the one whose name they have.

    Raises:
        InputError: no such file, one of another form, a template without the place for the text, or a name or alias
            that two modalities have.
    """
    lines = read_yaml(os.fspath(files(__package__) / "modalities.yaml"))
    if path is not None:
        lines |= {str(name): line for name, line in read_yaml(os.fspath(path)).items()}
    name_of_file = "modalities.yaml" if path is None else os.path.basename(path)
    table = [_modality(f"{name_of_file}, {name}", name, line) for name, line in lines.items()]
    owners: dict[str, str] = {}
    for modality in table:
        for name in (modality["name"], *modality["aliases"]):
            owner = owners.setdefault(_key(name), modality["name"])
            if owner != modality["name"]:
                found = f"'{name}' for {owner} and {modality['name']}"
                raise InputError(name_of_file, found, "each name for one modality", "drop one of the two")
    return table


def _modality(where: str, name: str, line: object) -> dict:
    if not isinstance(line, dict) or set(line) - set(FIELDS):
        found = f"the field '{sorted(set(line) - set(FIELDS))[0]}'" if isinstance(line, dict) else f"a {_kind(line)}"
        raise InputError(where, found, A_LINE, "correct the line")
    aliases, template = line.get("aliases", []), line.get("template", f"{name}: {PROMPT}")
    if not isinstance(aliases, list) or not all(isinstance(alias, str) and _key(alias) for alias in [name, *aliases]):
        raise InputError(where, "aliases that are no list of names", A_LINE, "correct the line")
    if not isinstance(template, str) or template.count(PROMPT) != 1 or re.search(r"[{}]", template.replace(PROMPT, "")):
        raise InputError(where, f"the template {template!r:.60}", f"one with {PROMPT} once", "correct the template")
    gray = line.get("gray", False)
    if not isinstance(gray, bool):
        raise InputError(where, f"gray: {gray!r:.60}", "true or false", "correct the line")
    return {"name": name, "aliases": aliases, "template": template} | ({"gray": True} if gray else {})


def _kind(line: object) -> str:
    return type(line).__name__


def _key(name: str) -> str:
    """A name as it is compared, here and by the conditioner: its letters and numbers, in no case."""
    return "".join(letter for letter in str(name).casefold() if letter.isalnum())


class Modalities:
    """Names by whatever people call them.

    Args:
        table: as `read_modalities` gives it.
    """

    def __init__(self, table: list[dict]):
        self.table = table
        self._names = {_key(name): one["name"] for one in table for name in (one["name"], *one["aliases"])}

    def named(self, name: str) -> str:
        """The modality's own name.

        Raises:
            InputError: nobody's name; the nearest is told.
        """
        if (known := self._names.get(_key(name))) is not None:
            return known
        names = [one["name"] for one in self.table]
        spoken = [alias for one in self.table for alias in (one["name"], *one["aliases"])]
        remedy = did_you_mean(name, spoken, "name one of these, or add a line for it to a YAML of modalities")
        raise InputError("modality", f"'{name}'", "one of " + ", ".join(names), remedy)
