"""Denoising diffusion policy optimization, DDPO (Black et al., "Training Diffusion Models with Reinforcement Learning",
2023).

    pipe = load_generator()
    train_ddpo(pipe, prompts, brightness, DDPOSettings(rounds=10), "runs/bright")

In a round pictures are drawn for some prompts and rewarded; then each step of each becomes more probable, or less, by
how much more the picture earned than others of its prompt. A step's probability counts only within a narrow range about
the one by which it was drawn (PPO's clip), and may be bound to the generator of before (a closed form: both draw a step
from Normals of one standard deviation). What is random belongs to (seed, round, picture), whatever was done before.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from hf_medreport.files.writing import sha256
from hf_medreport.processing.input_error import InputError
from hf_medreport.rlhf.advantages import advantages
from hf_medreport.rlhf.learner import Learner, Run, learning
from hf_medreport.rlhf.settings import DDPOSettings
from hf_medreport.rlhf.trajectories import (
    Condition,
    Trajectories,
    draw_trajectories,
    step_divergences,
    step_normal,
    stepping_by_ddim,
)
from hf_medreport.systems.diffusion.training.checkpoints import Progress
from hf_medreport.systems.diffusion.training.draws import generator_of

__all__ = ["Reward", "checked_rewards", "policy_losses", "train_ddpo"]

# (images uint8 (n, height, width, 3), prompts, modalities) -> a number a picture
Reward = Callable[[np.ndarray, list[str], list[str | None]], Sequence[float]]
PROMPTS, ORDER, STEPS = range(3)  # what is drawn at random of a round beside its pictures


@dataclass
class Rounds(Progress):
    """How far a run is; its `step` counts rounds.

    Attributes:
        rewards: the last rewards of each prompt, by the prompt's number.
    """

    rewards: dict[str, list[float]] = field(default_factory=dict)


def train_ddpo(
    pipe,
    prompts: Sequence[str],
    reward: Reward,
    settings: DDPOSettings,
    output: str | Path,
    *,
    modalities: Sequence[str | None] | None = None,
    **options,
) -> Path:
    """Teach a generator's adapter to earn a reward.

    Args:
        pipe: a `MedicalImagePipeline` without adapters, frozen afterward, with the trained one on it.
        prompts: to draw for.
        reward: rates pictures; it is called once a round.
        settings: of the update.
        output: the run's folder.
        modalities: of each prompt; None for a generator that reads none.
        options: of `Run`: an adapter to go on from, `resume`, `overwrite`.

    Returns:
        the folder of the adapter.

    Raises:
        InputError: no prompt, a prompt that the model does not take, rewards of another number or that are none, or
            see `learning`.
    """
    asked = asked_for(pipe, prompts, modalities)
    data = {"prompts": sha256(json.dumps(asked).encode())[:16], "reward": name_of(reward)}
    run = Run(output, **options)
    with learning("ddpo", pipe, settings, run, data, settings.rounds, Rounds) as learner, stepping_by_ddim(pipe):
        while learner.progress.step < settings.rounds:
            figures = one_round(learner, asked, reward)
            learner.progress.step += 1
            learner.log(figures)
            learner.save()
    return run.adapter_folder


def one_round(learner: Learner, asked: list[tuple[str, str | None]], reward: Reward) -> dict:
    """Draw, rate and learn; returns what the history shows of it."""
    settings, progress = learner.settings, learner.progress
    place = settings.seed, progress.step
    order = torch.randperm(len(asked), generator=generator_of(*place, PROMPTS)).tolist()
    numbers = [each for each in order[: settings.prompts_per_round] for _ in range(settings.samples_per_prompt)]
    prompts, modalities = ([asked[number][part] for number in numbers] for part in (0, 1))
    with learner.accelerator.autocast():
        trajectories = draw_trajectories(
            learner.pipe,
            prompts,
            modalities,
            seeds_of(place, len(numbers)),
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
            batch_size=settings.batch_size,
        )
    earned = checked_rewards(reward, trajectories.images, prompts, modalities)
    gains = advantages(
        earned, [str(number) for number in numbers], progress.rewards, settings.rewards_kept, settings.rewards_needed
    )
    round_ = Round(learner, trajectories, prompts, modalities, torch.from_numpy(gains).float())
    seen = round_.learn()
    return {"reward_mean": float(earned.mean()), "reward_std": float(earned.std()), **seen}


def seeds_of(place: tuple[int, int], count: int) -> list[int]:
    """Of a round's pictures."""
    return [generator_of(*place, 3 + picture).initial_seed() for picture in range(count)]


