"""CheXpert Plus -> films with reports and labels."""

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


@prepare.command("chexpert-plus")
def chexpert_plus(
    source: Annotated[Path, typer.Argument(help="Folder of df_chexpert_plus_240401.csv and chexbert_labels.")],
    out: Out = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of the films: PNG/train/... Default: SOURCE or its PNG.")
    ] = None,
    labels: Annotated[
        str, typer.Option(help="Of which text CheXbert's labels are: report, findings, impression; or none.")
    ] = "report",
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
    """CheXpert Plus's films, reports and labels -> Parquet, or RadScribe's files, in the published parts."""
    check_out(out, dry_run)
    from hf_medreport.dataset_scripts.chexpert_plus import CheXpertPlus

    write_films(
        *(CheXpertPlus(source, images, labels), out, sections, views, uncertain, as_json),
        **{"format": format, "split": split, "seed": seed, "embed": not no_embed, "workers": workers},
        **{"resume": resume, "overwrite": overwrite},
    )
