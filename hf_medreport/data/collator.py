"""Records -> one batch of a report model."""

from dataclasses import dataclass

import numpy as np

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
class StudyCollator:
    """Hand both views, classifications and reports of a list of records to the processor of the multi-task chest X-ray.

    Args:
        processor: of `cxr_multitask`.
        max_length: most tokens of a report, the end token included.
    """

    processor: object
    max_length: int | None = None

    def __call__(self, records: list[dict]) -> dict:
        cases = [study_case(record) for record in records]
        texts = [record["text"] for record in records]
        return dict(self.processor(cases, text_target=texts, max_length=self.max_length))


def study_case(record: dict) -> dict:
    """A record as the processor takes a case; a table of frontal films alone has neither lateral nor classification."""
    return {"frontal": record["image"], **{name: record.get(name) for name in ("lateral", "mask", "abnormal")}}


@dataclass
class SlideReportCollator:
    """Hand bags and reports of a list of records to the processor.

    Args:
        processor: of a slide system.
        max_length: most tokens of a report, the end token included.
        allow_foreign_features: as of the processor; True also where the bags were held to each other and the model
            when they were opened.
    """

    processor: object
    max_length: int | None = None
    allow_foreign_features: bool = False

    def __call__(self, records: list[dict]) -> dict:
        cases = [{"slides": record["slides"]} for record in records]
        texts = [record["text"] for record in records]
        held = {"allow_foreign_features": True} if self.allow_foreign_features else {}
        return dict(self.processor(cases, text_target=texts, max_length=self.max_length, **held))


@dataclass
class LabeledCollator:
    """Hand films, labels and reports of a list of records to the processor of RadScribe.

    Args:
        processor: of `radscribe`.
        label_mode: of the model: `"oracle"` is given the labels, `"predicted"` learns to name them.
        max_length: most tokens of a report, the end token included.
    """

    processor: object
    label_mode: str
    max_length: int | None = None

    def __call__(self, records: list[dict]) -> dict:
        labels = [record.get("labels") for record in records]
        told = labels if self.label_mode == "oracle" else [None] * len(records)
        cases = [{"frontal": record["image"], "labels": of_case} for record, of_case in zip(records, told, strict=True)]
        return dict(
            self.processor(
                cases,
                text_target=[record["text"] for record in records],
                label_target=labels if self.label_mode == "predicted" else None,
                max_length=self.max_length,
            )
        )
