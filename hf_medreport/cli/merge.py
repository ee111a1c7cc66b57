"""Folders of shares in, one folder out."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import Json, Overwrite, Resume, app, print_json, print_progress, quiet
from hf_medreport.processing.input_error import InputError


@app.command()
def merge(
    folders: Annotated[
        list[Path], typer.Argument(help="Folders that tile, report or evaluate model filled with --shard 1/N to N/N.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write: what one process would have left.")],
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
):
    """Join the folders of shares into one. Files are linked where the file system allows it, else copied."""
    quiet()
    from hf_medreport.files.merging import command_of, merged

    command = command_of(folders)
    with merged(folders, out, resume=resume, overwrite=overwrite) as (folder, results, beside):
        content, failures = _whole(command)(folder, results, beside)
    print_json(content) if as_json else typer.echo(f"written: {out}")
    print_progress(f"{len(results) - failures} done, {failures} failed, 0 left")
    raise typer.Exit(1 if failures else 0)


def _whole(command: str):
    """What writes the whole of a command's results, and counts the failures."""
    if command == "tile":
        from hf_medreport.inference.tiles.cohort import write_summary

        return lambda *whole: ((summary := write_summary(*whole)), summary["failures"])
    if command == "report":
        from hf_medreport.inference.report_folder import write_reports

        return lambda folder, results, _: ((reports := write_reports(folder, results)), len(reports["failures"]))
    if command == "evaluate model":
        from hf_medreport.evaluation.reports.of_model import score_rows

        def score(folder, results, _):
            failures = sum("message" in result for result in results)
            return score_rows(folder, results, name=folder.name).to_json(), failures

        return score
    expected = "of tile, report or evaluate model"
    raise InputError("folders", f"a run of {command}", expected, "give the folders of shares")
