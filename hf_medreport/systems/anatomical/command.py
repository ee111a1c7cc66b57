"""What the verb `convert` offers of this system: the thesis' checkpoint -> a folder that loads anywhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.hub.untold import said


def anatomical(
    checkpoint: Annotated[Path, typer.Argument(help=".pth, .pt or .safetensors of the UDEM thesis.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    encoder: Annotated[str | None, typer.Option(help="Folder or id, if the checkpoint has no encoder weights.")] = None,
    tokenizer: Annotated[str, typer.Option(help="Folder or id.")] = "openai-community/gpt2",
    num_heads: Annotated[int | None, typer.Option(help="Of the decoder. Default: as published for its width.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side of the film in pixels. Default: 512.")] = None,
    mask_mode: Annotated[
        str | None, typer.Option(help="none, soft or strict: how it was trained. Default: soft.")
    ] = None,
) -> Iterator[dict | str]:
    """A checkpoint of the UDEM thesis, layer-wise anatomical attention."""
    from hf_medreport.systems.anatomical.convert import convert as write

    result = write(checkpoint, out, encoder, tokenizer, num_heads, image_size, mask_mode)
    yield result
    yield f"written: {result['out']}"
    for name in ("missing", "unexpected"):
        yield f"{name} keys: {', '.join(result[name]) or 'none'}"
    yield from said(result)
