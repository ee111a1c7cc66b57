"""What is installed, what is missing, and what to type: answered from metadata, without importing anything heavy."""

import importlib.metadata
import platform
import shutil

from huggingface_hub.constants import HF_HUB_OFFLINE
from packaging.requirements import Requirement

from hf_medreport.registry import CHECKPOINTS, SYSTEMS

PURPOSE = {
    "dicom": "DICOM films, compressed ones too",
    "clinical": "UMLS concepts by scispaCy (apart from `all`: it needs numpy < 2)",
    "evaluate": "scores as tables, METEOR's synonyms, FID on Inception's weights",
    "cxr": "the DenseNet of cxr-multitask-tiny and radscribe-tiny",
    "wsi": "whole slides, their tiles and feature files",
    "train": "training recipes, tables of films, logging",
}


def examine() -> dict:
    """The state of this installation.

    Returns:
        `{"python", "hf_medreport", "packages": {name: version}, "extras": {name: {"adds", "missing", "install"}},
        "checkpoints": {name: found}, "gpu", "offline"}`. A package that is missing, or older than this library needs,
        stands in `missing` as it is to be installed; `install` is None where nothing is.
    """
    required, extras = requirements()
    return {
        "python": platform.python_version(),
        "hf_medreport": installed("hf-medreport"),
        "packages": {requirement.name: installed(requirement.name) for requirement in required},
        "missing": lacking(required),
        "extras": {
            extra: {
                "adds": PURPOSE[extra],
                "missing": lacking(extras[extra]),
                "install": f'pip install "hf-medreport[{extra}]"' if lacking(extras[extra]) else None,
            }
            for extra in PURPOSE
        },
        "checkpoints": {
            row.checkpoint: (CHECKPOINTS / row.checkpoint / "config.json").is_file()
            for row in SYSTEMS
            if row.checkpoint
        },
        "gpu": shutil.which("nvidia-smi") is not None,
        "offline": HF_HUB_OFFLINE,
    }


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
    except importlib.metadata.PackageNotFoundError:
        return None


def requirements() -> tuple[list[Requirement], dict[str, list[Requirement]]]:
    """What this package always needs, and what each extra adds, from its own metadata."""
    every = [Requirement(line) for line in importlib.metadata.requires("hf-medreport") or []]
    extras = {
        extra: [one for one in every if one.marker and one.marker.evaluate({"extra": extra})] for extra in PURPOSE
    }
    return [one for one in every if one.marker is None], extras
