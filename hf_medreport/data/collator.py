"""Records -> one batch of a report model."""

from dataclasses import dataclass


@dataclass
class ReportCollator:
    """Hand films, masks and reports of a list of records to the processor.

    Args:
        processor: of a report system.
        max_length: most tokens of a report, the end-of-text token included.
    """

    processor: object
    max_length: int | None = None

    def __call__(self, records: list[dict]) -> dict:
        masks = [record["mask"] for record in records]
        return dict(
            self.processor(
                [record["image"] for record in records],
                masks=masks if all(mask is not None for mask in masks) else None,
                text_target=[record["text"] for record in records],
                max_length=self.max_length,
            )
        )
