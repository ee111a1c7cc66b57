"""The Indiana University chest X-rays -> pairs of films with report and verdict."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import Device, Json, Overwrite, Resume, bar, prepare, print_json, print_progress
from hf_medreport.cli.flags import print_error
from hf_medreport.processing.input_error import InputError


@prepare.command("iu-xray")
def iu_xray(
    reports_csv: Annotated[Path | None, typer.Option(help="Kaggle's indiana_reports.csv.")] = None,
    projections_csv: Annotated[Path | None, typer.Option(help="Kaggle's indiana_projections.csv.")] = None,
    xml: Annotated[
        Path | None,
        typer.Option(help="Open-i's reports: folder of XML, NLMCXR_reports.tgz, or torchxrayvision's wheel."),
    ] = None,
    views: Annotated[
        Path | None, typer.Option(help="For --xml, CSV of filename or imageid and projection or View Position.")
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the films: .png, .jpg or .dcm.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write: new or empty.")] = None,
    normal_rule: Annotated[
        str, typer.Option(help="mesh: the code normal alone; no_lung: also codes of other organs alone.")
    ] = "mesh",
    unindexed: Annotated[str, typer.Option(help="Studies without codes: drop, normal or abnormal.")] = "drop",
    lung_rule: Annotated[
        str, typer.Option(help="Abnormal studies that stay: any (a code of the lungs), every (no other) or off.")
    ] = "any",
    lung_term: Annotated[
        list[str] | None, typer.Option(help="How a lung's code or qualifier begins; repeat it. Default: a list.")
    ] = None,
    xxxx_policy: Annotated[
        str, typer.Option(help="The mark of de-identification: keep, drop_token or drop_report.")
    ] = "keep",
    split: Annotated[str, typer.Option(help="Parts of train:validation:test, by patient.")] = "7:1:2",
    seed: Annotated[int, typer.Option(help="Of the split.")] = 0,
    no_embed: Annotated[bool, typer.Option("--no-embed", help="Paths of the films in place of the films.")] = False,
    segmenter: Annotated[
        str | None,
        typer.Option(help="Crop frontal films to the lungs, masks kept: a shipped model's name or a folder."),
    ] = None,
    margin: Annotated[float, typer.Option(help="Around the lungs, as a fraction of the film.")] = 0.05,
    workers: Annotated[int, typer.Option(min=1, help="Films read at once; the bytes do not depend on it.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the funnel and write nothing.")] = False,
    device: Device = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
):
    """Indiana University's films and reports, cleaned by rules -> Parquet with patient-level splits."""
    if dry_run == (out is not None):
        raise InputError("out", "--out with --dry-run" if out else "none", "--out or --dry-run", "choose one of them")
    from hf_medreport.dataset_scripts.iu_xray import LUNG_TERMS, CleaningRules, Sources
    from hf_medreport.dataset_scripts.iu_xray import prepare as write

    sources = Sources(reports_csv, projections_csv, xml, views)
    rules = CleaningRules(normal_rule, unindexed, lung_rule, tuple(lung_term or LUNG_TERMS), xxxx_policy)
    if segmenter is not None:
        from hf_medreport.cli.app import quiet
        from hf_medreport.inference.loading import load_segmenter

        quiet()
        segmenter = load_segmenter(segmenter, device=device)
    funnel = write(
        *(sources, images, out, rules),
        **{"split": split, "seed": seed, "embed": not no_embed, "segmenter": segmenter, "margin": margin},
        **{"workers": workers, "resume": resume, "overwrite": overwrite},
        progress=lambda studies, total: bar(studies, total, "studies"),
    )
    for problem in funnel["problems"]:
        print_error(problem)
    if as_json:
        print_json(funnel)
    else:
        for step, count in (funnel["steps"] | funnel.get("parts", {})).items():
            typer.echo(f"{step:34} {'not known' if count is None else format(count, ',')!s:>9}")
        if out is not None:
            typer.echo(f"written: {out}")
    if out is not None:
        print_progress(f"{sum(funnel['parts'].values())} done, {len(funnel['problems'])} failed, 0 left")
    raise typer.Exit(1 if funnel["problems"] else 0)
