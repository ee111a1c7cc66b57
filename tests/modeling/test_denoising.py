"""Forms of a prediction, the weights of training, and a step of DDIM as a distribution."""

import math

import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler

from hf_medreport.modeling.config_error import ConfigError
from hf_medreport.modeling.denoising import (
    PREDICTIONS,
    alpha_bar_at,
    ddim_transition,
    log_probability,
    min_snr_weights,
    of_clean,
    target,
    to_clean,
    to_noise,
)

ALPHA_BAR = torch.tensor([0.9, 0.36, 0.01])


@pytest.fixture(scope="module")
def mixed():
    """Clean latents, noise, and the one mixed into the other."""
    torch.manual_seed(0)
    clean, noise = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    alpha_bar = ALPHA_BAR[:, None, None, None]
    return clean, noise, alpha_bar.sqrt() * clean + (1 - alpha_bar).sqrt() * noise


@pytest.mark.parametrize("kind", PREDICTIONS)
def test_a_perfect_prediction_gives_back_what_was_mixed(mixed, kind):
    clean, noise, noisy = mixed
    prediction = target(kind, clean, noise, ALPHA_BAR)
    assert torch.allclose(to_clean(prediction, kind, noisy, ALPHA_BAR), clean, atol=1e-5)
    assert torch.allclose(to_noise(prediction, kind, noisy, ALPHA_BAR), noise, atol=1e-5)
    assert torch.allclose(of_clean(clean, kind, noisy, ALPHA_BAR), prediction, atol=1e-5)


def test_velocity_by_hand():
    # a = 0.36: sqrt(a) = 0.6, sqrt(1 - a) = 0.8; v = 0.6 * 5 - 0.8 * 2 = 1.4
    one = [torch.full((1, 1, 1, 1), value) for value in (2.0, 5.0)]
    assert target("v_prediction", *one, torch.tensor([0.36])).item() == pytest.approx(1.4)


def test_where_there_is_no_signal_a_velocity_still_says_the_picture(mixed):
    clean, noise, _ = mixed
    nothing = torch.zeros(3)
    velocity = target("v_prediction", clean, noise, nothing)
    assert torch.equal(to_clean(velocity, "v_prediction", noise, nothing), clean)
    assert torch.equal(to_noise(velocity, "v_prediction", noise, nothing), noise)


def test_an_unknown_form_is_refused():
    with pytest.raises(ConfigError) as error:
        min_snr_weights("eps", ALPHA_BAR, 5.0)
    assert str(error.value) == (
        "prediction_type: found 'eps'; expected one of epsilon, v_prediction, sample; correct it"
    )


def test_min_snr_weighs_the_clean_latents_error_alike_in_every_form(mixed):
    """A small error of the clean latents costs min(SNR, gamma) times its square, whatever the model predicts."""
    clean, noise, noisy = mixed
    wrong = clean + 0.1
    snr = ALPHA_BAR / (1 - ALPHA_BAR)  # 9, 0.5625, 0.0101
    for kind in PREDICTIONS:
        right, other = (of_clean(each, kind, noisy, ALPHA_BAR) for each in (clean, wrong))
        loss = ((right - other) ** 2).mean((1, 2, 3)) * min_snr_weights(kind, ALPHA_BAR, gamma=5.0)
        assert torch.allclose(loss, 0.01 * snr.clamp(max=5), rtol=1e-3), kind


def test_min_snr_without_signal_is_finite():
    nothing = torch.zeros(1)
    assert [min_snr_weights(kind, nothing, 5.0).item() for kind in PREDICTIONS] == [1.0, 0.0, 0.0]


def test_alpha_bar_between_two_timesteps_is_that_of_the_euler_scheduler():
    scheduler = EulerDiscreteScheduler(beta_schedule="scaled_linear")
    scheduler.set_timesteps(7)
    expected = 1 / (1 + scheduler.sigmas[:-1] ** 2)
    assert torch.allclose(alpha_bar_at(scheduler.alphas_cumprod, scheduler.timesteps), expected, rtol=1e-4)
    whole = torch.tensor([0.0, 500.0, 999.0])
    assert torch.equal(alpha_bar_at(scheduler.alphas_cumprod, whole), scheduler.alphas_cumprod[[0, 500, 999]])


@pytest.mark.parametrize("kind", PREDICTIONS)
@pytest.mark.parametrize("zero_snr", [False, True])
def test_a_transition_is_the_step_of_the_scheduler(mixed, kind, zero_snr):
    if zero_snr and kind == "epsilon":
        return  # which predicts nothing where there is no signal
    scheduler = DDIMScheduler(
        clip_sample=False,
        prediction_type=kind,
        rescale_betas_zero_snr=zero_snr,
        timestep_spacing="trailing",
        set_alpha_to_one=False,
    )
    scheduler.set_timesteps(5)
    prediction, latents, noise = mixed
    for timestep in scheduler.timesteps:
        for eta in (0.0, 0.5, 1.0):
            mean, spread = ddim_transition(scheduler, prediction, timestep, latents, eta)
            step = scheduler.step(prediction, timestep, latents, eta=eta, variance_noise=noise if eta else None)
            assert torch.allclose(mean + spread * noise, step.prev_sample, atol=1e-4), (timestep, eta)


def test_log_probability_is_that_of_the_normal(mixed):
    mean, latents, _ = mixed
    expected = torch.distributions.Normal(mean, 0.3).log_prob(latents).flatten(1).sum(1)
    assert torch.allclose(log_probability(latents, mean, 0.3), expected, rtol=1e-5)
    # one number, by hand: -0.5 * (1 / 2)^2 - ln 2 - 0.5 ln(2 pi)
    one = log_probability(torch.ones(1, 1), torch.zeros(1, 1), 2.0)
    assert one.item() == pytest.approx(-0.125 - math.log(2) - 0.5 * math.log(2 * math.pi))
    assert log_probability(latents, mean, 0.0).tolist() == [0.0] * 3


def test_the_gradient_of_a_log_probability_reaches_the_mean(mixed):
    mean, latents, _ = mixed
    mean = mean.clone().requires_grad_()
    log_probability(latents, mean, 0.5).sum().backward()
    assert torch.allclose(mean.grad, (latents - mean.detach()) / 0.25)
