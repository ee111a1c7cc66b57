"""Draw slides whose truth is known."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import Json, Overwrite, Resume, bar, phantom, print_json, print_progress


@phantom.command("slide")
def phantom_slide(
    out: Annotated[Path, typer.Option(help="Folder to write: new or empty.")],
    n: Annotated[int, typer.Option(help="Cases, one slide each.")] = 10,
    size: Annotated[int, typer.Option(help="Side of a slide in pixels, 256 to 131072.")] = 4096,
    seed: Annotated[int, typer.Option(help="Of all chance.")] = 0,
    mpp: Annotated[float, typer.Option(help="Micrometres a pixel, 0.2 to 4.")] = 0.5,
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
    from hf_medreport.data.phantom_slides import write_slides
    from hf_medreport.phantom.slide.corpus import SlideCorpus

    corpus = SlideCorpus(n, seed, size, mpp, split, prevalence, wordings, style)
    manifest = write_slides(out, corpus, workers, pen_share, lambda cases: bar(cases, n, "slides"), resume, overwrite)
    summary = {"out": str(out), "cases": n, "files": len(manifest["files"])}
    summary["bytes"] = sum(file["bytes"] for file in manifest["files"].values())
    line = f"written: {out} ({n} slides, {summary['files']} files, {summary['bytes'] / 1e6:.1f} MB)"
    print_json(summary) if as_json else typer.echo(line)
    print_progress(f"{n} done, 0 failed, 0 left")
