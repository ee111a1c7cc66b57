"""Reading and encoding tiles: every tile once, batches across slides, handles closed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from hf_medreport.inference.tiles.encode import SlideRun, TileReaders, encode_slides
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.patch_encoder import PatchEncoder
from hf_medreport.processing.slide_reading import open_slide
from hf_medreport.processing.slide_tiling import read_tile, tile_slide
from tests.inference.tiles.tiny_slides import PATCH, damage, save_encoder, tissue, write_cohort, write_slide

PROCESSOR = TileImageProcessor(patch_px=PATCH, tissue="otsu", size=32)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return PatchEncoder.from_pretrained(save_encoder(tmp_path_factory.mktemp("encoder") / "tiny"))


def prepared(path: Path) -> SlideRun:
    with open_slide(path) as slide:
        return SlideRun(path, path.with_suffix(".safetensors"), tiling=tile_slide(slide, PROCESSOR))


def encode(runs, encoder, batch_size=8):
    return list(encode_slides(runs, encoder, PROCESSOR, batch_size=batch_size, workers=2))


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_vectors_are_those_of_the_tiles_one_by_one(tmp_path, encoder, batch_size):
    paths = write_cohort(tmp_path / "slides", 2)
    runs = encode(map(prepared, paths), encoder, batch_size)
    assert [run.path for run in runs] == paths
    for run in runs:
        with open_slide(run.path) as slide:
            tiles = [read_tile(slide, run.tiling, index) for index in range(len(run.tiling))]
        expected = np.concatenate([encoder.encode(tile[None], PROCESSOR) for tile in tiles])
        np.testing.assert_allclose(run.features, expected, atol=1e-5)


def test_batches_are_filled_across_slides(tmp_path, encoder, monkeypatch):
    sizes = []
    vectors = encoder.vectors
    monkeypatch.setattr(encoder, "vectors", lambda pixels: sizes.append(len(pixels)) or vectors(pixels))
    runs = [prepared(path) for path in write_cohort(tmp_path / "slides", 3)]
    tiles = sum(len(run.tiling) for run in runs)
    encode(runs, encoder, 20)
    assert tiles % 20 and sizes == [20] * (tiles // 20 + 1)  # all full, the last with zeros


def test_a_damaged_tile_ends_its_slide_only(tmp_path, encoder):
    paths = write_cohort(tmp_path / "slides", 3)
    runs = [prepared(path) for path in paths]
    damage(paths[1])
    states = {run.path: run for run in encode(runs, encoder)}
    assert [states[path].state for path in paths] == ["encoding", "failed", "encoding"]
    assert states[paths[1]].message.startswith("slide1.tiff: found damaged pixels at (")
    assert states[paths[1]].features is None
    untouched = encode([prepared(paths[2])], encoder)[0]
    np.testing.assert_array_equal(states[paths[2]].features, untouched.features)


def test_a_slide_that_goes_away_ends_alone(tmp_path, encoder):
    paths = write_cohort(tmp_path / "slides", 2)
    runs = [prepared(path) for path in paths]
    paths[0].unlink()
    failed, done = encode(runs, encoder)
    assert failed.message.startswith("slide0.tiff: found no such file; ")
    assert (failed.state, done.state, done.left) == ("failed", "encoding", 0)


def test_runs_that_need_no_encoding_are_handed_through(tmp_path, encoder):
    [path] = write_cohort(tmp_path / "slides", 1)
    kept = SlideRun(path, path, state="kept")
    assert encode([kept], encoder) == [kept]


def test_handles_are_closed_over_many_slides(tmp_path, encoder):
    paths = write_cohort(tmp_path / "slides", 12)
    process, open_files = psutil.Process(), []

    def runs():
        for path in paths:
            yield prepared(path)
            open_files.append(sum(file.path.startswith(str(tmp_path)) for file in process.open_files()))

    encode(runs(), encoder)
    assert max(open_files) <= 2  # one a thread
    assert not any(file.path.startswith(str(tmp_path)) for file in process.open_files())


def test_readers_read_what_read_tile_reads(tmp_path):
    path = write_slide(tmp_path / "slide.tiff", tissue(0))
    run = prepared(path)
    with TileReaders(2) as readers, open_slide(path) as slide:
        pending = [readers.submit(path, None, run.tiling, range(start, start + 4)) for start in range(0, 32, 4)]
        tiles = [tile for future in pending for tile in future.result()]
        assert len(tiles) == 32
        for index, tile in enumerate(tiles):
            np.testing.assert_array_equal(tile, read_tile(slide, run.tiling, index))


def test_an_unencoded_run_is_small():
    assert "features" not in repr(replace(SlideRun(Path("a"), Path("b")), features=np.zeros((9, 9))))
