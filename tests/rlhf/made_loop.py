"""Stand-ins of what the loop trains and asks: rewards of brightness, a recipe that counts ratings, a strict rater."""

import json

import numpy as np
import pytest

from hf_medreport.hub.folder import save_generator
from hf_medreport.rlhf import loop as module
from hf_medreport.rlhf.rounds import rated
from hf_medreport.rlhf.rounds.loop_settings import LoopSettings
from tests.diffusion import tiny_pipeline

SMALL = {
    "phantom_prompts": 3,
    "first_pictures": 2,
    "num_candidates": 2,
    "max_attempts": 3,
    "num_inference_steps": 2,
    "quality_threshold": 0.4,
    "report_to": "none",
}
DDPO = {"rounds": 1, "prompts_per_round": 2, "samples_per_prompt": 2, "num_inference_steps": 2, "steps_trained": 1}
DDPO |= {"batch_size": 4}
STEPS = {"max_steps": 2, "batch_size": 2, "save_steps": 1, "logging_steps": 1}
UPDATES = {"ddpo": DDPO, "weighted_regression": STEPS, "preference": STEPS, "best_of_n": ""}


class Brightness:
    """A reward model: the mean gray value from 0 to 1, moved by `shift`."""

    def __init__(self, shift: float = 0.0):
        self.shift = shift

    def score(self, images, prompts, modalities=None):
        return (images.astype(np.float32).mean(axis=(1, 2, 3)) / 255 + self.shift).clip(0, 1)


class DarkRater:
    """Gives pictures 1 to 3 in turn, whatever they show."""

    def rate(self, images, facts, *, level, seed):
        assert len(images) == len(facts)
        return [1 + number % 3 for number in range(len(images))]


def made_recipe(kind, ratings, folder, given):
    """Writes how many ratings there were."""
    model = folder / "model"
    model.mkdir(exist_ok=True)
    rows = len(ratings.read_text().splitlines()) - 1
    (model / "model.safetensors").write_text(json.dumps([kind, rows, given]))
    (folder / "checkpoint").write_text("left by a cut run")
    relative = model.relative_to(folder.parents[1]).as_posix()
    return {"model": relative, "evaluation": {"rows": rows}}, [model / "model.safetensors"]


@pytest.fixture
def stand_ins(monkeypatch):
    monkeypatch.setattr(module, "train_reward", made_recipe)
    monkeypatch.setattr(module, "load_rewards", lambda *folders: (Brightness(), Brightness()))
    monkeypatch.setattr(module, "simulated_rater", DarkRater)


@pytest.fixture
def few_modalities(monkeypatch):
    """Drawn prompts are of two modalities that the tiny generator has too."""
    whole = rated.PictureCorpus
    monkeypatch.setattr(rated, "PictureCorpus", lambda n, seed, size: whole(n, seed, size, ("cxr", "oct")))


@pytest.fixture(scope="session")
def generator(tmp_path_factory):
    return save_generator(tiny_pipeline(), tmp_path_factory.mktemp("loop") / "tiny-generator")


def settings(generator, out, **changes) -> LoopSettings:
    return LoopSettings(**{"generator": str(generator), "output_dir": str(out), **SMALL, **changes})
