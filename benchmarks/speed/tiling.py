"""How fast a slide is read: our threads against a loop of `read_region` in one process, and what the JPEG itself costs.

A phantom slide of 20,000 px, the tiles of its tissue (512 px, level 0). Times are paired, alternating in one process,
best of 5: the loop, our threads, and the bare decoding of as many of the slide's own JPEG tiles in one and two
processes (the limit, as no reader can be faster than its decoder). Then some of it with a ResNet-18 of random weights.
Writes benchmarks/results/tiling.json.

    python benchmarks/speed/tiling.py
"""

import tempfile
import time
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import openslide
import tifffile
from measure import write_result
from transformers import ResNetConfig, ResNetModel

from hf_medreport.data.drawn.slides import write_slides
from hf_medreport.inference.tiles.encode import READ_TOGETHER, SlideRun, TileReaders, encode_slides
from hf_medreport.phantom.slide.corpus import SlideCorpus
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.patch_encoder import PatchEncoder
from hf_medreport.processing.slide_reading import open_slide
from hf_medreport.processing.slide_tiling import Tiling, tile_slide

SIZE, WORKERS, ROUNDS, BOUND = 20_000, 2, 5, 1.8
ENCODED = 192  # tiles of the run with the encoder
AHEAD = 8  # submissions in flight


def loop(path: Path, tiling: Tiling) -> None:
    """What a script does without us: one tile after the other, as RGB arrays."""
    slide, px = openslide.OpenSlide(path), tiling.read_px
    for corner in tiling.coordinates.tolist():
        assert np.asarray(slide.read_region(tuple(corner), 0, (px, px)).convert("RGB")).shape == (px, px, 3)


def threads(path: Path, tiling: Tiling) -> None:
    """Our readers, the tiles in order and a bounded number of them in flight."""
    waiting = deque()
    with TileReaders(WORKERS) as readers:
        for start in range(0, len(tiling), READ_TOGETHER):
            indices = range(start, min(start + READ_TOGETHER, len(tiling)))
            waiting.append(readers.submit(path, None, tiling, indices))
            if len(waiting) == AHEAD:
                waiting.popleft().result()
        while waiting:
            assert waiting.popleft().result()[0].shape == (tiling.patch_px, tiling.patch_px, 3)


def jpeg_tiles(path: Path, pixels: int) -> tuple[bytes | None, list[bytes]]:
    """The slide's own JPEG tiles from its middle, as many as make up so many pixels; and their shared tables."""
    with tifffile.TiffFile(path) as file:
        page, handle = file.pages[0], file.filehandle
        wanted = pixels // (page.tilewidth * page.tilelength)
        start = max(0, (len(page.dataoffsets) - wanted) // 2)
        tiles = []
        for offset, size in list(zip(page.dataoffsets, page.databytecounts, strict=True))[start : start + wanted]:
            handle.seek(offset)
            tiles.append(handle.read(size))
        return page.jpegtables, tiles


def decode(tables: bytes | None, tiles: list[bytes]) -> int:
    return sum(imagecodecs.jpeg8_decode(tile, tables=tables).nbytes for tile in tiles)


def encode(path: Path, tiling: Tiling, encoder: PatchEncoder, processor: TileImageProcessor) -> None:
    [run] = encode_slides([SlideRun(path, path, tiling=tiling)], encoder, processor, batch_size=32, workers=WORKERS)
    assert run.left == 0


def resnet(folder: Path) -> PatchEncoder:
    config = ResNetConfig(depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic")
    ResNetModel(config).save_pretrained(folder)
    return PatchEncoder.from_pretrained(folder)


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary, ProcessPoolExecutor(WORKERS) as pool:
        write_slides(Path(temporary) / "corpus", SlideCorpus(1, 3, SIZE, 0.5, "test"))
        [path] = (Path(temporary) / "corpus").rglob("*.tif*")
        processor = TileImageProcessor()
        with open_slide(path) as slide:
            tiling = tile_slide(slide, processor)
        tables, tiles = jpeg_tiles(path, len(tiling) * tiling.read_px**2)
        halves = [tiles[half::WORKERS] for half in range(WORKERS)]
        variants = {
            "loop_1_process": lambda: loop(path, tiling),
            "threads": lambda: threads(path, tiling),
            "jpeg_1_process": lambda: decode(tables, tiles),
            "jpeg_2_processes": lambda: list(pool.map(decode, [tables] * WORKERS, halves)),
        }
        seconds = {name: [] for name in variants}
        for round_number in range(ROUNDS + 1):
            for name, function in variants.items():
                start = time.perf_counter()
                function()
                if round_number:  # the first is a warm-up
                    seconds[name].append(time.perf_counter() - start)
        best = {name: min(times) for name, times in seconds.items()}
        encoder, start = resnet(Path(temporary) / "resnet"), time.perf_counter()
        encode(path, replace(tiling, coordinates=tiling.coordinates[:ENCODED]), encoder, processor)
        with_encoder = time.perf_counter() - start
    write_result(
        "tiling",
        {
            "tiles": len(tiling),
            "seconds": {name: round(value, 3) for name, value in best.items()},
            "tiles_per_second": {name: round(len(tiling) / value, 1) for name, value in best.items()},
            "speed_up": round(best["loop_1_process"] / best["threads"], 3),
            "bound": BOUND,
            "with_resnet18": {
                "tiles": ENCODED,
                "seconds": round(with_encoder, 1),
                "tiles_per_second": round(ENCODED / with_encoder, 1),
            },
        },
    )


if __name__ == "__main__":
    main()
