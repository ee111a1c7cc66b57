"""Write a model folder that loads anywhere: weights, processor, code, pipeline, the map between them, versions.

Our own classes leave all but the versions by `save_pretrained` alone. Those of another package need not: transformers'
own leaves `AutoModel` failing and forgets the pipeline file (it copies code only for the one Auto class that was
registered). So the map is written here by the system's row, and the code is copied with everything it imports.
"""

import importlib.util
import json
import os
from pathlib import Path

from hf_medreport.files.writing import output_folder, write_json, write_whole
from hf_medreport.hub.generation_settings import check_generation
from hf_medreport.hub.pipeline_index import code_of_components
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import System, system
from hf_medreport.version import __version__, tested_python, tested_versions

TASK = "image-to-text"
VERSIONS = "tested_with.json"
# What a folder needs where hf-medreport is not installed: transformers, what it stands on, and what our code imports.
NEEDED = ("torch", "transformers", "tokenizers", "safetensors", "huggingface_hub", "numpy", "pillow")
NEEDED_OF_KIND = {"generator": ("diffusers",)}


def save_folder(model, processor, folder: str | os.PathLike) -> Path:
    """Write model, processor and code to `folder`, so that only transformers and torch are needed to load it.

    Args:
        model: a model of a registered system.
        processor: its processor; a segmenter's, judge's or selector's is its image processor, a causal language
            model's its tokenizer.
        folder: made when absent; files of the same names are replaced.

    Returns:
        The folder.

    Raises:
        InputError: a file of that name, or no permission to write; or a report model whose `generation_config` names no
            length or no end, which would not be loaded again. Nothing is written then.
    """
    row = system(model.config.model_type)
    if row.kind == "report":
        check_generation(model.generation_config.to_dict(), model.config.to_dict(), "generation_config")
    folder = output_folder(folder)
    model.config.auto_map = {
        "AutoConfig": _reference(row.config),
        **dict.fromkeys(row.auto_classes, _reference(row.model)),
    }
    if row.pipeline:
        task = {"impl": _reference(row.pipeline), "pt": [row.auto_classes[-1]], "type": "multimodal"}
        model.config.custom_pipelines = {TASK: task}
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    _map_processor(row, processor, folder)
    copy_code(row, folder)
    return folder


def save_generator(pipe, folder: str | os.PathLike) -> Path:
    """Write a generator's pipeline to `folder` as it writes itself, and the versions it was tested with.

    Args:
        pipe: a pipeline of a registered system.
        folder: made when absent; files of the same names are replaced.

    Raises:
        InputError: a file of that name, or no permission to write; nothing is written then.
    """
    folder = output_folder(folder)
    pipe.save_pretrained(folder)
    write_versions(folder, "generator")
    return folder


def copy_code(row: System, folder: Path) -> list[Path]:
    """Write what travels with a system into `folder`, and a generator's components; returns the files written."""
    files = traveling_files(row, folder)
    for name, content in files.items():
        _write(folder / name, content)
    return [folder / name for name in files]


def traveling_files(row: System, folder: Path | None = None) -> dict[str, bytes]:
    """What a folder takes from what is installed: a system's code, its siblings, and the versions they were tested
    with. The code may come from several packages.

    Args:
        row: the system.
        folder: of a generator, whose index says which components have code of ours; it lies beside their weights.

    Raises:
        InputError: two of these packages have files of one name, and other content.
    """
    from transformers.dynamic_module_utils import get_relative_import_files  # slow to import, and not always needed

    names = [row.config, row.model, row.processor, row.image_processor, row.pipeline]
    packages = {}  # of each file
    for module in {name.partition(":")[0] for name in names if name}:
        source = Path(importlib.util.find_spec(module).origin)
        siblings = map(Path, get_relative_import_files(source))
        packages |= dict.fromkeys((source, *siblings), module.rpartition(".")[0])
    files, first = {}, {}
    for source, package in sorted(packages.items()):
        content = source.read_bytes()
        if files.setdefault(source.name, content) != content:
            found = f"one in {' and another in '.join(sorted((first[source.name], package)))}"
            raise InputError(source.name, found, "one file of a name among those that travel", "rename one of them")
        first[source.name] = package
    if row.kind == "generator" and folder is not None:
        files |= {path: source.read_bytes() for path, source in code_of_components(row, folder).items()}
    return files | {VERSIONS: _versions_file(row.kind)}


def outdated_files(row: System, folder: Path) -> dict[str, bytes]:
    """Those of `traveling_files` that a folder lacks or holds otherwise."""
    files = traveling_files(row, folder)
    held = {name: (folder / name).read_bytes() for name in files if (folder / name).is_file()}
    return {name: content for name, content in files.items() if held.get(name) != content}


def write_versions(folder: Path, kind: str = "") -> None:
    """Write the versions alone, for a folder whose code is written elsewhere, or that has none."""
    _write(folder / VERSIONS, _versions_file(kind))


def _write(path: Path, content: bytes) -> None:
    write_whole(path, lambda part: part.write_bytes(content))


def _versions_file(kind: str) -> bytes:
    tested, needed = tested_versions(), (*NEEDED, *NEEDED_OF_KIND.get(kind, ()))
    own = {"hf_medreport": __version__, "python": tested_python()}
    return f"{json.dumps(own | {name: tested[name] for name in needed}, indent=2)}\n".encode()


def _reference(name: str) -> str:
    """`"modeling.modeling_x:Class"` as transformers wants it in a folder: `"modeling_x.Class"`."""
    return name.rsplit(".", 1)[-1].replace(":", ".")


def _map_processor(row: System, processor, folder: Path) -> None:
    """Add the Auto classes to the processor's JSON; a tokenizer has none and needs none."""
    image_processor = type(getattr(processor, "image_processor", processor))
    image_reference = f"{image_processor.__module__.rsplit('.', 1)[-1]}.{image_processor.__name__}"
    for name in ("processor_config.json", "preprocessor_config.json"):
        path = folder / name
        if not path.exists():
            continue
        settings = json.loads(path.read_text(encoding="utf-8"))
        if row.kind in ("judge", "reward"):  # whose processor is transformers' own
            continue
        if row.kind == "segmenter":
            settings["auto_map"] = {"AutoImageProcessor": image_reference}
        else:
            settings["auto_map"] = {"AutoProcessor": _reference(row.processor)}
            settings["image_processor"].setdefault("auto_map", {})["AutoImageProcessor"] = image_reference
        write_json(path, settings, sort_keys=True)
