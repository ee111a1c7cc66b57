"""The best of n: pictures of a prompt are drawn until enough pass the selector, and the policy chooses among them.

Attempts are bounded. Of a prompt none of whose pictures passed, the one with the highest score of the selector is kept
and marked.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_medreport.processing.input_error import InputError
from hf_medreport.rlhf.rounds.loop_settings import LoopSettings

__all__ = ["Candidate", "GeneratorReward", "best_of", "draw_candidates", "draw_pictures", "figures_of", "picture_name"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Candidate:
    """One picture of a prompt.

    Attributes:
        prompt: its number among the prompts.
        attempt: which picture of the prompt, from 0.
        seed: of its noise.
        image: uint8 (height, width, 3).
        selector, policy: their scores, 0 to 1.
        passed: whether the selector's is high enough.
    """

    prompt: int
    attempt: int
    seed: int
    image: np.ndarray
    selector: float
    policy: float
    passed: bool


class GeneratorReward:
    """What a generator is rewarded for: the policy's score times the selector's, whose gates reject with 0."""

    def __init__(self, selector, policy):
        self.selector, self.policy = selector, policy

    def __call__(
        self, images: np.ndarray, prompts: list[str], modalities: list[str | None] | None = None
    ) -> list[float]:
        return (self.selector.score(images, None) * self.policy.score(images, prompts, modalities)).tolist()


def draw_pictures(
    pipe, prompts: Sequence[str], modalities: Sequence[str | None], seeds: Sequence[int], settings: LoopSettings
) -> np.ndarray:
    """uint8 (n, height, width, 3), a batch at a time."""
    drawn, reads = [], bool(getattr(pipe.text_encoder.config, "modalities", None))
    for start in range(0, len(prompts), settings.batch_size):
        part = slice(start, start + settings.batch_size)
        output = pipe(
            list(prompts[part]),
            list(modalities[part]) if reads else None,
            seeds=list(seeds[part]),
            guidance_scale=settings.guidance_scale,
            num_inference_steps=settings.num_inference_steps,
            output_type="np",
        )
        drawn.append(np.rint(output.images * 255).clip(0, 255).astype(np.uint8))
    return np.concatenate(drawn)


def draw_candidates(
    pipe, prompts: Sequence[str], modalities: Sequence[str | None], reward: GeneratorReward, settings, first_seed: int
) -> list[list[Candidate]]:
    """The attempts at each prompt, in their order: until `num_candidates` passed, `max_attempts` at most."""
    found: list[list[Candidate]] = [[] for _ in prompts]
    for attempt in range(settings.max_attempts):
        lacking = [
            number for number, those in enumerate(found) if sum(one.passed for one in those) < settings.num_candidates
        ]
        if not lacking:
            break
        words, names = [prompts[number] for number in lacking], [modalities[number] for number in lacking]
        seeds = [first_seed + number * settings.max_attempts + attempt for number in lacking]
        images = draw_pictures(pipe, words, names, seeds, settings)
        looks = checked_scores("selector", reward.selector.score(images, None), len(images))
        fits = checked_scores("policy", reward.policy.score(images, words, names), len(images))
        for number, seed, image, look, fit in zip(lacking, seeds, images, looks, fits, strict=True):
            passed = look >= settings.quality_threshold
            found[number].append(Candidate(number, attempt, seed, image, look, fit, passed))
    return found


def checked_scores(name: str, scores: Sequence[float], count: int) -> list[float]:
    """Scores of pictures as numbers; InputError of another number of them, or of one that is none."""
    scores = np.asarray(scores, dtype=np.float64)
    if scores.shape != (count,):
        raise InputError(name, f"scores of shape {scores.shape}", f"{count}, one a picture", "mend the model")
    if not np.isfinite(scores).all():
        number = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise InputError(name, f"a score of {scores[number]}", "a finite number a picture", "train it again")
    return scores.tolist()


def best_of(candidates: Sequence[Candidate]) -> Candidate:
    """What the policy chooses among those that passed; where none did, the one that looks best."""
    passed = [one for one in candidates if one.passed]
    return max(passed, key=lambda one: one.policy) if passed else max(candidates, key=lambda one: one.selector)


def figures_of(found: Sequence[Sequence[Candidate]], settings: LoopSettings) -> dict[str, float]:
    """How drawing went: attempts, shares that passed, rewards; a warning where some prompt has no picture."""
    everything = [one for those in found for one in those]
    none = sum(not any(one.passed for one in those) for those in found)
    if none:
        logger.warning(
            "of %d of %d prompts no picture reached a quality of %g in %d attempts: the best is kept and marked",
            none,
            len(found),
            settings.quality_threshold,
            settings.max_attempts,
        )
    chosen = [best_of(those) for those in found]
    return {
        "attempts": len(everything),
        "pass_rate": float(np.mean([one.passed for one in everything])),
        "prompts_without_candidate": none,
        "reward": float(np.mean([one.selector * one.policy for one in everything])),
        "reward_of_chosen": float(np.mean([one.selector * one.policy for one in chosen])),
    }


def picture_name(candidate: Candidate, modality: str | None) -> str:
    """`<modality>_<i>_selector_<s>_policy_<p>.png`."""
    name = "".join(letter if letter.isalnum() else "-" for letter in modality or "picture")
    scores = f"selector_{candidate.selector:.2f}_policy_{candidate.policy:.2f}"
    return f"{name}_{candidate.prompt + 1:04d}_{scores}.png"
