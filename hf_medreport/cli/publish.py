"""Upload a model folder."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import Json, app, print_json, show_log
from hf_medreport.processing.input_error import InputError


@app.command()
def publish(
    folder: Annotated[Path | None, typer.Argument(help="A model folder with its card.")] = None,
    repository: Annotated[str | None, typer.Argument(help="ORG/NAME.")] = None,
    space: Annotated[
        str | None, typer.Option(help="In place of both: ORG/NAME of a Space with the demo's pages over --model.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="With --space: the published model, ORG/NAME.")] = None,
    wheel: Annotated[
        Path | None, typer.Option(help="With --space: hf-medreport's wheel. Default: it is built from the source.")
    ] = None,
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
    """Upload a model folder to the Hub as one commit: what the model needs, and no other file. Or a Space, with the
    demo's pages over a published model."""
    show_log()
    if space is not None:
        address = _publish_space(space, model, wheel, private, {"folder": folder, "revision": revision})
    else:
        from hf_medreport.hub.publish import prepare_publication
        from hf_medreport.hub.publish import publish as upload

        _refuse({"model": model, "wheel": wheel}, "it without `space`")
        for name, value in {"folder": folder, "repository": repository}.items():
            if value is None:
                raise InputError(name, "none", "a model folder and ORG/NAME", "give both, or `space`")
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


def _publish_space(space: str, model: str | None, wheel: Path | None, private: bool, others: dict) -> str:
    from hf_medreport.hub.space import publish_space

    _refuse(others, "it beside `space`")
    return publish_space(space, model, wheel=wheel, private=private)


def _refuse(given: dict, found: str) -> None:
    for name, value in given.items():
        if value is not None:
            raise InputError(name, found, "one of the two", f"leave out `{name}`")
