"""The overlay: what is drawn lies where the tiles are."""

import numpy as np

from hf_medreport.inference.figures.tiles import GRID, HOLE, OUTLINE, overlay
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.slide_tiling import tile_slide
from tests.processing.slide_files import PINK, array_slide, glass

SLIDE = array_slide(glass(800, 400, (100, 100, 500, 300), (260, 160, 340, 240, (255, 255, 255))))
TILING = tile_slide(SLIDE, TileImageProcessor(patch_px=100, tissue="otsu"))


def of_color(picture, color):
    return (np.asarray(picture) == color).all(axis=2)


def test_outlines_holes_and_grid():
    picture = overlay(SLIDE, TILING, longest_px=400)
    assert picture.size == (400, 200) and picture.mode == "RGB"
    for color, (left, right) in ((OUTLINE, (50, 250)), (HOLE, (129, 170))):
        columns = np.flatnonzero(of_color(picture, color).any(axis=0))
        assert abs(columns.min() - left) <= 3 and abs(columns.max() - right) <= 3
    assert of_color(picture, GRID).any()
    assert not of_color(picture, GRID)[:, 260:].any()


def test_heat_fills_the_tiles_by_their_weight():
    heat = np.zeros(len(TILING))
    heat[0] = 2.0
    picture = np.asarray(overlay(SLIDE, TILING, longest_px=800, heat=heat)).astype(int)
    (x, y), last = TILING.coordinates[0], TILING.coordinates[-1]
    np.testing.assert_array_equal(picture[last[1] + 50, last[0] + 50], PINK)  # a tile of weight 0 stays as it is
    # The strongest: 0.75 of the last color (252, 255, 164), 0.25 of the slide (200, 100, 160).
    np.testing.assert_allclose(picture[y + 50, x + 50], (239, 216, 163), atol=1)


def test_the_slide_is_not_touched():
    before = SLIDE.thumbnail(400).copy()
    overlay(SLIDE, TILING, longest_px=400, heat=np.ones(len(TILING)))
    np.testing.assert_array_equal(SLIDE.thumbnail(400), before)
