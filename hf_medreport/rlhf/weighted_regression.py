"""Regression weighted by rewards: the generator learns its own pictures anew, the better ones more.

    ratings = read_ratings("ratings.csv").ratings
    train_weighted_regression(pipe, ratings, WeightedRegressionSettings(), "runs/regression")

MINIM's second stage, `pi + b sum (P_selected / P_pi) (R - V) grad pi` over the pictures that the selector kept, needs
the probability of a picture and pushes those below V away without end. Regression has neither: maximizing the expected
reward at a bounded distance from the generator gives weights exp(reward x temperature), in which a V that is the same
for all has no effect (Peters and Schaal, "Reinforcement learning by reward-weighted regression", 2007), and the
denoising loss bounds each picture's log-probability. What the selector left out is not among the pictures.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from hf_medreport.data.ratings.table import Rating
from hf_medreport.files.writing import sha256
from hf_medreport.processing.input_error import InputError
from hf_medreport.rlhf.given_pictures import Steps, encoded_pictures, learn_in_steps, taken
from hf_medreport.rlhf.learner import Run, learning
from hf_medreport.rlhf.settings import WeightedRegressionSettings
from hf_medreport.systems.diffusion.training.build import noise_levels
from hf_medreport.systems.diffusion.training.denoiser import Batch, Denoiser
from hf_medreport.systems.diffusion.training.draws import draws_of
from hf_medreport.systems.diffusion.training.loss import NoiseSettings, denoising_losses, noisy_latents
from hf_medreport.systems.diffusion.training.settings import ModelArguments

__all__ = ["train_weighted_regression", "weights_of"]


def train_weighted_regression(
    pipe,
    rated: Sequence[Rating],
    settings: WeightedRegressionSettings,
    output: str | Path,
    *,
    rewards: Sequence[float] | None = None,
    **options,
) -> Path:
    """Teach a generator's adapter the pictures that were rated, by how well they were.

    Args:
        pipe: a `MedicalImagePipeline` without adapters, frozen afterward, with the trained one on it.
        rated: pictures with their prompts, modalities and ratings. What cannot be used is told and left out.
        settings: of the update.
        output: the run's folder.
        rewards: of each picture, as a model gives them; None: its rating from 0 to 1.
        options: of `Run`: an adapter to go on from, `resume`, `overwrite`.

    Returns:
        the folder of the adapter.

    Raises:
        InputError: no picture that can be used, another number of rewards, or see `learning`.
    """
    if rewards is not None and len(rewards) != len(rated):
        raise InputError("rewards", f"{len(rewards)} for {len(rated)} pictures", "one a picture", "give as many")
    known = encoded_pictures(pipe, [each.image for each in rated])
    good = taken(pipe, rated, "rated", known, lambda row: [row.image])
    rows, earned = [rated[number] for number in good], [row.normalized for row in rated] if rewards is None else rewards
    weights = weights_of(rows, [earned[number] for number in good], settings)
    latents = torch.stack([known[row.image] for row in rows])
    shown = [(sha256(row.image), row.prompt, row.modality, weight) for row, weight in zip(rows, weights, strict=True)]
    data = {"pictures": sha256(json.dumps(shown).encode())[:16]}
    run, denoiser, levels = Run(output, **options), Denoiser(pipe), noise_levels(ModelArguments(), pipe)
    with learning("weighted_regression", pipe, settings, run, data, settings.max_steps, Steps) as learner:
        device = learner.accelerator.device

        def losses(places: list[tuple[int, int]]) -> tuple[torch.Tensor, dict]:
            numbers = [row for _, row in places]
            prompts, modalities = [rows[row].prompt for row in numbers], [rows[row].modality for row in numbers]
            batch = Batch(latents[numbers].to(device), prompts, modalities, places)
            steps = levels.config.num_train_timesteps
            draws = draws_of(settings.seed, places, latents.shape[1:], steps, settings.prompt_dropout).to(device)
            seen, asked = noisy_latents(levels, batch.latents, draws, NoiseSettings())
            with learner.accelerator.autocast():
                predicted = denoiser(seen, draws.timesteps, *batch.shown(draws))
            plain = denoising_losses(levels, predicted, asked, draws, None)
            return plain * torch.tensor([weights[row] for row in numbers], device=device), {"plain_loss": plain}

        learn_in_steps(learner, len(rows), losses)
    return run.adapter_folder


def weights_of(rows: Sequence[Rating], rewards: Sequence[float], settings: WeightedRegressionSettings) -> list[float]:
    """How much each picture counts, 1 in the mean.

    Raises:
        InputError: a reward that is no finite number.
    """
    if settings.weighting == "rating":
        weights = np.array([row.weight for row in rows])
    else:
        values = np.asarray(rewards, dtype=np.float64)
        if not np.isfinite(values).all():
            number = int(np.flatnonzero(~np.isfinite(values))[0])
            found = f"{values[number]} for {rows[number].image.name}"
            raise InputError("rewards", found, "a finite number a picture", "mend the reward")
        weights = np.exp(settings.temperature * (values - values.max()))
    return (weights / weights.mean()).tolist()
