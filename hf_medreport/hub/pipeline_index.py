"""The index of a diffusers folder, `model_index.json`: which pipeline it is, of which components, and whose they are.

A pipeline has no configuration and no model type; its class name tells it:

    {"_class_name": ["medical_pipeline", "MedicalImagePipeline"],
     "unet": ["medical_unet", "MedicalUNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"], ...}

A class of a module that is no installed library lies beside its component's weights, in `unet/medical_unet.py`.
"""

import importlib.util
import re
from pathlib import Path

from hf_medreport.files.settings import read_settings
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import System, find_generator

__all__ = ["INDEX", "code_of_components", "components", "generator_of", "pipeline_class", "read_index"]

INDEX = "model_index.json"
NAME = re.compile(r"\w[\w.]*")  # of a component, a module or a class: nothing that leads to another folder
LIBRARIES = ("diffusers", "transformers")


def read_index(folder: Path, name: str | None = None) -> dict:
    """The index of a folder.

    Args:
        folder: that holds it.
        name: what messages call the folder; default: as it is called.

    Raises:
        InputError: no such file, one that is no JSON object, or a component that is no pair of names.
    """
    name = folder.resolve().name if name is None else name
    if not (folder / INDEX).is_file():
        raise InputError(name, f"no {INDEX}", "a pipeline's folder", f"give the folder that holds {INDEX}")
    index = read_settings(folder / INDEX, f"{name}/{INDEX}")
    for part, value in index.items():
        if isinstance(value, list) and not part.startswith("_"):
            texts = all(one is None or isinstance(one, str) and NAME.fullmatch(one) for one in value)
            if not (NAME.fullmatch(part) and texts):
                found, expected = f"{part[:40]!r} that names no class", '"component": ["library or module", "class"]'
                raise InputError(f"{name}/{INDEX}", found, expected, "copy the file again")
    return index


def pipeline_class(index: dict) -> str:
    """The name of the pipeline's class; "" where the index gives none."""
    named = index.get("_class_name")
    named = named[-1] if isinstance(named, list) and named else named
    return named if isinstance(named, str) else ""


def generator_of(folder: Path) -> System | None:
    """The system of a folder with an index; None of a folder without, and of a pipeline that this library lacks."""
    return find_generator(pipeline_class(read_index(folder))) if (folder / INDEX).is_file() else None


def components(index: dict) -> dict[str, tuple[str, str]]:
    """The components that there are, {name: (library or module, class)}."""
    pairs = {name: value for name, value in index.items() if isinstance(value, list) and not name.startswith("_")}
    return {name: tuple(value) for name, value in pairs.items() if len(value) == 2 and all(value)}


def code_of_components(row: System, folder: Path) -> dict[str, Path]:
    """Where the code of a folder's components lies here, {"unet/medical_unet.py": its source}; of modules that stand
    beside the pipeline's own."""
    package = row.model.partition(":")[0].rpartition(".")[0]
    found = {}
    for name, (library, _) in components(read_index(folder)).items():
        ours = library not in LIBRARIES and library.isidentifier()
        if ours and (source := importlib.util.find_spec(f"{package}.{library}")) is not None:
            found[f"{name}/{library}.py"] = Path(source.origin)
    return found
