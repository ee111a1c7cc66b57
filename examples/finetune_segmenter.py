# /// script
# dependencies = ["hf-medreport"]
# ///
"""Fine-tune the shipped segmenter, which has seen only drawn films, on real films with masks: a minute on one core.

python examples/finetune_segmenter.py --images cxr/images --masks cxr/masks --labels cxr/labels.csv --out segmenter
hf-medreport segment film.png --model segmenter --out masks

The table's columns `path`, `mask` and `patient` say which films have a mask and who is on them: no patient is on both
sides of the split. A mask marks the lungs, with the heart's shadow that lies over them, in one color (255; 127 is
ignored), so what is trained is lung or heart, the larger of the two logits. Nothing holds the heart in place:
afterward the whole field is called lung. Nothing is flipped: left and right are facts.
"""

import argparse
import json
import math
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from tqdm import trange
from transformers.utils import logging

from hf_medreport.evaluation.segmentation import dice, read_reference
from hf_medreport.files.rows import csv_rows
from hf_medreport.files.writing import write_json
from hf_medreport.hub.folder import save_folder
from hf_medreport.inference.loading import Segmenter, load_segmenter
from hf_medreport.inference.report import Failure
from hf_medreport.inference.segment import segment_films
from hf_medreport.processing.image_reading import read_image
from hf_medreport.processing.input_error import InputError

TEST_FILMS = 10
BATCH, RATE = 10, 2e-3
TURN, ZOOM, SHIFT = math.radians(8), 0.12, 0.06  # of the augmentation: at most
CONTRAST, BRIGHTNESS = 0.3, 0.3  # in standard deviations of ImageNet


def films_by_patient(labels: Path, images: Path, masks: Path) -> dict[str, list[tuple[Path, Path]]]:
    """Film and mask of every row of the table that has a mask."""
    patients = defaultdict(list)
    for row in csv_rows(labels, ("path", "mask", "patient")):
        if row["mask"]:
            patients[row["patient"]].append((images / Path(row["path"]).name, masks / Path(row["mask"]).name))
    return patients


def split(patients: dict[str, list], seed: int) -> tuple[dict[str, list], dict[str, list]]:
    """Patients to train on, and patients with TEST_FILMS films together to test on, drawn by lot."""
    names = sorted(patients)
    random.Random(seed).shuffle(names)
    train, test = {}, {}
    for name in names:
        room = TEST_FILMS - len(films_of(test))
        (test if len(patients[name]) <= room else train)[name] = patients[name]
    return train, test


def films_of(patients: dict[str, list]) -> list[tuple[Path, Path]]:
    return [pair for films in patients.values() for pair in films]


def read(pairs: list[tuple[Path, Path]], image_processor) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels (films, 3, size, size), and truth (films, 2, size, size): inside, and counted at all."""
    pixels, truth, size = [], [], 2 * (image_processor.size,)
    for film, mask in pairs:
        image = read_image(film)
        inside, ignored = read_reference(mask, image.shape[:2])
        pixels.append(image_processor(image, return_tensors="pt")["pixel_values"])
        planes = [
            Image.fromarray(plane.astype(np.float32)).resize(size, Image.Resampling.BOX) for plane in (inside, ~ignored)
        ]
        truth.append(torch.from_numpy(np.stack(planes)))
    return torch.cat(pixels), torch.stack(truth)


def augmented(pixels: torch.Tensor, truth: torch.Tensor, generator: torch.Generator) -> tuple:
    """Turned, zoomed, shifted, and of another contrast and brightness; never flipped."""

    def draw(*shape: int) -> torch.Tensor:  # -1 to 1
        return 2 * torch.rand(len(pixels), *shape, generator=generator) - 1

    angle, zoom, shift = TURN * draw(), torch.exp(ZOOM * draw()), SHIFT * 2 * draw(2)  # the grid runs from -1 to 1
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(-1, 2, 2)
    grid = F.affine_grid(torch.cat([zoom[:, None, None] * turn, shift[:, :, None]], 2), pixels.shape, False)
    pixels = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    truth = F.grid_sample(truth, grid, padding_mode="zeros", align_corners=False)  # beyond the film nothing counts
    pixels = pixels * torch.exp(CONTRAST * draw(1, 1, 1)) + BRIGHTNESS * draw(1, 1, 1)
    return pixels, truth


def union_loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus one minus Dice of lung or heart, where the truth counts."""
    union = logits.amax(dim=1)  # (batch, rows, columns)
    inside, counted = F.interpolate(truth, union.shape[-2:], mode="bilinear", antialias=True).unbind(dim=1)
    entropy = F.binary_cross_entropy_with_logits(union, inside, weight=counted)
    probability = union.sigmoid() * counted
    overlap = (2 * (probability * inside).sum((1, 2)) + 1) / ((probability + inside * counted).sum((1, 2)) + 1)
    return entropy + (1 - overlap).mean()


def fine_tune(segmenter: Segmenter, pairs: list, steps: int, seed: int) -> None:
    """Train all weights in place; the rate falls to zero by a cosine."""
    pixels, truth = read(pairs, segmenter.image_processor)
    generator = torch.Generator().manual_seed(seed)
    network = segmenter.model.train().requires_grad_(True)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in trange(steps, desc="steps"):
        chosen = torch.randperm(len(pixels), generator=generator)[:BATCH]
        varied, asked = augmented(pixels[chosen], truth[chosen], generator)
        optimizer.zero_grad()
        union_loss(network(varied).logits, asked).backward()
        optimizer.step()
        schedule.step()
    network.eval().requires_grad_(False)


def scores(pairs: list[tuple[Path, Path]], segmenter: Segmenter) -> list[float]:
    """Dice of lung or heart for each film, at the film's own size, as `hf-medreport segment --masks` prints it."""
    films, masks = zip(*pairs, strict=True)
    values = []
    for result, mask in zip(segment_films(films, segmenter), masks, strict=True):
        if isinstance(result, Failure):
            raise SystemExit(result.message)
        reference = read_reference(mask, result.lungs.shape)
        values.append(round(dice(result.lungs | result.heart, *reference), 4))
    return values


def mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 4)


def main(args: argparse.Namespace) -> None:
    logging.disable_progress_bar()
    train, test = split(films_by_patient(args.labels, args.images, args.masks), args.seed)
    segmenter = load_segmenter(device="cpu")
    before = scores(films_of(test), segmenter)
    fine_tune(segmenter, films_of(train), args.steps, args.seed)
    after = scores(films_of(test), segmenter)
    save_folder(segmenter.model, segmenter.image_processor, args.out)
    figures = {
        "command": f"python examples/finetune_segmenter.py --images DIR --masks DIR --labels CSV --seed {args.seed}",
        "steps": args.steps,
        "films": {"train": len(films_of(train)), "test": len(films_of(test))},
        "patients": {"train": len(train), "test": len(test)},
        "dice_before": {"mean": mean(before), "films": before},
        "dice_after": {"mean": mean(after), "films": after},
    }
    print(json.dumps(figures, indent=1))
    if args.json:
        write_json(args.json, figures, indent=1)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="folder of films")
    parser.add_argument("--masks", type=Path, required=True, help="folder of their masks: 0, 255, and 127 to ignore")
    parser.add_argument("--labels", type=Path, required=True, help="CSV with path, mask and patient")
    parser.add_argument("--out", type=Path, default=Path("segmenter"), help="folder of the fine-tuned segmenter")
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--steps", type=int, default=600, help="of 10 films")
    parser.add_argument("--seed", type=int, default=0, help="of the split and of all draws")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        main(arguments())
    except (InputError, OSError) as error:
        raise SystemExit(str(error)) from None
