"""One update of the generator within the loop."""

from pathlib import Path

import numpy as np
from PIL import Image

from hf_medreport.data.ratings.pairs import pairs_of
from hf_medreport.data.ratings.table import Rating
from hf_medreport.rlhf.ddpo import train_ddpo
from hf_medreport.rlhf.preference import train_preference
from hf_medreport.rlhf.rounds.candidates import GeneratorReward
from hf_medreport.rlhf.rounds.loop_settings import LoopSettings
from hf_medreport.rlhf.rounds.rated import Prompts
from hf_medreport.rlhf.settings import update_settings_of
from hf_medreport.rlhf.weighted_regression import train_weighted_regression

__all__ = ["rewards_of", "update_generator"]


def update_generator(
    pipe,
    settings: LoopSettings,
    number: int,
    prompts: Prompts,
    kept: list[Rating],
    reward: GeneratorReward,
    adapter: Path | None,
    folder: Path,
) -> Path:
    """Train an adapter that goes on from the last round's; returns its folder. Goes on with what a cut run left.

    Args:
        pipe: the generator, without adapters.
        settings: of the loop.
        number: of the round.
        prompts: that DDPO draws for.
        kept: the ratings that the others learn from.
        reward: what DDPO is rewarded by, and by which regression weighs.
        adapter: of the last round; None in the first.
        folder: of the update.
    """
    given = {"seed": settings.seed + number} | (settings.update_settings or {})
    asked = update_settings_of(settings.update, given)
    options = {"adapter": adapter, "base": settings.generator, "resume": True}
    if settings.update == "ddpo":
        return train_ddpo(pipe, prompts.texts, reward, asked, folder, modalities=prompts.modalities, **options)
    if settings.update == "weighted_regression":
        rewards = rewards_of(kept, reward)
        return train_weighted_regression(pipe, kept, asked, folder, rewards=rewards, **options)
    return train_preference(pipe, pairs_of(kept, seed=settings.seed), asked, folder, **options)


def rewards_of(ratings: list[Rating], reward: GeneratorReward) -> list[float]:
    """The reward of rated pictures, one after the other: they may be of several sizes."""
    rewards = []
    for rating in ratings:
        with Image.open(rating.image) as picture:
            image = np.asarray(picture.convert("RGB"))
        rewards += reward(image[None], [rating.prompt], [rating.modality])
    return rewards
