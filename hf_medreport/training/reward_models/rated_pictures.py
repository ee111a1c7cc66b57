"""Rated pictures as records and pairs: read once, split by prompt, moved a little each time they are seen."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from hf_medreport.data.ratings.pairs import RatedPair
from hf_medreport.data.ratings.table import Rating
from hf_medreport.evaluation.pictures.reward_models import as_text, pixels_of, sized, tokenized
from hf_medreport.files.writing import sha256
from hf_medreport.processing.input_error import InputError

__all__ = ["PairBatches", "Parts", "RatingBatches", "RatingRecords", "moved", "read_pictures", "split"]

logger = logging.getLogger(__name__)


def read_pictures(paths: Iterable[Path], size: int) -> dict[Path, np.ndarray]:
    """Each picture once, uint8 (size, size, 3). Those of another size are resized, those that do not decode left out;
    both are logged.

    Raises:
        InputError: none can be read.
    """
    pictures, resized, unread = {}, 0, []
    for path in dict.fromkeys(paths):
        try:  # not by `read_image`, which refuses a blank picture: a rater may have called it poor
            with Image.open(path) as picture:
                image = np.asarray(picture.convert("RGB"))
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            unread.append(f"{path.name}, {type(error).__name__}")
            continue
        resized += image.shape[:2] != (size, size)
        pictures[path] = sized(image, size)
    if unread:
        logger.warning("%d pictures left out that cannot be read (the first: %s)", len(unread), unread[0])
    if not pictures:
        raise InputError("ratings", f"{len(unread)} pictures, none of which can be read", "pictures", "check the files")
    if resized:
        logger.warning("%d of %d pictures are resized to %d x %d px", resized, len(pictures), size, size)
    return pictures


@dataclass(frozen=True)
class Parts:
    """Ratings to train on, to fit scores on, and to score; no prompt lies in two."""

    train: list[Rating]
    calibration: list[Rating]
    held_out: list[Rating]


def split(ratings: Sequence[Rating], held_out: float, calibration: float, raters: Sequence[str], seed: int) -> Parts:
    """Split by prompt: where a prompt falls depends on (seed, prompt) alone, so that a longer table moves none.

    Args:
        held_out, calibration: shares of the prompts.
        raters: whose ratings are only scored, and left out elsewhere.

    Raises:
        InputError: a rater who rated nothing, or a part that is asked for and empty.
    """
    for rater in raters:
        if rater not in {rating.rater for rating in ratings}:
            known = ", ".join(sorted({rating.rater for rating in ratings})) or "no names"
            raise InputError("held_out_raters", f"'{rater}'", f"some of {known}", "correct the name")
    parts = Parts([], [], [])
    for rating in ratings:
        place = _place(" ".join(rating.prompt.split()), seed)
        if place < held_out:
            parts.held_out.append(rating)
        elif rating.rater not in raters:
            (parts.calibration if place < held_out + calibration else parts.train).append(rating)
    shares = {"train": 1.0, "calibration": calibration, "held_out": held_out}
    for name, share in shares.items():
        if share and not getattr(parts, name):
            found = f"no ratings for the part '{name}'"
            raise InputError("ratings", found, "prompts enough for every part", "rate pictures of more prompts")
    return parts


def _place(prompt: str, seed: int) -> float:
    """A prompt's place in [0, 1)."""
    return int(sha256(f"{seed} {prompt}".encode())[:8], 16) / 2**32


def moved(image: np.ndarray, shift: int, rng: np.random.Generator) -> np.ndarray:
    """A picture moved by up to `shift` px; what comes in is the edge again."""
    down, right = rng.integers(0, 2 * shift + 1, 2)
    padded = np.pad(image, ((shift, shift), (shift, shift), (0, 0)), mode="edge")
    return padded[down : down + image.shape[0], right : right + image.shape[1]]


def _text(prompt: str, modality: str | None, rng: np.random.Generator) -> str:
    """With the modality in front in half of the cases, so that a policy reads prompts of either kind."""
    return as_text(prompt, modality if rng.random() < 0.5 else None)


class RatingRecords(Dataset):
    """Each rating `passes` times; record k depends on (seed, k) alone."""

    def __init__(self, ratings: list[Rating], pictures: dict[Path, np.ndarray], passes: int, shift: int, seed: int):
        self.ratings, self.pictures, self.passes, self.shift, self.seed = ratings, pictures, passes, shift, seed

    def __len__(self) -> int:
        return self.passes * len(self.ratings)

    def __getitem__(self, index: int) -> dict:
        rng, rating = np.random.default_rng((self.seed, index)), self.ratings[index % len(self.ratings)]
        return {
            "image": moved(self.pictures[rating.image], self.shift, rng),
            "text": _text(rating.prompt, rating.modality, rng),
            "label": rating.normalized,
            "weight": rating.weight,
        }


@dataclass(frozen=True)
class RatingBatches:
    """Records -> what a reward model takes. Without a tokenizer the prompts are left out."""

    tokenizer: object | None
    length: int = 0

    def __call__(self, records: list[dict]) -> dict[str, torch.Tensor]:
        batch = {"pixel_values": pixels_of(np.stack([record["image"] for record in records]))}
        if self.tokenizer is not None:
            batch |= tokenized(self.tokenizer, [record["text"] for record in records], self.length)
        names = {"labels": "label", "weights": "weight"}
        return batch | {name: torch.tensor([float(record[of]) for record in records]) for name, of in names.items()}


@dataclass(frozen=True)
class PairBatches:
    """Rows with the `number` of a pair -> pictures of the chosen, then of the rejected ones, with their prompt.

    TRL counts tokens by an `attention_mask`, so there is one even of pictures alone.
    """

    pairs: list[RatedPair]
    pictures: dict[Path, np.ndarray]
    shift: int
    seed: int
    tokenizer: object | None
    length: int = 0

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        images, texts, margins = ([], []), [], []
        for row in rows:
            pair = self.pairs[row["number"] % len(self.pairs)]
            rng = np.random.default_rng((self.seed, row["number"]))
            for side, path in zip(images, (pair.chosen, pair.rejected), strict=True):
                side.append(moved(self.pictures[path], self.shift, rng))
            texts.append(_text(pair.prompt, pair.modality, rng))
            margins.append(pair.margin)
        batch = {"pixel_values": pixels_of(np.stack([*images[0], *images[1]])), "margin": torch.tensor(margins)}
        if self.tokenizer is None:
            return batch | {"attention_mask": torch.ones(2 * len(rows), 1, dtype=torch.long)}
        return batch | tokenized(self.tokenizer, texts * 2, self.length)
