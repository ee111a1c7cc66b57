"""How much better a picture is than what its prompt is used to earn: so that no hard prompt is punished for itself."""

from collections.abc import Sequence

import numpy as np

__all__ = ["advantages"]

EVEN = 1e-6  # a spread of rewards below which all are alike


def advantages(
    rewards: Sequence[float], prompts: Sequence[str], known: dict[str, list[float]], kept: int, needed: int
) -> np.ndarray:
    """Rewards in standard deviations from the mean of their prompt's last ones, these included; 0 where all are alike.

    Args:
        rewards: of a round's pictures.
        prompts: what each was drawn for.
        known: {prompt: its last rewards}, to which these are added.
        kept: how many are kept of each prompt.
        needed: below so many of a prompt, those of this round are taken instead, whatever they were drawn for.

    Returns:
        float64 (n,).
    """
    rewards = np.asarray(rewards, dtype=np.float64)
    for prompt, reward in zip(prompts, rewards.tolist(), strict=True):
        known[prompt] = [*known.get(prompt, []), reward][-kept:]
    result = np.zeros(len(rewards))
    for row, (prompt, reward) in enumerate(zip(prompts, rewards, strict=True)):
        others = known[prompt] if len(known[prompt]) >= needed else rewards
        spread = np.std(others)
        if spread > EVEN:
            result[row] = (reward - np.mean(others)) / spread
    return result
