"""Made-up ratings: of pictures that are bright or dark, for prompts that ask for one of the two."""

from pathlib import Path

import numpy as np
from PIL import Image

from hf_medreport.data.ratings.table import Rating, write_ratings

WORDS = ("bright", "dark")


def rated_pictures(folder: Path, prompts: int = 20, by_prompt: bool = True, side: int = 32) -> Path:
    """A table of four pictures a prompt, each rated by an expert and by a novice, who gives one step less or more.

    Args:
        by_prompt: whether a picture is good that is as the prompt asks; else that is bright.
    """
    rng, ratings = np.random.default_rng(0), []
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(prompts):
        word = WORDS[number % 2]
        for turn, level in enumerate((40, 60, 190, 210)):
            slope = np.linspace(-40, 40, side)[:, None, None]  # so that it passes the gates
            image = np.clip(level + slope + rng.normal(0, 2, (side, side, 1)), 0, 255).repeat(3, axis=-1)
            path = folder / f"{number}_{turn}.png"
            Image.fromarray(image.astype(np.uint8)).save(path)
            good = (level > 128) == (word == "bright" if by_prompt else True)
            prompt = f"{word} ground, patient {number}"
            ratings.append(Rating(path, 3 if good else 1, "ct", 3, prompt, "expert"))
            ratings.append(Rating(path, 3 if good and turn % 2 else 2, "ct", 1, prompt, "novice"))
    return write_ratings(folder / "ratings.csv", ratings)
