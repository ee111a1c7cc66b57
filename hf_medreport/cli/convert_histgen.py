"""HistGen's checkpoint -> a folder that loads anywhere."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import Json, convert, print_json, quiet


@convert.command("histgen")
def convert_histgen(
    checkpoint: Annotated[Path, typer.Argument(help=".pth or .safetensors of HistGen's training.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    vocabulary: Annotated[
        Path | None,
        typer.Option(help="tokenizer.json or the training's annotation.json. Default: <id> for words."),
    ] = None,
    num_heads: Annotated[int, typer.Option(min=1, help="Of every attention.")] = 8,
    region_size: Annotated[int, typer.Option(min=2, help="Slots of a region.")] = 96,
    top_k: Annotated[int, typer.Option(min=1, help="Memory slots a query uses.")] = 512,
    num_prototypes: Annotated[int, typer.Option(min=1, help="Patches that ask the memory.")] = 512,
    max_length: Annotated[int, typer.Option(min=2, help="Tokens of the longest report.")] = 100,
    as_json: Json = False,
):
    """A checkpoint of system 000. What the tensors' shapes tell is not asked for."""
    quiet()
    from hf_medreport.hub.convert_histgen import convert as write

    result = write(checkpoint, out, vocabulary, num_heads, region_size, top_k, num_prototypes, max_length)
    if as_json:
        return print_json(result)
    typer.echo(f"written: {result['out']}")
    typer.echo(f"unexpected keys: {', '.join(result['unexpected']) or 'none'}")
    if result["vocabulary"] is None:
        typer.echo("no vocabulary: words are shown as their ids, <1> and so on; pass --vocabulary for words")
