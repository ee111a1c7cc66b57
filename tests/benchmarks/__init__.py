"""Benchmarks are scripts: their modules are imported by name, from the folder that each lies in."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def script(name: str, folder: str = "benchmarks/experiments") -> ModuleType:
    """A script's module, as `python FOLDER/NAME.py` would find it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(ROOT / folder), *sys.path])
        return importlib.import_module(name)
