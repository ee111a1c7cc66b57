"""Known-truth slides on disk: tiled pyramidal TIFF, reports in HistGen's layout, facts, the same bytes for any workers.

A slide is drawn in bands of 512 rows by several processes and written as they come, in order. Its coarser levels are
box averages of the level above, gathered while level 0 streams past, so 40,000 x 40,000 px need no more memory than a
few bands and the compressed tiles of the coarser levels. OpenSlide reads the file as a generic TIFF and takes um a
pixel from the resolution tag, so nothing claims to come from a scanner.

    write_slides("slides", SlideCorpus(n=8, seed=0, size=8192, mpp=0.5, split="test"))
    openslide.OpenSlide("slides/slides/phantom-slide-test-0-000000.tiff")
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.util import find_spec

import numpy as np

from hf_medreport.data.drawn.corpus import draw_in_order
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.phantom.slide.chance import numbers, opencv
from hf_medreport.phantom.slide.corpus import SlideCase, SlideCorpus
from hf_medreport.phantom.slide.drawing import SlideDrawing
from hf_medreport.processing.input_error import InputError

__all__ = ["write_slides"]

TILE, BAND, STEP = 256, 512, 4  # px; rows drawn at a time; from one level to the next
SMALLEST = 1024  # px: a level of this side or more has a coarser one
QUALITY = 88  # of the JPEG tiles
SPLITS = {"train": "train", "validation": "val", "test": "test", "held_back_style": "test"}  # ours -> HistGen's
STATEMENT = "These slides are drawn by a program: no tissue was taken, and no clinical claim follows from them."
PACKAGES = ("numpy", "scipy", "opencv-python-headless", "tifffile", "imagecodecs")  # what decides about bytes


def write_slides(
    out: str | os.PathLike,
    corpus: SlideCorpus,
    workers: int | None = None,
    pen_share: float = 0.0,
    progress: Callable[[Iterable], Iterable] = iter,
    resume: bool = False,
    overwrite: bool = False,
) -> dict:
    """Draw a corpus of slides into a folder.

    Args:
        out: the folder; new or empty.
        corpus: what to draw.
        workers: processes that draw; by default one a core.
        pen_share: share of the slides with a pen stroke on the glass, 0 to 1.
        progress: wraps the cases as they are written.
        resume, overwrite: of `RunFolder`. A slide that is whole is not drawn again.

    Returns:
        the manifest: `{"made_by", "hf_medreport", "arguments", "versions", "statement", "files"}`.

    Raises:
        InputError: an argument out of range, a package that is missing, or a folder that is not writable or holds
            something else.
        OSError: the disk took no more; no file is half-written under its own name.
    """
    if workers is not None and workers < 1:
        raise InputError("workers", str(workers), "at least 1 process", "leave it out for one a core")
    if not 0 <= pen_share <= 1:
        raise InputError("pen_share", str(pen_share), "a share, 0 to 1", "0 for clean glass, 1 for a stroke on each")
    opencv()  # or it is told what to install
    for package in ("tifffile", "imagecodecs"):
        if find_spec(package) is None:
            expected, remedy = f"{package}, which writes slides", "pip install 'hf-medreport[wsi]'"
            raise InputError("phantom slide", f"no {package}", expected, remedy)
    names = ("n", "seed", "size", "mpp", "split", "prevalence", "wordings", "style")
    facts = None if corpus.facts is None else asdict(corpus.facts)
    arguments = {name: getattr(corpus, name) for name in names} | {"facts": facts, "pen_share": pen_share}
    with RunFolder(out, "phantom slide", arguments, resume=resume, overwrite=overwrite, alone=True) as folder:
        if (manifest := folder.finished()) is not None:
            return manifest
        folder.total = corpus.n
        _write_missing(corpus, folder, _Bands(corpus, pen_share), workers, progress)
        rows = [folder.entries[str(index)]["record"] for index in range(corpus.n)]
        split = SPLITS[corpus.split]
        reports = [_annotation(row, split) for row in rows]
        annotation = {each: reports if each == split else [] for each in ("train", "val", "test")}
        folder.write_json("annotation.json", annotation, indent=1)
        folder.write("facts.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
        folder.write("README.md", _card(corpus, arguments).encode())
        return folder.finish(STATEMENT, PACKAGES)


def _write_missing(corpus: SlideCorpus, folder: RunFolder, bands: "_Bands", workers: int | None, progress) -> None:
    """Draw the slides that an earlier run has not left whole."""
    left = [index for index in range(corpus.n) if folder.done(str(index)) is None]
    jobs = [index * bands.a_slide + band for index in left for band in range(bands.a_slide)]
    workers = max(1, min(workers or os.cpu_count() or 1, len(jobs)))
    with closing(draw_in_order(bands, _encode, workers, jobs)) as drawn:
        for index in progress(left):
            case, name = corpus[index], f"slides/{corpus[index].case_id}.tiff"
            with folder.open(name) as file:
                _write_pyramid(file, drawn, case.size, case.mpp)
            row = {"id": case.case_id, "file_name": name, "patient": str(case.patient), "report": case.report}
            folder.add(str(index), row | {"pen": bands.has_pen(case), "facts": asdict(case.facts)}, [name])


def _annotation(row: dict, split: str) -> dict:
    """The entry of a slide as HistGen reads it."""
    return {"id": row["id"], "report": row["report"], "image_path": [row["file_name"]], "split": split}


@dataclass(frozen=True)
class _Bands:
    """All bands of all slides of a corpus, as one row of jobs."""

    corpus: SlideCorpus
    pen_share: float

    @property
    def a_slide(self) -> int:
        return -(-self.corpus.size // BAND)

    @property
    def n(self) -> int:
        return self.corpus.n * self.a_slide

    def has_pen(self, case: SlideCase) -> bool:
        return bool(numbers(21, case.patient & 0xFFFFFFFF, case.patient >> 32, 1)[0] < self.pen_share)


@dataclass(frozen=True)
class _Band:
    """Rows of compressed tiles, and the same pixels at a quarter of the scale, uint8 (rows, columns, 3)."""

    tiles: list[list[bytes]]
    quarter: np.ndarray


def _encode(bands: _Bands, index: int) -> _Band:
    """Draw one band; runs in a worker."""
    case = bands.corpus[index // bands.a_slide]
    drawing = _drawing(case.facts, case.patient, case.size, case.mpp, case.style, bands.has_pen(case))
    y = index % bands.a_slide * BAND
    height = min(BAND, case.size - y)
    rows: list[list[bytes]] = [[] for _ in range(0, height, TILE)]
    quarters = []
    for x in range(0, case.size, BAND):
        pixels = drawing.region(x, y, min(BAND, case.size - x), height)
        quarters.append(_quarter(pixels))
        for row, tiles in enumerate(rows):
            tiles += _tiles(pixels[row * TILE : (row + 1) * TILE])
    return _Band(rows, np.concatenate(quarters, 1))


@lru_cache(maxsize=1)  # the next band is most often of the same slide
def _drawing(*arguments) -> SlideDrawing:
    opencv().setNumThreads(1)  # the other cores have workers of their own
    return SlideDrawing(*arguments)


def _tiles(rows: np.ndarray) -> Iterator[bytes]:
    """JPEG tiles of up to 256 rows; what a tile has beyond the slide repeats its edge."""
    import imagecodecs

    for x in range(0, rows.shape[1], TILE):
        tile = rows[:, x : x + TILE]
        missing = ((0, TILE - tile.shape[0]), (0, TILE - tile.shape[1]), (0, 0))
        tile = np.pad(tile, missing, mode="edge") if tile.shape[:2] != (TILE, TILE) else np.ascontiguousarray(tile)
        yield imagecodecs.jpeg8_encode(tile, QUALITY, colorspace="RGB", outcolorspace="YCBCR", subsampling="420")


def _quarter(pixels: np.ndarray) -> np.ndarray:
    """Means of 4 x 4 px; what does not fill a square is left out."""
    height, width = (side // STEP for side in pixels.shape[:2])
    if not height or not width:
        return np.empty((height, width, 3), np.uint8)
    whole = np.ascontiguousarray(pixels[: height * STEP, : width * STEP])
    return opencv().resize(whole, (width, height), interpolation=opencv().INTER_AREA)


class _Level:
    """A coarser level that grows by rows: compressed as soon as a row of tiles is full, and passed on downwards."""

    def __init__(self, side: int):
        self.side, self.tiles = side, []
        self.rows = np.empty((0, side, 3), np.uint8)
        self.next = _Level(side // STEP) if side >= SMALLEST else None

    def add(self, rows: np.ndarray) -> None:
        self.rows = np.concatenate([self.rows, rows])
        while len(self.rows) >= TILE:
            self._compress(self.rows[:TILE])
            self.rows = self.rows[TILE:]

    def finish(self) -> list["_Level"]:
        """This level and the coarser ones, complete."""
        if len(self.rows):
            self._compress(self.rows)
        return [self, *([] if self.next is None else self.next.finish())]

    def _compress(self, rows: np.ndarray) -> None:
        self.tiles += _tiles(rows)
        if self.next is not None:
            self.next.add(_quarter(rows))


def _write_pyramid(file, drawn: Iterator[_Band], size: int, mpp: float) -> None:
    """Take the bands of one slide and write all its levels."""
    import tifffile

    coarser = _Level(size // STEP) if size >= SMALLEST else None

    def finest() -> Iterator[bytes]:
        for _ in range(0, size, BAND):
            band = next(drawn)
            if coarser is not None:
                coarser.add(band.quarter)
            for row in band.tiles:
                yield from row

    with tifffile.TiffWriter(file, bigtiff=size > 60_000) as tiff:

        def write(tiles: Iterator[bytes], side: int) -> None:
            per_cm = 1e4 / (mpp * size / side)
            look = {"tile": (TILE, TILE), "compression": "jpeg", "photometric": "ycbcr", "subsampling": (2, 2)}
            scale = {"resolution": (per_cm, per_cm), "resolutionunit": "CENTIMETER", "subfiletype": int(side < size)}
            named = {"software": "hf-medreport", "metadata": None}
            tiff.write(tiles, shape=(side, side, 3), dtype=np.uint8, **look, **scale, **named)

        write(finest(), size)
        for level in coarser.finish() if coarser is not None else ():
            write(iter(level.tiles), level.side)


def _card(corpus: SlideCorpus, arguments: dict) -> str:
    """The text of README.md."""
    listed = "\n".join(f"- {name}: {value}" for name, value in arguments.items())
    return f"""---
pretty_name: Known-truth slides
license: apache-2.0
language: en
task_categories: [image-to-text]
tags: [medical, pathology, whole-slide-image, synthetic]
configs:
- config_name: default
  data_files:
  - split: {corpus.split}
    path: "facts.jsonl"
---

# Known-truth slides

{STATEMENT} They test whether a report model says what a slide shows: each was drawn from the facts
beside it, so what a report states can be checked fact by fact. The section stands for 6 cm whatever its size in
pixels; cells have their true size.

`slides/` holds tiled pyramidal TIFFs that OpenSlide opens, `facts.jsonl` the facts and the report of each,
`annotation.json` the reports as HistGen reads them.

Made by `hf-medreport phantom slide` with

{listed}

`manifest.json` holds the versions and the SHA-256 of every file; the same arguments and versions give the same bytes.
"""
