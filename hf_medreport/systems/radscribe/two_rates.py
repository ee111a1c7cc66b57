"""Two parameter groups, each with its own rate: how RadScribe trains an encoder that has seen much and a decoder that
has to learn to listen to it.

Each rate climbs in a straight line, falls in a straight line, and never goes below a floor, not even at the first step.
AdamW (arXiv 1711.05101) with betas (0.9, 0.999), as RadScribe's `train.py` has it.

    rates = GroupRates(lr=5e-5, min_lr=1e-5, weight_decay=0.01), GroupRates(1e-4, 2e-5, 0.005)
    optimizer = two_rate_optimizer(model, *rates)
    scheduler = schedule(optimizer, updates(batches=5000, epochs=20, accumulation=8), *rates)
"""

from dataclasses import dataclass
from functools import partial

from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from hf_medreport.processing.input_error import InputError

__all__ = ["GroupRates", "factor", "two_rate_optimizer", "schedule", "updates"]


@dataclass(frozen=True)
class GroupRates:
    """How one group of parameters is trained.

    Args:
        lr: the highest rate.
        min_lr: the floor; 0 has none.
        weight_decay: AdamW's.
        warmup_rate: share of all updates in which the rate climbs; 0.1 as published.

    Raises:
        InputError: a rate of 0 or below, a floor outside 0 to `lr`, a negative decay, a share outside 0 to 1.
    """

    lr: float
    min_lr: float = 0.0
    weight_decay: float = 0.0
    warmup_rate: float = 0.1

    def __post_init__(self):
        if not self.lr > 0:
            raise InputError("lr", f"{self.lr:g}", "a rate above 0", "5e-05 and 0.0001 are the published ones")
        if not 0 <= self.min_lr <= self.lr:
            raise InputError("min_lr", f"{self.min_lr:g}", f"0 to the rate itself, {self.lr:g}", "lower the floor")
        if not self.weight_decay >= 0:
            raise InputError("weight_decay", f"{self.weight_decay:g}", "0 or more", "0.01 and 0.005 are the published")
        if not 0 <= self.warmup_rate <= 1:
            raise InputError("warmup_rate", f"{self.warmup_rate:g}", "a share of 0 to 1", "0.1 is the published one")


def updates(batches: int, epochs: int, accumulation: int) -> int:
    """Updates of a run as the original counts them: batches that are left over at its end make none.

    `Trainer` makes an update of each epoch's left-over batches, so where `accumulation` does not divide `batches` it
    counts more; its own number is then the one to schedule by.
    """
    return max(1, batches * epochs // accumulation)


def factor(step: int, updates: int, rates: GroupRates) -> float:
    """What `rates.lr` is multiplied by after `step` of `updates` updates; `min_lr / lr` to 1."""
    warmup = max(1, int(rates.warmup_rate * updates))
    climbing, falling = step / warmup, (updates - step) / max(1, updates - warmup)
    return min(1.0, max(rates.min_lr / rates.lr, climbing if step < warmup else falling))


def two_rate_optimizer(model: nn.Module, encoder: GroupRates, decoder: GroupRates) -> AdamW:
    """AdamW over `model.encoder` and over everything else.

    Frozen parameters are in it too, as a later phase may free them: AdamW passes over what has no gradient. A tensor
    with two names counts once.
    """
    of_encoder = list(model.encoder.parameters())
    known = {id(parameter) for parameter in of_encoder}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in known]
    groups = [
        {"params": parameters, "lr": rates.lr, "weight_decay": rates.weight_decay}
        for parameters, rates in ((of_encoder, encoder), (rest, decoder))
    ]
    return AdamW(groups, betas=(0.9, 0.999))


def schedule(optimizer: Optimizer, updates: int, encoder: GroupRates, decoder: GroupRates) -> LambdaLR:
    """A schedule for the groups of `two_rate_optimizer`, to be stepped after each of its steps."""
    return LambdaLR(optimizer, [partial(factor, updates=updates, rates=rates) for rates in (encoder, decoder)])
