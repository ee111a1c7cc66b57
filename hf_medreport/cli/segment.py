"""Films in, masks of lungs and heart out."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import BatchSize, Device, Json, Revision, app, bar, print_json, quiet
from hf_medreport.cli.flags import print_error
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
    device: Device = None,
    batch_size: BatchSize = 4,
    as_json: Json = False,
):
    """Find lungs and heart in films, and the box around the lungs."""
    quiet()
    from hf_medreport.evaluation.segmentation import dice, read_reference
    from hf_medreport.inference.loading import load_segmenter
    from hf_medreport.inference.report import Failure
    from hf_medreport.inference.segment import SegmentFolder, segment_films, to_json

    if masks is not None and not masks.is_dir():
        raise InputError(masks.name, "no such folder", "a folder of masks", "correct --masks")
    folder = SegmentFolder(out)  # a wrong --out is said before the work
    segmenter = load_segmenter(model, revision=revision, device=device)
    done, failures = [], []
    results = segment_films(films, segmenter, batch_size=batch_size)
    for path, result in zip(films, bar(results, len(films), "films"), strict=True):
        if isinstance(result, Failure):
            failures.append(result)
            continue
        if masks is not None:
            try:
                reference, ignored = read_reference(masks / f"{path.stem}.png", result.lungs.shape)
                result.dice = dice(result.lungs | result.heart, reference, ignored)
            except InputError as error:
                failures.append(Failure(result.film, str(error)))
        folder.add(result)
        done.append(result.to_json())
    record = to_json(done, failures, segmenter)
    folder.finish(record)
    for failure in failures:
        print_error(failure.message)
    print_json(record) if as_json else _print_lines(record, out)
    raise typer.Exit(1 if failures else 0)


def _print_lines(record: dict, out: Path) -> None:
    for film in record["films"]:
        score = f"  Dice {film['dice']:.4f}" if "dice" in film else ""
        box = " ".join(f"{edge:.2f}" for edge in film["crop_box"])
        areas = f"lungs {film['lungs_fraction']:6.1%}  heart {film['heart_fraction']:6.1%}"
        typer.echo(f"{film['film']:32} {areas}  crop {box}{score}")
    if record["mean_dice"] is not None:
        typer.echo(f"mean Dice of lungs or heart: {record['mean_dice']:.4f}")
    typer.echo(f"written: {out}")
