"""Films -> reports, each with the evidence of its sentences on the film; one bad film is listed."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np

from hf_medreport.files.writing import readable, sha256
from hf_medreport.inference.batches import in_batches, one_mask_each
from hf_medreport.inference.labels import film_labels
from hf_medreport.inference.loading import model_name, shows_slide
from hf_medreport.inference.report import Failure, Report, preview, source_of, written_of
from hf_medreport.processing.film_reading import read_film, refuse_mask
from hf_medreport.processing.image_reading import read_mask
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.pipeline_image_to_text import MedicalReportPipeline


def report_films(
    paths: Iterable[str | os.PathLike],
    pipe: MedicalReportPipeline,
    *,
    masks: Iterable[str | os.PathLike] | None = None,
    labels: Iterable[str] | None = None,
    batch_size: int = 4,
    orient: str | None = None,
    frame: int | None = None,
    any_modality: bool = False,
) -> Iterator[Report | Failure]:
    """Report films one batch after the other, so that any number of them needs the memory of one batch.

    Args:
        paths: films; one that cannot be read becomes a `Failure`, and the others are done.
        pipe: from `loading.load`, with a model of films.
        masks: a lung-heart mask a film, for a model that has no segmenter of its own or in its place.
        labels: CheXpert names joined by commas, one string a film, for a model that is given the labels of a film.
        batch_size: films a pass.
        orient, frame, any_modality: of all films, as in `read_film`.

    Returns:
        An iterator over a `Report` or `Failure` for each path, in their order.

    Raises:
        InputError: another number of masks or labels than of films, none for a model that needs them, masks or labels
            that the model does not take, or labels that CheXpert does not have.
    """
    paths = list(map(Path, paths))
    labels = film_labels(labels, paths, pipe)
    masks = film_masks(masks, len(paths), pipe)
    source = source_of(pipe)

    def read(item: tuple[Path, Path | None, list[str] | None]) -> tuple[dict, tuple[str, ...]]:
        path, mask, names = item
        if shows_slide(path):
            refuse_slide(path, pipe)
        film = read_film(path, orient=orient, frame=frame, any_modality=any_modality)
        case = {"frontal": film.pixels}
        if mask is not None:
            refuse_mask(film, mask.name)
            case["mask"] = read_mask(mask)
        return case | ({} if names is None else {"labels": names}), film.notes

    def write(batch: list[tuple[tuple, tuple]]) -> list[Report]:
        films = [case for _, (case, _) in batch]
        records = pipe(films, batch_size=len(batch), return_evidence=True, return_details=True)
        return [
            _report(path, case, record | {"notes": notes}, pipe, source)
            for ((path, *_), (case, notes)), (record,) in zip(batch, records, strict=True)
        ]

    return in_batches(zip(paths, masks, labels, strict=True), lambda item: item[0].name, read, write, batch_size)


def refuse_slide(path: Path, pipe: MedicalReportPipeline) -> NoReturn:
    """Say of a slide that the model reads films."""
    remedy = "report slides in a call of their own, with a model that reads them"
    raise InputError(readable(path.name), f"a slide, and {model_name(pipe)} reads films", "films only", remedy)


def film_masks(masks: Iterable | None, films: int, pipe: MedicalReportPipeline) -> list[Path | None]:
    """A mask, or None, for each film; InputError where the model takes none, or needs one and there is none."""
    taken = pipe.model.takes().get("mask")
    if masks is not None and taken is None:
        raise InputError("masks", f"{len(list(masks))}, and {model_name(pipe)} reads none", "none", "leave out `masks`")
    if masks is None and taken == "required" and films:
        found = f"none, and {model_name(pipe)} has no segmenter to draw them"
        raise InputError("masks", found, "a lung-heart mask a film", "give `masks`")
    return one_mask_each(masks, films, "film")


def _report(path: Path, case: dict, record: dict, pipe: MedicalReportPipeline, source: dict) -> Report:
    film, prior = case["frontal"], record.get("prior")
    fields = written_of(record)
    for sentence in fields["sentences"]:
        sentence.evidence = on_film(pipe, sentence.evidence, film)
    return Report(
        film=readable(path.name),
        film_sha256=sha256(path),
        **fields,
        **source,
        image=preview(film),
        prior=case["mask"] if "mask" in case else None if prior is None else on_film(pipe, prior, film),
    )


def on_film(pipe: MedicalReportPipeline, grid: np.ndarray, film: np.ndarray) -> np.ndarray:
    """A map (rows, columns) of the square that the model saw, as one of the film that was made into it."""
    image_processor = pipe.processor.image_processor
    if getattr(image_processor, "fit", "stretch") == "stretch":  # those of other libraries stretch films too
        return grid
    return image_processor.on_film(grid, *film.shape[:2])
