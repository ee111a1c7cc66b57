"""Pictures with known damage, so that a judge learns to say how bad a picture is beside what it shows.

`degrade` makes pictures worse as a good generator does; this makes them bad as a poor one does. How bad is an answer
to the question `ARTEFACT` of `judging`: none (as drawn, or no worse than `degrade` makes it), slight or strong.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from hf_medreport.evaluation.pictures.judging import ARTEFACTS
from hf_medreport.processing.input_error import InputError

__all__ = ["DAMAGES", "damaged"]

DAMAGES = ("blur", "noise", "blocks", "contrast", "torn")
TRIES = 20  # to find a patch that tears visibly
VISIBLE = 12  # mean difference in gray levels that a torn patch makes at least, if one of the tries does


def damaged(image: np.ndarray, damage: str, level: str, rng: np.random.Generator) -> np.ndarray:
    """A picture damaged in one way, by chance how much within its level.

    Args:
        image: uint8 (size, size, 3), the size a multiple of 8 from 32; the lengths here are meant for 64 px.
        damage: of `DAMAGES`: out of focus; grain; blocks of one color, as of strong compression; contrast that is lost
            or overshoots; patches that belong elsewhere.
        level: "slight" or "strong".
        rng: says how much and where.

    Raises:
        InputError: another damage or level.
    """
    if damage not in DAMAGES:
        raise InputError("damage", repr(damage), f"one of {', '.join(DAMAGES)}", "name one of these")
    if level not in ARTEFACTS[1:]:
        raise InputError("level", repr(level), " or ".join(ARTEFACTS[1:]), "name one of the two")
    strong = level == ARTEFACTS[2]
    values = image.astype(np.float64)
    if damage == "blur":
        sigma = rng.uniform(2.2, 3.5) if strong else rng.uniform(1.3, 1.8)
        return _whole(gaussian_filter(values, (sigma, sigma, 0)))
    if damage == "noise":
        channels = 1 if (image == image[..., :1]).all() else 3  # a gray picture stays gray
        spread = rng.uniform(45, 80) if strong else rng.uniform(20, 32)
        return _whole(values + rng.normal(0, spread, (*image.shape[:2], channels)))
    if damage == "blocks":
        return _whole(_blocks(values, int(rng.choice((4, 8))) if strong else 2))
    if damage == "contrast":
        gray = values.mean(axis=(0, 1), keepdims=True)
        if rng.random() < 0.5:
            gain = rng.uniform(0.1, 0.3) if strong else rng.uniform(0.45, 0.65)
        else:
            gain = rng.uniform(2.8, 4.0) if strong else rng.uniform(1.6, 2.0)
        return _whole(gray + gain * (values - gray))
    return _torn(image, rng, count=int(rng.integers(4, 8)) if strong else 1)


def _blocks(values: np.ndarray, side: int) -> np.ndarray:
    """Each block of side x side px its mean."""
    height, width, channels = values.shape
    means = values.reshape(height // side, side, width // side, side, channels).mean(axis=(1, 3))
    return means.repeat(side, axis=0).repeat(side, axis=1)


def _torn(image: np.ndarray, rng: np.random.Generator, count: int) -> np.ndarray:
    """Patches of 8 to 16 px that were taken from elsewhere in the picture."""
    torn = image.copy()
    for _ in range(count):
        side = int(rng.integers(8, 17))
        best = (-1.0, None, None)
        for _ in range(TRIES):
            (top, left), (other_top, other_left) = rng.integers(0, len(image) - side + 1, (2, 2))
            here, patch = torn[top : top + side, left : left + side], image[other_top:, other_left:][:side, :side]
            difference = float(np.abs(here.astype(int) - patch).mean())
            if difference > best[0]:
                best = (difference, here, patch)
            if difference >= VISIBLE:
                break
        best[1][:] = best[2]
    return torn


def _whole(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).round().astype(np.uint8)
