"""Are generated pictures, as a set, like drawn ones? On the features of a judge, overall and of each modality.

KID, FID and inception score are those of `evaluation.images.distribution`, precision, recall, density and coverage
those of `manifold`, diversity the mean MS-SSIM of pairs and quality that of `evaluation.images`. **The features are the
judge's**, divided by their root mean square over the drawn set: nothing here may stand beside a figure on Inception's.
What a set of drawn pictures reaches against another one stands beside as `drawn`; it is the scale to read them on.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hf_medreport.evaluation.images.distribution import (
    frechet_distance,
    inception_score,
    kernel_distance,
    size_warning,
)
from hf_medreport.evaluation.images.pixels import ms_ssim_diversity
from hf_medreport.evaluation.images.quality import contrast, sharpness, snr
from hf_medreport.evaluation.pictures.judging import Seen
from hf_medreport.evaluation.pictures.manifold import NEIGHBORS, manifold_figures

__all__ = ["FEATURES", "distribution_figures", "distribution_table", "look_figures"]

FEATURES = "judge features, not Inception's"
QUALITY = {"snr": snr, "contrast": contrast, "sharpness": sharpness}
FEWEST = 2 * (NEIGHBORS + 1)  # of a set that is split in halves


def distribution_figures(real: Seen, fake: Seen, modalities: Sequence[str], seed: int = 0) -> dict:
    """Figures of two sets of as many pictures, of the same facts in the same order.

    Args:
        real, fake: what the judge says of drawn and of generated pictures.
        modalities: of each pair.
        seed: of subsets and splits.

    Returns:
        {"features", "warning", "all": figures, "modalities": {name: figures}}. Figures are "n", "kid", "kid_std",
        "fid", "inception_score", "precision", "recall", "density", "coverage", and as "drawn" the same, of one half of
        the drawn pictures against the other; None of a modality with too few.
    """
    rows = {name: [row for row, other in enumerate(modalities) if other == name] for name in dict.fromkeys(modalities)}
    # A distance of the third degree of features of any size would have any size.
    scale = float(np.sqrt(np.mean(real.features.astype(float) ** 2))) or 1.0
    real, fake = (replace(seen, features=seen.features / scale) for seen in (real, fake))
    everything = range(len(modalities))
    return {
        "features": FEATURES,
        "warning": size_warning(len(real.features), len(fake.features), real.features.shape[1]),
        "all": _figures(real, fake, list(everything), seed),
        "modalities": {name: _figures(real, fake, chosen, seed) for name, chosen in rows.items()},
    }


def _figures(real: Seen, fake: Seen, rows: list[int], seed: int) -> dict | None:
    if len(rows) < FEWEST:
        return None
    own, other, logits = real.features[rows], fake.features[rows], real.logits["finding"][rows]
    half = {"n": len(rows) // 2, **_between(own[::2], own[1::2], logits[1::2], seed)}
    return {"n": len(rows), **_between(own, other, fake.logits["finding"][rows], seed), "drawn": half}


def _between(real: np.ndarray, fake: np.ndarray, logits: np.ndarray, seed: int) -> dict[str, float]:
    kid, spread, _ = kernel_distance(real, fake, seed=seed)
    score, _ = inception_score(logits, splits=max(1, min(10, len(logits) // 20)), seed=seed)
    fid = frechet_distance(real, fake)
    return {"kid": kid, "kid_std": spread, "fid": fid, "inception_score": score, **manifold_figures(real, fake)}


def look_figures(real: np.ndarray, fake: np.ndarray, modalities: Sequence[str], seed: int = 0) -> dict:
    """How the pictures themselves look, of each modality: diversity and quality, drawn beside generated.

    Args:
        real, fake: uint8 (n, height, width, 3).
        modalities: of each pair.
        seed: of the pairs for diversity.

    Returns:
        {modality: {"diversity", "snr", "contrast", "sharpness"}}, each as {"drawn", "generated"}; diversity is the mean
        MS-SSIM of random pairs, lower being more diverse, and None of a single picture.
    """
    figures = {}
    for name in dict.fromkeys(modalities):
        rows = [row for row, other in enumerate(modalities) if other == name]
        sets = {"drawn": _gray_if_gray(real[rows]), "generated": _gray_if_gray(fake[rows])}
        figures[name] = {
            "diversity": {
                label: ms_ssim_diversity(images, seed=seed) if len(images) > 1 else None
                for label, images in sets.items()
            }
        }
        for quality, measure in QUALITY.items():
            values = {label: np.array([measure(image) for image in images]) for label, images in sets.items()}
            figures[name][quality] = {label: _finite_mean(those) for label, those in values.items()}
    return figures


def _finite_mean(values: np.ndarray) -> float | None:
    """A flat picture has no noise and an infinite ratio."""
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else None


def _gray_if_gray(images: np.ndarray) -> np.ndarray:
    """uint8 (n, height, width, 3) -> float32 in [0, 1], without the last axis where all are gray."""
    if (images == images[..., :1]).all():
        images = images[..., 0]
    return images.astype(np.float32) / 255


COLUMNS = ("kid", "fid", "inception_score", "precision", "recall", "density", "coverage")


def distribution_table(figures: dict) -> str:
    """The figures as lines of text, those of drawn pictures below each."""
    lines = [f"{figures['features']:<32}{'n':>6}" + "".join(f"{name.split('_')[0]:>11}" for name in COLUMNS)]
    for name, those in {"all": figures["all"], **figures["modalities"]}.items():
        if those is None:
            lines.append(f"{name:<32}  too few pictures")
            continue
        for label, part in ((name, those), ("  drawn against drawn", those["drawn"])):
            lines.append(f"{label:<32}{part['n']:>6}" + "".join(f"{part[column]:>11.4g}" for column in COLUMNS))
    return "\n".join(lines)
