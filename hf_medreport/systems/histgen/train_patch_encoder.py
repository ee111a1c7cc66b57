"""Teach a small patch encoder to see: phantom tiles and the truth about them.

The encoder's vectors are trained through a linear head, thrown away afterward, that is asked what a tile shows: shares
of tissue, tumor, necrosis, inflammation, node and ink; of normal tissue the site; of tumor the diagnosis, the grade
and how many mitoses. A tile is never asked what it cannot show. It is turned, and stained anew, so that the encoder
does not lean on one laboratory's colors and one scanner's light.
"""

from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import uniform_filter
from torch import nn
from transformers import AutoConfig, AutoModel

from hf_medreport.data.drawn.bags import TRAITS
from hf_medreport.files.writing import write_whole_folder
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.patch_encoder import PatchEncoder
from hf_medreport.training.precision import lay_out
from hf_medreport.training.warm_up import minimize

__all__ = ["train_patch_encoder"]


def train_patch_encoder(
    config: dict,
    tiles: np.ndarray,
    truth: np.ndarray,
    settings: TileImageProcessor,
    folder: Path,
    *,
    steps: int,
    batch_size: int,
    rate: float,
    seed: int,
    bf16: bool,
) -> float:
    """Train an encoder from scratch and write it, in half precision, to `folder`; returns the last loss.

    Args:
        config: of any vision model of transformers, with its `model_type`.
        tiles: uint8 (tiles, size, size, 3).
        truth: float32 (tiles, traits), nan where a tile is not asked.
        settings: normalize the tiles; saved beside the encoder.
    """
    torch.manual_seed(seed)
    model = AutoModel.from_config(AutoConfig.for_model(**config))
    lay_out(model, bf16)
    encoder = PatchEncoder(model, "in training", {"size": settings.size})
    model.train().requires_grad_(True)
    head, rng = nn.Linear(encoder.width, len(TRAITS)), np.random.default_rng(seed)

    def loss(indices: list[int]) -> torch.Tensor:
        varied = restained(np.rot90(tiles[indices], k=int(rng.integers(4)), axes=(1, 2)), rng)
        pixels = settings(varied, return_tensors="pt")["pixel_values"]
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            scores = head(encoder.pooled(pixels.contiguous(memory_format=torch.channels_last)))
        asked = torch.from_numpy(truth[indices])
        known = ~asked.isnan()
        return nn.functional.binary_cross_entropy_with_logits(scores.float()[known], asked[known])

    parameters = [*model.parameters(), *head.parameters()]
    mean = minimize(loss, parameters, len(tiles), steps, batch_size, rate, seed, "patch encoder")
    _write(model, settings, folder)
    return mean


def restained(tiles: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The tiles as other stains and another scanner would show them, uint8 of the same shape.

    Each channel's optical density is scaled, which moves hue and strength of both stains and darkens thick sections;
    the glass gets a tint; half of the tiles are blurred, half get noise.
    """
    levels = np.arange(256, dtype=np.float32) / 255
    density = rng.uniform(0.6, 1.6, (len(tiles), 1)) * rng.uniform(0.7, 1.4, (len(tiles), 3))
    glass = rng.uniform(0.82, 1.0, (len(tiles), 3))
    curves = glass[..., None] * levels ** density[..., None]  # (tiles, channels, 256)
    varied = np.empty(tiles.shape, np.float32)
    for index, (tile, of_channels) in enumerate(zip(tiles, curves, strict=True)):
        for channel, curve in enumerate(of_channels):
            varied[index, ..., channel] = curve[tile[..., channel]]
    blurred, noisy = rng.random((2, len(tiles))) < 0.5
    varied[blurred] = uniform_filter(varied[blurred], (0, 2, 2, 0), mode="nearest")
    varied[noisy] += rng.normal(0, 0.03, varied[noisy].shape).astype(np.float32)
    return (varied.clip(0, 1) * 255).round().astype(np.uint8)


def _write(model: nn.Module, settings: TileImageProcessor, folder: Path) -> None:
    def fill(unfinished: Path) -> None:
        model.eval().half().save_pretrained(unfinished)
        settings.save_pretrained(unfinished)

    write_whole_folder(folder, fill)
