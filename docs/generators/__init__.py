"""What the pages of docs/ show of JSON, dataclasses, typer's commands and heads of files: made when they are built."""

from generators.directive import setup

__all__ = ["setup"]
