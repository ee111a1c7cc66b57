"""Modules for the `evaluate` library. MODULE is the folder to give to `evaluate.load`."""

from pathlib import Path

__all__ = ["MODULE"]

MODULE = str(Path(__file__).parent / "medreport")
