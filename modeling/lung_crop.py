"""From a mask of lungs to the part of a film that shows them.

The multi-task chest X-ray, as published, crops a frontal film to the box of its lung mask, so that the network spends
its pixels on the chest. A segmenter's mask has specks, so the two largest components are taken for the lungs; where the
mask is empty, the film stays whole. Everything is plain torch on a batch, on any device.

    masks = largest_components(logits[:, 0] > 0)           # (batch, rows, columns)
    film = crop_to_mask(films, masks, margin=0.05, size=224)  # (batch, 3, 224, 224)
"""

import torch
from torch import nn

from .config_error import ConfigError

EDGE_PX = 1e-3  # a box this near to a pixel's edge, off it by rounding, does not take the next pixel in


def largest_components(masks: torch.Tensor, count: int = 2) -> torch.Tensor:
    """The masks without all but their `count` largest components.

    Pixels that touch by a side or a corner (8-neighbourhood) belong together. Of components of equal size the one
    whose first pixel comes first, row by row, is the larger.

    Args:
        masks: bool (batch, height, width).
        count: components to keep of each mask; a mask that has fewer stays as it is.

    Returns:
        bool (batch, height, width).

    Raises:
        ConfigError: masks of another form, or a count below 1.
    """
    _check_masks(masks)
    if count < 1:
        raise ConfigError("count", f"{count}", "at least 1", "2 keeps both lungs")
    flat = component_labels(masks).flatten(1)  # (batch, pixels)
    background = flat.shape[1]
    sizes = torch.zeros(flat.shape[0], background + 1, dtype=torch.long, device=masks.device)
    sizes.scatter_add_(1, flat, torch.ones_like(flat))
    sizes[:, background] = 0
    largest = sizes.argsort(dim=1, descending=True, stable=True)[:, :count]
    kept = (flat[:, None, :] == largest[:, :, None]).any(dim=1)
    return kept.view_as(masks) & masks


def component_labels(masks: torch.Tensor) -> torch.Tensor:
    """Each pixel of a mask labeled with the index of the first pixel of its component, background with height * width.

    Neighbors hand each other the smaller label until none changes. A label is itself a pixel of the component, so
    taking over that pixel's label too makes the steps grow like powers of two: a dozen for lungs, not a hundred.

    Args:
        masks: bool (batch, height, width).

    Returns:
        long (batch, height, width).
    """
    batch, height, width = masks.shape
    background = height * width
    pixels = torch.arange(background, device=masks.device).view(1, height, width)
    labels = torch.where(masks, pixels, background)
    while True:
        # The smallest of 3 x 3 pixels, rows first. max_pool2d knows no integers on a GPU, and float32 no index > 2^24.
        low = nn.functional.pad(labels, (1, 1, 1, 1), value=background)
        low = torch.minimum(torch.minimum(low[:, :-2], low[:, 1:-1]), low[:, 2:])
        low = torch.minimum(torch.minimum(low[:, :, :-2], low[:, :, 1:-1]), low[:, :, 2:])
        low = torch.where(masks, low, background).flatten(1)
        low = nn.functional.pad(low, (0, 1), value=background)  # the background's own label
        low = low.gather(1, low)[:, :-1].view(batch, height, width)
        if torch.equal(low, labels):
            return labels
        labels = low


def crop_boxes(masks: torch.Tensor, margin: float) -> torch.Tensor:
    """The box around each mask.

    Args:
        masks: bool (batch, height, width).
        margin: added on every side, as a fraction of the film's width or height; the film's edges end it.

    Returns:
        float32 (batch, 4): left, top, right, bottom as fractions of the film's width and height, measured at the outer
        edges of the mask's pixels; an empty mask gives the whole film, (0, 0, 1, 1).

    Raises:
        ConfigError: masks of another form, or a margin outside 0 to 0.5.
    """
    _check_masks(masks)
    if not 0 <= margin <= 0.5:  # NaN too
        raise ConfigError("crop_margin", f"{margin}", "0 to 0.5, a fraction of the film", "0.05 is usual")
    left, right = _extent(masks.any(dim=1), margin)
    top, bottom = _extent(masks.any(dim=2), margin)
    boxes = torch.stack([left, top, right, bottom], dim=1)
    whole = boxes.new_tensor([0.0, 0.0, 1.0, 1.0])
    return torch.where(masks.any(dim=(1, 2))[:, None], boxes, whole)


def _extent(marked: torch.Tensor, margin: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Where marked cells of a line (batch, cells) begin and end, as fractions, the margin added."""
    cells = marked.shape[1]
    first = marked.int().argmax(dim=1)  # the first of equal values
    end = cells - marked.flip(1).int().argmax(dim=1)
    return (first / cells - margin).clamp(min=0), (end / cells + margin).clamp(max=1)


def crop_to_boxes(images: torch.Tensor, boxes: torch.Tensor, size: int) -> torch.Tensor:
    """Each image's box as a square picture: whole pixels are cut out, then resized with antialiasing.

    Args:
        images: (batch, channels, height, width), any float type.
        boxes: (batch, 4) fractions as `crop_boxes` gives them; a pixel that a box cuts is taken whole.
        size: side of the result.

    Returns:
        (batch, channels, size, size) of the images' type; resized in float32.

    Raises:
        ConfigError: images of another form, or another number of boxes.
    """
    if images.ndim != 4 or not images.is_floating_point():
        raise ConfigError(
            "images",
            f"{images.dtype} of shape {tuple(images.shape)}",
            "floats (batch, channels, height, width)",
            "add the axes, scale to [0, 1]",
        )
    if len(boxes) != len(images):
        raise ConfigError("boxes", f"{len(boxes)} for {len(images)} images", "one an image", "pass as many")
    height, width = images.shape[2:]
    crops = []
    for image, box in zip(images, boxes.double().cpu(), strict=True):
        edges = box * torch.tensor([width, height, width, height])
        left, top = (edges[:2] + EDGE_PX).floor().int().tolist()
        right, bottom = (edges[2:] - EDGE_PX).ceil().int().tolist()
        part = image[None, :, top:bottom, left:right].float()  # antialiasing exists in float32 only on a CPU
        crops.append(nn.functional.interpolate(part, (size, size), mode="bilinear", antialias=True))
    return torch.cat(crops).to(images.dtype)


def crop_to_mask(images: torch.Tensor, masks: torch.Tensor, margin: float, size: int) -> torch.Tensor:
    """The part of each image that its mask covers, (batch, channels, size, size); an empty mask keeps the whole image.

    Args:
        images: (batch, channels, height, width), any float type.
        masks: bool (batch, rows, columns) over the same field, of any resolution.
        margin: as in `crop_boxes`.
        size: side of the result.

    Raises:
        ConfigError: images or masks of another form or number, or a margin outside 0 to 0.5.
    """
    boxes = crop_boxes(masks, margin)
    if len(masks) != len(images):
        raise ConfigError("masks", f"{len(masks)} for {len(images)} images", "one an image", "pass as many")
    return crop_to_boxes(images, boxes, size)


def _check_masks(masks: torch.Tensor) -> None:
    if masks.ndim != 3 or masks.dtype != torch.bool:
        raise ConfigError(
            "masks",
            f"{masks.dtype} of shape {tuple(masks.shape)}",
            "bool (batch, height, width)",
            "compare them with a threshold, drop the channel axis",
        )
