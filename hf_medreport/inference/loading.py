"""Load a report model by a shipped name, a folder or a repository, as a pipeline; or the segmenter that one carries.

A model of a system that this library has is loaded with the installed classes: code in a folder or repository runs only
when the user asks for it.
"""

import json
import logging
import os
import re
from pathlib import Path
from typing import NamedTuple

import torch
from huggingface_hub.constants import HF_HUB_OFFLINE
from safetensors import SafetensorError
from transformers import (
    AutoImageProcessor,
    AutoModelForImageTextToText,
    AutoModelForSemanticSegmentation,
    AutoProcessor,
    pipeline,
)
from transformers.image_processing_utils import BaseImageProcessor
from transformers.utils import cached_file

from hf_medreport.files.nearest import did_you_mean
from hf_medreport.files.settings import read_settings
from hf_medreport.files.writing import sha256
from hf_medreport.hub.generation_settings import FILE, check_generation_file
from hf_medreport.hub.pipeline_index import INDEX
from hf_medreport.processing.file_suffixes import FEATURE_SUFFIXES, SLIDE_SUFFIXES
from hf_medreport.processing.input_error import InputError, four_fields
from hf_medreport.processing.patch_encoder import weights_revision
from hf_medreport.processing.pipeline_image_to_text import MedicalReportPipeline
from hf_medreport.processing.slide_child import detect_format
from hf_medreport.processing.slide_sources import openslide
from hf_medreport.registry import System, default_model, find_system, register_auto_classes, shipped, systems

# What a configuration says of where it lies and who wrote it.
NOT_SETTINGS = ("_name_or_path", "transformers_version", "auto_map", "custom_pipelines", "architectures", "dtype")
LAYERS, MOST_LAYERS = re.compile(r"layers?$"), 10_000
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
# torch's and transformers' words for weights that do not fit their configuration.
SWITCHED_ON = ("1", "ON", "YES", "TRUE")  # as the libraries read their switches
MISMATCH = ("mismatched", "size mismatch", "shape")

logger = logging.getLogger(__name__)


