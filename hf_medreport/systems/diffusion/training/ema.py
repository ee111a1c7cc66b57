"""A moving average of the weights that are trained, whole models or adapters alike: what is sampled from and saved."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["MovingAverage"]


class MovingAverage:
    """Exponential moving average of named parameters, in float32.

    Early steps count for more, `min(decay, (1 + step) / (10 + step))`: else the average of a short run remembers the
    random weights it began with.

    Args:
        parameters: {name: parameter}; of their values now the average begins.
        decay: how much of the average a step keeps, in the long run.
    """

    def __init__(self, parameters: dict[str, torch.nn.Parameter], decay: float):
        self.parameters, self.decay = parameters, decay
        self.averages = {name: each.detach().float().clone() for name, each in parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after a step; `step` counts from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        names = list(self.averages)
        averages = [self.averages[name] for name in names]
        torch._foreach_lerp_(averages, [self.parameters[name].detach().float() for name in names], 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside the block the parameters have their averages' values; afterward their own again."""
        own = {name: each.detach().clone() for name, each in self.parameters.items()}
        self._put(self.averages)
        try:
            yield
        finally:
            self._put(own)

    @torch.no_grad()
    def _put(self, values: dict[str, torch.Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])
