"""What the verb `convert` offers of diffusion: MINIM's fine-tuned U-Net -> a folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer


def minim(
    unet: Annotated[Path, typer.Argument(help="The fine-tuned unet/ of MINIM's training, or the folder it lies in.")],
    base: Annotated[str, typer.Option(help="Folder or ORG/NAME of the Stable Diffusion 1.x that it was tuned from.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    modalities: Annotated[Path | None, typer.Option(help="YAML of modalities beside MINIM's six.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of the base's repository.")] = None,
) -> Iterator[dict | str]:
    """A U-Net of MINIM, in its Stable Diffusion. Names and shapes are checked; what is guessed is said."""
    from hf_medreport.systems.diffusion.convert_minim import convert as write

    result = write(unet, base, out, modalities, revision)
    yield result
    yield f"written: {result['out']}"
    yield f"{result['tensors']} tensors of {result['unet']}, {result['changed']} other than the base's"
    for guess in result["guessed"]:
        yield f"guessed, as the folder does not say it: {guess}"
