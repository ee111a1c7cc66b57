"""Films in, masks of lungs and heart out."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import (
    AnyModality,
    BatchSize,
    Device,
    Frame,
    Json,
    Overwrite,
    Resume,
    Revision,
    app,
    bar,
    print_json,
    print_progress,
    quiet,
)
from hf_medreport.cli.flags import print_error
from hf_medreport.files.writing import output_folder, sha256
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import default_model


@app.command()
def segment(
    films: Annotated[list[Path], typer.Argument(help="Frontal films (PNG, JPEG, TIFF, DICOM).")],
    out: Annotated[Path, typer.Option(help="Folder for two masks and an overlay a film, and segment.json.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="A segmenter, or a report model with one inside: a shipped one's name, a folder or ORG/NAME. "
            f"Default: {default_model('film')}."
        ),
    ] = None,
    revision: Revision = None,
    masks: Annotated[
        Path | None,
        typer.Option(help="Folder of true masks, FILM.png: 0, 255 in lung or heart, 127 ignored. Prints Dice."),
    ] = None,
    frame: Frame = None,
    any_modality: AnyModality = False,
    device: Device = None,
    batch_size: BatchSize = 4,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
):
    """Find lungs and heart in films, and the box around the lungs."""
    quiet()
    from hf_medreport.evaluation.segmentation import dice, read_reference
    from hf_medreport.files.items import item_ids, why
    from hf_medreport.files.run_folder import RunFolder, refuse_older
    from hf_medreport.inference.loading import load_segmenter, model_revision
    from hf_medreport.inference.report import Failure
    from hf_medreport.inference.segment import SegmentFolder, segment_films

    if masks is not None and not masks.is_dir():
        raise InputError(masks.name, "no such folder", "a folder of masks", "correct --masks")
    refuse_older(output_folder(out), resume, overwrite)  # a wrong --out is said before the work
    segmenter = load_segmenter(model, revision=revision, device=device)
    settings = {
        "model": segmenter.name,
        "revision": model_revision(segmenter),
        "scored": masks is not None,
        "frame": frame,
        "any_modality": any_modality,
    }
    paths = dict(zip(item_ids(films), films, strict=True))
    truths = {id: None if masks is None else _truth(masks, id) for id in paths}
    with RunFolder(out, "segment", settings, resume=resume, overwrite=overwrite, records="records.jsonl") as run:
        folder = SegmentFolder(run, paths, segmenter)
        digests = {id: _digest(paths[id], truths[id]) for id in paths}
        left = [id for id in paths if not folder.kept(id, digests[id])]
        of_films = {"frame": frame, "any_modality": any_modality}
        results = segment_films([paths[id] for id in left], segmenter, batch_size=batch_size, **of_films)
        for id, result in zip(left, bar(results, len(left), "films"), strict=True):
            failure = None
            if masks is not None and not isinstance(result, Failure):
                try:
                    reference, ignored = read_reference(truths[id], result.lungs.shape)
                    result.dice = dice(result.lungs | result.heart, reference, ignored)
                except Exception as error:
                    failure = why(result.film, error)
            folder.add(id, result, digests[id], failure)
        record = folder.finish()
    for failure in record["failures"]:
        print_error(failure["message"])
    print_json(record) if as_json else _print_lines(record, out)
    print_progress(run.progress)
    raise typer.Exit(1 if record["failures"] else 0)


def _truth(masks: Path, id: str) -> Path:
    """The true mask of a film: of its id, or of its name alone."""
    of_id = masks / f"{id.removesuffix(Path(id).suffix)}.png"
    return of_id if of_id.is_file() else masks / of_id.name


def _digest(*files: Path | None) -> str:
    """The digests of the film and of its true mask, of those that there are."""
    return " ".join(sha256(file) for file in files if file is not None and file.is_file())


def _print_lines(record: dict, out: Path) -> None:
    for film in record["films"]:
        score = f"  Dice {film['dice']:.4f}" if "dice" in film else ""
        box = " ".join(f"{edge:.2f}" for edge in film["crop_box"])
        areas = f"lungs {film['lungs_fraction']:6.1%}  heart {film['heart_fraction']:6.1%}"
        typer.echo(f"{film['film']:32} {areas}  crop {box}{score}")
    if record["mean_dice"] is not None:
        typer.echo(f"mean Dice of lungs or heart: {record['mean_dice']:.4f}")
    typer.echo(f"written: {out}")
