"""Teach a small patch encoder to see: phantom tiles and the truth about them.

The encoder's vectors are trained through a linear head, thrown away afterwards, that is asked what a tile shows: shares
of tissue, tumour, necrosis, inflammation, node and ink; of normal tissue the site; of tumour the diagnosis, the grade
and how many mitoses. A tile is never asked what it cannot show.
"""

import math
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import trange
from transformers import AutoConfig, AutoModel

from hf_medreport.data.phantom_bags import TRAITS
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.patch_encoder import PatchEncoder

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
        settings: normalise the tiles; saved beside the encoder.
    """
    torch.manual_seed(seed)
    model = AutoModel.from_config(AutoConfig.for_model(**config)).to(memory_format=torch.channels_last)
    encoder = PatchEncoder(model, "in training", {"size": settings.size})
    model.train().requires_grad_(True)
    head = nn.Linear(encoder.width, len(TRAITS))
    parameters = [*model.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / steps))
    )
    generator, mean = torch.Generator().manual_seed(seed), None
    for _ in (progress := trange(steps, desc="training the patch encoder", leave=False)):
        chosen = torch.randint(len(tiles), (batch_size,), generator=generator).numpy()
        turned = np.rot90(tiles[chosen], k=int(torch.randint(4, (1,), generator=generator)), axes=(1, 2))
        pixels = settings(np.ascontiguousarray(turned), return_tensors="pt")["pixel_values"]
        asked = torch.from_numpy(truth[chosen])
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            scores = head(encoder.pooled(pixels.contiguous(memory_format=torch.channels_last)))
        known = ~asked.isnan()
        loss = nn.functional.binary_cross_entropy_with_logits(scores.float()[known], asked[known])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
        progress.set_postfix(loss=f"{mean:.4f}")
    _write(model, settings, folder)
    return mean


def _write(model: nn.Module, settings: TileImageProcessor, folder: Path) -> None:
    """The folder appears whole or not at all."""
    unfinished = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    model.eval().half().save_pretrained(unfinished)
    settings.save_pretrained(unfinished)
    os.replace(unfinished, folder)
