"""Slides of a few hundred px, their encoder, and a cohort run that can be started in a process of its own."""

from pathlib import Path

import numpy as np
import tifffile
import torch
from transformers import ResNetConfig, ResNetModel

from hf_medreport.inference.tiles.cohort import finish_folder, tile_cohort, tile_folder, tile_settings
from hf_medreport.inference.tiles.listing import list_slides
from hf_medreport.processing.patch_encoder import PatchEncoder

SIZE, PATCH = 512, 64


def tissue(seed: int, size: int = SIZE) -> np.ndarray:
    """A pink, grainy square on white glass."""
    rng = np.random.default_rng(seed)
    pixels = np.full((size, size, 3), 245, np.uint8)
    inside = slice(size // 8, size - size // 8)
    grain = rng.integers(-40, 40, (inside.stop - inside.start,) * 2)[..., None]
    pixels[inside, inside] = np.clip(np.array([200, 110, 160]) + grain, 0, 255)
    return pixels


def write_slide(path: Path, pixels: np.ndarray, mpp: float | None = 0.5) -> Path:
    """A tiled TIFF that OpenSlide opens."""
    resolution = {} if mpp is None else {"resolution": (1e4 / mpp, 1e4 / mpp), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, pixels, tile=(128, 128), photometric="rgb", compression="zlib", **resolution)
    return path


def damage(path: Path) -> None:
    """Spoil the pixels of a tile in the middle of a slide, and nothing else."""
    with tifffile.TiffFile(path) as file:
        start = file.pages[0].dataoffsets[5]
    with path.open("r+b") as file:
        file.seek(start + 50)
        file.write(b"\xff" * 200)


def write_cohort(folder: Path, slides: int = 3) -> list[Path]:
    folder.mkdir(exist_ok=True)
    return [write_slide(folder / f"slide{number}.tiff", tissue(number)) for number in range(slides)]


def save_encoder(folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    ResNetModel(config).save_pretrained(folder)
    return folder


def run_cohort(slides, out, encoder, **options) -> list:
    """Tile with small tiles; all runs, in the order in which they ended."""
    slides = list_slides(slides)
    torch.set_num_threads(1)
    model = PatchEncoder.from_pretrained(encoder)
    settings = {"patch_px": PATCH, "tissue": "otsu", **options.pop("settings", {})}
    processor = tile_settings(model, **settings)
    run = {"resume": True} | {name: options.pop(name) for name in ("resume", "overwrite") if name in options}
    with tile_folder(out, model, processor, **run) as folder:
        runs = list(tile_cohort(slides, folder, model, processor, **{"batch_size": 8, "workers": 2, **options}))
        finish_folder(folder, slides, runs)
    return runs


def contents(out: Path) -> dict[str, bytes]:
    """Every file of a folder but those that hold times."""
    times = ("summary", "records", "manifest", "part-")
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if not path.name.startswith(times)}
