"""What is installed or lies in a folder, how it differs from what was tested, and what to type.

Answered from metadata and by comparing files, without importing torch.
"""

import importlib.metadata
import json
import platform
import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

from huggingface_hub.constants import HF_HUB_OFFLINE
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hf_medreport.files.nearest import did_you_mean
from hf_medreport.files.settings import read_settings
from hf_medreport.hub.folder import VERSIONS, outdated_files, traveling_files
from hf_medreport.hub.generation_settings import FILE, check_generation_file
from hf_medreport.hub.pipeline_index import INDEX, components, generator_of, pipeline_class, read_index
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import System, find_system, shipped, systems
from hf_medreport.version import tested_versions

PURPOSE = {
    "dicom": "DICOM films, compressed ones too",
    "clinical": "UMLS concepts by scispaCy (apart from `all`: it needs numpy < 2)",
    "evaluate": "METEOR, scores as tables, FID on Inception's weights",
    "cxr": "models that see by a DenseNet",
    "wsi": "whole slides, their tiles and feature files",
    "train": "training recipes, tables of films, logging",
    "diffusion": "pictures from words: drawing, training, adapters",
    "quantize": "report models in 4 and 8 bits",
    "rlhf": "learning from raters and rewards",
    "demo": "pages in the browser",
    "ray": "tile, report and evaluate model on a cluster's machines",
}


def examine() -> dict:
    """The state of this installation.

    Returns:
        `{"python", "hf_medreport", "packages": {name: version}, "missing": [...], "extras": {name: {"adds", "missing",
        "install"}}, "versions": {name: {"tested", "installed", "state"}}, "checkpoints": {name: found}, "gpu",
        "offline"}`. A package that is missing, or older than this library needs, stands in `missing` as it is to be
        installed; `install` is None where nothing is. `versions` are those of every package that this library or an
        extra needs, that is installed and that was tested; see `compared`.
    """
    required, extras = requirements()
    return {
        "python": platform.python_version(),
        "hf_medreport": installed("hf-medreport"),
        "packages": {requirement.name: installed(requirement.name) for requirement in required},
        "missing": lacking(required),
        "extras": {
            extra: {
                "adds": PURPOSE[extra] + needing(extra),
                "missing": lacking(extras[extra]),
                "install": install_command(extra) if lacking(extras[extra]) else None,
            }
            for extra in PURPOSE
        },
        "versions": against_tested([*required, *(one for extra in PURPOSE for one in extras[extra])]),
        "checkpoints": {name: _is_model(folder) for name, folder in shipped().items()},
        "gpu": shutil.which("nvidia-smi") is not None,
        "offline": HF_HUB_OFFLINE,
    }


def examine_folder(name: str) -> dict:
    """What a model folder carries, held against this installation.

    Args:
        name: a folder, or a shipped model's name.

    Returns:
        `{"folder", "model_type", "kind", "code": {"differs": [...], "missing": [...], "extra": [...]},
        "tested_with": {name: {"tested", "installed", "state"}}, "generation"}`. Code is compared with the installed
        library's; `extra` are Python files that it does not have. `tested_with` is None where the folder does not say;
        `generation` is what is wrong with a report model's generation_config.json, None where nothing is.

    Raises:
        InputError: no model folder, a system that this library does not have, or a broken JSON file.
    """
    folder = model_folder(name)
    config, row = _configured(folder, name)
    return {
        "folder": str(folder),
        "model_type": row.model_type,
        "kind": row.kind,
        "code": compared_code(row, folder),
        "tested_with": recorded_versions(folder, name),
        "generation": _generation(row, folder, name, config),
    }


def _configured(folder: Path, name: str) -> tuple[dict, System]:
    """A folder's configuration, {} of a generator, and its system."""
    remedy = "give a folder that this library wrote"
    if (folder / INDEX).is_file():
        index = read_index(folder, name)
        if (row := generator_of(folder)) is None:
            found = f"the pipeline '{pipeline_class(index)}', which this library does not have"
            known = ", ".join(row.model.rpartition(":")[2] for row in systems() if row.kind == "generator")
            raise InputError(f"{name}/{INDEX}", found, known, remedy)
        return {}, row
    config = read_settings(folder / "config.json", f"{name}/config.json")
    if (row := find_system(config.get("model_type"))) is None:
        found = f"model_type '{config.get('model_type')}', which this library does not have"
        known = ", ".join(row.model_type for row in systems() if row.kind != "generator")
        raise InputError(f"{name}/config.json", found, known, remedy)
    return config, row


