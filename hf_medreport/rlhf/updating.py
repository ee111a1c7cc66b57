"""One update of the generator within the loop."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from hf_medreport.data.ratings.pairs import pairs_of
from hf_medreport.data.ratings.table import Rating
from hf_medreport.rlhf.candidates import GeneratorReward
from hf_medreport.rlhf.ddpo import train_ddpo
from hf_medreport.rlhf.preference import train_preference
from hf_medreport.rlhf.settings import UPDATES
from hf_medreport.rlhf.weighted_regression import train_weighted_regression

if TYPE_CHECKING:
    from hf_medreport.rlhf.loop import Loop

__all__ = ["rewards_of", "update_generator"]


def update_generator(loop: "Loop", number: int, kept: list[Rating], reward: GeneratorReward, folder: Path) -> Path:
    """Train an adapter that goes on from the last round's; returns its folder. Goes on with what a cut run left.

    Args:
        loop: whose generator learns.
        number: of the round.
        kept: the ratings that are learned from.
        reward: what DDPO is rewarded by, and by which regression weighs.
        folder: of the update.
    """
    settings = loop.settings
    given = {"seed": settings.seed + number} | (settings.update_settings or {})
    asked, options = (
        UPDATES[settings.update](**given),
        {"adapter": loop.adapter, "base": settings.generator, "resume": True},
    )
    loop.use(None)
    if settings.update == "ddpo":
        prompts = loop.prompts
        return train_ddpo(loop.pipe, prompts.texts, reward, asked, folder, modalities=prompts.modalities, **options)
    if settings.update == "weighted_regression":
        rewards = rewards_of(kept, reward)
        return train_weighted_regression(loop.pipe, kept, asked, folder, rewards=rewards, **options)
    return train_preference(loop.pipe, pairs_of(kept, seed=settings.seed), asked, folder, **options)


def rewards_of(ratings: list[Rating], reward: GeneratorReward) -> list[float]:
    """The reward of rated pictures, one after the other: they may be of several sizes."""
    rewards = []
    for rating in ratings:
        with Image.open(rating.image) as picture:
            image = np.asarray(picture.convert("RGB"))
        rewards += reward(image[None], [rating.prompt], [rating.modality])
    return rewards
