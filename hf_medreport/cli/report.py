"""Pictures in, reports out."""

import csv
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import (
    AllowForeign,
    AnyModality,
    BatchSize,
    Device,
    Engine,
    Frame,
    Json,
    Orient,
    OverrideSlideMpp,
    Overwrite,
    RayAddress,
    Resume,
    Revision,
    Shard,
    SlideMpp,
    SlideMppCsv,
    Trust,
    app,
    bar,
    exit_code,
    print_json,
    print_progress,
    quiet,
)
from hf_medreport.cli.flags import print_error
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import default_model

COLUMNS = ("id", "text", "findings", "impression", "statement")


class Format(StrEnum):
    """How reports are printed."""

    txt = "txt"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"


@app.command()
def report(
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Films (PNG, JPEG, TIFF, DICOM), or slides (SVS, NDPI, ...) and their features; folders of them."
        ),
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
    verify: Annotated[
        bool, typer.Option("--verify", help="Hash all bytes of slides that are done; else size, time and ends decide.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for one picture a film or slide, records.jsonl and report.json.")
    ] = None,
    shard: Shard = None,
    engine: Engine = None,
    ray_address: RayAddress = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    device: Device = None,
    batch_size: BatchSize = 4,
    format: Annotated[
        Format, typer.Option(help="What is printed: text, one JSON object, a JSON object or a row of CSV a report.")
    ] = Format.txt,
    as_json: Json = False,
):
    """Write reports for films, for pairs of frontal and lateral film, or for slides."""
    quiet()
    from hf_medreport.files.globs import files_of
    from hf_medreport.files.run_folder import refuse_older
    from hf_medreport.files.shares import this_share
    from hf_medreport.files.writing import output_folder, readable, sha256
    from hf_medreport.inference.asked import Asked
    from hf_medreport.inference.engines.on_ray import chosen_engine
    from hf_medreport.inference.engines.reports import reports_by
    from hf_medreport.inference.loading import load
    from hf_medreport.inference.read_pairs import asked_pairs
    from hf_medreport.inference.report import Failure, source_of
    from hf_medreport.inference.report_any import default_for, report_any
    from hf_medreport.inference.report_folder import ReportFolder, to_json
    from hf_medreport.inference.slide_mpp import told_by
    from hf_medreport.inference.tiles.listing import SUFFIXES, one_a_series
    from hf_medreport.processing.file_suffixes import FEATURE_SUFFIXES

    form, left_out = Format.json if as_json else format, []
    images = one_a_series(files_of(images or [], (*SUFFIXES, *FEATURE_SUFFIXES)), left_out)
    for each in left_out:
        print_error(f"left out: {each.why}: {readable(each.path.name)}")
    asked = Asked(images, asked_pairs(images, frontal, lateral, pairs), mask or None, labels or None)
    if out is None and (resume or overwrite):
        raise InputError("resume" if resume else "overwrite", "it without `out`", "a folder", "give `out`")
    share, elsewhere = this_share(shard, resume), chosen_engine(engine, ray_address, device)
    if out is None and share.of > 1:
        raise InputError("shard", f"{share.number}/{share.of} without `out`", "a folder, to be merged", "give `out`")
    if out is None and elsewhere is not None:
        raise InputError("engine", f"{engine} without `out`", "a folder to write to", "give `out`")
    if out is not None:
        refuse_older(output_folder(out), resume, overwrite)  # a wrong --out is said before the work
    model = model or default_for(asked.paths, asked.pairs)
    loading = {"model": model, "revision": revision, "device": device, "trust_remote_code": trust_remote_code}
    pipe = load(**loading)

    of_input = {"orient": orient, "frame": frame, "any_modality": any_modality, "slide_mpp": slide_mpp}
    of_input |= {"slide_mpp_csv": slide_mpp_csv, "override_slide_mpp": override_slide_mpp}
    of_input["allow_foreign_features"] = allow_foreign_features

    def given(of: Asked) -> dict:
        return {"masks": of.masks, "labels": of.labels, "pairs": of.pairs, **of_input}

    def results(indices: list[int]):
        """The reports of these items, with their indices."""
        if elsewhere is not None:
            return reports_by(elsewhere, asked, indices, loading, of_input | {"batch_size": batch_size})
        of = asked if out is None else asked.only(indices)  # of all, what does not go together is not yet said
        return zip(indices, report_any(of.paths, pipe, **given(of), batch_size=batch_size), strict=True)

    def reports(indices: list[int]):
        """The same, each printed as it comes; its pixels are let go of when the next is asked for."""
        for index, result in bar(results(indices), len(indices), "images"):
            if isinstance(result, Failure):
                print_error(result.message)
                yield index, result
                continue
            print_report(form, asked.ids[index], result)
            yield index, result
            result.release()

    if form == Format.csv:
        csv.writer(sys.stdout, lineterminator="\n").writerow(COLUMNS)
    if out is None:
        record = to_json(asked.ids, (result for _, result in reports(list(range(len(asked.ids))))))
    else:
        report_any(asked.paths, pipe, **given(asked))  # what does not go together is said before the work
        settings = source_of(pipe) | of_input | {"slide_mpp_csv": slide_mpp_csv and sha256(slide_mpp_csv)}
        if slide_mpp_csv is not None:  # which need not name a slide of every share, or of those that are left
            told = told_by(asked.paths, slide_mpp, slide_mpp_csv, override_slide_mpp)
            of_input |= {"slide_mpp": told, "slide_mpp_csv": None}
        with ReportFolder(out, settings, ids=asked.ids, share=share, resume=resume, overwrite=overwrite) as folder:
            mine = share.take(range(len(asked.ids)))
            known = {index: None if verify else folder.run.entries.get(asked.ids[index]) for index in mine}
            digests = {index: asked.digest(index, earlier) for index, earlier in known.items()}
            left = [index for index, digest in digests.items() if not folder.kept(asked.ids[index], digest)]
            for index, result in reports(left):
                id = asked.ids[index]
                kept_as = {"id": id, "digest": digests[index], "mark": asked.mark(index)}
                if folder.add(result, **kept_as) is None and not isinstance(result, Failure):
                    print_error(folder.failures[id].message)  # written, but not to be drawn
            if elsewhere is not None:
                folder.run.in_order(asked.ids)
            record = folder.finish()
    if form == Format.json:
        print_json(record)
    elif form == Format.txt:
        for statement in sorted({each["statement"] for each in record["reports"]} - {""}):
            typer.echo(f"({statement})")
    if out is not None:
        print_progress(folder.run.progress)
    raise typer.Exit(exit_code(len(record["failures"])))


def print_report(form: Format, id: str, result) -> None:
    """One report as it comes; of `json` all are printed in the end."""
    if form == Format.txt:
        typer.echo(result.to_text())
    elif form != Format.json:
        fields = getattr(result, "fields", None) or result.to_json()  # a worker's are JSON already
        if form == Format.jsonl:
            typer.echo(json.dumps({"id": id, **fields}))
            return
        sections = {"findings": "", "impression": ""}
        for each in fields["sections"]:
            words = fields["text"][each["start"] : each["end"]].strip()
            if each["name"] in sections:
                sections[each["name"]] = " ".join(filter(None, [sections[each["name"]], words]))
        row = [id, fields["text"], *sections.values(), fields["statement"]]
        csv.writer(sys.stdout, lineterminator="\n").writerow(row)
