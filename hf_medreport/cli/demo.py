"""Pages in the browser."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import Device, Trust, app, quiet, quiet_diffusers
from hf_medreport.cli.flags import print_error
from hf_medreport.processing.input_error import InputError


@app.command()
def demo(
    model: Annotated[
        list[str] | None,
        typer.Option(help="To choose beside the shipped ones; again for each: a folder, ORG/NAME or a shipped name."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen at.")] = 7860,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page.")] = False,
    slides: Annotated[
        Path | None, typer.Option(help="Folder of slides that users may choose from; read where they lie.")
    ] = None,
    rate: Annotated[Path | None, typer.Option(help="Folder of pictures that users may rate.")] = None,
    ratings: Annotated[Path | None, typer.Option(help="With --rate: CSV of what they say; gone on with.")] = None,
    trust_remote_code: Trust = False,
    device: Device = None,
):
    """Try the models in a browser: films, slides, drawn truth, pictures from words. Ctrl-C ends it."""
    quiet()
    quiet_diffusers()
    from hf_medreport.demo.models import Models
    from hf_medreport.demo.serving import serve

    desk = None if rate is None and ratings is None else _desk(rate, ratings)
    models = Models(model or [], device=device, trust_remote_code=trust_remote_code)
    serve(models, host=host, port=port, browser=not no_browser, slides=slides, desk=desk, ready=_say)


def _desk(folder: Path | None, ratings: Path | None):
    """The pictures that are to be rated, each bad one said; see the verb `rate`, which has more ways."""
    from hf_medreport.demo.desk import Desk
    from hf_medreport.demo.to_rate import pictures_to_rate

    for name, value in {"rate": folder, "ratings": ratings}.items():
        if value is None:
            raise InputError(name, "none", "pictures and a table of what is said of them", "give both")
    pictures, problems = pictures_to_rate(folder, None)
    for problem in problems:
        print_error(problem)
    return Desk(pictures, ratings)


def _say(address: str) -> None:
    typer.echo(f"{address}  (Ctrl-C ends it)")