class Round:
    """Learning from a round's pictures.

    Args:
        learner: whose adapter learns.
        trajectories: the pictures and their steps.
        prompts, modalities: of each.
        gains: advantages (n,).
    """

    def __init__(
        self,
        learner: Learner,
        trajectories: Trajectories,
        prompts: list[str],
        modalities: list[str | None],
        gains: torch.Tensor,
    ):
        self.learner, self.settings, self.trajectories = learner, learner.settings, trajectories
        self.prompts, self.modalities = prompts, modalities
        self.gains = gains.clamp(-self.settings.advantage_clip, self.settings.advantage_clip)
        self.seen: list[dict[str, float]] = []

    def learn(self) -> dict:
        """All inner epochs; returns the means of what was seen of ratios, clips and divergences."""
        settings, count = self.settings, len(self.prompts)
        place = settings.seed, self.learner.progress.step
        size = settings.batch_size * settings.gradient_accumulation_steps
        norms = []
        for epoch in range(settings.inner_epochs):
            order = torch.randperm(count, generator=generator_of(*place, ORDER, epoch)).tolist()
            for start in range(0, count, size):
                generator = generator_of(*place, STEPS, epoch, start)
                steps = torch.randperm(len(self.trajectories.drawn), generator=generator).tolist()
                steps = [self.trajectories.drawn[each] for each in steps[: settings.steps_trained or None]]
                norms.append(self.learner.descend(self._losses(order[start : start + size], steps)))
        weight = sum(each["weight"] for each in self.seen)
        names = ("ratio_mean", "ratio_largest", "clip_fraction", "kl")
        figures = {name: sum(each[name] * each["weight"] for each in self.seen) / weight for name in names}
        figures["ratio_largest"] = max(each["ratio_largest"] for each in self.seen)
        if not settings.kl_weight:
            figures["kl"] = None
        return figures | {"first_ratio": self.seen[0]["ratio_mean"], "grad_norm": float(np.mean(norms))}

    def _losses(self, rows: list[int], steps: list[int]) -> Iterator[torch.Tensor]:
        """The loss of a step of the optimizer in parts: a batch of pictures at one of their steps each."""
        for start in range(0, len(rows), self.settings.batch_size):
            part = rows[start : start + self.settings.batch_size]
            prompts, modalities = ([each[row] for row in part] for each in (self.prompts, self.modalities))
            condition = Condition(self.learner.pipe, prompts, modalities, self.settings.guidance_scale)
            for step in steps:
                yield self._loss(part, step, condition).sum() / (len(rows) * len(steps))

    def _loss(self, rows: list[int], step: int, condition: Condition) -> torch.Tensor:
        """The losses (rows,) of a step of some pictures."""
        learner, weight = self.learner, self.settings.kl_weight
        normal = learner.pipe, self.trajectories, rows, step, condition
        kl = torch.zeros(len(rows))
        if weight:
            with learner.as_before():
                before, _, _ = step_normal(*normal)
        with learner.accelerator.autocast():
            mean, spread, log_probs = step_normal(*normal)
        if weight:
            kl = step_divergences(mean, before, spread)
        ratios = (log_probs - self.trajectories.log_probs[step, rows]).exp()
        losses = policy_losses(ratios, self.gains[rows].to(ratios.device), self.settings.clip_range)
        ratios = ratios.detach()
        away = (ratios - 1).abs()
        self.seen.append(
            {
                "weight": len(rows),
                "ratio_mean": float(ratios.mean()),
                "ratio_largest": float(away.max()),
                "clip_fraction": float((away > self.settings.clip_range).float().mean()),
                "kl": float(kl.detach().mean()),
            }
        )
        return losses + weight * kl.to(losses.device)


def policy_losses(ratios: torch.Tensor, gains: torch.Tensor, clip_range: float) -> torch.Tensor:
    """What a step's ratio of probabilities costs (Schulman et al., "Proximal Policy Optimization Algorithms", 2017):
    no more is gained where it has left the range about 1.

    Args:
        ratios: (n,), of the probability now and of the one by which it was drawn.
        gains: (n,), advantages.
        clip_range: of the ratio from 1.
    """
    return torch.maximum(-gains * ratios, -gains * ratios.clamp(1 - clip_range, 1 + clip_range))


def asked_for(pipe, prompts: Sequence[str], modalities: Sequence[str | None] | None) -> list[tuple[str, str | None]]:
    """Prompts and modalities, each pair once, as the model takes them.

    Raises:
        InputError: none, another number of modalities, or one that the model does not take.
    """
    if not len(prompts):
        raise InputError("prompts", "none", "one or more to draw for", "give some")
    if modalities is not None and len(modalities) != len(prompts):
        raise InputError("modalities", str(len(modalities)), f"{len(prompts)}, one a prompt", "give as many")
    named = [None] * len(prompts) if modalities is None else modalities
    asked = list(dict.fromkeys(zip(prompts, named, strict=True)))
    pipe.tokenize([prompt for prompt, _ in asked], [modality for _, modality in asked])  # which refuses the others
    return asked


def checked_rewards(reward: Reward, images: np.ndarray, prompts: list[str], modalities: list[str | None]) -> np.ndarray:
    """What a reward says of pictures, float64 (n,).

    Raises:
        InputError: another number of rewards, or one that is no finite number.
    """
    name = f"reward {name_of(reward)}"
    earned = list(reward(images, prompts, modalities))
    if len(earned) != len(images):
        raise InputError(name, f"{len(earned)} for {len(images)} pictures", "one a picture", "mend the reward")
    for number, (each, prompt) in enumerate(zip(earned, prompts, strict=True), 1):
        try:
            good = math.isfinite(each)
        except TypeError:
            good = False
        if not good:
            found = f"{each} for picture {number} ('{prompt}')"
            raise InputError(name, found, "a finite number a picture", "mend the reward")
    return np.array(earned, dtype=np.float64)


def name_of(reward: Reward) -> str:
    """What a reward is called: a function by its own name, an object by its class."""
    return getattr(reward, "__name__", type(reward).__name__)
