"""HistGen's patch encoder, converted: held against a forward pass in plain torch that reads the original's keys."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.patch_encoder import PatchEncoder
from hf_medreport.systems.histgen.convert_dinov2 import convert

WIDTH, DEPTH, HEADS, PATCH, SIDE = 24, 4, 3, 14, 3
HIDDEN = 64  # 24 x 4 x 2/3 = 64, a multiple of 8


def backbone(seed: int = 0, chunks: bool = True) -> dict[str, torch.Tensor]:
    """Random weights under the original's names; in two chunks of two blocks whose index counts through."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(*shape, generator=generator) / math.sqrt(shape[-1])

    weights = {
        "cls_token": random(1, 1, WIDTH),
        "pos_embed": random(1, 1 + SIDE**2, WIDTH),
        "mask_token": random(1, WIDTH),
        "patch_embed.proj.weight": random(WIDTH, 3, PATCH, PATCH),
        "patch_embed.proj.bias": random(WIDTH),
        "norm.weight": random(WIDTH),
        "norm.bias": random(WIDTH),
    }
    shapes = {
        "norm1.weight": (WIDTH,), "norm1.bias": (WIDTH,), "norm2.weight": (WIDTH,), "norm2.bias": (WIDTH,),
        "attn.qkv.weight": (3 * WIDTH, WIDTH), "attn.qkv.bias": (3 * WIDTH,),
        "attn.proj.weight": (WIDTH, WIDTH), "attn.proj.bias": (WIDTH,),
        "ls1.gamma": (WIDTH,), "ls2.gamma": (WIDTH,),
        "mlp.w12.weight": (2 * HIDDEN, WIDTH), "mlp.w12.bias": (2 * HIDDEN,),
        "mlp.w3.weight": (WIDTH, HIDDEN), "mlp.w3.bias": (WIDTH,),
    }  # fmt: skip
    for block in range(DEPTH):
        place = f"blocks.{block // 2}.{block}" if chunks else f"blocks.{block}"
        weights |= {f"{place}.{name}": random(*shape) for name, shape in shapes.items()}
    return weights


def save_checkpoint(path, weights=None):
    teacher = {f"backbone.{key}": value for key, value in (weights or backbone()).items()}
    teacher["dino_head.mlp.0.weight"] = torch.zeros(2, 2)
    torch.save({"teacher": teacher}, path)
    return path


