"""What the verbs of the large collections of films share: their options, and how they print."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import bar, print_json, print_progress
from hf_medreport.cli.flags import print_error
from hf_medreport.processing.input_error import InputError

Out = Annotated[Path | None, typer.Option(help="Folder to write: new or empty.")]
Sections = Annotated[
    str, typer.Option(help="What a report must have and the text becomes: findings, impression, or both with a comma.")
]
Views = Annotated[str, typer.Option(help="frontal, lateral, all, or views by name like AP,PA.")]
Uncertain = Annotated[
    str, typer.Option(help="Labels that are uncertain: positive, negative, or drop (leave the film out).")
]
Split = Annotated[str | None, typer.Option(help="Parts of train:validation:test by patient, where none are published.")]
Seed = Annotated[int, typer.Option(help="Of that split.")]
Format = Annotated[str, typer.Option(help="parquet, or radscribe: JSONL with an archive of JPEGs.")]
NoEmbed = Annotated[bool, typer.Option("--no-embed", help="Paths of the films in place of the films.")]
Workers = Annotated[int, typer.Option(min=1, help="Films read at once; the bytes do not depend on it.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the funnel and write nothing.")]


def check_out(out: Path | None, dry_run: bool) -> None:
    """Refuse both and neither."""
    if dry_run == (out is not None):
        raise InputError("out", "--out with --dry-run" if out else "none", "--out or --dry-run", "choose one of them")


def write_films(source, out: Path | None, sections: str, views: str, uncertain: str, as_json: bool, **options) -> None:
    """Prepare a source, print the funnel and what was wrong, and exit with 1 where something was.

    Args:
        options: of `film_tables.prepare`.
    """
    from hf_medreport.dataset_scripts.film_studies import Rules
    from hf_medreport.dataset_scripts.film_tables import prepare

    rules = Rules(tuple(sections.split(",")), views, uncertain)
    funnel = prepare(source, out, rules, **options, progress=lambda films, total: bar(films, total, "films"))
    for problem in funnel["problems"]:
        print_error(problem)
    if as_json:
        print_json(funnel)
    else:
        for step, count in (funnel["steps"] | funnel.get("parts", {})).items():
            typer.echo(f"{step:34} {count:9,}")
        if out is not None:
            typer.echo(f"written: {out}")
    if out is not None:
        print_progress(f"{sum(funnel['parts'].values())} done, {len(funnel['problems'])} failed, 0 left")
    raise typer.Exit(1 if funnel["problems"] else 0)
