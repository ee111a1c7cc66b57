"""The trainer on ratings themselves, and what both trainers refuse: a loss that is no number."""

import torch

from hf_medreport.processing.input_error import InputError
from hf_medreport.training.trainer import ReportTrainer

__all__ = ["RatingTrainer", "finite"]


class RatingTrainer(ReportTrainer):
    """Weighted regression: the model computes its own loss."""

    def compute_loss(self, *args, **kwargs):
        return finite(super().compute_loss(*args, **kwargs), self.state.global_step)


def finite(loss, step: int):
    """The loss, or (loss, outputs), as it came.

    Raises:
        InputError: it is no number. (Trainer itself goes on, and logs the last one that was.)
    """
    value = loss[0] if isinstance(loss, tuple) else loss
    if not torch.isfinite(value):
        found = f"{value.item()} after {step} steps"
        raise InputError("loss", found, "a number", "lower `learning_rate`, or set `max_grad_norm`")
    return loss
