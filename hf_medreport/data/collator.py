"""Records -> one batch of a report model."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from hf_medreport.processing.feature_files import PatchFeatures

NO_MASK = np.zeros((8, 8), np.float32)


@dataclass
class ReportCollator:
    """Hand films, masks and reports of a list of records to the processor.

    A record without a mask among records with one gets an empty mask, which is no mask.

    Args:
        processor: of a report system.
        max_length: most tokens of a report, the end-of-text token included.
    """

    processor: object
    max_length: int | None = None

    def __call__(self, records: list[dict]) -> dict:
        masks = [NO_MASK if record["mask"] is None else record["mask"] for record in records]
        return dict(
            self.processor(
                [record["image"] for record in records],
                masks=masks if any(mask is not NO_MASK for mask in masks) else None,
                text_target=[record["text"] for record in records],
                max_length=self.max_length,
            )
        )


@dataclass
class SlideReportCollator:
    """Hand bags and reports of a list of records to the processor.

    Args:
        processor: of a slide system.
        max_length: most tokens of a report, the end token included.
        keep_patches: smallest share of a bag's patches that a training batch may keep; which ones is drawn anew each
            time, by torch's generator. 1 keeps all.
        in_training: tells whether a batch is for training; others keep all patches.
    """

    processor: object
    max_length: int | None = None
    keep_patches: float = 1.0
    in_training: Callable[[], bool] = lambda: True

    def __call__(self, records: list[dict]) -> dict:
        thins = self.keep_patches < 1 and self.in_training()
        cases = [{"slides": [self._thinned(bag) if thins else bag for bag in one["slides"]]} for one in records]
        texts = [record["text"] for record in records]
        return dict(self.processor(cases, text_target=texts, max_length=self.max_length))

    def _thinned(self, bag: PatchFeatures) -> PatchFeatures:
        share = self.keep_patches + (1 - self.keep_patches) * torch.rand(1).item()
        kept = (torch.rand(len(bag.features)) < share).nonzero()[:, 0].numpy()
        return PatchFeatures(bag.features[kept if len(kept) else slice(0, 1)])
