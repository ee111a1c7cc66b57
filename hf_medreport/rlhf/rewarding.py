"""Selector and policy are trained by their recipes, which the registry knows."""

import json
from pathlib import Path

from hf_medreport.registry import system
from hf_medreport.training import run

__all__ = ["train_reward"]

FILES = ("config.json", "model.safetensors", "evaluation.json")


def train_reward(kind: str, ratings: Path, folder: Path, given: dict) -> tuple[dict, list[Path]]:
    """Train a reward model on a table of ratings, or go on with what a cut run left in the folder.

    Args:
        kind: "selector" or "policy".
        ratings: the table.
        folder: of the run.
        given: other arguments of the recipe.

    Returns:
        {"model": its folder, relative to the loop's, "evaluation": what its run scored}, and its files.

    Raises:
        InputError: an argument that the recipe does not have, or ratings that it cannot learn from.
    """
    asked = {"ratings": str(ratings), "output_dir": str(folder), "resume": True} | given
    flags = [part for name, value in asked.items() for part in (f"--{name}", str(value))]
    model = Path(run(system(kind).model_type, None, flags)["model"])
    files = [model / name for name in FILES if (model / name).is_file()]
    evaluation = model / "evaluation.json"
    scored = json.loads(evaluation.read_text(encoding="utf-8")) if evaluation.is_file() else {}
    return {"model": model.relative_to(folder.parents[1]).as_posix(), "evaluation": scored}, files
