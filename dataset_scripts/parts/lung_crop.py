"""The lung crop of the multi-task chest X-ray as a step of a table: the mask is kept beside the cropped film.

    table.map(lambda example: crop_lungs(example, segmenter, margin=0.05))

A segmenter is anything with `model` and `image_processor`, as `load_segmenter` gives it.
"""

import io

import numpy as np
from PIL import Image

from hf_medreport.processing.image_reading import read_image

__all__ = ["crop_lungs", "png"]


def crop_lungs(example: dict, segmenter, margin: float = 0.05) -> dict:
    """The example with its `frontal` film cropped to the lungs, their `mask` and the `box`.

    The box is found at the network's own size, where the report model finds it; the mask has the size of the whole
    film and smooth edges. Both show the two largest components alone.

    Args:
        example: with `frontal`, a film as `read_image` takes it or as `datasets` stores it.
        segmenter: `model` gives lung logits in channel 0, `image_processor` its pixels.
        margin: around the lungs on every side, as a fraction of the film's width or height.

    Returns:
        the example with `frontal` and `mask` as `{"bytes", "path"}` of 8-bit PNGs, the mask 255 inside, and `box`:
        left, top, right, bottom as fractions; (0, 0, 1, 1) where no lung was found.

    Raises:
        InputError: the film cannot be read.
        ValueError: a margin outside 0 to 0.5.
    """
    import torch
    from torch.nn.functional import interpolate

    from hf_medreport.modeling.lung_crop import crop_boxes, largest_components

    source = example["frontal"]
    if isinstance(source, dict):
        name, source = source["path"], source["path"] if source["bytes"] is None else source["bytes"]
    else:
        name = "frontal.png"
    film = read_image(source, name=name)
    height, width = film.shape[:2]
    with torch.inference_mode():
        pixels = segmenter.image_processor([film], return_tensors="pt")["pixel_values"]
        logits = segmenter.model(pixels.to(segmenter.model.device)).logits[:, 0].float().cpu()  # (1, rows, columns)
        lungs = largest_components(logits > 0)
        (box,) = crop_boxes(lungs, margin).tolist()
        logits = torch.where(lungs, logits, -logits.abs())  # what belongs to no lung turns negative
        mask = interpolate(logits[None], (height, width), mode="bilinear")[0, 0] > 0
    left, top = min(round(box[0] * width), width - 1), min(round(box[1] * height), height - 1)
    # A lung smaller than a pixel, in a film smaller than the network's, leaves one.
    right, bottom = max(round(box[2] * width), left + 1), max(round(box[3] * height), top + 1)
    stem = name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return {
        **example,
        "frontal": {"bytes": png(film[top:bottom, left:right]), "path": f"{stem}.png"},
        "mask": {"bytes": png(mask.numpy()), "path": f"{stem}_lungs.png"},
        "box": box,
    }


def png(picture: np.ndarray) -> bytes:
    """An 8-bit PNG of values in [0, 1], (height, width) or (height, width, 3)."""
    buffer = io.BytesIO()
    Image.fromarray(np.rint(np.asarray(picture, np.float32) * 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()
