"""Orders of training records that a resumed run goes on with."""

from abc import ABC, abstractmethod

import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices


class DrawsByEpoch(Sampler, ABC):
    """An order of records that depends on seed and epoch alone.

    A generator that runs on from epoch to epoch, as torch's and transformers' samplers have it, starts over in a
    resumed run, which then sees other records than the run that was killed.
    """

    def __init__(self, count: int, seed: int):
        self.count, self.seed, self.epoch = count, seed, 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self):
        yield from self.order(torch.Generator().manual_seed(self.seed + self.epoch))

    @abstractmethod
    def order(self, generator: torch.Generator) -> list[int]:
        """The indices of one epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer at the head of each epoch."""
        self.epoch = epoch


class WeightedDraws(DrawsByEpoch):
    """As many records an epoch as there are, drawn by weight with replacement."""

    def __init__(self, weights: list[float], seed: int):
        super().__init__(len(weights), seed)
        self.weights = torch.tensor(weights, dtype=torch.double)

    def order(self, generator: torch.Generator) -> list[int]:
        """Draws with replacement, by weight."""
        return torch.multinomial(self.weights, len(self), replacement=True, generator=generator).tolist()


class LikeLengths(DrawsByEpoch):
    """Every record once an epoch, batches of records of like length, so that little is padded."""

    def __init__(self, lengths: list[int], batch_size: int, seed: int):
        super().__init__(len(lengths), seed)
        self.lengths, self.batch_size = lengths, batch_size

    def order(self, generator: torch.Generator) -> list[int]:
        """Each record once, near others of its length."""
        return get_length_grouped_indices(self.lengths, self.batch_size, generator=generator)
