"""What the verb `convert` offers of this system: a DenseNet of chest films -> a folder that is ready to be trained."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer


def chexnet(
    checkpoint: Annotated[
        Path, typer.Argument(help=".pth, .pt, .safetensors or .h5 of CheXNet, torchxrayvision, torchvision or timm.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    decoder: Annotated[str, typer.Option(help="Folder or id of a GPT-2.")] = "openai-community/gpt2",
    tokenizer: Annotated[str | None, typer.Option(help="Folder or id. Default: the decoder's.")] = None,
    image_size: Annotated[int, typer.Option(help="Side in pixels of what the encoder sees.")] = 224,
    seed: Annotated[int, typer.Option(help="Of the weights that no checkpoint has.")] = 0,
) -> Iterator[dict | str]:
    """A DenseNet as the encoder of a multi-task model; the rest of it is fresh."""
    from hf_medreport.systems.cxr_multitask.convert_chexnet import convert as write

    result = write(checkpoint, out, decoder, tokenizer, image_size, seed)
    yield result
    yield f"written: {result['out']} (a DenseNet as {result['layout']} stores it)"
    for name in ("missing", "unexpected"):
        yield f"{name} keys: {', '.join(result[name]) or 'none'}"
