"""Tiles of many slides -> vectors: read and prepared by threads, encoded in full batches, both at the same time.

A batch may hold the tiles of two slides, and every batch is of the same size (the last is filled up with zeros): a
tile's vector then depends neither on its neighbors nor on where a killed run went on. The threads resize without
Python's lock, and wait for the processes in which OpenSlide decodes (`processing/slide_child.py`;
`benchmarks/speed/tiling.py` times it).
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from hf_medreport.files.items import why
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.patch_encoder import PatchEncoder
from hf_medreport.processing.slide_reading import Slide, open_slide
from hf_medreport.processing.slide_tiling import Tiling, read_tile

# Neighbors in the list lie side by side and share tiles of the file: who reads them together decodes these once.
READ_TOGETHER = 8


@dataclass
class SlideRun:
    """One slide on its way, or at its end.

    Attributes:
        path: of the slide.
        slide_mpp: microns per level-0 px that were said of it; from "encoding" on those that it is read with.
        file: where its features go; None where another process writes them.
        state: "encoding", then "done" or "failed"; "kept" where the file was there, "elsewhere" where another process
            has it.
        message: why it failed, or why a file that was there was made anew.
        notes: what has to be known of it: its resolution, and that much was taken for ink.
        ink: share of what is stained that was taken for ink; None where no ink is looked for.
        tiling: where its tiles lie, from "encoding" on.
        info: the header of its file.
        picture: its overlay, if one is wanted.
        features: (tiles, width) float32, filled batch by batch; `left` of them are missing.
    """

    path: Path
    file: Path | None
    slide_mpp: float | None = None
    state: str = "encoding"
    message: str = ""
    notes: tuple[str, ...] = ()
    tiles: int = 0
    ink: float | None = None
    seconds: float = 0.0
    started: float = 0.0
    tiling: Tiling | None = field(default=None, repr=False)
    info: dict[str, str] = field(default_factory=dict)
    picture: Image.Image | None = field(default=None, repr=False)
    features: np.ndarray | None = field(default=None, repr=False)
    left: int = 0

    def fail(self, message: str) -> None:
        """End the slide with what was wrong; nothing of it is kept."""
        self.state, self.message, self.features, self.picture = "failed", message, None, None


class TileReaders:
    """Threads that read tiles; a context manager. Each holds the slide open that it read last, and no other.

    Args:
        workers: threads.
        prepare: what a thread does with a tile (patch_px, patch_px, 3) before it hands it over.
    """

    def __init__(self, workers: int, prepare: Callable[[np.ndarray], np.ndarray] = lambda tile: tile):
        self._prepare, self._own, self._open = prepare, threading.local(), set()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="tiles")

    def __enter__(self) -> "TileReaders":
        return self

    def __exit__(self, *_) -> None:
        self._pool.shutdown(cancel_futures=True)
        for slide in self._open:
            slide.close()

    def submit(self, path: Path, slide_mpp: float | None, tiling: Tiling, indices: range) -> Future:
        """The tiles of these indices, to come as a list."""
        return self._pool.submit(self._read, path, slide_mpp, tiling, indices)

    def _read(self, path: Path, slide_mpp: float | None, tiling: Tiling, indices: range) -> list[np.ndarray]:
        slide = self._slide(path, slide_mpp)
        return [self._prepare(read_tile(slide, tiling, index)) for index in indices]

    def _slide(self, path: Path, slide_mpp: float | None) -> Slide:
        """This thread's own handle: one that several threads share dies for all of them at the first damaged tile."""
        held_path, slide = getattr(self._own, "held", (None, None))
        if held_path != path:
            if slide is not None:
                slide.close()
                self._open.discard(slide)
            slide = open_slide(path, slide_mpp, override_slide_mpp=True)  # whatever its file says
            self._open.add(slide)
            self._own.held = path, slide
        return slide


def encode_slides(
    runs: Iterable[SlideRun],
    encoder: PatchEncoder,
    processor: TileImageProcessor,
    *,
    batch_size: int,
    workers: int,
    on_batch: Callable[[int], None] = lambda tiles: None,
) -> Iterator[SlideRun]:
    """Fill the features of slides.

    Args:
        runs: slides with a tiling; those that are not "encoding" are handed through.
        encoder, processor: tile -> vector.
        batch_size: tiles a pass.
        workers: threads that read.
        on_batch: told how many tiles were encoded.

    Yields:
        Each run when its features are full ("encoding", none left) or it has failed.
    """

    def prepare(tile: np.ndarray) -> np.ndarray:
        return processor([tile])["pixel_values"][0]  # (3, size, size)

    waiting: deque[tuple[SlideRun, range, Future]] = deque()
    ready: deque[tuple[SlideRun, int, np.ndarray]] = deque()
    with TileReaders(workers, prepare) as readers:

        def encode() -> Iterator[SlideRun]:
            """One batch, after the readers have brought what it takes; yields the runs that end with it."""
            while waiting and len(ready) < batch_size:
                run, indices, future = waiting.popleft()
                if run.state == "failed":
                    future.cancel()
                    continue
                try:
                    ready.extend(zip([run] * len(indices), indices, future.result(), strict=True))
                except Exception as error:
                    run.fail(why(run.path.name, error))
                    yield run
            batch = [ready.popleft() for _ in range(min(batch_size, len(ready)))]
            yield from _encode_batch(batch, encoder, batch_size)
            on_batch(len(batch))

        for run in runs:
            if run.state != "encoding":
                yield run
                continue
            run.left = len(run.tiling)
            run.features = np.empty((run.left, encoder.width), np.float32)
            for start in range(0, len(run.tiling), READ_TOGETHER):
                if run.state == "failed":
                    break
                indices = range(start, min(start + READ_TOGETHER, len(run.tiling)))
                waiting.append((run, indices, readers.submit(run.path, run.slide_mpp, run.tiling, indices)))
                # The second batch is read while the first is encoded.
                while len(ready) + READ_TOGETHER * len(waiting) >= 2 * batch_size + READ_TOGETHER * workers:
                    yield from encode()
        while waiting or ready:
            yield from encode()


def _encode_batch(batch: list[tuple], encoder: PatchEncoder, batch_size: int) -> Iterator[SlideRun]:
    """Encode a batch of (run, index, pixels); yields the runs that it fills."""
    batch = [entry for entry in batch if entry[0].state == "encoding"]
    if not batch:
        return
    full = np.zeros((batch_size, *batch[0][2].shape), np.float32)
    full[: len(batch)] = [pixels for _, _, pixels in batch]
    try:
        vectors = encoder.vectors(torch.from_numpy(full)).float().cpu().numpy()
    except Exception as error:
        for run in {id(run): run for run, _, _ in batch}.values():
            run.fail(why(run.path.name, error))
            yield run
        return
    for (run, index, _), vector in zip(batch, vectors, strict=False):  # the zeros at the end belong to nobody
        run.features[index] = vector
        run.left -= 1
        if run.left == 0:
            yield run
