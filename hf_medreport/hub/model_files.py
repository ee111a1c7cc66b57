"""Which files of a folder are its model: what its index, its settings, its card and its code need, and no other.

A folder that somebody worked in may also hold reports, features, notes and scripts with patient data. So names are
allowed, not forbidden: settings, weights and a card under the names that the libraries give them; code that settings
name, and what it imports from beside it; and the subfolders that the index, the code or the card names.
"""

import ast
import os
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path

from hf_medreport.files.settings import read_settings
from hf_medreport.hub.pipeline_index import INDEX, LIBRARIES, components, read_index
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.regular_file import refuse_special

__all__ = ["ADAPTER", "PICKLES", "code_needed", "could_be_published", "model_files", "shards", "siblings"]

ADAPTER = "pytorch_lora_weights.safetensors"
PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}
# At the root alone: the card and where its figures come from, licenses, versions, and of an adapter its base.
AT_ROOT = ("README.md", "evaluation.json", "tested_with.json", "base.json", INDEX)
AT_ROOT += tuple(f"{name}{suffix}" for name in ("LICENSE", "NOTICE") for suffix in ("", ".md", ".txt"))
WEIGHTS = ("model*.safetensors", "diffusion_pytorch_model*.safetensors", "adapter_model.safetensors", ADAPTER)
SETTINGS = ("config.json", "generation_config.json", "scheduler_config.json", "adapter_config.json")
SETTINGS += ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json", "special_tokens_map.json")
OTHERS = ("chat_template.json", "chat_template.jinja", "*.safetensors.index.json", "tokenizer.json")
OTHERS += ("added_tokens.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt", "merges.txt")
PART = ("config.json", "tokenizer_config.json", "preprocessor_config.json", "scheduler_config.json")  # of a model
AGAIN = "save the model again"


def could_be_published(path: str) -> bool:
    """Whether a file of a repository is of a kind that a publication may have put there."""
    name = path.rsplit("/", 1)[-1]
    kinds = (*AT_ROOT, *SETTINGS, *OTHERS, "LICENSE*", "NOTICE*", "*.py", "*.safetensors")
    return _matches(name, kinds)


def model_files(folder: Path, ours: Mapping[str, bytes]) -> tuple[list[str], list[str]]:
    """The files of a folder that are its model, and what is left out, sorted; a hidden folder is left out whole.

    Args:
        folder: the model's.
        ours: code that this installation brings, by its path in the folder.

    Raises:
        InputError: a link or a device among its files, settings that are no JSON, or a reference that names no class.
    """
    present, left_out = _walk(folder)
    kept = [path for path in present if "/" not in path and _matches(path, (*AT_ROOT, *WEIGHTS, *SETTINGS, *OTHERS))]
    kept += [shard for shard in shards(folder, kept) if shard in present]
    code = _reached(folder, [module for _, module in code_needed(folder, kept)], present)
    parts = _parts(folder, code, ours)
    for path in present:
        part, _, name = path.partition("/")
        if part in parts and "/" not in name and _matches(name, (*WEIGHTS, *SETTINGS, *OTHERS)):
            kept.append(path)
    kept += [path for path in shards(folder, kept) if path in present]
    kept += _reached(folder, [module for _, module in code_needed(folder, kept)], present)
    return sorted(set(kept)), sorted({*left_out, *present} - set(kept))


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _walk(folder: Path) -> tuple[list[str], list[str]]:
    """All files of a folder, and the hidden folders, which are not looked into."""
    files, hidden = [], []
    for root, folders, names in os.walk(folder):
        here = Path(root).relative_to(folder)
        unseen = [name for name in folders if name.startswith(".") or name == "__pycache__"]
        hidden += [f"{(here / name).as_posix()}/" for name in unseen]
        folders[:] = sorted(name for name in folders if name not in unseen)
        for name in [*folders, *names]:
            if (Path(root) / name).is_symlink():
                found, expected = "a link", "files and folders of its own: what a link shows may be anybody's"
                where = f"{folder.resolve().name}/{(here / name).as_posix()}"
                raise InputError(where, found, expected, "put a copy in its place, or remove it")
        for name in names:
            where = f"{folder.resolve().name}/{(here / name).as_posix()}"
            refuse_special(Path(root) / name, "a file of a model", where)
            files.append((here / name).as_posix())
    return sorted(files), hidden


# --- weights ----------------------------------------------------------------------------------------------------------


