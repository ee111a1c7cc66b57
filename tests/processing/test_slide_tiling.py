"""The grid: coordinates worked by hand, and the laws that any grid keeps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.slide_tiling import Tiling, read_tile, region_grid, tile_slide
from hf_medreport.processing.slide_tissue import TissueRegion
from tests.processing.slide_files import PINK, array_slide, glass


def rectangle(left, top, right, bottom):
    return np.array([[left, top], [left, bottom], [right, bottom], [right, top]], np.int32)


def grid(contour, *holes, side=512, step=512):
    return region_grid(TissueRegion(contour, holes), side, step).tolist()


def test_column_by_column():
    assert grid(rectangle(100, 50, 1123, 1073)) == [[100, 50], [100, 562], [612, 50], [612, 562]]


def test_one_of_four_points_a_quarter_from_the_center_is_enough():
    # The column at 1024 has its points at 1024 + 256 - 128 = 1152 and at 1408.
    assert len(grid(rectangle(0, 0, 1151, 511))) == 2
    assert len(grid(rectangle(0, 0, 1152, 511))) == 3  # on the outline counts
    assert len(grid(rectangle(0, 0, 1535, 127))) == 0  # the upper points lie at 128
    assert len(grid(rectangle(0, 0, 1535, 128))) == 3


def test_a_center_in_a_hole():
    tissue = rectangle(0, 0, 1023, 1023)
    assert [512, 512] not in grid(tissue, rectangle(700, 700, 900, 900))  # the center is (768, 768)
    assert [512, 512] in grid(tissue, rectangle(768, 700, 900, 900))  # on the rim of a hole is not in it
    # All four points may lie in the hole: only the center is asked about holes.
    assert len(grid(tissue, rectangle(769, 0, 1023, 1023))) == 4


def test_an_island_in_the_order_of_its_own_box():
    triangle = np.array([[0, 0], [0, 2047], [2047, 2047]], np.int32)  # tissue where x <= y
    # A tile at (x, y) has a point inside if its left lower one does: x + 128 <= y + 384.
    assert grid(triangle) == [[x, y] for x in range(0, 2048, 512) for y in range(0, 2048, 512) if x <= y + 256]


def test_a_slide_by_the_original_preset_from_end_to_end():
    # Tissue from 256 to 3840 is px 4 to 59 at 64x; OpenCV's closing by an even square moves it to 5 to 60, so the
    # outline spans 320 to 3840: 7 columns from 320 on, the last at 3392 with points at 3520 and 3776.
    # The hole, px 20 to 39, moves to 21 to 40; its outline at 20 and 41 spans 1280 to 2624. Of the centers 576 + 512 k
    # 1600 and 2112 lie in it, 2624 on its rim.
    pixels = glass(4096, 4096, (256, 256, 3840, 3840), (1280, 1280, 2560, 2560, (255, 255, 255)))
    tiling = tile_slide(array_slide(pixels, (1, 64), mpp=0.5), TileImageProcessor())
    starts = [320 + 512 * k for k in range(7)]
    dropped = {(x, y) for x in (1344, 1856) for y in (1344, 1856)}
    assert tiling.coordinates.tolist() == [[x, y] for x in starts for y in starts if (x, y) not in dropped]
    assert tiling.coordinates.dtype == np.int64
    assert (tiling.level, tiling.read_px, tiling.patch_px, tiling.level0_px, tiling.mpp) == (0, 512, 512, 512, 0.5)


def test_the_original_drops_a_region_of_one_tile():
    # Outlines from 320 to 2560 and from 3072 to 8128: one tile of 2,300 px, and two side by side.
    pixels = glass(8448, 2816, (256, 256, 2560, 2560), (3008, 256, 8128, 2560))
    tiling = tile_slide(array_slide(pixels, (1, 64)), TileImageProcessor(patch_px=2300))
    assert tiling.coordinates.tolist() == [[3072, 320], [5372, 320]] and len(tiling.tissue) == 1


@settings(max_examples=40, deadline=None)
@given(
    columns=st.integers(1, 6),
    rows=st.integers(1, 6),
    patch_px=st.integers(16, 50),
    rest=st.integers(0, 40),
    data=st.data(),
)
def test_tiles_of_a_slide_full_of_tissue(columns, rows, patch_px, rest, data):
    overlap_px = data.draw(st.integers(0, patch_px - 1))
    width, height = columns * patch_px + rest, rows * patch_px + rest
    slide = array_slide(np.full((height, width, 3), PINK, np.uint8))
    tiling = tile_slide(slide, TileImageProcessor(patch_px=patch_px, overlap_px=overlap_px, tissue="otsu"))
    # Inside the slide, a step apart, each once, column by column.
    assert (tiling.coordinates >= 0).all() and (tiling.coordinates < [width, height]).all()
    assert (tiling.coordinates % (patch_px - overlap_px) == 0).all()
    assert tiling.coordinates.tolist() == sorted(map(list, {tuple(corner) for corner in tiling.coordinates}))
    covered = np.zeros((height, width), int)
    for x, y in tiling.coordinates:
        covered[y : y + patch_px, x : x + patch_px] += 1
    # What is left bare is a rim that is thinner than the quarter of a tile and the grain of the mask.
    rim = patch_px // 4 + 1 + patch_px // 16
    assert covered[: height - rim, : width - rim].min() >= 1
    if overlap_px == 0:
        assert covered.max() == 1
        if rest == 0:
            assert covered.min() == 1


@pytest.mark.parametrize(
    ("mpp", "level", "read_px", "level0_px"),
    [
        (0.25, 0, 64, 64),
        (0.26, 0, 67, 67),  # 64 * 0.26 / 0.25 = 66.56
        (0.23, 0, 59, 59),  # a little finer than the slide is allowed: 58.88
        (0.75, 0, 192, 192),
        (1.0, 1, 64, 256),
        (2.0, 1, 128, 512),
    ],
)
def test_one_resolution_for_every_slide(mpp, level, read_px, level0_px):
    slide = array_slide(np.full((1024, 1024, 3), PINK, np.uint8), (1, 4), mpp=0.25)
    tiling = tile_slide(slide, TileImageProcessor(patch_px=64, mpp=mpp, tissue="otsu"))
    assert (tiling.level, tiling.read_px, tiling.level0_px, tiling.mpp) == (level, read_px, level0_px, mpp)
    assert np.unique(np.diff(np.unique(tiling.coordinates[:, 0]))).tolist() == [level0_px]
    tile = read_tile(slide, tiling, 0)
    assert tile.shape == (64, 64, 3) and (tile == PINK).all()


def test_a_level_off_its_nominal_downsample_still_counts():
    slide = array_slide(np.full((1024, 1024, 3), PINK, np.uint8), (1, 4), mpp=0.25)
    slide.downsamples = (1.0, 4.0004)
    tiling = tile_slide(slide, TileImageProcessor(patch_px=64, mpp=1.0, tissue="otsu"))
    assert (tiling.level, tiling.read_px) == (1, 64)


def test_a_tile_shows_its_place():
    pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    tiling = Tiling(np.array([[280, 20]]), 0, 64, 64, 64, None, [])
    tile = read_tile(array_slide(pixels), tiling, 0)
    np.testing.assert_array_equal(tile[:, :20], pixels[20:84, 280:])
    assert (tile[:, 20:] == 255).all()  # over the edge
    halved = read_tile(array_slide(pixels), Tiling(np.array([[100, 20]]), 0, 64, 32, 64, None, []), 0)
    expected = Image.fromarray(pixels[20:84, 100:164]).resize((32, 32), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(halved, np.asarray(expected))
