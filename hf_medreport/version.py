"""This library's version, and the versions of others that it was tested with."""

import re
from importlib.resources import files

from packaging.requirements import Requirement

__version__ = "0.1.0"


def tested_versions() -> dict[str, str]:
    """What CI passed with: `{"transformers": "5.24.0", ...}`, from `constraints/tested.txt`."""
    pins = [Requirement(line) for line in _tested().splitlines() if not line.startswith("#")]
    return {pin.name: next(iter(pin.specifier)).version for pin in pins}


def tested_python() -> str:
    """The Python that it passed with, from the same file's first line."""
    return re.search(r"on Python ([\d.]+\d)", _tested())[1]


def _tested() -> str:
    return (files("hf_medreport.constraints") / "tested.txt").read_text(encoding="utf-8")