def shows_slide(path: str | os.PathLike) -> bool:
    """Whether a file is a slide or the features of one: by its suffix, or by what OpenSlide says of its content."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in (*SLIDE_SUFFIXES, *FEATURE_SUFFIXES):
        return True
    if suffix in (".png", ".jpg", ".jpeg") or openslide is None or not path.is_file():
        return False
    return detect_format(path) is not None


def load(
    model: str | os.PathLike | None = None,
    *,
    revision: str | None = None,
    device: str | None = None,
    trust_remote_code: bool = False,
) -> MedicalReportPipeline:
    """A pipeline for the model, in float32.

    Args:
        model: a shipped model's name, a folder, or a repository id; None is the shipped model for films.
        revision: branch, tag or commit of a repository.
        device: `"cpu"`, `"cuda"`, ...; None takes a GPU where there is one.
        trust_remote_code: run the code of a folder or repository whose system this library does not have.

    Raises:
        InputError: nothing of that name, no connection, broken or missing files, no length or end of a report in
            `generation_config.json`, or a model of another kind.
    """
    name, folder, config, row = _look_up(model, revision)
    device = checked_device(device)
    if row is None:
        return _load_foreign(name, config, revision, device, trust_remote_code)
    if row.kind != "report":
        found = f"{'an' if row.kind == 'encoder' else 'a'} {row.kind} ({row.model_type})"
        raise InputError(name, found, "a report model", "give a model that writes reports")
    if folder is not None:
        _check_weights(folder)
        _check_tokenizer(folder)
    check_generation_file(_generation_file(name, folder, revision), name, config)
    loaded, processor = _load_known(name, folder, revision, AutoModelForImageTextToText, AutoProcessor)
    if row.check:
        row.resolve("check")(name, loaded, processor)
    return row.resolve("pipeline")(model=loaded, processor=processor, task="image-to-text", device=device)


class Segmenter(NamedTuple):
    """A lung and heart segmenter, what makes its pixels, and the name to call it by."""

    model: torch.nn.Module
    image_processor: BaseImageProcessor
    name: str


def load_segmenter(
    model: str | os.PathLike | None = None, *, revision: str | None = None, device: str | None = None
) -> Segmenter:
    """The segmenter of a name, in float32: one that stands alone, or the one that a report model carries.

    Args:
        model: a shipped model's name, a folder, or a repository id; None is the shipped model for films.
        revision: branch, tag or commit of a repository.
        device: `"cpu"`, `"cuda"`, ...; None takes a GPU where there is one.

    Raises:
        InputError: as `load`, or a model that has no segmenter.
    """
    name, folder, config, row = _look_up(model, revision)
    if row is not None and row.kind == "segmenter":
        if folder is not None:
            _check_weights(folder)
        loaded, processor = _load_known(name, folder, revision, AutoModelForSemanticSegmentation, AutoImageProcessor)
        loaded.to(checked_device(device))
    elif row is not None and config.get("segmenter") is not None:
        pipe = load(model, revision=revision, device=device)
        loaded, processor = pipe.model.segmenter, pipe.processor.image_processor
    else:
        known = " or ".join(row.model_type for row in systems() if row.kind == "segmenter")
        expected = f"an {known}, or a report model with one inside such as {default_model('film')}"
        raise InputError(name, f"no segmenter ({config.get('model_type')})", expected, "give another `model`")
    return Segmenter(loaded, processor, name if folder is None else folder.resolve().name)


def _look_up(model: str | os.PathLike | None, revision: str | None) -> tuple[str, Path | None, dict, System | None]:
    """A model's name, its folder (None for a repository), configuration and system (None for another library's)."""
    name = default_model("film") if model is None else str(model)
    folder = _folder(name, revision)
    if folder is not None and revision is not None:
        raise InputError("revision", f"'{revision}' for a folder", "one for a repository only", "leave it out")
    config = read_config(name, folder, revision)
    return name, folder, config, find_system(config.get("model_type"))


def _load_known(name: str, folder: Path | None, revision: str | None, auto_model, auto_processor) -> tuple:
    """Model and processor of a system of ours, by the installed code."""
    register_auto_classes()
    source = str(folder) if folder is not None else name
    try:
        loaded, info = auto_model.from_pretrained(
            source,
            revision=revision,
            dtype=torch.float32,
            trust_remote_code=False,
            use_safetensors=True,  # or a pickle would be read where there are no safetensors
            output_loading_info=True,
        )
        processor = auto_processor.from_pretrained(source, revision=revision, trust_remote_code=False)
    except InputError:
        raise
    except Exception as error:  # transformers and tokenizers report bad files by many exception types
        raise _plain(name, error) from error
    if info["missing_keys"]:
        found = f"no weights for {sorted(info['missing_keys'])[0]} and {len(info['missing_keys']) - 1} more"
        raise InputError(name, found, "all weights", "copy the folder again")
    return loaded.eval(), processor


def _folder(name: str, revision: str | None) -> Path | None:
    """The folder of a shipped name or a path; None for a repository."""
    if name and Path(name).is_dir():  # Path("") is the current folder
        return Path(name)
    known = shipped("report")
    if name in known:
        return known[name]
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return None
    raise InputError(
        name or "model",
        "no such model" if name else "an empty name",
        f"a folder, ORG/NAME or one of {', '.join(known)}",
        did_you_mean(name, known, "check the path"),
    )


def read_config(name: str, folder: Path | None, revision: str | None = None) -> dict:
    """The config.json of a model, read as data.

    Args:
        name: of the model, in messages and in the cache.
        folder: where it lies; None for one in the cache.
        revision: of that one.

    Raises:
        InputError: none, a broken one, or one of more than `MOST_LAYERS` layers.
    """
    try:
        path = Path(cached_file(name, "config.json", revision=revision)) if folder is None else folder / "config.json"
    except OSError as error:
        found = (
            "no copy in the cache, offline" if HF_HUB_OFFLINE else "no such repository or revision, or no connection"
        )
        raise InputError(name, found, "a repository with config.json", "check the name, or give a folder") from error
    if not path.is_file():
        if (path.parent / INDEX).is_file():
            remedy = "draw pictures with it: hf-medreport synthesize"
            raise InputError(name, "a pipeline of diffusers, no report model", "a model folder", remedy)
        raise InputError(name, "no config.json", "a model folder", "give the folder that holds config.json")
    config = read_settings(path, f"{name}/config.json")
    _check_layers(config, f"{name}/config.json")
    return config


def _check_layers(config: dict, where: str) -> None:
    """Refuse a model of millions of layers: transformers writes down a name of each before it asks for weights."""
    for field, value in config.items():
        if isinstance(value, dict):
            _check_layers(value, where)
        elif LAYERS.search(field) and isinstance(value, int) and value > MOST_LAYERS:
            raise InputError(where, f"{field} = {value}", f"at most {MOST_LAYERS:,}", "copy the folder again")


def _generation_file(name: str, folder: Path | None, revision: str | None) -> Path | None:
    """Where the generation settings of a model lie; None where a repository has none."""
    if folder is not None:
        return folder / FILE
    try:
        return Path(cached_file(name, FILE, revision=revision))
    except OSError:
        return None


def _check_weights(folder: Path) -> None:
    """Refuse a folder without weights, before transformers looks for them elsewhere."""
    if not any((folder / name).is_file() for name in ("model.safetensors", "model.safetensors.index.json")):
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
        found = f"pickled weights ({pickles[0]})" if pickles else "no weights"
        remedy = "convert them: hf-medreport convert" if pickles else "copy the folder again"
        raise InputError(folder.name, found, "model.safetensors", remedy)


def _check_tokenizer(folder: Path) -> None:
    """The same of its tokenizer."""
    if not (folder / "tokenizer_config.json").is_file():
        raise InputError(
            folder.name, "no tokenizer", "tokenizer.json and tokenizer_config.json", "copy the folder again"
        )


def _plain(name: str, error: Exception) -> InputError:
    """What transformers and torch say of a model that does not load, as one line."""
    reason = " ".join(str(error).split())
    if said := four_fields(error):  # of the configuration
        return InputError(**said | {"name": f"{name}/config.json"})
    if isinstance(error, SafetensorError):
        return InputError(name, "broken or truncated safetensors", "whole files", "copy the folder again")
    if any(word in reason for word in MISMATCH):
        found = "weights of other shapes than the configuration's"
        return InputError(name, found, "matching files", "copy the folder again")
    return InputError(name, f"a model that does not load ({reason[:200]})", "a whole model", "copy it again")


def _load_foreign(name: str, config: dict, revision: str | None, device, trust_remote_code: bool):
    """A model whose code comes with it: only at the user's word."""
    if not trust_remote_code:
        found = f"model_type '{config.get('model_type')}', which this library does not have"
        known = ", ".join(row.model_type for row in systems() if row.kind == "report")
        raise InputError(name, found, known, "read its code, then pass `trust_remote_code`")
    if os.environ.get("DIFFUSERS_DISABLE_REMOTE_CODE", "").upper() in SWITCHED_ON:
        found, remedy = "it beside DIFFUSERS_DISABLE_REMOTE_CODE", "unset the one, or leave out the other"
        raise InputError("trust_remote_code", found, "one of the two", remedy)
    if revision is None and not Path(name).is_dir():
        logger.warning("%s: remote code without a revision may change any day; pass `revision`", name)
    return pipeline("image-to-text", model=name, revision=revision, device=device, trust_remote_code=True)


