"""The warm-up schedule of "Attention Is All You Need" (arXiv 1706.03762, section 5.3).

The rate climbs in a straight line, then falls as one over the square root of the step. It stands for Adam with
betas (0.9, 0.98) and eps 1e-9; the optimizer's own `lr` is a factor on it, and 1 is the paper's.

    optimizer = torch.optim.Adam(model.parameters(), lr=1.0, betas=(0.9, 0.98), eps=1e-9)
    schedule = noam_schedule(optimizer, d_model=512)
"""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from hf_medreport.processing.input_error import InputError

__all__ = ["noam_factor", "noam_schedule"]


def noam_factor(step: int, d_model: int, warmup: int = 4000) -> float:
    """d_model^-0.5 * min(step^-0.5, step * warmup^-1.5) for steps counted from 1; its peak is at `warmup`."""
    return d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)


def noam_schedule(optimizer: Optimizer, d_model: int, warmup: int = 4000) -> LambdaLR:
    """A schedule for `optimizer`, to be stepped after each of its steps; also fit for Trainer's `optimizers`.

    Args:
        d_model: the model's width.
        warmup: the step of the highest rate.

    Raises:
        InputError: a width or a warm-up below 1.
    """
    for name, value in (("d_model", d_model), ("warmup", warmup)):
        if value < 1:
            raise InputError(name, str(value), "1 or more", "4,000 steps and a width of 512 are the paper's")
    return LambdaLR(optimizer, lambda done: noam_factor(done + 1, d_model, warmup))
