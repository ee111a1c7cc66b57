"""Noise, targets and min-SNR weights, against numbers worked by hand and the law between predictions."""

import pytest
import torch
from diffusers import DDPMScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.systems.diffusion.training.draws import Draws
from hf_medreport.systems.diffusion.training.loss import NoiseSettings, denoising_losses, noisy_latents

# alpha-bar 0.8, 0.5, 0.1: SNR 4, 1, 1/9.
BETAS = [0.2, 0.375, 0.8]


def scheduler(prediction: str) -> DDPMScheduler:
    return DDPMScheduler(num_train_timesteps=3, trained_betas=BETAS, prediction_type=prediction)


def draws(level: int, noise: float, offset: float = 0.0, perturbation: float = 0.0) -> Draws:
    """Of one latent of one channel and 1 x 2 places."""
    full = torch.full((1, 1, 1, 2), 1.0)
    return Draws(
        torch.tensor([level]), noise * full, torch.full((1, 1, 1, 1), offset), perturbation * full, [False], [False]
    )


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        ("epsilon", [2 / 4, 1, 1]),  # min(SNR, 2) / SNR
        ("v_prediction", [2 / 5, 1 / 2, 1 / 10]),  # min(SNR, 2) / (SNR + 1)
        ("sample", [2, 1, 1 / 9]),  # min(SNR, 2)
    ],
)
def test_an_error_of_one_counts_by_min_snr_of_gamma_2(prediction, expected):
    drawn = Draws(torch.tensor([0, 1, 2]), *[torch.zeros(3, 1, 1, 2)] * 3, [False] * 3, [False] * 3)
    asked, predicted = torch.zeros(3, 1, 1, 2), torch.ones(3, 1, 1, 2)
    assert denoising_losses(scheduler(prediction), predicted, asked, drawn, 2.0).tolist() == pytest.approx(expected)
    assert denoising_losses(scheduler(prediction), predicted, asked, drawn, None).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("prediction", "target"), [("epsilon", 3), ("v_prediction", 0.5**0.5 * (3 - 2)), ("sample", 2)]
)
def test_what_is_seen_and_asked_at_alpha_bar_a_half(prediction, target):
    latents = torch.full((1, 1, 1, 2), 2.0)
    seen, asked = noisy_latents(scheduler(prediction), latents, draws(1, 3.0), NoiseSettings())
    assert seen.flatten().tolist() == pytest.approx([0.5**0.5 * (2 + 3)] * 2)
    assert asked.flatten().tolist() == pytest.approx([target] * 2)


def test_offset_is_asked_for_and_perturbation_is_not():
    latents, drawn = torch.zeros(1, 1, 1, 2), draws(1, 3.0, offset=2.0, perturbation=4.0)
    seen, asked = noisy_latents(scheduler("epsilon"), latents, drawn, NoiseSettings(offset=0.1, perturbation=0.5))
    assert asked.flatten().tolist() == pytest.approx([3.2] * 2)
    assert seen.flatten().tolist() == pytest.approx([0.5**0.5 * (3.2 + 2)] * 2)


@given(st.integers(0, 2), st.floats(-3, 3), st.floats(-3, 3), st.floats(-1, 1), st.floats(0.05, 10))
@settings(deadline=None, max_examples=50)
def test_one_guess_costs_the_same_in_each_prediction(level, picture, noise, error, gamma):
    """A guess of the picture, said as noise or as velocity too, has one loss: that is what the weights are for."""
    latents, drawn = torch.full((1, 1, 1, 2), picture), draws(level, noise)
    alpha_bar = scheduler("epsilon").alphas_cumprod[level]
    a, s = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    losses = []
    for prediction in ("epsilon", "v_prediction", "sample"):
        seen, asked = noisy_latents(scheduler(prediction), latents, drawn, NoiseSettings())
        guessed = latents + error
        as_noise = (seen - a * guessed) / s
        said = {"epsilon": as_noise, "v_prediction": a * as_noise - s * guessed, "sample": guessed}[prediction]
        losses.append(denoising_losses(scheduler(prediction), said, asked, drawn, gamma).item())
    assert losses == pytest.approx([losses[2]] * 3, rel=1e-3, abs=1e-5)


def test_rows_are_weighted_one_by_one():
    drawn = Draws(torch.tensor([0, 1]), *[torch.zeros(2, 1, 1, 1)] * 3, [False] * 2, [False] * 2)
    losses = denoising_losses(
        scheduler("epsilon"), torch.tensor([2.0, 3.0]).view(2, 1, 1, 1), torch.zeros(2, 1, 1, 1), drawn, 2.0
    )
    assert losses.tolist() == pytest.approx([4 / 2, 9]) and losses.dtype == torch.float32
