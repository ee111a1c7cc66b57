"""Selector and policy are trained by their recipes, which the registry knows."""

import json
from pathlib import Path

from hf_medreport.evaluation.pictures.reward_models import RewardModel, load_reward
from hf_medreport.evaluation.pictures.simulated_rater import SimulatedRater
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from hf_medreport.training import run

__all__ = ["load_rewards", "simulated_rater", "train_reward"]

FILES = ("config.json", "model.safetensors")


def load_rewards(selector: str | Path, policy: str | Path) -> tuple[RewardModel, RewardModel]:
    """Both models, from folders or shipped names; InputError where one is the other's kind."""
    models = tuple(load_reward(name) for name in (selector, policy))
    for model, kind in zip(models, ("selector", "policy"), strict=True):
        if model.kind != kind:
            raise InputError(kind, f"a {model.kind} ({model.name})", f"a {kind}", "name another folder")
    return models


def simulated_rater() -> SimulatedRater:
    """Who rates pictures of known-truth prompts."""
    return SimulatedRater()


def train_reward(kind: str, ratings: Path, folder: Path, given: dict) -> tuple[dict, list[Path]]:
    """Train a reward model on a table of ratings, or go on with what a cut run left in the folder.

    Args:
        kind: "selector" or "policy".
        ratings: the table.
        folder: of the run.
        given: other arguments of the recipe; "config" names its YAML.

    Returns:
        {"model": its folder, relative to the loop's, "evaluation": what its run scored}, and its files.

    Raises:
        InputError: an argument that the recipe does not have, or ratings that it cannot learn from.
    """
    given = dict(given)
    config, again = given.pop("config", None), "overwrite" if given.get("lora_rank") else "resume"
    asked = given | {"ratings": ratings, "output_dir": folder, again: True}
    flags = [part for name, value in asked.items() for part in (f"--{name}", str(value))]
    model = Path(run(system(kind).model_type, config, flags)["model"])
    scored = json.loads((model / "evaluation.json").read_text(encoding="utf-8"))
    told = {name: scored[name] for name in ("n", "model", "constant", "blinded") if name in scored}
    return {"model": model.relative_to(folder.parents[1]).as_posix(), "evaluation": told}, [model / n for n in FILES]
