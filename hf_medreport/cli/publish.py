"""Upload a model folder."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import Json, app, print_json, show_log


@app.command()
def publish(
    folder: Annotated[Path, typer.Argument(help="A model folder with its card.")],
    repository: Annotated[str, typer.Argument(help="ORG/NAME.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    revision: Annotated[str | None, typer.Option(help="Branch to publish to. Default: main.")] = None,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="A generator though no passed memorization gate lies beside it.")
    ] = False,
    allow_identifiers: Annotated[
        bool, typer.Option("--allow-identifiers", help="Though a card or setting reads as if it named a patient.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, with sizes; send nothing.")] = False,
    as_json: Json = False,
):
    """Upload a model folder to the Hub as one commit: what the model needs, and no other file."""
    from hf_medreport.hub.publish import prepare_publication
    from hf_medreport.hub.publish import publish as upload

    show_log()
    allowed = {"unchecked": unchecked, "allow_identifiers": allow_identifiers}
    if dry_run:
        publication = prepare_publication(folder, **allowed)
        if as_json:
            return print_json({"files": publication.sizes, "left_out": publication.left_out})
        typer.echo(publication)
        for path in publication.left_out:
            typer.echo(f"not published: {path}")
        return None
    address = upload(folder, repository, private=private, revision=revision, **allowed)
    if as_json:
        return print_json({"commit": address})
    typer.echo(address)
