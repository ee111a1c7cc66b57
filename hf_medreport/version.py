"""This library's version, and the versions of others that it was tested with."""

from importlib.resources import files

from packaging.requirements import Requirement

__version__ = "0.1.0"


def tested_versions() -> dict[str, str]:
    """What CI passed with: `{"transformers": "5.24.0", ...}`, from `constraints/tested.txt`."""
    lines = (files("hf_medreport.constraints") / "tested.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    return {pin.name: next(iter(pin.specifier)).version for pin in pins}