def shards(folder: Path, files: Iterable[str]) -> list[str]:
    """The files of weights that the indices among these files name.

    Raises:
        InputError: an index that names no files beside it.
    """
    named = []
    for path in files:
        if not path.endswith(".safetensors.index.json"):
            continue
        where = f"{folder.resolve().name}/{path}"
        of_weights = read_settings(folder / path, where, AGAIN).get("weight_map")
        if not isinstance(of_weights, dict):
            raise InputError(where, "no weight_map", "the file of each weight", AGAIN)
        for name in of_weights.values():
            if not isinstance(name, str) or not re.fullmatch(r"[\w-][\w.-]*\.safetensors", name):
                found = f"{str(name)[:60]!r} as a file of weights"
                raise InputError(where, found, "the name of a .safetensors file beside it", AGAIN)
        beside = path.rpartition("/")[0]
        named += [f"{beside}/{name}".lstrip("/") for name in sorted(set(of_weights.values()))]
    return named


# --- code -------------------------------------------------------------------------------------------------------------


def code_needed(folder: Path, files: Iterable[str]) -> list[tuple[str, str]]:
    """(who names it, the module's path) of the code that settings at the root and a pipeline's index name.

    Raises:
        InputError: settings that are no JSON, or a reference that names no class.
    """
    wanted = []
    if (folder / INDEX).is_file():
        index = read_index(folder)
        named = index.get("_class_name")
        if isinstance(named, list) and named and isinstance(named[0], str):
            wanted.append((INDEX, f"{named[0]}.py"))
        own = ((name, library) for name, (library, _) in components(index).items() if library not in LIBRARIES)
        wanted += [(INDEX, f"{name}/{library}.py") for name, library in own]
    for path in files:
        if path.endswith(".json") and "/" not in path and path != INDEX:
            where = f"{folder.resolve().name}/{path}"
            content = read_settings(folder / path, where, AGAIN)
            wanted += [(path, f"{name.rpartition('.')[0]}.py") for name in _references(content, where)]
    return wanted


def _references(content: dict, where: str) -> list[str]:
    """What `auto_map` and `custom_pipelines` name: "module.Class", or [slow, fast] with null for a missing one."""
    maps = {name: content.get(name) or {} for name in ("auto_map", "custom_pipelines")}
    for name, content in maps.items():
        if not isinstance(content, dict):
            raise InputError(where, f"{name} that is a {type(content).__name__}", "names by task or class", AGAIN)
    found = [(f"auto_map of {key}", value) for key, value in maps["auto_map"].items()]
    for task, value in maps["custom_pipelines"].items():
        found.append((f"custom_pipelines of {task}", value.get("impl") if isinstance(value, dict) else value))
    named = []
    for what, value in found:
        for one in value if isinstance(value, list) and value else [value]:
            if isinstance(one, str) and re.fullmatch(r"(?:[\w./-]+--)?\w+\.\w+", one):
                named.append(one)
            elif one is not None or not isinstance(value, list):
                raise InputError(where, f"{what[:60]} that names no class", "'module.Class'", AGAIN)
    return named


def _reached(folder: Path, modules: Iterable[str], present: list[str]) -> list[str]:
    """The code files among those present that are named, and what they import from beside them, and so on."""
    reached, waiting = [], list(modules)
    while waiting:
        path = waiting.pop()
        if path in present and path not in reached:
            reached.append(path)
            waiting += siblings(folder, path)
    return reached


def siblings(folder: Path, path: str) -> list[str]:
    """What a code file imports from beside it."""
    here = Path(path).parent
    return [
        (here / f"{node.module}.py").as_posix()
        for node in ast.walk(_tree(folder, path))
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module
    ]


def _tree(folder: Path, path: str) -> ast.Module:
    try:
        return ast.parse((folder / path).read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = "not UTF-8" if isinstance(error, ValueError) else "nested too deeply"
        line = f"line {error.lineno}" if isinstance(error, SyntaxError) else line
        where = f"{folder.resolve().name}/{path}"
        raise InputError(where, f"code that does not parse ({line})", "python", "mend it") from None


# --- subfolders -------------------------------------------------------------------------------------------------------


def _parts(folder: Path, code: list[str], ours: Mapping[str, bytes]) -> set[str]:
    """The subfolders that belong to the model: components of a pipeline; of other folders those with settings of their
    own that the code names, by a text or an argument, or the card, as `name/`."""
    if (folder / INDEX).is_file():
        return set(components(read_index(folder)))
    names = {each.name for each in folder.iterdir() if any((each / name).is_file() for name in PART)}
    trees = [_tree(folder, path) for path in code if path not in ours]
    trees += [ast.parse(text) for path, text in ours.items() if path.endswith(".py")]
    named = {str(node.value) for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    named |= {node.arg for tree in trees for node in ast.walk(tree) if isinstance(node, ast.arg)}
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    return {name for name in names if name in named or f"`{name}/`" in text}
