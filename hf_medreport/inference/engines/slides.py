"""Features of slides by workers on many machines."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import torch

from hf_medreport.files.items import why
from hf_medreport.inference.engines.dispatch import why_of
from hf_medreport.inference.engines.on_ray import RayEngine
from hf_medreport.inference.loading import checked_device
from hf_medreport.inference.tiles.cohort import header, prepare
from hf_medreport.inference.tiles.encode import SlideRun, encode_slides
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.patch_encoder import PatchEncoder

__all__ = ["slide_worker", "slides_by"]

MADE = ("slide_mpp", "state", "message", "notes", "tiles", "ink", "tiling", "info", "picture", "features")


def slides_by(
    engine: RayEngine,
    encoder: dict,
    processor: TileImageProcessor,
    override: bool,
    batch_size: int,
    workers: int | None,
    draw: bool,
    runs: Iterable[SlideRun],
) -> Iterator[SlideRun]:
    """Tile and encode slides; those that are not "encoding" are handed through.

    Args:
        engine: where that is done.
        encoder: arguments of `PatchEncoder.from_pretrained`, the device by its name or None.
        processor: how to tile.
        override: whether what is said of a slide's resolution wins over its own.
        batch_size, workers, draw: as of `tile_cohort`; by default a worker reads with a thread a core that it has.
        runs: the slides.
    """
    name = encoder["name_or_folder"]
    whole = encoder | ({"name_or_folder": os.path.abspath(name)} if Path(name).is_dir() else {})
    make = partial(slide_worker, whole, processor, override, batch_size, workers, draw)
    begun, through = {}, deque()

    def tasks() -> Iterator[tuple[Path, float | None]]:
        for run in runs:
            if run.state == "encoding":
                begun[run.path.absolute()] = run
                yield run.path.absolute(), run.slide_mpp
            else:
                through.append(run)

    for (path, _), made in engine.run(make, tasks()):
        run = begun.pop(path)
        if isinstance(made, Exception):
            run.fail(why_of(path.name, made))
        else:
            before = run.message
            for field in MADE:
                setattr(run, field, getattr(made, field))
            run.message = run.message or before  # why it was made anew
        yield run
        while through:
            yield through.popleft()
    yield from through


def slide_worker(
    encoder: dict,
    processor: TileImageProcessor,
    override: bool,
    batch_size: int,
    workers: int | None,
    draw: bool,
) -> Callable[[tuple[Path, float | None]], SlideRun]:
    """A worker that makes of a slide, and what is said of its resolution, its features and overlay;
    arguments as of `slides_by`."""
    model = PatchEncoder.from_pretrained(**encoder | {"device": checked_device(encoder["device"])})
    made = header(model, processor)
    encode = partial(encode_slides, batch_size=batch_size, workers=workers or torch.get_num_threads())

    def work(task: tuple[Path, float | None]) -> SlideRun:
        path, slide_mpp = task
        run = SlideRun(path, None, slide_mpp, started=time.perf_counter())
        try:
            prepare(run, processor, made, draw, None, override)
        except Exception as error:
            run.fail(why(path.name, error))
        [run] = encode([run], model, processor)
        return run

    return work
