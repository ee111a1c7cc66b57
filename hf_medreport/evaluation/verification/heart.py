"""The cardiothoracic ratio of a film: how wide the heart is, by the inner width of the chest.

As it is taken by hand (Danzer 1919, "The cardiothoracic ratio: an index of cardiac enlargement"), but from masks: the
heart's largest extent across, over the extent of both lungs. Above 0.5 the heart of a frontal film counts as enlarged.
"""

import numpy as np
import torch

from hf_medreport.inference.loading import Segmenter
from hf_medreport.modeling.lung_crop import largest_components

__all__ = ["ENLARGED", "NotMeasured", "cardiothoracic_ratio", "ratio_of_film"]

ENLARGED = 0.5
SMALLEST = 0.01  # of the film's pixels: a smaller lung or heart is a speck


class NotMeasured(Exception):
    """Why a film has no ratio."""


def cardiothoracic_ratio(lungs: np.ndarray, heart: np.ndarray) -> float:
    """The ratio of masks, bool (height, width) each: two lungs, their largest component each, and a heart.

    Raises:
        NotMeasured: no heart, or not two lungs with the heart's middle between them.
    """
    lungs, heart = torch.from_numpy(lungs), torch.from_numpy(heart)
    (both,), (one,) = largest_components(lungs[None]), largest_components(heart[None], 1)
    (larger,) = largest_components(both[None], 1)
    for name, mask in (("heart", one), ("lung", larger), ("second lung", both & ~larger)):
        if mask.float().mean() < SMALLEST:
            raise NotMeasured(f"no {name} was found")
    (left, right), (begin, end) = _extent(one), _extent(both)
    if not begin < (left + right) / 2 < end:
        raise NotMeasured("the heart was not found between the lungs")
    return (right - left) / (end - begin)


@torch.inference_mode()
def ratio_of_film(film: np.ndarray, segmenter: Segmenter) -> float:
    """The ratio of a film, uint8 (height, width, 3), by our segmenter.

    Raises:
        NotMeasured: as of `cardiothoracic_ratio`.
    """
    gray = film.astype(np.float32).mean(axis=-1) / 255
    pixels = segmenter.image_processor([gray], return_tensors="pt")["pixel_values"].to(segmenter.model.device)
    logits = segmenter.model(pixels).logits.float().cpu()
    lungs, heart = (torch.nn.functional.interpolate(logits, gray.shape, mode="bilinear")[0] > 0).numpy()
    return cardiothoracic_ratio(lungs, heart)


def _extent(mask: torch.Tensor) -> tuple[int, int]:
    """Where a mask begins and ends across, in px; the end is outside."""
    columns = torch.nonzero(mask.any(dim=0))
    return int(columns[0]), int(columns[-1]) + 1