def model_name(pipe: MedicalReportPipeline) -> str:
    """A repository's id, or the folder's name."""
    path = pipe.model.config.name_or_path
    return Path(path).name if Path(path).is_dir() else path


def model_revision(pipe: MedicalReportPipeline) -> str:
    """The first 16 digits of the SHA-256 of all weights, whatever files they came from."""
    return weights_revision(pipe.model)


def settings_digest(pipe: MedicalReportPipeline) -> str:
    """The first 16 digits of the SHA-256 of what decides, beside the weights, what is written: configuration,
    generation settings, tokenizers and preprocessing."""
    settings = [pipe.model.config.to_dict(), pipe.model.generation_config.to_dict(), _preprocessing(pipe.processor)]
    for of_part in settings:
        for name in NOT_SETTINGS:
            of_part.pop(name, None)
    return sha256(json.dumps(settings, sort_keys=True, default=str).encode())[:16]


def _preprocessing(processor) -> dict:
    """What a processor's parts are set to, its tokenizers with all their words."""
    settings = processor.to_dict()
    for name in processor.get_attributes():
        part = getattr(processor, name)
        words = getattr(part, "backend_tokenizer", None)
        settings[name] = words.to_str() if words is not None else part.to_dict()
    return settings


def checked_device(device: str | None) -> torch.device:
    """The device by its name, a GPU where there is one by default, of several processes that torchrun started on a
    machine (LOCAL_RANK) a GPU each; InputError where it cannot be used."""
    if device is None and not torch.accelerator.is_available():
        return torch.device("cpu")
    if device is None:
        gpu = torch.accelerator.current_accelerator()
        process = os.environ.get("LOCAL_RANK")
        return gpu if process is None else torch.device(gpu.type, int(process) % torch.accelerator.device_count())
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen).cpu()  # "meta" can be made but not read
    except (RuntimeError, AssertionError) as error:
        raise InputError("device", f"'{device}'", "a device of this machine", "try cpu") from error
    return chosen
