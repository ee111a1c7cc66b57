"""Figures of generated pictures on the features of a model that somebody brings: Inception's, a CLIP's, any backbone's.

extractor = load_extractor("models/inception-2015-12-05.pt")
figures_on(extractor, drawn, images)["fid"]
"""

import numpy as np

from hf_medreport.data.drawn.picture_folder import DrawnPictures
from hf_medreport.evaluation.images.distribution import (
    frechet_distance,
    inception_score,
    kernel_distance,
    size_warning,
)
from hf_medreport.evaluation.images.features import Extractor
from hf_medreport.evaluation.pictures.clip import clip_figures

__all__ = ["figures_on", "own_features_lines"]

BATCH = 50


def figures_on(extractor: Extractor, drawn: DrawnPictures, images: np.ndarray, seed: int = 0) -> dict:
    """FID, KID, and by what the model can do inception score and CLIP score.

    Args:
        extractor: from `evaluation.images.features.load_extractor`.
        drawn: drawn pictures of the same facts, with their prompts.
        images: uint8 (n, height, width, 3), the generated ones.
        seed: of subsets and splits.

    Returns:
        {"features", "warning", "fid", "kid", "kid_std", "inception_score", "clip"}; the last two None of a model
        without classes or without words.
    """
    real, _ = _seen(extractor, drawn.images)
    fake, logits = _seen(extractor, images)
    kid, spread, _ = kernel_distance(real, fake, seed=seed)
    return {
        "features": extractor.name,
        "warning": size_warning(len(real), len(fake), real.shape[1]),
        "fid": frechet_distance(real, fake),
        "kid": kid,
        "kid_std": spread,
        "inception_score": None if logits is None else inception_score(logits, seed=seed)[0],
        "clip": None if extractor.texts is None else clip_figures(extractor, images, drawn.prompts, drawn.facts, seed),
    }


def _seen(extractor: Extractor, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Features (n, width), and logits (n, classes) of a classifier."""
    parts = [
        extractor.images([image.astype(np.float32) / 255 for image in images[start : start + BATCH]])
        for start in range(0, len(images), BATCH)
    ]
    features, logits = zip(*parts, strict=True)
    return np.concatenate(features), None if logits[0] is None else np.concatenate(logits)


def own_features_lines(figures: dict) -> str:
    """The figures as lines of text."""
    shown = {"FID": figures["fid"], "KID": figures["kid"], "inception score": figures["inception_score"]}
    if figures["clip"] is not None:
        shown["CLIP score"] = figures["clip"]["score"]
    parts = ", ".join(f"{name} {value:.4g}" for name, value in shown.items() if value is not None)
    return f"{figures['features']}: {parts}" + (f" ({figures['warning']})" if figures["warning"] else "")
