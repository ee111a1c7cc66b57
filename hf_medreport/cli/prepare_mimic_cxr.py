"""MIMIC-CXR -> films with reports and labels."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import Json, Overwrite, Resume, prepare
from hf_medreport.cli.prepare_films import (
    DryRun,
    Format,
    NoEmbed,
    Out,
    Sections,
    Seed,
    Split,
    Uncertain,
    Views,
    Workers,
    check_out,
    write_films,
)


@prepare.command("mimic-cxr")
def mimic_cxr(
    source: Annotated[Path, typer.Argument(help="Folder of MIMIC-CXR-JPG, where its tables lie.")],
    out: Out = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the films: files/p10/.../*.jpg or *.dcm. Default: SOURCE.")
    ] = None,
    reports: Annotated[
        Path | None, typer.Option(help="Folder of MIMIC-CXR's reports: files/p10/.../*.txt. Default: SOURCE.")
    ] = None,
    labels: Annotated[str, typer.Option(help="Whose labels: chexpert, negbio or none.")] = "chexpert",
    sections: Sections = "findings,impression",
    views: Views = "frontal",
    uncertain: Uncertain = "negative",
    split: Split = None,
    seed: Seed = 0,
    format: Format = "parquet",
    no_embed: NoEmbed = False,
    workers: Workers = 1,
    dry_run: DryRun = False,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
):
    """MIMIC-CXR's films, reports and labels -> Parquet, or RadScribe's files, in the published parts."""
    check_out(out, dry_run)
    from hf_medreport.dataset_scripts.mimic_cxr import MimicCxr

    write_films(
        *(MimicCxr(source, images, reports, labels), out, sections, views, uncertain, as_json),
        **{"format": format, "split": split, "seed": seed, "embed": not no_embed, "workers": workers},
        **{"resume": resume, "overwrite": overwrite},
    )
