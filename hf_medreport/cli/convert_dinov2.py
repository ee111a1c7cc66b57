"""HistGen's patch encoder -> a folder for `tile --encoder`."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import Json, convert, print_json, quiet


@convert.command("dinov2")
def convert_dinov2(
    checkpoint: Annotated[Path, typer.Argument(help="dinov2_cpath_v1.pth, or another of DINOv2's training.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    num_heads: Annotated[int | None, typer.Option(help="Of its attention. Default: its width / 64.")] = None,
    as_json: Json = False,
):
    """A DINOv2 with SwiGLU, as HistGen encodes its tiles with."""
    quiet()
    from hf_medreport.hub.convert_dinov2 import convert as write

    result = write(checkpoint, out, num_heads)
    if as_json:
        return print_json(result)
    typer.echo(f"written: {result['out']}")
    for name in ("ignored", "unexpected"):
        typer.echo(f"{name} keys: {', '.join(result[name]) or 'none'}")
