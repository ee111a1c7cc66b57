"""What a denoiser predicts, turned from one form into another; what training weighs it by; one step as a distribution.

With a = the cumulated alpha at a timestep (`alpha_bar`), x the clean latents and n the noise:

    noisy      = sqrt(a) x + sqrt(1 - a) n
    epsilon    = n
    sample     = x
    v_prediction = sqrt(a) n - sqrt(1 - a) x   (Salimans and Ho, 2022)

Pipeline and training share these, so that they cannot differ.
"""

import math

import torch

from .config_error import ConfigError

PREDICTIONS = ("epsilon", "v_prediction", "sample")


def alpha_bar_at(alphas_cumprod: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
    """Cumulated alphas at timesteps (batch,); between two whole ones, sigma = sqrt((1 - a) / a) is interpolated, as the
    Euler schedulers do."""
    alphas_cumprod = alphas_cumprod.to(timesteps.device)
    lower = timesteps.floor().long()
    share = timesteps - lower
    upper = (lower + 1).clamp(max=len(alphas_cumprod) - 1)
    below, above = (((1 - a) / a).sqrt() for a in (alphas_cumprod[lower], alphas_cumprod[upper]))
    sigma = torch.lerp(below, above, share.to(below.dtype))
    return torch.where(share == 0, alphas_cumprod[lower], 1 / (1 + sigma**2))


def _shares(alpha_bar: torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """sqrt(a) and sqrt(1 - a), broadcast to (batch, ...)."""
    alpha_bar = alpha_bar.to(like.device, torch.float32).reshape(-1, *[1] * (like.ndim - 1))
    return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()


def to_clean(prediction: torch.Tensor, kind: str, noisy: torch.Tensor, alpha_bar: torch.Tensor) -> torch.Tensor:
    """The clean latents that a prediction means.

    Args:
        prediction, noisy: (batch, channels, rows, columns).
        kind: of `PREDICTIONS`.
        alpha_bar: (batch,), or one for all.
    """
    signal, noise = _shares(alpha_bar, noisy)
    if kind == "epsilon":
        return (noisy - noise * prediction) / signal
    return prediction if _known(kind) == "sample" else signal * noisy - noise * prediction


def to_noise(prediction: torch.Tensor, kind: str, noisy: torch.Tensor, alpha_bar: torch.Tensor) -> torch.Tensor:
    """The noise that a prediction means; arguments as in `to_clean`."""
    signal, noise = _shares(alpha_bar, noisy)
    if kind == "sample":
        return (noisy - signal * prediction) / noise
    return prediction if _known(kind) == "epsilon" else noise * noisy + signal * prediction


def of_clean(clean: torch.Tensor, kind: str, noisy: torch.Tensor, alpha_bar: torch.Tensor) -> torch.Tensor:
    """The prediction that means these clean latents: the inverse of `to_clean`."""
    signal, noise = _shares(alpha_bar, noisy)
    if _known(kind) == "sample":
        return clean
    epsilon = (noisy - signal * clean) / noise
    return epsilon if kind == "epsilon" else signal * epsilon - noise * clean


def target(kind: str, clean: torch.Tensor, noise: torch.Tensor, alpha_bar: torch.Tensor) -> torch.Tensor:
    """What a model of this kind is to predict where `clean` was mixed with `noise`."""
    signal, share = _shares(alpha_bar, clean)
    return {"epsilon": noise, "sample": clean, "v_prediction": signal * noise - share * clean}[_known(kind)]


def min_snr_weights(kind: str, alpha_bar: torch.Tensor, gamma: float) -> torch.Tensor:
    """Weights of the squared error, (batch,), by which the clean latents' error counts min(SNR, gamma) times.

    Hang et al., "Efficient Diffusion Training via Min-SNR Weighting Strategy" (2023): SNR = a / (1 - a), and the error
    of epsilon is SNR times that of the clean latents, that of v is SNR + 1 times.
    """
    snr = alpha_bar / (1 - alpha_bar)
    if _known(kind) == "epsilon":
        return (gamma / snr).clamp(max=1)  # 1, and not 0 / 0, where nothing but noise is left
    weights = snr.clamp(max=gamma)
    return weights if kind == "sample" else weights / (snr + 1)


def ddim_transition(
    scheduler, prediction: torch.Tensor, timestep: torch.Tensor, latents: torch.Tensor, eta: float = 1.0
) -> tuple[torch.Tensor, float]:
    """One step of DDIM as the Normal that the next latents are drawn from.

    Args:
        scheduler: a `DDIMScheduler` whose timesteps are set.
        prediction, latents: (batch, channels, rows, columns).
        timestep: one of the scheduler's.
        eta: 1: as much noise as DDPM; 0: none.

    Returns:
        Its mean (batch, ...) and its standard deviation, one for all; 0 at a step without noise.
    """
    config = scheduler.config
    step = int(timestep)
    before = step - config.num_train_timesteps // scheduler.num_inference_steps
    now = scheduler.alphas_cumprod[step]
    then = scheduler.alphas_cumprod[before] if before >= 0 else scheduler.final_alpha_cumprod
    clean = to_clean(prediction, config.prediction_type, latents, now)
    noise = to_noise(prediction, config.prediction_type, latents, now)
    variance = float((1 - then) / (1 - now) * (1 - now / then))
    spread = eta * math.sqrt(max(variance, 0.0))
    mean = then.sqrt() * clean + math.sqrt(max(float(1 - then) - spread**2, 0.0)) * noise
    return mean, spread


def log_probability(latents: torch.Tensor, mean: torch.Tensor, spread: float) -> torch.Tensor:
    """The log-density (batch,) of latents under a Normal of this mean and standard deviation, summed over each
    latent's numbers; 0 of a step without noise, which draws nothing."""
    if spread == 0:
        return latents.new_zeros(len(latents))
    squares = ((latents.detach() - mean) / spread) ** 2
    return (-0.5 * squares - math.log(spread) - 0.5 * math.log(2 * math.pi)).flatten(1).sum(1)


def _known(kind: str) -> str:
    if kind not in PREDICTIONS:
        raise ConfigError("prediction_type", repr(kind), f"one of {', '.join(PREDICTIONS)}", "correct it")
    return kind


__all__ = ["PREDICTIONS", "alpha_bar_at", "ddim_transition", "log_probability", "min_snr_weights", "of_clean", "target"]
__all__ += ["to_clean", "to_noise"]
