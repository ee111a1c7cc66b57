"""Cases of any report model, by what it reads and takes: records from tables or the phantom, and batches of them."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch.utils.data import ConcatDataset

from hf_medreport.data.collator import NO_MASK
from hf_medreport.data.drawn.bags import draw_bags
from hf_medreport.data.drawn.films import PhantomReports, PhantomSource
from hf_medreport.data.slide_reports import SlideReports
from hf_medreport.data.tables import ReportDataset
from hf_medreport.files.writing import write_whole_folder
from hf_medreport.phantom.slide.corpus import SlideCorpus
from hf_medreport.processing.input_error import InputError
from hf_medreport.training.recipe import FilmDataArguments, fingerprint, log_skipped
from hf_medreport.training.reinforce.trainer import REFERENCES

__all__ = ["CaseCollator", "DataArguments", "open_records"]


@dataclass
class DataArguments(FilmDataArguments):
    """The data: tables of films, pairs or features with their reports, or the phantom."""

    image_column: str = "image"
    lateral_column: str = field(default="lateral", metadata={"help": "Of a model that reads pairs."})
    features_column: str = field(default="features", metadata={"help": "Of a model that reads slides."})
    text_column: str = "text"
    mask_column: str | None = None
    labels_column: str | None = field(default=None, metadata={"help": "Of CheXpert names, for a model that is given."})
    max_text_tokens: int = field(default=0, metadata={"help": "Of a report; 0: as the model's own reports."})
    slide_px: int = field(default=2048, metadata={"help": "Side of a drawn slide."})
    slide_mpp: float = field(default=1.0, metadata={"help": "Microns a px of a drawn slide."})


def open_records(data: DataArguments, reads: str, takes: dict[str, str], processor, folder: Path) -> tuple:
    """Training records, and those to evaluate on or None.

    Args:
        reads: of the model's row: `"film"`, `"pair"` or `"slide"`.
        takes: of the model.
        folder: of the run, where features of drawn slides are kept.

    Raises:
        InputError: what the tables refuse, or drawn slides and a model without a patch encoder.
    """
    if data.phantom_cases and reads == "slide":
        counts = {"train": data.phantom_cases, "validation": data.phantom_validation_cases}
        training, validation = (_drawn_slides(data, processor, split, n, folder) for split, n in counts.items())
        return training, validation
    if data.phantom_cases:
        source = {"seed": data.phantom_seed, "size": processor.image_processor.size, "lateral": reads == "pair"}
        training = PhantomSource(data.phantom_cases, **source)
        validation = PhantomSource(data.phantom_validation_cases, **source, split="validation")
        return PhantomReports(training), PhantomReports(validation)
    tables = [_table(data, path, reads, takes) for path in data.train_data]
    validation = _table(data, data.validation_data, reads, takes) if data.validation_data else None
    log_skipped(table for table in (*tables, validation) if isinstance(table, ReportDataset))
    return ConcatDataset(tables), validation


def _table(data: DataArguments, path: str, reads: str, takes: dict[str, str]):
    on_bad = "skip" if data.skip_bad_rows else "raise"
    if reads == "slide":
        return SlideReports.from_table(path, data.features_column, data.text_column, on_bad=on_bad)
    if takes.get("labels") == "required" and not data.labels_column:
        raise InputError("labels_column", "none", "the labels that this model is given", "name the column")
    return ReportDataset(
        path,
        image_column=data.image_column,
        text_column=data.text_column,
        mask_column=data.mask_column if "mask" in takes else None,
        lateral_column=data.lateral_column if reads == "pair" else None,
        labels_column=data.labels_column if "labels" in takes else None,
        on_bad=on_bad,
        **data.of_films,
    )


def _drawn_slides(data: DataArguments, processor, split: str, count: int, folder: Path) -> SlideReports:
    """Drawn slides as bags of the model's own patch encoder, kept on disk."""
    encoder = processor.patch_encoder
    corpus = SlideCorpus(count, data.phantom_seed, data.slide_px, data.slide_mpp, split)
    made_of = [encoder.revision, processor.image_processor.to_dict(), data.phantom_seed, data.slide_px, data.slide_mpp]
    place = folder / f"processor-{fingerprint([encoder.revision])}"
    if not place.is_dir():
        write_whole_folder(place, processor.save_pretrained)
    files = draw_bags(
        corpus, place / "patch_encoder", processor.image_processor, folder / f"bags-{fingerprint(made_of)}", 1
    )
    return SlideReports([(corpus[i].case_id, [file], corpus[i].report) for i, file in enumerate(files)])


@dataclass
class CaseCollator:
    """Records -> one batch: what the processor makes of the cases, their reports as labels, and as text.

    Args:
        processor: of a report model.
        reads, takes: as of `open_records`.
        max_length: most tokens of a report, the end-of-text token included.
    """

    processor: object
    reads: str
    takes: dict[str, str]
    max_length: int

    def __call__(self, records: list[dict]) -> dict:
        texts = [record["text"] for record in records]
        batch = dict(self.processor(images=self.cases(records), text_target=texts, max_length=self.max_length))
        return batch | {REFERENCES: texts}

    def cases(self, records: list[dict]) -> list[dict]:
        """The records as the processor takes them."""
        if self.reads == "slide":
            return [{"slides": record["slides"]} for record in records]
        cases = [{"frontal": record["image"]} for record in records]
        if self.reads == "pair":
            cases = [case | {"lateral": record.get("lateral")} for case, record in zip(cases, records, strict=True)]
        masks = [self.mask_of(record) for record in records]
        if any(mask is not None for mask in masks):
            cases = [
                case | {"mask": NO_MASK if mask is None else mask} for case, mask in zip(cases, masks, strict=True)
            ]
        if self.takes.get("labels") == "required":
            cases = [case | {"labels": record.get("labels")} for case, record in zip(cases, records, strict=True)]
        return cases

    def mask_of(self, record: dict) -> np.ndarray | None:
        """A record's mask, of a drawn film the true one, where the model takes one; a segmenter draws its own."""
        wanted = self.takes.get("mask")
        if wanted == "required" and record.get("mask") is None and "lungs" in record:
            return record["lungs"] | record["heart"]
        return record.get("mask") if wanted else None
