"""The one dispatcher: images of any kind, reported by whatever reads them.

for report in report_any(["a.png", "b.dcm"], load()):
    print(report.film, report.text)
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hf_medreport.files.writing import readable
from hf_medreport.inference.labels import film_labels
from hf_medreport.inference.loading import model_name, shows_slide
from hf_medreport.inference.report import Failure, Report
from hf_medreport.inference.report_films import refuse_slide, report_films
from hf_medreport.inference.report_pairs import report_pairs
from hf_medreport.inference.report_slides import report_slides
from hf_medreport.inference.slide_mpp import told_by
from hf_medreport.processing.film_reading import check_orient
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.pipeline_image_to_text import MedicalReportPipeline
from hf_medreport.registry import default_model, system_of

FILMS = (".png", ".jpg", ".jpeg", ".dcm")  # what is a film beside slides; alone it may be a slide of one level


def report_any(
    paths: Iterable[str | os.PathLike],
    pipe: MedicalReportPipeline,
    *,
    masks: Iterable[str | os.PathLike] | None = None,
    labels: Iterable[str] | None = None,
    slide_mpp: float | None = None,
    slide_mpp_csv: str | os.PathLike | None = None,
    override_slide_mpp: bool = False,
    allow_foreign_features: bool = False,
    batch_size: int = 4,
    pairs: Iterable[tuple[Path | None, Path | None]] | None = None,
    orient: str | None = None,
    frame: int | None = None,
    any_modality: bool = False,
) -> Iterator[Report | Failure]:
    """Report films or slides, whichever the model reads; or pairs of films.

    Args:
        paths: all films, or all slides and feature files of slides. A model of two views takes each for a frontal film
            alone.
        pipe: from `loading.load`.
        masks, labels, batch_size: for films, as in `report_films`.
        pairs: in place of paths, as in `report_pairs`.
        slide_mpp, slide_mpp_csv, override_slide_mpp: for slides, as in `slide_mpp.told_by`.
        allow_foreign_features: for slides, as in `report_slides`.
        orient, frame, any_modality: for films and pairs, as in `read_film`.

    Raises:
        InputError: nothing but slides for a model of films, films among slides, or an option of the other kind; before
            any work. A slide among films is a `Failure`, and the films are done.
    """
    paths = list(map(Path, paths))
    masks = None if masks is None else list(masks)
    reads = system_of(pipe.model).reads
    of_films: dict[str, Any] = {"orient": orient, "frame": frame, "any_modality": any_modality}
    of_slides = {"slide_mpp": slide_mpp, "slide_mpp_csv": slide_mpp_csv, "override_slide_mpp": override_slide_mpp}
    of_slides["allow_foreign_features"] = allow_foreign_features
    check_orient(orient)
    if labels is not None and reads != "film":
        film_labels(labels, paths, pipe)  # no such model takes any
    if pairs is not None:
        refuse_slide_options(of_slides, pipe)
        return report_pairs(pairs, pipe, masks=masks, batch_size=batch_size, **of_films)
    if reads == "slide":
        _refuse_films(paths)
        refuse_film_options(of_films, pipe)
        if masks is not None:
            found = f"{len(masks)}, and {model_name(pipe)} reads slides"
            raise InputError("masks", found, "none: masks are of lungs and heart", "leave out `masks`")
        told = told_by(paths, slide_mpp, slide_mpp_csv, override_slide_mpp)
        options = {"override_slide_mpp": override_slide_mpp, "allow_foreign_features": allow_foreign_features}
        return report_slides(paths, pipe, told, **options)
    if paths and all(map(shows_slide, paths)):
        refuse_slide(paths[0], pipe)
    refuse_slide_options(of_slides, pipe)
    if reads == "pair":
        return report_pairs([(path, None) for path in paths], pipe, masks=masks, batch_size=batch_size, **of_films)
    return report_films(paths, pipe, masks=masks, labels=labels, batch_size=batch_size, **of_films)


def default_for(paths: Iterable[str | os.PathLike], pairs: Iterable | None = None) -> str:
    """The shipped model for what is to be reported: pairs, slides or films, as the first image says."""
    if pairs is not None:
        return default_model("pair")
    first = next(iter(paths), None)
    return default_model("slide" if first is not None and shows_slide(first) else "film")


def _refuse_films(paths: list) -> None:
    """Films may be slides of one level, but not beside slides."""
    slides = [path for path in paths if shows_slide(path)]
    films = [path for path in paths if path not in slides and path.suffix.lower() in FILMS]
    if slides and films:
        found = f"a film among slides ({readable(slides[0].name)})"
        raise InputError(readable(films[0].name), found, "slides only", "report films in a call of their own")


def refuse_film_options(given: dict, pipe: MedicalReportPipeline) -> None:
    """InputError where a model of slides is given what is of films."""
    for name, value in given.items():
        if value is not None and value is not False:
            found = f"{value}, and {model_name(pipe)} reads slides"
            raise InputError(name, found, "none: it is of films", f"leave out `{name}`")


def refuse_slide_options(given: dict, pipe: MedicalReportPipeline) -> None:
    """InputError where a model of films is given what is of slides."""
    for name, value in given.items():
        if value is not None and value is not False:
            found = f"{value}, and {model_name(pipe)} reads films"
            raise InputError(name, found, "none", f"leave out `{name}`")
