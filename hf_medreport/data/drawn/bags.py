"""Phantom slides as training data: tiles with what they show, and bags of features, drawn by several processes.

A slide is drawn in memory and tiled as any slide is; nothing is written but the features. Case i depends only on the
corpus, so the number of processes changes nothing, and a killed run goes on with the first bag that is missing.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache, partial
from multiprocessing import parent_process
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from hf_medreport.data.drawn.corpus import draw_in_order
from hf_medreport.phantom.slide.corpus import SlideCase, SlideCorpus
from hf_medreport.phantom.slide.findings import BENIGN, DIAGNOSES, GRADES, MOST_MITOSES, SITES
from hf_medreport.processing.feature_files import PatchFeatures, validate_features, write_features
from hf_medreport.processing.feature_origin import made_with
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.patch_encoder import PatchEncoder
from hf_medreport.processing.slide_reading import open_slide
from hf_medreport.processing.slide_tiling import read_tile, tile_slide

__all__ = ["TRAITS", "draw_bags", "draw_tiles", "each_case", "tiles_of"]

SHARES = ("tissue", "tumor", "necrosis", "inflammation", "node", "ink")
CANCERS = tuple((site, name) for site, names in DIAGNOSES.items() for name in names if name != BENIGN)
# What a tile can be asked: shares of it, then what only normal tissue or only a tumor shows.
TRAITS = (*SHARES, *SITES, *CANCERS, *GRADES, "mitoses")
MOSTLY = 0.5


def tiles_of(case: SlideCase, settings: TileImageProcessor) -> tuple[np.ndarray, np.ndarray, int]:
    """All tiles of one case.

    Returns:
        tiles uint8 (tiles, px, px, 3), coordinates int64 (tiles, 2) and the tiles' side in level-0 px.
    """
    picture = case.drawing.region(0, 0, case.size, case.size)
    with open_slide(picture, slide_mpp=case.mpp) as slide:
        tiling = tile_slide(slide, settings)
        tiles = np.stack([read_tile(slide, tiling, index) for index in range(len(tiling))])
    return tiles, tiling.coordinates, tiling.level0_px


def traits_of(case: SlideCase, x: int, y: int, side: int) -> np.ndarray:
    """The truth about one tile, float32 (traits,) in 0 to 1; nan where the tile cannot be asked."""
    facts, size = case.facts, case.size
    shares = case.drawing.truth(x, y, min(side, size - x), min(side, size - y))
    found = dict.fromkeys(TRAITS, np.nan) | {name: shares[name] for name in SHARES}
    if shares["tissue"] > MOSTLY and shares["tumor"] < MOSTLY and not shares["node"]:
        found |= {site: site == facts.site for site in SITES}
    if shares["tumor"] > MOSTLY and not shares["node"]:
        found |= {cancer: cancer == (facts.site, facts.diagnosis) for cancer in CANCERS}
        found |= {grade: grade == facts.grade for grade in GRADES}
        found["mitoses"] = facts.mitoses / MOST_MITOSES
    return np.array([found[trait] for trait in TRAITS], np.float32)


def draw_tiles(
    corpus: SlideCorpus, settings: TileImageProcessor, workers: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The tiles of all slides, resized for the encoder, and their truth.

    Returns:
        uint8 (tiles, size, size, 3) and float32 (tiles, traits).
    """
    parts = list(each_case(corpus, partial(_tiles_with_traits, settings=settings), workers, "drawing tiles"))
    return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))


def draw_bags(
    corpus: SlideCorpus,
    encoder: str | os.PathLike,
    settings: TileImageProcessor,
    folder: str | os.PathLike,
    workers: int | None = None,
) -> list[Path]:
    """One feature file a slide in `folder`; files that are there and whole are kept.

    Args:
        corpus: the slides.
        encoder: folder of the patch encoder.
        settings: how slides are tiled.
        folder: made when absent.

    Returns:
        The files in the order of the corpus.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    task = partial(_write_bag, encoder=str(encoder), settings=settings, folder=Path(folder))
    return list(each_case(corpus, task, workers, "drawing slides"))


def each_case(corpus: SlideCorpus, task: Callable, workers: int | None, title: str | None) -> Iterator:
    """`task(corpus, index)` for all slides in their order, with a bar of this title (None: without).

    Args:
        workers: processes; None is one a core, 1 works in this process.
    """
    workers = min(workers or os.cpu_count() or 1, len(corpus))
    here = (task(corpus, index) for index in range(len(corpus)))
    with closing(here if workers == 1 else draw_in_order(corpus, task, workers)) as results:
        yield from tqdm(results, title, len(corpus), disable=title is None, leave=False)


def _tiles_with_traits(corpus: SlideCorpus, index: int, settings: TileImageProcessor):
    case = corpus[index]
    tiles, coordinates, side = tiles_of(case, settings)
    small = np.stack([settings.resized(tile) for tile in tiles])
    return small, np.stack([traits_of(case, int(x), int(y), side) for x, y in coordinates])


def _write_bag(corpus: SlideCorpus, index: int, encoder: str, settings: TileImageProcessor, folder: Path) -> Path:
    case, loaded = corpus[index], _encoder(encoder)
    path = folder / f"{case.case_id}.safetensors"
    info = {"slide": case.case_id, "size": str(case.size), "slide_mpp": str(case.mpp)}
    info |= made_with(loaded.revision, settings, settings.mpp or case.mpp)
    if path.exists():
        try:
            validate_features(path, info)
            return path
        except InputError:  # of another encoder, or cut: drawn again
            path.unlink()
    tiles, coordinates, side = tiles_of(case, settings)
    features = loaded.encode(tiles, settings)
    return write_features(path, PatchFeatures(features, coordinates, {**info, "level0_px": str(side)}))


@cache
def _encoder(folder: str) -> PatchEncoder:
    """Loaded once a process."""
    if parent_process() is not None:  # one of several: the other cores have workers of their own
        torch.set_num_threads(1)
    return PatchEncoder.from_pretrained(folder)
