"""Draw films, slides and pictures whose truth is known."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import Json, Overwrite, Resume, bar, phantom, print_json, print_progress
from hf_medreport.processing.input_error import InputError


@phantom.command("chest")
def phantom_chest(
    out: Annotated[Path, typer.Option(help="Folder to write: new or empty.")],
    n: Annotated[int, typer.Option(help="Cases.")] = 4000,
    size: Annotated[int, typer.Option(help="Side of a film in pixels, 32 to 4096.")] = 224,
    seed: Annotated[int, typer.Option(help="Of all chance.")] = 0,
    split: Annotated[str, typer.Option(help="train, validation, test or held_back_style.")] = "train",
    style: Annotated[str | None, typer.Option(help="standard or held_back. Default: the split's.")] = None,
    prevalence: Annotated[str | None, typer.Option(help="balanced or natural. Default: the split's.")] = None,
    wordings: Annotated[str | None, typer.Option(help="train or held_out. Default: the split's.")] = None,
    lateral: Annotated[bool, typer.Option("--lateral", help="Draw lateral films too.")] = False,
    follow_up: Annotated[float, typer.Option(help="Share of the cases with a prior film, 0 to 1.")] = 0.0,
    findings: Annotated[
        str | None, typer.Option(help="What every film shows, in words: 'small left pleural effusion'.")
    ] = None,
    bits: Annotated[int, typer.Option(help="8 or 16 a pixel.")] = 8,
    format: Annotated[str, typer.Option(help="parquet, png, dicom or radscribe.")] = "parquet",
    monochrome: Annotated[int | None, typer.Option(help="Of DICOM: 1 or 2. Default: both in turns.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes. Default: one a core.")] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
):
    """Draw chest films with masks, facts and reports. The same arguments give the same bytes."""
    from hf_medreport.data.drawn.corpus import write_corpus
    from hf_medreport.phantom.chest.corpus import ChestCorpus
    from hf_medreport.phantom.chest.parser import facts_from_text

    if findings is not None and prevalence is not None:
        raise InputError("prevalence", f"{prevalence} with --findings", "one of the two", "leave out the other")
    facts = None if findings is None else facts_from_text(findings)
    corpus = ChestCorpus(n, seed, size, split, prevalence, wordings, style, lateral, follow_up, bits, facts)
    options = {"progress": lambda films: bar(films, n, "films"), "resume": resume, "overwrite": overwrite}
    manifest = write_corpus(out, corpus, format, workers, monochrome, **options)
    _say(manifest, out, n, "cases", as_json)


@phantom.command("slide")
def phantom_slide(
    out: Annotated[Path, typer.Option(help="Folder to write: new or empty.")],
    n: Annotated[int, typer.Option(help="Cases, one slide each.")] = 10,
    size: Annotated[int, typer.Option(help="Side of a slide in pixels, 256 to 131072.")] = 4096,
    seed: Annotated[int, typer.Option(help="Of all chance.")] = 0,
    mpp: Annotated[float, typer.Option(help="Micrometers a pixel, 0.2 to 4.")] = 0.5,
    split: Annotated[str, typer.Option(help="train, validation, test or held_back_style.")] = "train",
    style: Annotated[str | None, typer.Option(help="standard or held_back. Default: the split's.")] = None,
    prevalence: Annotated[str | None, typer.Option(help="balanced or natural. Default: the split's.")] = None,
    wordings: Annotated[str | None, typer.Option(help="train or held_out. Default: the split's.")] = None,
    pen_share: Annotated[float, typer.Option(help="Share of the slides with a pen stroke on the glass, 0 to 1.")] = 0.0,
    workers: Annotated[int | None, typer.Option(help="Processes. Default: one a core.")] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
):
    """Draw slides with facts and reports. The same arguments give the same bytes."""
    from hf_medreport.data.drawn.slides import write_slides
    from hf_medreport.phantom.slide.corpus import SlideCorpus

    corpus = SlideCorpus(n, seed, size, mpp, split, prevalence, wordings, style)
    manifest = write_slides(out, corpus, workers, pen_share, lambda cases: bar(cases, n, "slides"), resume, overwrite)
    _say(manifest, out, n, "slides", as_json)


@phantom.command("pictures")
def phantom_pictures(
    out: Annotated[Path, typer.Option(help="Folder to write: new or empty.")],
    n: Annotated[int, typer.Option(help="Pictures.")] = 1000,
    modality: Annotated[
        list[str] | None, typer.Option(help="cxr, ct, mri, oct or fundus; may be repeated. Default: all take turns.")
    ] = None,
    size: Annotated[int, typer.Option(help="Side of a picture in pixels, 32 to 1024.")] = 64,
    seed: Annotated[int, typer.Option(help="Of all chance.")] = 0,
    split: Annotated[str, typer.Option(help="train, validation, test or held_back_style.")] = "train",
    style: Annotated[str | None, typer.Option(help="standard or held_back. Default: the split's.")] = None,
    wordings: Annotated[str | None, typer.Option(help="train or held_out. Default: the split's.")] = None,
    format: Annotated[str, typer.Option(help="png, csv (for train diffusion) or parquet.")] = "png",
    workers: Annotated[int | None, typer.Option(help="Processes. Default: one a core.")] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
):
    """Draw pictures of five modalities with masks, facts and prompts. The same arguments give the same bytes."""
    from hf_medreport.data.drawn.pictures import write_pictures
    from hf_medreport.phantom.picture.corpus import PictureCorpus
    from hf_medreport.phantom.picture.facts import MODALITIES

    corpus = PictureCorpus(n, seed, size, modality or tuple(MODALITIES), split, wordings, style)
    options = {"progress": lambda cases: bar(cases, n, "pictures"), "resume": resume, "overwrite": overwrite}
    manifest = write_pictures(out, corpus, format, workers, **options)
    _say(manifest, out, n, "pictures", as_json)


def _say(manifest: dict, out: Path, n: int, items: str, as_json: bool) -> None:
    """What was written, and how much of it."""
    summary = {"out": str(out), "cases": n, "files": len(manifest["files"])}
    summary["bytes"] = sum(file["bytes"] for file in manifest["files"].values())
    line = f"written: {out} ({n} {items}, {summary['files']} files, {summary['bytes'] / 1e6:.1f} MB)"
    print_json(summary) if as_json else typer.echo(line)
    print_progress(f"{n} done, 0 failed, 0 left")
