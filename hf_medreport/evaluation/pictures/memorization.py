"""Are generated pictures copies of training pictures?

The distance of pixels misses a copy that is moved by one pixel, or mirrored. Here two pictures are as similar as the
largest zero-mean correlation of their gray values, blurred by a Gaussian of 1 px, over shifts by up to 2 px and the
mirror image. Pictures of one modality are all alike, so a picture is held against the training pictures of its own
modality, and the question is not how similar the nearest one is, but whether it is nearer than to pictures of *other*
patients: similarities are put on one scale by mean and deviation of what held-out pictures of the modality have, after
Fisher's transform (1915), under which a correlation is spread evenly. A picture is suspect above the 99.9th percentile
of held-out pictures, and the gate fails where more than 0.5 % are.

A gate that finds nothing may be blind. So it is tried on copies that are known: training pictures with noise, another
gain, blur, a shift and half of them mirrored. Where these do not fail it, the gate does not pass either.

What it misses: a copy of a part, or one that is turned or enlarged.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
from scipy.ndimage import gaussian_filter

from hf_medreport.evaluation.classification import auc
from hf_medreport.evaluation.pictures.faithfulness import wilson_interval
from hf_medreport.processing.input_error import InputError

__all__ = ["ALLOWED", "PERCENTILE", "disguised", "gate", "gate_lines", "nearest"]

SHIFT, SIGMA = 2, 1.0  # px
PERCENTILE, ALLOWED = 99.9, 0.005
COPIES, CLOSEST = 200, 8
FEWEST = 20  # held-out pictures of a modality
SIDE = 64  # px; larger pictures are averaged down to it
BLOCK = 4000  # training pictures at a time
CERTAIN = 1 - 1e-6  # a correlation of 1 has no finite transform


def nearest(images: np.ndarray, training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The most similar training picture of each picture.

    Args:
        images, training: uint8 (n, side, side, 3) and (m, side, side, 3).

    Returns:
        similarities, float32 (n,) from -1 to 1, and the numbers of the training pictures, (n,).

    Raises:
        InputError: pictures of unequal sizes.
    """
    if images.shape[1:] != training.shape[1:]:
        found, expected = (f"{one.shape[2]} x {one.shape[1]} px" for one in (images, training))
        raise InputError("pictures", found, f"{expected}, as the training pictures", "draw or resize them so")
    seen, other = _blurred(images), _blurred(training)
    inner = slice(SHIFT, seen.shape[1] - SHIFT)
    moved = [
        _normed(turned[:, down : down + inner.stop - SHIFT, right : right + inner.stop - SHIFT])
        for turned in (seen, seen[:, :, ::-1])
        for down, right in product(range(2 * SHIFT + 1), repeat=2)
    ]
    best, where = np.full(len(images), -1.0, np.float32), np.zeros(len(images), int)
    for start in range(0, len(other), BLOCK):
        block = _normed(other[start : start + BLOCK, inner, inner]).T
        alike = moved[0] @ block
        for view in moved[1:]:
            np.maximum(alike, view @ block, out=alike)
        columns = alike.argmax(axis=1)
        found = alike[np.arange(len(images)), columns]
        where = np.where(found > best, start + columns, where)
        best = np.maximum(best, found)
    return np.minimum(best, 1), where


def disguised(images: np.ndarray, seed: int = 0) -> np.ndarray:
    """Copies that look like new pictures: gain, blur, a shift, noise, and every other one mirrored.

    Args:
        images: uint8 (n, side, side, 3); the same shape is returned.
        seed: of all of it.
    """
    rng, copies = np.random.default_rng(seed), []
    for number, image in enumerate(images):
        changed = image.astype(np.float64)
        if number % 2:
            changed = changed[:, ::-1]
        sigma = rng.uniform(0.3, 1.0)
        changed = gaussian_filter(changed, (sigma, sigma, 0))
        changed = np.roll(changed, rng.integers(-SHIFT, SHIFT + 1, 2), axis=(0, 1))
        changed = changed * rng.uniform(0.85, 1.15) + rng.normal(0, 5, (*image.shape[:2], 1))
        copies.append(np.clip(changed, 0, 255).round().astype(np.uint8))
    return np.stack(copies)


