"""Pictures in, what people think of them out."""

import logging
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import app, quiet
from hf_medreport.cli.flags import print_error
from hf_medreport.processing.input_error import InputError


@app.command()
def rate(
    folder: Annotated[
        Path, typer.Argument(help="Of synthesize, of pictures with a table beside them, or of pictures alone.")
    ],
    out: Annotated[Path, typer.Option(help="CSV of the ratings, or of pairs; one that is there is gone on with.")],
    csv: Annotated[
        Path | None, typer.Option(help="Table of the pictures (image_path, prompt, modality), if it lies elsewhere.")
    ] = None,
    rater: Annotated[str | None, typer.Option(help="Who rates. Default: raters give their names on the page.")] = None,
    level: Annotated[
        int | None, typer.Option(min=1, max=3, help="Of --rater or --import: 1 a novice to 3 an expert.")
    ] = None,
    pairs: Annotated[bool, typer.Option("--pairs", help="Two pictures of one prompt: which is the better?")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the raters' orders.")] = 0,
    export: Annotated[
        Path | None, typer.Option("--import", help="Label Studio's JSON in place of the page: it becomes --out.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen at.")] = 7860,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page.")] = False,
):
    """Rate pictures in a browser: 1 poor, 2 acceptable, 3 excellent. Each rating is written at once; Ctrl-C ends it."""
    quiet()
    if out.is_dir() or not out.absolute().parent.is_dir():
        found = "a folder" if out.is_dir() else f"no folder '{out.absolute().parent.name}'"
        raise InputError("out", found, "the name of a CSV", "choose another `out`")
    if export is not None:
        _import(export, folder, out, level)
        return
    if (rater is None) != (level is None):
        alone, missing = ("level", "rater") if rater is None else ("rater", "level")
        raise InputError(alone, f"it without `{missing}`", "both or none", f"give `{missing}`")
    from hf_medreport.demo.desk import Desk
    from hf_medreport.demo.serving import hold, private_folder
    from hf_medreport.demo.to_rate import pictures_to_rate

    pictures, problems = pictures_to_rate(folder, csv)
    for problem in problems:
        print_error(problem)
    desk = Desk(pictures, out, pairs=pairs, seed=seed)
    if rater is not None:
        desk.sit(rater, level)  # a wrong name is said before the page
    with private_folder():
        from hf_medreport.demo.rate import LAUNCH, build_rating

        logging.getLogger("httpx").setLevel(logging.WARNING)
        where = {"host": host, "port": port, "browser": not no_browser}
        try:
            hold(build_rating(desk, rater, level), LAUNCH, **where, ready=_say)
        finally:
            typer.echo(f"{sum(map(len, desk.said.values()))} said by {len(desk.said)} raters: {out}")


def _import(export: Path, folder: Path, out: Path, level: int | None) -> None:
    from hf_medreport.data.ratings.label_studio import read_label_studio
    from hf_medreport.data.ratings.table import write_ratings

    if out.exists():
        raise InputError("out", f"'{out.name}', which is there", "a new file", "choose another `out`")
    table = read_label_studio(export, image_root=folder, level=level)
    write_ratings(out, table.ratings)
    for problem in table.problems:
        print_error(problem)
    by_rater = Counter(rating.rater or "unnamed" for rating in table.ratings)
    typer.echo("\n".join(f"{rater}: {number} ratings" for rater, number in sorted(by_rater.items())))
    typer.echo(f"written: {out}")
    raise typer.Exit(1 if table.problems else 0)


def _say(address: str) -> None:
    typer.echo(f"{address}  (Ctrl-C ends it)")
