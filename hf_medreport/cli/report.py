"""Pictures in, reports out."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import BatchSize, Device, Json, Revision, Trust, app, bar, print_json, quiet
from hf_medreport.cli.flags import print_error
from hf_medreport.registry import default_model


@app.command()
def report(
    images: Annotated[
        list[Path] | None,
        typer.Argument(help="Films (PNG, JPEG, TIFF, DICOM), or slides (SVS, NDPI, ...) and feature files of slides."),
    ] = None,
    frontal: Annotated[
        Path | None, typer.Option(help="The frontal film of one case, for a model of two views.")
    ] = None,
    lateral: Annotated[Path | None, typer.Option(help="Its lateral film; either one may come alone.")] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="CSV of many cases: columns frontal and lateral, paths relative to it.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help=f"A shipped model's name, a folder or ORG/NAME. Default: {default_model('film')}, "
            f"{default_model('slide')} for slides, {default_model('pair')} for --frontal, --lateral and --pairs."
        ),
    ] = None,
    revision: Revision = None,
    trust_remote_code: Trust = False,
    mask: Annotated[
        list[Path] | None,
        typer.Option(help="Lung-heart mask, once a film or pair and in their order; else the model draws it."),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            help="CheXpert names joined by commas, once a film and in their order, for a model that is told them."
        ),
    ] = None,
    slide_mpp: Annotated[float | None, typer.Option(help="Microns per px at level 0 of slides that lack it.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report.json and one picture a film or slide.")] = None,
    device: Device = None,
    batch_size: BatchSize = 4,
    as_json: Json = False,
):
    """Write reports for films, for pairs of frontal and lateral film, or for slides."""
    quiet()
    from hf_medreport.inference.loading import load
    from hf_medreport.inference.pairs import asked_pairs
    from hf_medreport.inference.report import Failure
    from hf_medreport.inference.report_any import default_for, report_any
    from hf_medreport.inference.report_folder import ReportFolder, to_json

    images = images or []
    asked = asked_pairs(images, frontal, lateral, pairs)
    folder = None if out is None else ReportFolder(out)  # a wrong --out is said before the work
    model = model or default_for(images, asked)
    pipe = load(model, revision=revision, device=device, trust_remote_code=trust_remote_code)
    results = []
    given = {"masks": mask or None, "labels": labels or None, "slide_mpp": slide_mpp}
    reports = report_any(images, pipe, **given, batch_size=batch_size, pairs=asked)
    for result in bar(reports, len(asked or images), "images"):
        if isinstance(result, Failure):
            print_error(result.message)
        else:
            if folder is not None:
                folder.add(result)
            result.release()
            if not as_json:
                typer.echo(result.to_text())
        results.append(result)
    if folder is not None:
        folder.finish(results)
    if as_json:
        print_json(to_json(results))
    else:
        for statement in sorted({result.statement for result in results if not isinstance(result, Failure)} - {""}):
            typer.echo(f"({statement})")
    raise typer.Exit(1 if any(isinstance(result, Failure) for result in results) else 0)