def install_command(extra: str) -> str:
    """What installs an extra, from where this package came: the folder of a clone, a wheel, or a registry."""
    try:
        origin = json.loads(distribution("hf-medreport").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        origin = {}
    if url := origin.get("url"):
        flag = "-e " if origin.get("dir_info", {}).get("editable") else ""
        place = unquote(urlsplit(url).path)
        return f'pip install {flag}"{place}[{extra}]"' if flag else f'pip install "hf-medreport[{extra}] @ {url}"'
    return f'pip install "hf-medreport[{extra}]"'


def needing(extra: str) -> str:
    """Which shipped models need an extra, in brackets; nothing where none does."""
    names = [row.checkpoint for row in systems() if row.checkpoint and extra in row.extras]
    return f" ({', '.join(names)})" if names else ""


def model_folder(name: str) -> Path:
    """The folder of a path or a shipped name; InputError where there is none with a configuration."""
    known = shipped()
    folder = known[name] if name in known and not Path(name).is_dir() else Path(name)
    if not name or not folder.is_dir():
        found = "a file" if name and folder.exists() else "no such folder"
        remedy = did_you_mean(name, known, "check the path")
        raise InputError(name or "folder", found, f"a model folder or one of {', '.join(known)}", remedy)
    if not _is_model(folder):
        raise InputError(name, "no config.json", "a model folder", "give the folder that holds it")
    return folder


def _is_model(folder: Path) -> bool:
    return (folder / "config.json").is_file() or (folder / INDEX).is_file()


def compared_code(row: System, folder: Path) -> dict[str, list[str]]:
    """Which of a folder's Python files are not the installed library's."""
    outdated = sorted(path for path in outdated_files(row, folder) if path != VERSIONS)
    ours = traveling_files(row, folder)
    places = ["", *(f"{part}/" for part in components(read_index(folder)))] if row.kind == "generator" else [""]
    held = (f"{place}{path.name}" for place in places for path in (folder / place).glob("*.py"))
    return {
        "differs": [path for path in outdated if (folder / path).is_file()],
        "missing": [path for path in outdated if not (folder / path).is_file()],
        "extra": sorted(path for path in held if path not in ours),
    }


def recorded_versions(folder: Path, name: str) -> dict[str, dict] | None:
    """What a folder was tested with, against what is installed; None where it does not say."""
    if not (folder / VERSIONS).is_file():
        return None
    where, remedy = f"{name}/{VERSIONS}", "save or publish the model again"
    record = read_settings(folder / VERSIONS, where, remedy)
    for package, version in record.items():
        try:
            Version(version)
        except (InvalidVersion, TypeError):
            raise InputError(where, f"{package} {version!r}", "a version", remedy) from None
    return {package: compared(tested, _version_here(package)) for package, tested in record.items()}


def _version_here(package: str) -> str | None:
    return platform.python_version() if package == "python" else installed(package)


def _generation(row: System, folder: Path, name: str, config: dict) -> str | None:
    """What is wrong with how a report model is to write."""
    if row.kind != "report":
        return None
    try:
        check_generation_file(folder / FILE, name, config)
    except InputError as error:
        return str(error)
    return None


def against_tested(requirements: list[Requirement]) -> dict[str, dict]:
    """Each required package that is installed and was tested."""
    pins = {canonicalize_name(name): version for name, version in tested_versions().items()}
    tested = {requirement.name: pins.get(canonicalize_name(requirement.name)) for requirement in requirements}
    return {name: compared(pin, installed(name)) for name, pin in tested.items() if pin and installed(name)}


def compared(tested: str, installed: str | None) -> dict[str, str | None]:
    """`{"tested", "installed", "state"}`: `older than tested`, `tested`, `newer than tested` or `missing`."""
    return {"tested": tested, "installed": installed, "state": _state(tested, installed)}


def _state(tested: str, installed: str | None) -> str:
    if installed is None:
        return "missing"
    here, there = (Version(Version(version).public) for version in (installed, tested))  # 2.14.1+cu130 is 2.14.1
    return "tested" if here == there else "older than tested" if here < there else "newer than tested"


def lacking(requirements: list[Requirement]) -> list[str]:
    """Which requirements are not met, as `name>=version`."""
    return [
        f"{requirement.name}{requirement.specifier}"
        for requirement in requirements
        if not requirement.specifier.contains(installed(requirement.name) or "0", prereleases=True)
    ]


def installed(package: str) -> str | None:
    """The version of an installed distribution."""
    try:
        return importlib.metadata.version(package)
    except (importlib.metadata.PackageNotFoundError, ValueError):  # ValueError: a name of no letters
        return None


def requirements() -> tuple[list[Requirement], dict[str, list[Requirement]]]:
    """What this package always needs, and what each extra adds, from its own metadata."""
    every = [Requirement(line) for line in importlib.metadata.requires("hf-medreport") or []]
    extras = {
        extra: [one for one in every if one.marker and one.marker.evaluate({"extra": extra})] for extra in PURPOSE
    }
    return [one for one in every if one.marker is None], extras
