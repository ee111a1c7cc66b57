"""Load a generator of pictures by a folder or a repository: one of ours, or a stock Stable Diffusion that is wrapped.

Which of the two it is says the class in `model_index.json`. A pipeline of ours is built from its components with the
installed classes, so that no code of a folder or repository runs.
"""

import logging
import os
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.constants import HF_HUB_OFFLINE
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError

from hf_medreport.files.writing import sha256
from hf_medreport.hub.pipeline_index import INDEX, components, pipeline_class, read_index
from hf_medreport.inference.loading import PICKLES, checked_device
from hf_medreport.processing.input_error import InputError, four_fields
from hf_medreport.processing.patch_encoder import weights_revision
from hf_medreport.registry import System, default_model, find_generator, shipped, systems

__all__ = ["generator_folder", "generator_revision", "is_generator", "load_generator"]

STOCK = ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline")
# What a pipeline is made of; neither previews nor weights of other frameworks are fetched.
FETCHED = ["*.json", "*.txt", "*.safetensors", "*.model"]
UNUSED = ["safety_checker/*", "feature_extractor/*", "*.fp16.safetensors", "*.non_ema.safetensors"]


def load_generator(model: str | os.PathLike | None = None, *, revision: str | None = None, device: str | None = None):
    """A `MedicalImagePipeline`, in float32.

    Args:
        model: a folder or a repository id, of a generator of ours or of Stable Diffusion 1.x; a shipped name; None is
            the shipped one.
        revision: branch, tag or commit of a repository.
        device: `"cpu"`, `"cuda"`, ...; None takes a GPU where there is one.

    Raises:
        InputError: nothing of that name, no connection, broken or missing files,
            another pipeline, or no diffusers.
    """
    model = default_model("prompt") if model is None else str(model)
    row = next(row for row in systems() if row.kind == "generator")
    pipeline = _pipeline(row)
    device, folder = checked_device(device), generator_folder(model, revision)
    index = read_index(folder, model)
    found = pipeline_class(index)
    try:
        if found in STOCK:
            pipe = pipeline.from_stock(str(folder))
        elif (row := find_generator(found)) is not None:
            for name in components(index):
                _check_component(folder, name)
            pipe = row.resolve("model").from_folder(folder)
        else:
            ours = ", ".join(row.model.rpartition(":")[2] for row in systems() if row.kind == "generator")
            expected = f"{ours} or {STOCK[0]}"
            raise InputError(f"{model}/{INDEX}", f"the pipeline '{found}'", expected, "give another `model`")
    except InputError:
        raise
    except Exception as error:  # diffusers, transformers and tokenizers report bad files by many exception types
        raise _plain(model, error) from error
    return pipe.to(device)


def generator_revision(pipe) -> str:
    """The first 16 digits of the SHA-256 of all weights and of the configurations that decide what is drawn."""
    parts = {name: part for name, part in sorted(pipe.components.items()) if part is not None}
    digests = [weights_revision(part) for part in parts.values() if isinstance(part, torch.nn.Module)]
    settings = [repr(sorted(dict(part.config).items())) for name, part in parts.items() if name == "scheduler"]
    return sha256("\n".join(digests + settings).encode())[:16]


def _pipeline(row: System) -> Any:
    """The class of the pipeline, which needs diffusers."""
    # diffusers imports bitsandbytes where it is installed, which speaks of kernels that nobody asked for.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        return row.resolve("model")
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "diffusers":
            raise
        remedy = f"pip install 'hf-medreport[{row.extras[0]}]'"
        raise InputError("diffusers", "no such package", "it, to draw pictures", remedy) from None


def is_generator(name: str, revision: str | None = None) -> bool:
    """Whether a shipped name, a folder or a repository is a pipeline of diffusers; False of what is not there."""
    folder = shipped("generator").get(name, Path(name))
    if folder.is_dir():
        return (folder / INDEX).is_file()
    if name.count("/") != 1:
        return False
    try:
        return bool(hf_hub_download(name, INDEX, revision=revision))
    except (OSError, HFValidationError):  # what the Hub's client raises is one of the first
        return False


def generator_folder(name: str, revision: str | None = None) -> Path:
    """Where the files of a generator lie: its folder, or the cache's copy of a repository.

    Raises:
        InputError: neither.
    """
    known = shipped("generator")
    folder = known.get(name, Path(name))
    if name and folder.is_dir():
        if revision is not None:
            raise InputError("revision", f"'{revision}' for a folder", "one for a repository only", "leave it out")
        return folder
    if not name or name.count("/") != 1 or name.startswith((".", "/", "~")):
        found = "an empty name" if not name else "a file" if folder.is_file() else "no such model"
        raise InputError(name or "model", found, "a folder or ORG/NAME", "check the path")
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=FETCHED, ignore_patterns=UNUSED))
    except (OSError, HFValidationError, LocalEntryNotFoundError) as error:  # HfHubHTTPError is an OSError
        offline = "no copy in the cache, offline"
        found = offline if HF_HUB_OFFLINE else "no such repository or revision, or no connection"
        expected = f"a repository with {INDEX}"
        raise InputError(name, found, expected, "check the name, or give a folder") from error


def _check_component(folder: Path, name: str) -> None:
    """Refuse a component that is not there, or has pickled weights alone, before its library looks elsewhere."""
    place = folder / name
    if not place.is_dir():
        found = f"no folder of the component '{name}'"
        raise InputError(folder.name, found, f"what {INDEX} names", "copy the folder again")
    pickles = sorted(path.name for path in place.iterdir() if path.suffix in PICKLES)
    if pickles and not any(place.glob("*.safetensors")):
        found = f"pickled weights ({name}/{pickles[0]})"
        raise InputError(folder.name, found, "weights as .safetensors", "save the pipeline again with save_pretrained")


def _plain(name: str, error: Exception) -> InputError:
    """What the libraries say of a pipeline that does not load, as one line."""
    if said := four_fields(error):
        return InputError(**said)
    if isinstance(error, SafetensorError):
        return InputError(name, "broken or truncated safetensors", "whole files", "copy the folder again")
    reason = " ".join(str(error).split())[:200]
    return InputError(name, f"a pipeline that does not load ({reason})", "a whole one", "copy it again")
