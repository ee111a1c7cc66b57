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
    as_json: Json = False,
):
    """Upload a model folder to the Hub as one commit."""
    from hf_medreport.hub.publish import publish as upload

    show_log()
    address = upload(folder, repository, private=private, revision=revision, unchecked=unchecked)
    if as_json:
        return print_json({"commit": address})
    typer.echo(address)
