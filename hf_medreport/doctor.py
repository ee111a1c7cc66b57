"""What is installed, what is missing, and what to type: answered from metadata, without importing anything heavy."""

import importlib.metadata
import platform
import re
import shutil

from huggingface_hub.constants import HF_HUB_OFFLINE

from hf_medreport.registry import CHECKPOINTS, SYSTEMS

PURPOSE = {
    "dicom": "DICOM films, compressed ones too",
    "train": "training recipes, tables of films, logging",
}


def examine() -> dict:
    """The state of this installation.

    Returns:
        `{"python", "hf_medreport", "packages": {name: version or None}, "extras": {name: {"adds", "missing",
        "install"}}, "checkpoints": {name: found}, "gpu", "offline"}`; `install` is None where nothing is missing.
    """
    required, extras = requirements()
    return {
        "python": platform.python_version(),
        "hf_medreport": installed("hf-medreport"),
        "packages": {name: installed(name) for name in required},
        "extras": {
            extra: {
                "adds": PURPOSE.get(extra, ""),
                "missing": [name for name in names if installed(name) is None],
                "install": next(
                    (f'pip install "hf-medreport[{extra}]"' for name in names if installed(name) is None), None
                ),
            }
            for extra, names in extras.items()
            if extra in PURPOSE
        },
        "checkpoints": {
            row.checkpoint: (CHECKPOINTS / row.checkpoint / "config.json").is_file()
            for row in SYSTEMS
            if row.checkpoint
        },
        "gpu": shutil.which("nvidia-smi") is not None,
        "offline": HF_HUB_OFFLINE,
    }


def installed(package: str) -> str | None:
    """The version of an installed distribution."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def requirements() -> tuple[list[str], dict[str, list[str]]]:
    """What this package always needs, and what each extra adds, from its own metadata."""
    required, extras = [], {}
    for line in importlib.metadata.requires("hf-medreport") or []:
        name = re.match(r"[\w.-]+", line)[0]
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", line)
        (extras.setdefault(extra[1], []) if extra else required).append(name)
    return required, extras
