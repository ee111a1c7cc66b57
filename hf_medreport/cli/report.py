"""Pictures in, reports out."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import (
    AllowForeign,
    AnyModality,
    BatchSize,
    Device,
    Frame,
    Json,
    Orient,
    OverrideSlideMpp,
    Overwrite,
    Resume,
    Revision,
    SlideMpp,
    SlideMppCsv,
    Trust,
    app,
    bar,
    print_json,
    print_progress,
    quiet,
)
from hf_medreport.cli.flags import print_error
from hf_medreport.processing.input_error import InputError
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
            help="CheXpert names joined by commas, once a film and in their order, for a model that is given them."
        ),
    ] = None,
    slide_mpp: SlideMpp = None,
    slide_mpp_csv: SlideMppCsv = None,
    override_slide_mpp: OverrideSlideMpp = False,
    allow_foreign_features: AllowForeign = False,
    orient: Orient = None,
    frame: Frame = None,
    any_modality: AnyModality = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for one picture a film or slide, records.jsonl and report.json.")
    ] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    device: Device = None,
    batch_size: BatchSize = 4,
    as_json: Json = False,
):
    """Write reports for films, for pairs of frontal and lateral film, or for slides."""
    quiet()
    from hf_medreport.files.run_folder import refuse_older
    from hf_medreport.files.writing import output_folder, sha256
    from hf_medreport.inference.asked import Asked
    from hf_medreport.inference.loading import load
    from hf_medreport.inference.read_pairs import asked_pairs
    from hf_medreport.inference.report import Failure, source_of
    from hf_medreport.inference.report_any import default_for, report_any
    from hf_medreport.inference.report_folder import ReportFolder, to_json

    asked = Asked(images or [], asked_pairs(images or [], frontal, lateral, pairs), mask or None, labels or None)
    if out is None and (resume or overwrite):
        raise InputError("resume" if resume else "overwrite", "it without `out`", "a folder", "give `out`")
    if out is not None:
        refuse_older(output_folder(out), resume, overwrite)  # a wrong --out is said before the work
    model = model or default_for(asked.paths, asked.pairs)
    pipe = load(model, revision=revision, device=device, trust_remote_code=trust_remote_code)

    of_input = {"orient": orient, "frame": frame, "any_modality": any_modality, "slide_mpp": slide_mpp}
    of_input |= {"slide_mpp_csv": slide_mpp_csv, "override_slide_mpp": override_slide_mpp}
    of_input["allow_foreign_features"] = allow_foreign_features

    def given(of: Asked) -> dict:
        return {"masks": of.masks, "labels": of.labels, "pairs": of.pairs, **of_input}

    def reports(of: Asked):
        """The reports of these items, each printed as it comes; its pixels are let go of when the next is asked for."""
        results = report_any(of.paths, pipe, **given(of), batch_size=batch_size)
        for result in bar(results, len(of.ids), "images"):
            if isinstance(result, Failure):
                print_error(result.message)
                yield result
                continue
            if not as_json:
                typer.echo(result.to_text())
            yield result
            result.release()

    if out is None:
        record = to_json(asked.ids, reports(asked))
    else:
        report_any(asked.paths, pipe, **given(asked))  # what does not go together is said before the work
        settings = source_of(pipe) | of_input | {"slide_mpp_csv": slide_mpp_csv and sha256(slide_mpp_csv)}
        with ReportFolder(out, settings, ids=asked.ids, resume=resume, overwrite=overwrite) as folder:
            digests = [asked.digest(index) for index in range(len(asked.ids))]
            left = [index for index, id in enumerate(asked.ids) if not folder.kept(id, digests[index])]
            for index, result in zip(left, reports(asked.only(left)), strict=True):
                id = asked.ids[index]
                if folder.add(result, id=id, digest=digests[index]) is None and not isinstance(result, Failure):
                    print_error(folder.failures[id].message)  # written, but not to be drawn
            record = folder.finish()
    if as_json:
        print_json(record)
    else:
        for statement in sorted({each["statement"] for each in record["reports"]} - {""}):
            typer.echo(f"({statement})")
    if out is not None:
        print_progress(folder.run.progress)
    raise typer.Exit(1 if record["failures"] else 0)
