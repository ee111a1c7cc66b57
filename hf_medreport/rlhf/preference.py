"""Diffusion-DPO (Wallace et al., "Diffusion Model Alignment Using Direct Preference Optimization", 2023): from pairs of
which raters said which is better, without a reward model.

    train_preference(pipe, pairs_of(ratings), PreferenceSettings(), "runs/preference")

Both pictures of a pair get the same noise at the same level. The generator learns to denoise the chosen one better, and
the rejected one worse, than it did before: by which of the two its error fell more, on a logistic scale whose steepness
bounds how far it goes. Before is the generator without its adapter.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from hf_medreport.data.ratings.pairs import RatedPair
from hf_medreport.files.writing import sha256
from hf_medreport.rlhf.given_pictures import Steps, encoded_pictures, learn_in_steps, taken
from hf_medreport.rlhf.learner import Run, learning
from hf_medreport.rlhf.settings import PreferenceSettings
from hf_medreport.systems.diffusion.training.build import noise_levels
from hf_medreport.systems.diffusion.training.denoiser import Denoiser
from hf_medreport.systems.diffusion.training.draws import draws_of
from hf_medreport.systems.diffusion.training.loss import NoiseSettings, denoising_losses, noisy_latents
from hf_medreport.systems.diffusion.training.settings import ModelArguments

__all__ = ["preference_losses", "train_preference"]


def train_preference(
    pipe, pairs: Sequence[RatedPair], settings: PreferenceSettings, output: str | Path, **options
) -> Path:
    """Teach a generator's adapter which of two pictures of a prompt is better.

    Args:
        pipe: a `MedicalImagePipeline` without adapters, frozen afterward, with the trained one on it.
        pairs: of rated pictures. What cannot be used is told and left out.
        settings: of the update.
        output: the run's folder.
        options: of `Run`: an adapter to go on from, `resume`, `overwrite`.

    Returns:
        the folder of the adapter.

    Raises:
        InputError: no pair that can be used, or see `learning`.
    """
    known = encoded_pictures(pipe, [path for pair in pairs for path in (pair.chosen, pair.rejected)])
    good = taken(pipe, pairs, "pairs", known, lambda pair: [pair.chosen, pair.rejected])
    rows = [pairs[number] for number in good]
    digests = {path: sha256(path) for path in known}
    shown = [(digests[row.chosen], digests[row.rejected], row.prompt, row.modality) for row in rows]
    data = {"pairs": sha256(json.dumps(shown).encode())[:16]}
    run, denoiser, levels = Run(output, **options), Denoiser(pipe), noise_levels(ModelArguments(), pipe)
    shape = known[rows[0].chosen].shape
    with learning("preference", pipe, settings, run, data, settings.max_steps, Steps) as learner:
        device = learner.accelerator.device

        def losses(places: list[tuple[int, int]]) -> tuple[torch.Tensor, dict]:
            pairs = [rows[row] for _, row in places]
            draws = draws_of(settings.seed, places, shape, levels.config.num_train_timesteps).to(device)
            prompts, modalities = [pair.prompt for pair in pairs], [pair.modality for pair in pairs]
            sides = [[pair.chosen for pair in pairs], [pair.rejected for pair in pairs]]
            latents = [torch.stack([known[path] for path in side]).to(device) for side in sides]
            mixed = [noisy_latents(levels, each, draws, NoiseSettings()) for each in latents]
            seen, asked = (torch.cat([part[number] for part in mixed]) for number in (0, 1))
            given = seen, draws.timesteps.repeat(2), prompts * 2, modalities * 2

            def errors(predicted: torch.Tensor) -> tuple[torch.Tensor, ...]:
                both = zip(predicted.chunk(2), asked.chunk(2), strict=True)
                return tuple(denoising_losses(levels, one, other, draws, None) for one, other in both)

            with learner.as_before():
                before = errors(denoiser(*given))
            with learner.accelerator.autocast():
                predicted = denoiser(*given)
            now = errors(predicted)
            each, margins = preference_losses(now, before, settings.preference_strength)
            return each, {"margin": margins, "right": (margins > 0).float(), "chosen_loss": now[0]}

        learn_in_steps(learner, len(rows), losses)
    return run.adapter_folder


def preference_losses(
    now: tuple[torch.Tensor, torch.Tensor], before: tuple[torch.Tensor, torch.Tensor], strength: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss (n,) of pairs, and by how much more the error of the chosen fell than that of the rejected (n,).

    Args:
        now, before: mean squared errors (n,) of the chosen and of the rejected pictures.
        strength: of the logistic's argument, half of which multiplies the margin.
    """
    margins = (before[0] - now[0]) - (before[1] - now[1])
    return -torch.nn.functional.logsigmoid(0.5 * strength * margins), margins