def gate(
    images: np.ndarray,
    modalities: Sequence[str],
    training: np.ndarray,
    training_modalities: Sequence[str],
    held_out: np.ndarray,
    held_out_modalities: Sequence[str],
    seed: int = 0,
) -> dict:
    """Whether generated pictures are copies.

    Args:
        images: uint8 (n, side, side, 3), the generated pictures.
        training: what the generator was trained on.
        held_out: pictures of the same kind that it was not trained on, of other patients; some hundred a modality.
        modalities, ...: of each picture of these three; all of `modalities` must occur in the others.
        seed: of the copies.

    Returns:
        {"passes", "n", "suspect", "share", "interval", "allowed", "percentile", "n_training", "n_held_out",
        "thresholds": {modality: similarity}, "similarity": {"generated", "held_out"} means, "closest": [{"picture",
        "training", "modality", "similarity"}], "control": {"n", "auc", "share", "passes"}}.

    Raises:
        InputError: a modality without training or with fewer than 20 held-out pictures, or unequal sizes.
    """
    wanted = sorted(set(modalities))
    kept = np.flatnonzero(np.isin(held_out_modalities, wanted))
    sets = {
        "generated": (images, modalities),
        "held_out": (held_out[kept], [held_out_modalities[row] for row in kept]),
        "copies": _copies(training, training_modalities, wanted, seed),
    }
    alike, scaled, partner = ({name: np.zeros(len(one)) for name, (one, _) in sets.items()} for _ in range(3))
    scales = {}
    for modality in wanted:
        known = _rows(training_modalities, modality)
        rows = {name: _rows(names, modality) for name, (_, names) in sets.items()}
        if not len(known) or len(rows["held_out"]) < FEWEST:
            found = f"{len(known)} of '{modality}', and {len(rows['held_out'])} held-out ones"
            raise InputError("training pictures", found, f"some, and at least {FEWEST}", "give more of them")
        for name, (pictures, _) in sets.items():
            alike[name][rows[name]], where = nearest(pictures[rows[name]], training[known])
            partner[name][rows[name]] = known[where]
        spread = _transformed(alike["held_out"][rows["held_out"]])
        middle, width = scales[modality] = float(spread.mean()), float(spread.std()) or 1.0
        for name, those in rows.items():
            scaled[name][those] = (_transformed(alike[name][those]) - middle) / width
    limit = float(np.percentile(scaled["held_out"], PERCENTILE))
    thresholds = {name: float(np.tanh(middle + limit * width)) for name, (middle, width) in scales.items()}
    suspect, n = int((scaled["generated"] > limit).sum()), len(images)
    control = _control(scaled["copies"], scaled["held_out"], limit)
    order = np.argsort(-scaled["generated"], kind="stable")[:CLOSEST]
    return {
        "passes": suspect / n <= ALLOWED and not control["passes"],
        "n": n,
        "suspect": suspect,
        "share": suspect / n,
        "interval": wilson_interval(suspect, n),
        "allowed": ALLOWED,
        "percentile": PERCENTILE,
        "n_training": len(training),
        "n_held_out": len(kept),
        "thresholds": thresholds,
        "similarity": {name: float(alike[name].mean()) for name in ("generated", "held_out")},
        "closest": [
            {
                "picture": int(row),
                "training": int(partner["generated"][row]),
                "modality": modalities[row],
                "similarity": float(alike["generated"][row]),
            }
            for row in order
        ],
        "control": control,
    }


def _control(copies: np.ndarray, held_out: np.ndarray, limit: float) -> dict:
    """What the gate says of copies; it is sound where they do not pass."""
    labels = np.repeat([1, 0], [len(copies), len(held_out)])
    share = float((copies > limit).mean())
    area = auc(np.concatenate([copies, held_out]), labels)
    return {"n": len(copies), "auc": area, "share": share, "passes": share <= ALLOWED}


def _copies(training: np.ndarray, modalities: Sequence[str], wanted: list[str], seed: int):
    """Some training pictures of each modality, disguised, and their modalities."""
    rng, rows = np.random.default_rng(seed), []
    for modality in wanted:
        known = _rows(modalities, modality)
        rows.extend(rng.permutation(known)[: max(1, COPIES // len(wanted))].tolist())
    return disguised(training[rows], seed) if rows else training[:0], [modalities[row] for row in rows]


def _rows(modalities: Sequence[str], wanted: str) -> np.ndarray:
    return np.flatnonzero([one == wanted for one in modalities])


def _transformed(similarities: np.ndarray) -> np.ndarray:
    return np.arctanh(np.minimum(similarities, CERTAIN))


def _blurred(images: np.ndarray) -> np.ndarray:
    """uint8 (n, side, side, 3) -> float32 gray (n, 64, 64), or as small as they are, blurred."""
    gray = images.astype(np.float32).mean(axis=-1)
    side = gray.shape[1]
    if side > SIDE and side % SIDE == 0:
        step = side // SIDE
        gray = gray.reshape(len(gray), SIDE, step, -1, step).mean(axis=(2, 4))
    return gaussian_filter(gray, (0, SIGMA, SIGMA))


def _normed(pictures: np.ndarray) -> np.ndarray:
    """(n, height, width) -> (n, height * width) of mean 0 and length 1; a flat one is 0."""
    rows = pictures.reshape(len(pictures), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def gate_lines(figures: dict) -> str:
    """The gate as lines of text."""
    low, high = figures["interval"]
    control = figures["control"]
    return "\n".join(
        [
            f"memorization gate: {'passed' if figures['passes'] else 'FAILED'}: {figures['suspect']} of "
            f"{figures['n']} pictures ({figures['share']:.2%}, 95 % interval {low:.2%} to {high:.2%}) are nearer to a "
            f"training picture than the {figures['percentile']}th percentile of {figures['n_held_out']} held-out ones; "
            f"{figures['allowed']:.1%} are allowed",
            f"positive control: {control['n']} disguised copies, {control['share']:.1%} of them found, AUC "
            f"{control['auc']:.3f}{'' if not control['passes'] else '; they pass, so the gate is blind here'}",
        ]
    )
