"""What the verb `convert` offers of this system: its checkpoint and that of its patch encoder -> folders."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.hub.untold import said


def histgen(
    checkpoint: Annotated[Path, typer.Argument(help=".pth or .safetensors of HistGen's training.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    vocabulary: Annotated[
        Path | None,
        typer.Option(help="tokenizer.json or the training's annotation.json. Default: <id> for words."),
    ] = None,
    num_heads: Annotated[int | None, typer.Option(min=1, help="Of every attention. Default: 8, as published.")] = None,
    region_size: Annotated[
        int | None, typer.Option(min=2, help="Slots of a region. Default: 96, as published.")
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(min=1, help="Memory slots a query uses. Default: 512, as published.")
    ] = None,
    num_prototypes: Annotated[
        int | None, typer.Option(min=1, help="Patches that ask the memory. Default: 512, as published.")
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(min=2, help="Tokens of the longest report. Default: 100, as published.")
    ] = None,
) -> Iterator[dict | str]:
    """A checkpoint of HistGen. What the tensors' shapes tell is not asked for."""
    from hf_medreport.systems.histgen.convert import convert as write

    result = write(checkpoint, out, vocabulary, num_heads, region_size, top_k, num_prototypes, max_length)
    yield result
    yield f"written: {result['out']}"
    yield f"unexpected keys: {', '.join(result['unexpected']) or 'none'}"
    yield from said(result)
    if result["vocabulary"] is None:
        yield "no vocabulary: words are shown as their ids, <1> and so on; pass `vocabulary` for words"


def dinov2(
    checkpoint: Annotated[Path, typer.Argument(help="dinov2_cpath_v1.pth, or another of DINOv2's training.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    num_heads: Annotated[
        int | None, typer.Option(help="Of its attention. Default: as published for its width.")
    ] = None,
) -> Iterator[dict | str]:
    """A DINOv2 with SwiGLU, as HistGen encodes its tiles with."""
    from hf_medreport.systems.histgen.convert_dinov2 import convert as write

    result = write(checkpoint, out, num_heads)
    yield result
    yield f"written: {result['out']}"
    for name in ("ignored", "unexpected"):
        yield f"{name} keys: {', '.join(result[name]) or 'none'}"
    yield from said(result)
