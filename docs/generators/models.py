"""What a page of a model shows of its files: the head of its code, its shipped model's card, its registry row."""

import ast
import re

from generators.results import READ, ROOT, SHIPPED, table
from hf_medreport.registry import system, systems


def head_of(file: str) -> str:
    """The docstring of a file in modeling/: what it is, what differs from the original, how it is called."""
    path = ROOT / "modeling" / file
    READ.add(path)
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    return _code_blocks(text)


def _code_blocks(text: str) -> str:
    """Indented examples as blocks that Markdown knows: by themselves they would be colored as nothing."""
    return re.sub(r"\n\n((?:    [^\n]*(?:\n|$)|\n(?=    ))+)", r"\n\n```text\n\1\n```\n", text).replace("\n    ", "\n")


def card_of(name: str, begin: str, end: str) -> str:
    """What a shipped model's card says between two headings, named by their first words."""
    path = SHIPPED / name / "README.md"
    READ.add(path)
    section = re.search(rf"^## {begin}.*?\n(.*?)^## {end}", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return section[1]


def facts_of(model_type: str) -> str:
    """What the registry says of a system."""
    row = system(model_type)
    rows = [["model type", f"`{row.model_type}`"], ["kind", row.kind]]
    rows += [["reads", row.reads]] if row.reads else []
    rows += [["may be given", ", ".join(row.given)]] if row.given else []
    rows += [["loaded by", ", ".join(f"`{name}`" for name in row.auto_classes) or "`DiffusionPipeline`"]]
    rows += [["ships as", f"`{row.checkpoint}`"]] if row.checkpoint else []
    rows += [["extras", ", ".join(f"`{extra}`" for extra in row.extras)]] if row.extras else []
    rows += [["trained by", f"`hf-medreport train {row.model_type}`"]] if row.recipe else []
    rows += [["originals read by", ", ".join(f"`hf-medreport convert {name}`" for name in row.converters)]] * bool(
        row.converters
    )
    return table(["", ""], rows)


def citation(model_type: str) -> str:
    """BibTeX of what a system was published as."""
    return f"```bibtex\n{system(model_type).citation}\n```"


def all_systems() -> str:
    """Every row of the registry."""
    rows = [
        [f"`{row.model_type}`", row.kind, row.reads or "", f"`{row.checkpoint}`" if row.checkpoint else ""]
        for row in systems()
        if row.model.startswith("hf_medreport.")
    ]
    return table(["model type", "kind", "reads", "ships as"], rows)


PUBLIC = (head_of, card_of, facts_of, citation, all_systems)