def plain_forward(weights: dict[str, torch.Tensor], pixels: torch.Tensor) -> torch.Tensor:
    """DINOv2 as its paper has it, (n, 3, side, side) -> (n, width): the normed class token."""

    def norm(x, name):
        return F.layer_norm(x, (WIDTH,), weights[f"{name}.weight"], weights[f"{name}.bias"], eps=1e-6)

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    patches = F.conv2d(pixels, weights["patch_embed.proj.weight"], weights["patch_embed.proj.bias"], stride=PATCH)
    n = len(pixels)
    x = torch.cat([weights["cls_token"].expand(n, -1, -1), patches.flatten(2).mT], 1) + weights["pos_embed"]
    for block in range(DEPTH):
        place = f"blocks.{block // 2}.{block}"
        query, key, value = (
            part.unflatten(-1, (HEADS, WIDTH // HEADS)).transpose(1, 2)  # (n, heads, tokens, head width)
            for part in linear(norm(x, f"{place}.norm1"), f"{place}.attn.qkv").chunk(3, -1)
        )
        weight = (query @ key.mT / math.sqrt(WIDTH // HEADS)).softmax(-1)
        attended = linear((weight @ value).transpose(1, 2).flatten(2), f"{place}.attn.proj")
        x = x + weights[f"{place}.ls1.gamma"] * attended
        first, second = linear(norm(x, f"{place}.norm2"), f"{place}.mlp.w12").chunk(2, -1)
        hidden = first * first.sigmoid() * second
        x = x + weights[f"{place}.ls2.gamma"] * linear(hidden, f"{place}.mlp.w3")
    return norm(x, "norm")[:, 0]


def test_the_vectors_are_the_originals(tmp_path):
    result = convert(save_checkpoint(tmp_path / "dinov2.pth"), tmp_path / "out", num_heads=HEADS)
    encoder = PatchEncoder.from_pretrained(tmp_path / "out")
    processor = TileImageProcessor.from_pretrained(tmp_path / "out")
    tiles = np.random.default_rng(0).integers(0, 256, (5, 50, 50, 3), dtype=np.uint8)
    pixels = processor(tiles, return_tensors="pt")["pixel_values"]
    assert pixels.shape == (5, 3, 42, 42)
    expected = plain_forward(backbone(), pixels).numpy()
    assert np.abs(encoder.encode(tiles, processor) - expected).max() < 1e-4
    assert result["config"] == {
        "hidden_size": 24, "num_hidden_layers": 4, "num_attention_heads": 3, "patch_size": 14, "image_size": 42,
    }  # fmt: skip
    assert result["ignored"] == ["dino_head.mlp.0.weight"] and result["unexpected"] == []


def test_blocks_without_chunks(tmp_path):
    convert(save_checkpoint(tmp_path / "chunks.pth"), tmp_path / "chunks", num_heads=HEADS)
    convert(save_checkpoint(tmp_path / "plain.pth", backbone(chunks=False)), tmp_path / "plain", num_heads=HEADS)
    with_chunks = PatchEncoder.from_pretrained(tmp_path / "chunks")
    assert with_chunks.revision == PatchEncoder.from_pretrained(tmp_path / "plain").revision


def test_the_folder_tiles_as_histgen_does(tmp_path):
    convert(save_checkpoint(tmp_path / "dinov2.pth"), tmp_path / "out", num_heads=HEADS)
    processor = TileImageProcessor.from_pretrained(tmp_path / "out")
    assert (processor.patch_px, processor.level, processor.mpp, processor.tissue) == (512, 0, None, "tcga")
    assert "transformers" in json.loads((tmp_path / "out" / "tested_with.json").read_text())


def test_keys_without_a_place_are_told(tmp_path):
    weights = backbone() | {"blocks.0.0.attn.extra": torch.zeros(1)}
    result = convert(save_checkpoint(tmp_path / "dinov2.pth", weights), tmp_path / "out", num_heads=HEADS)
    assert result["unexpected"] == ["blocks.0.0.attn.extra"]


def test_registers_are_refused(tmp_path):
    weights = backbone() | {"register_tokens": torch.zeros(1, 4, WIDTH)}
    with pytest.raises(InputError) as error:
        convert(save_checkpoint(tmp_path / "dinov2.pth", weights), tmp_path / "out", num_heads=HEADS)
    expected = "dinov2.pth: found register tokens; expected a DINOv2 without registers; use a checkpoint without "
    assert str(error.value) == expected + "registers, as HistGen's is"


def test_without_a_mask_token(tmp_path):
    weights = backbone()
    del weights["mask_token"]  # training's
    assert convert(save_checkpoint(tmp_path / "dinov2.pth", weights), tmp_path / "out", num_heads=HEADS)


# --- bad input --------------------------------------------------------------------------------------------------------


class Surprise:
    def __reduce__(self):
        return (open, ("executed.txt", "w"))


def changed(drop: str = "", **changes):
    def make(path):
        weights = {key: value for key, value in backbone().items() if not drop or drop not in key}
        save_checkpoint(path, weights | changes)

    return make


def truncated(path):
    save_checkpoint(path)
    path.write_bytes(path.read_bytes()[:3000])


TRAINING = "expected a checkpoint of DINOv2's training; give the original's .pth"
BAD = {
    "missing": (
        lambda path: None,
        "x.pth: found no such file; expected a checkpoint of DINOv2's training; check the path",
    ),
    "truncated": (truncated, f"x.pth: found a broken or truncated file; {TRAINING}"),
    "pickled": (
        lambda path: torch.save({"teacher": Surprise()}, path),
        f"x.pth: found objects besides tensors; {TRAINING}",
    ),
    "no teacher": (
        lambda path: torch.save({"model": {}, "epoch": 3}, path),
        "x.pth: found entries epoch, model; expected a dict with 'teacher'; give the original's .pth",
    ),
    "a tensor": (
        lambda path: torch.save(torch.zeros(3), path),
        "x.pth: found no dict; expected a dict with 'teacher'; give the original's .pth",
    ),
    "a number among tensors": (
        lambda path: torch.save({"teacher": {"backbone.norm.weight": 3}}, path),
        "x.pth: found no tensor under teacher 'backbone.norm.weight'; expected names with tensors; "
        "give the original's .pth",
    ),
    "no positions": (
        changed(drop="pos_embed"),
        "x.pth: found a backbone of blocks, cls_token, mask_token, norm, patch_embed, without pos_embed; "
        "expected a DINOv2 backbone; check the file",
    ),
    "only heads": (
        lambda path: torch.save({"teacher": {"dino_head.weight": torch.zeros(2)}}, path),
        "x.pth: found a backbone of none, without pos_embed; expected a DINOv2 backbone; check the file",
    ),
    "positions of no square": (
        changed(pos_embed=torch.zeros(1, 12, WIDTH)),
        "x.pth: found 12 positions; expected a square of patches and a class token; is it another model?",
    ),
    "patches by no convolution": (
        changed(**{"patch_embed.proj.weight": torch.zeros(WIDTH, 588)}),
        f"x.pth: found patch_embed.proj.weight of shape ({WIDTH}, 588); expected a convolution; is it another model?",
    ),
    "a block cut short": (
        changed(drop="blocks.1.3.mlp.w3"),
        "x.pth: found no blocks.3.mlp.w3.bias and 1 more; expected a whole backbone; use the full file",
    ),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_bad_checkpoints(tmp_path, monkeypatch, make, message):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "x.pth")
    with pytest.raises(InputError) as raised:
        convert(tmp_path / "x.pth", tmp_path / "out", num_heads=HEADS)
    assert str(raised.value) == message
    assert not (tmp_path / "out").exists() and not (tmp_path / "executed.txt").exists()


@pytest.mark.parametrize(
    ("num_heads", "message"),
    [
        (5, "num_heads: found 5; expected a divisor of a backbone's width 24; correct `num_heads`"),
        (
            None,
            "x.pth: found a backbone of width 24; expected a published one (384, 768, 1024, 1536); pass `num_heads`, "
            "as it was trained: no tensor tells it",
        ),
    ],
)
def test_heads(tmp_path, num_heads, message):
    with pytest.raises(InputError) as raised:
        convert(save_checkpoint(tmp_path / "x.pth"), tmp_path / "out", num_heads=num_heads)
    assert str(raised.value) == message


def test_out_is_a_file(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(InputError) as raised:
        convert(save_checkpoint(tmp_path / "x.pth"), tmp_path / "out", num_heads=HEADS)
    assert str(raised.value) == "out: found a file; expected a folder to write to; choose another `out`"


def test_a_feed_forward_layer_of_another_width(tmp_path):
    weights = backbone()
    for key, value in weights.items():
        if "w12" in key:
            weights[key] = value[:80]
        if "w3.weight" in key:
            weights[key] = value[:, :40].contiguous()
    with pytest.raises(InputError, match="x.pth: found weights that do not fit"):
        convert(save_checkpoint(tmp_path / "x.pth", weights), tmp_path / "out", num_heads=HEADS)
