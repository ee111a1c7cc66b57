"""Are the pictures of one set like those of another, as sets? Distances between clouds of features.

- Frechet distance: Heusel et al. 2017, "GANs trained by a two time-scale update rule": |m1 - m2|^2 +
  tr(C1 + C2 - 2 (C1 C2)^1/2), of means and covariances; not its square root. It is FID on Inception's features.
- Kernel distance: Binkowski et al. 2018, "Demystifying MMD GANs": unbiased squared maximum mean discrepancy under
  (x.y / width + 1)^3, mean and standard deviation over random subsets. Unbiased, so it may fall below zero.
- Inception score: Salimans et al. 2016, "Improved techniques for training GANs": exp of the mean divergence of each
  picture's class probabilities from the set's, mean and standard deviation over splits.
- CLIP score: Hessel et al. 2021, "CLIPScore", here as 100 max(cosine, 0) of a picture and its caption, without their
  factor of 2.5 on a scale of 1.

All depend on the features more than on anything else: numbers of two extractors cannot be compared. What they miss: a
model that repeats its training pictures is perfect to all of them, and none looks at left and right.
"""

import numpy as np
from scipy.special import log_softmax, logsumexp

from hf_medreport.processing.input_error import InputError

__all__ = ["clip_score", "frechet_distance", "inception_score", "kernel_distance", "size_warning"]

ENOUGH = 10_000  # pictures a set, as the authors of FID recommend
SUBSETS, SUBSET_SIZE = 100, 1000  # as the authors of KID compute it
SPLITS = 10  # as the authors of the inception score


def frechet_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """Frechet distance of two sets of features, (n, width) and (m, width); 0 for equal sets.

    Covariances are divided by n - 1. The trace of the root is the sum of the singular values of F1 F2^T, where
    C = F^T F: no root of a matrix is taken, so singular covariances (fewer pictures than features, constant features)
    need no jitter and give no complex numbers.

    Raises:
        InputError: fewer than two pictures in a set, unequal widths, or features that are not finite.
    """
    real, fake = _checked(real, fake, at_least=2)
    factor_real, factor_fake = _factor(real), _factor(fake)
    root_trace = np.linalg.svd(factor_real @ factor_fake.T, compute_uv=False).sum()
    means = np.sum((real.mean(axis=0) - fake.mean(axis=0)) ** 2)
    return float(max(0.0, means + np.sum(factor_real**2) + np.sum(factor_fake**2) - 2 * root_trace))


def size_warning(n_real: int, n_fake: int, width: int) -> str | None:
    """What to know of a Frechet distance from so few pictures; None where they are enough."""
    fewest = min(n_real, n_fake)
    if fewest >= ENOUGH:
        return None
    sets = f"FID from {n_real} real and {n_fake} fake pictures"
    if fewest <= width:
        return f"{sets} for {width} features: covariances of such sets are singular and FID is mostly bias; use KID"
    return f"{sets} is biased upwards: compare it only at equal counts ({ENOUGH} are recommended), or use KID"


def kernel_distance(
    real: np.ndarray, fake: np.ndarray, *, subsets: int = SUBSETS, subset_size: int = SUBSET_SIZE, seed: int = 0
) -> tuple[float, float, int]:
    """Kernel distance of two sets of features, (n, width) and (m, width).

    Args:
        subsets: how many are drawn, without replacement within one.
        subset_size: pictures of each set in a subset; at most half of the smaller set, or all subsets would be one.
        seed: of the draw.

    Returns:
        mean and standard deviation over the subsets, and the size of one. Subsets overlap: the deviation says how
        stable the mean is, and is no confidence interval.

    Raises:
        InputError: fewer than four pictures in a set, unequal widths, or features that are not finite.
    """
    real, fake = _checked(real, fake, at_least=4)
    size = min(subset_size, min(len(real), len(fake)) // 2)
    rng = np.random.default_rng(seed)
    distances = [
        _squared_discrepancy(
            real[rng.choice(len(real), size, replace=False)], fake[rng.choice(len(fake), size, replace=False)]
        )
        for _ in range(subsets)
    ]
    return float(np.mean(distances)), float(np.std(distances)), size


def inception_score(logits: np.ndarray, *, splits: int = SPLITS, seed: int = 0) -> tuple[float, float]:
    """Inception score of class logits (n, classes): 1 to the number of classes.

    Args:
        splits: parts of the shuffled set that are scored alone.
        seed: of the shuffle.

    Returns:
        mean and standard deviation over the splits.

    Raises:
        InputError: fewer pictures than splits, or logits that are not finite.
    """
    logits, _ = _checked(logits, logits, at_least=splits)
    order = np.random.default_rng(seed).permutation(len(logits))
    scores = []
    for part in np.array_split(log_softmax(logits[order], axis=1), splits):
        of_the_set = logsumexp(part, axis=0) - np.log(len(part))
        scores.append(np.exp(np.sum(np.exp(part) * (part - of_the_set), axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def clip_score(images: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """100 max(cosine, 0) of each picture's and its caption's features, (n, width) and (n, width) -> (n,).

    Raises:
        InputError: unequal counts or widths, no pair at all, or features that are not finite.
    """
    if len(images) != len(texts):
        raise InputError("texts", str(len(texts)), f"{len(images)}, one a picture", "pair them by name first")
    images, texts = _checked(images, texts, at_least=1)
    lengths = np.linalg.norm(images, axis=1) * np.linalg.norm(texts, axis=1)
    return 100 * np.maximum(np.sum(images * texts, axis=1) / np.maximum(lengths, 1e-12), 0)


def _checked(a: np.ndarray, b: np.ndarray, at_least: int) -> tuple[np.ndarray, np.ndarray]:
    """Both in float64, with enough rows, of one width and finite."""
    fewest = min(len(a), len(b))
    if fewest < at_least:
        raise InputError("pictures", f"{fewest} in a set", f"at least {at_least}", "give more of the set")
    if a.shape[1:] != b.shape[1:]:
        found = f"widths {a.shape[1]} and {b.shape[1]}"
        raise InputError("features", found, "features of one extractor", "extract both sets anew")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("features", "NaN or infinite values", "finite features", "check the extractor's weights")
    return a.astype(np.float64), b.astype(np.float64)


def _factor(features: np.ndarray) -> np.ndarray:
    """F with F^T F = the covariance of (n, width): at most width rows."""
    centered = (features - features.mean(axis=0)) / np.sqrt(len(features) - 1)
    return np.linalg.qr(centered, mode="r") if len(centered) > centered.shape[1] else centered


def _squared_discrepancy(a: np.ndarray, b: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy of two sets of (size, width)."""
    size = len(a)
    within = sum(kernel.sum() - kernel.trace() for kernel in (_kernel(a, a), _kernel(b, b))) / (size * (size - 1))
    return float(within - 2 * _kernel(a, b).mean())


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a @ b.T / a.shape[1] + 1) ** 3
