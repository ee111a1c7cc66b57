"""What the verb `convert` offers of this system: its checkpoint, and MedViLL's -> folders that load anywhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.hub.untold import said


def radscribe(
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
    num_heads: Annotated[int | None, typer.Option(help="Of BERT. Default: as published for its width.")] = None,
    vit_heads: Annotated[int | None, typer.Option(help="Of a ViT. Default: as published for its width.")] = None,
    max_distance: Annotated[int | None, typer.Option(help="Of T5's relative positions. Default: 128.")] = None,
    mask_mode: Annotated[str, typer.Option(help="legacy, as trained; full or bar to train on.")] = "legacy",
) -> Iterator[dict | str]:
    """A checkpoint of RadScribe. What the tensors' shapes tell is not asked for."""
    from hf_medreport.systems.radscribe.convert import convert as write

    result = write(
        checkpoint, out, tokenizer, label_tokenizer, image_encoder, image_size, num_image_embeds, max_text_tokens,
        num_heads, vit_heads, max_distance, mask_mode,
    )  # fmt: skip
    yield result
    yield f"written: {result['out']} (image encoder {result['image_encoder']}, labels {result['label_mode']})"
    yield f"not carried: {_counts(result['not_carried'])}"
    yield f"unexpected keys: {', '.join(result['unexpected']) or 'none'}"
    yield from said(result)
    if result["label_mode"] == "oracle":
        yield "this model is given labels that RadScribe takes from the very report it is to write"


def medvill(
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
    num_heads: Annotated[int | None, typer.Option(help="Of BERT. Default: as published for its width.")] = None,
    vit_heads: Annotated[int | None, typer.Option(help="Of a ViT. Default: as published for its width.")] = None,
    mask_mode: Annotated[str, typer.Option(help="bar, as trained; full or legacy.")] = "bar",
    seed: Annotated[int, typer.Option(help="Of the weights that no file has.")] = 0,
) -> Iterator[dict | str]:
    """The encoder of RadScribe; what no file has weights for is fresh."""
    from hf_medreport.systems.radscribe.convert_medvill import convert as write

    result = write(
        checkpoint, out, tokenizer, image_weights, image_encoder, image_size, num_image_embeds, max_text_tokens,
        num_heads, vit_heads, mask_mode, seed,
    )  # fmt: skip
    yield result
    yield f"written: {result['out']} (image encoder {result['image_encoder']}, {result['loaded']} tensors loaded)"
    yield f"fresh, to be trained: {_counts(result['fresh'])}"
    yield f"not carried: {_counts(result['not_carried'])}"
    yield f"unexpected keys: {', '.join(result['unexpected']) or 'none'}"
    yield from said(result)


def _counts(parts: dict[str, int]) -> str:
    """`part (tensors), ...`, or none."""
    return ", ".join(f"{part} ({count})" for part, count in parts.items()) or "none"
