"""RadScribe's checkpoint -> a folder that loads anywhere."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import Json, convert, print_json, quiet


@convert.command("radscribe")
def convert_radscribe(
    checkpoint: Annotated[Path, typer.Argument(help=".pt or .safetensors of RadScribe's training.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    tokenizer: Annotated[str, typer.Option(help="T5's: folder or id.")] = "google-t5/t5-base",
    label_tokenizer: Annotated[str, typer.Option(help="BERT's: folder or id.")] = "google-bert/bert-base-uncased",
    image_encoder: Annotated[
        str | None, typer.Option(help="vit, resnet101 or chexnet121, to refuse any other. Default: as the file has it.")
    ] = None,
    image_size: Annotated[int | None, typer.Option(help="Side of a film. Default: as trained, or 512.")] = None,
    num_image_embeds: Annotated[int | None, typer.Option(help="Image tokens. Default: as trained, or all.")] = None,
    max_text_tokens: Annotated[int | None, typer.Option(help="Pieces of the labels. Default: as trained, or 253.")] = (
        None
    ),
    num_heads: Annotated[int | None, typer.Option(help="Of BERT and ViT. Default: their width / 64.")] = None,
    max_distance: Annotated[int, typer.Option(help="Of T5's relative positions.")] = 128,
    mask_mode: Annotated[str, typer.Option(help="legacy, as trained; full or bar to train on.")] = "legacy",
    as_json: Json = False,
):
    """A checkpoint of system 004. What the tensors' shapes tell is not asked for."""
    quiet()
    from hf_medreport.hub.convert_radscribe import convert as write

    result = write(
        checkpoint, out, tokenizer, label_tokenizer, image_encoder, image_size, num_image_embeds, max_text_tokens,
        num_heads, max_distance, mask_mode,
    )  # fmt: skip
    if as_json:
        return print_json(result)
    typer.echo(f"written: {result['out']} (image encoder {result['image_encoder']}, labels {result['label_mode']})")
    typer.echo(f"not carried: {counts(result['not_carried'])}")
    typer.echo(f"unexpected keys: {', '.join(result['unexpected']) or 'none'}")
    if result["label_mode"] == "oracle":
        typer.echo("this model is told labels that RadScribe takes from the very report it is to write")


def counts(parts: dict[str, int]) -> str:
    """`part (tensors), ...`, or none."""
    return ", ".join(f"{part} ({count})" for part, count in parts.items()) or "none"
