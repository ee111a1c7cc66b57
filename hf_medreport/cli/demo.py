"""Pages in the browser."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import Device, Trust, app, quiet, quiet_diffusers


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
    trust_remote_code: Trust = False,
    device: Device = None,
):
    """Try the models in a browser: films, slides, drawn truth, pictures from words. Ctrl-C ends it."""
    quiet()
    quiet_diffusers()
    from hf_medreport.demo.models import Models
    from hf_medreport.demo.serving import serve

    models = Models(model or [], device=device, trust_remote_code=trust_remote_code)
    serve(models, host=host, port=port, browser=not no_browser, slides=slides, ready=_say)


def _say(address: str) -> None:
    typer.echo(f"{address}  (Ctrl-C ends it)")
