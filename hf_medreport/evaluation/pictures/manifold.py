"""Do generated pictures lie where real ones do, and everywhere where they do? By nearest neighbors among features.

- Precision and recall: Kynkaanniemi et al. 2019, "Improved precision and recall metric for assessing generative
  models": the share of generated pictures inside the balls about real ones, and of real ones inside those about
  generated ones. A ball reaches to the k-th nearest neighbor of its own set.
- Density and coverage: Naeem et al. 2020, "Reliable fidelity and diversity metrics for generative models": in how many
  balls of real pictures a generated one lies, over k, and the share of real balls that hold any generated one.

One outlier has a large ball, which helps precision and recall; density and coverage are made to mind less. Coverage of
a faithful generator is near 1 - 2^-k at equal counts: look at what drawn pictures reach.
"""

import numpy as np

from hf_medreport.processing.input_error import InputError

__all__ = ["NEIGHBORS", "manifold_figures"]

NEIGHBORS = 5  # as Naeem et al.


def manifold_figures(real: np.ndarray, fake: np.ndarray, neighbors: int = NEIGHBORS) -> dict[str, float]:
    """{"precision", "recall", "density", "coverage"} of two sets of features, (n, width) and (m, width).

    Raises:
        InputError: no more pictures in a set than neighbors, or unequal widths.
    """
    fewest = min(len(real), len(fake))
    if fewest <= neighbors:
        raise InputError("pictures", f"{fewest} in a set", f"more than {neighbors}, the neighbors", "give more")
    if real.shape[1] != fake.shape[1]:
        found = f"widths {real.shape[1]} and {fake.shape[1]}"
        raise InputError("features", found, "features of one extractor", "extract both sets anew")
    real, fake = real.astype(np.float64), fake.astype(np.float64)
    of_real, of_fake = _reach(real, neighbors), _reach(fake, neighbors)
    apart = _distances(real, fake)  # (n, m)
    in_real = apart <= of_real[:, None]
    return {
        "precision": float(in_real.any(axis=0).mean()),
        "recall": float((apart <= of_fake).any(axis=1).mean()),
        "density": float(in_real.sum(axis=0).mean() / neighbors),
        "coverage": float(in_real.any(axis=1).mean()),
    }


def _reach(points: np.ndarray, neighbors: int) -> np.ndarray:
    """The squared distance of each point to its k-th nearest other one."""
    apart = _distances(points, points)
    np.fill_diagonal(apart, 0)
    return np.partition(apart, neighbors, axis=1)[:, neighbors]  # the nearest is the point itself


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances, (n, m)."""
    return np.maximum((a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T, 0)
