"""Does a picture fit its prompt, by a model of pictures and words?

The CLIP score (`evaluation.images.distribution.clip_score`) has no scale of its own. So two things stand beside it: the
score of the same pictures with prompts that ask for something else of the same modality, and how often the own prompt
fits better than such a one, 0.5 by chance.
"""

from collections.abc import Sequence

import numpy as np

from hf_medreport.evaluation.images.distribution import clip_score
from hf_medreport.evaluation.images.features import Extractor
from hf_medreport.evaluation.significance import bootstrap_interval
from hf_medreport.phantom.picture.facts import PictureFact

__all__ = ["clip_figures"]

BATCH = 100


def clip_figures(
    extractor: Extractor, images: np.ndarray, prompts: Sequence[str], facts: Sequence[PictureFact], seed: int = 0
) -> dict:
    """CLIP scores of pictures with their own prompts and with others.

    Args:
        extractor: of a folder of a CLIP-like model; see `load_extractor`.
        images: uint8 (n, height, width, 3).
        prompts, facts: of each.
        seed: of the prompts that do not belong, and of the interval.

    Returns:
        {"model", "score", "interval", "other_prompt", "own_is_better"}.
    """
    pictures = [image.astype(np.float32) / 255 for image in images]
    starts = range(0, len(pictures), BATCH)
    seen = np.concatenate([extractor.images(pictures[start : start + BATCH])[0] for start in starts])
    read = np.concatenate([extractor.texts(list(prompts[start : start + BATCH])) for start in starts])
    own, others = clip_score(seen, read), _others(facts, np.random.default_rng(seed))
    kept = np.array([row for row, other in enumerate(others) if other is not None], dtype=int)
    other = clip_score(seen[kept], read[[others[row] for row in kept]]) if len(kept) else None
    return {
        "model": extractor.name,
        "score": float(own.mean()),
        "interval": list(bootstrap_interval(own, seed=seed)),
        "other_prompt": None if other is None else float(other.mean()),
        "own_is_better": None if other is None else float(np.mean(own[kept] > other)),
    }


def _others(facts: Sequence[PictureFact], rng: np.random.Generator) -> list[int | None]:
    """Of each picture another one of its modality that shows something else; None where there is none."""
    found = []
    for fact in facts:
        rows = [row for row, other in enumerate(facts) if other.modality == fact.modality and other != fact]
        found.append(int(rng.choice(rows)) if rows else None)
    return found
