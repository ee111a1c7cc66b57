"""MedViLL's checkpoint -> a folder of the encoder, for RadScribe to be trained on."""

from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.app import Json, convert, print_json, quiet
from hf_medreport.cli.convert_radscribe import counts


@convert.command("medvill")
def convert_medvill(
    checkpoint: Annotated[Path, typer.Argument(help="pytorch_model.bin or .safetensors of MedViLL's pre-training.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    tokenizer: Annotated[str, typer.Option(help="BERT's: folder or id.")] = "google-bert/bert-base-uncased",
    image_weights: Annotated[
        Path | None,
        typer.Option(
            help="Of the image encoder: torchxrayvision's 101-elastic, CheXNet or another DenseNet, or a ViT."
        ),
    ] = None,
    image_encoder: Annotated[
        str | None, typer.Option(help="vit, resnet101, chexnet121 or bert_vit. Default: what there are weights of.")
    ] = None,
    image_size: Annotated[int, typer.Option(help="Side of a film in pixels.")] = 512,
    num_image_embeds: Annotated[int | None, typer.Option(help="Image tokens. Default: 256 of a ViT, else all.")] = None,
    max_text_tokens: Annotated[int | None, typer.Option(help="Pieces of a text. Default: 253.")] = None,
    num_heads: Annotated[int | None, typer.Option(help="Of BERT and ViT. Default: their width / 64.")] = None,
    mask_mode: Annotated[str, typer.Option(help="bar, as trained; full or legacy.")] = "bar",
    seed: Annotated[int, typer.Option(help="Of the weights that no file has.")] = 0,
    as_json: Json = False,
):
    """The encoder of system 004; what no file has weights for is fresh."""
    quiet()
    from hf_medreport.hub.convert_medvill import convert as write

    result = write(
        checkpoint, out, tokenizer, image_weights, image_encoder, image_size, num_image_embeds, max_text_tokens,
        num_heads, mask_mode, seed,
    )  # fmt: skip
    if as_json:
        return print_json(result)
    typer.echo(f"written: {result['out']} (image encoder {result['image_encoder']}, {result['loaded']} tensors loaded)")
    typer.echo(f"fresh, to be trained: {counts(result['fresh'])}")
    typer.echo(f"not carried: {counts(result['not_carried'])}")
    typer.echo(f"unexpected keys: {', '.join(result['unexpected']) or 'none'}")
