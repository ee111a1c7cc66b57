"""The memorization gate of three folders: what a generator drew, what it was trained on, and what it never saw.

gate_of_folders("generated", "training", "held_out")["passes"]

Pictures of any size are made squares of 64 px, their aspect kept.
"""

import os
from collections.abc import Callable, Iterable

import numpy as np
from PIL import Image, ImageOps

from hf_medreport.evaluation.images.folders import list_pictures, modality, read_picture
from hf_medreport.evaluation.pictures.memorization import SIDE, gate
from hf_medreport.processing.input_error import InputError

__all__ = ["gate_of_folders"]

ALL = "all"


def gate_of_folders(
    generated: str | os.PathLike,
    training: str | os.PathLike,
    held_out: str | os.PathLike,
    per_modality: bool = False,
    seed: int = 0,
    progress: Callable[[Iterable, int], Iterable] = lambda items, total: items,
) -> dict:
    """Whether a generator's pictures are copies; see `memorization.gate`.

    Args:
        generated, training, held_out: folders of pictures, at any depth.
        per_modality: hold pictures against those of the subfolder of their name alone; a mixed set wants it.
        seed: of the positive control.
        progress: wraps what is read, given with its length.

    Returns:
        what `memorization.gate` gives, with the names of the closest pictures.

    Raises:
        InputError: a folder without pictures, or fewer than 20 held-out ones of a modality. A file that cannot be read
            is left out of generated and held-out ones; of training pictures none may be, for a copy would hide there.
    """
    folders = {"fake": generated, "training": training, "real": held_out}
    names, pictures, modalities = {}, {}, {}
    for label, folder in folders.items():
        listed, kept, squares = list_pictures(folder, label), [], []
        for name in progress(listed, len(listed)):
            try:
                squares.append(_square(read_picture(folder, name)))
            except InputError:
                if label == "training":
                    raise
                continue
            kept.append(name)
        if not kept:
            raise InputError(label, "no readable picture", "a folder of pictures", "check the path")
        names[label], pictures[label] = kept, np.stack(squares)
        modalities[label] = [(modality(name) or ALL) if per_modality else ALL for name in kept]
    labels = ("fake", "training", "real")
    figures = gate(*(part for label in labels for part in (pictures[label], modalities[label])), seed)
    for pair in figures["closest"]:
        pair["picture"], pair["training"] = names["fake"][pair["picture"]], names["training"][pair["training"]]
    return figures


def _square(picture: np.ndarray) -> np.ndarray:
    """(height, width) or (height, width, 3) in [0, 1] -> uint8 (64, 64, 3)."""
    image = Image.fromarray(np.rint(picture * 255).astype(np.uint8)).convert("RGB")
    return np.asarray(ImageOps.pad(image, (SIDE, SIDE), Image.Resampling.BOX))
