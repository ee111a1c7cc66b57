"""Tissue masks: outlines worked by hand, and what is no tissue."""

import numpy as np
import pytest

from hf_medreport.processing import slide_tissue
from hf_medreport.processing.slide_tissue import find_tissue, outlined_regions
from tests.processing.slide_files import PINK, array_slide, glass


def box(contour):
    """(left, top, right, bottom), the ends included."""
    return (*contour.min(axis=0), *contour.max(axis=0))


def test_outlines_and_holes_in_level_0_px():
    mask = np.zeros((30, 40), np.uint8)
    mask[2:22, 4:34] = 255  # 20 rows, 30 columns; its outline runs through px centers: 19 x 29 = 551
    mask[6:10, 8:12] = 0  # the outline of a hole runs on the tissue around it and cuts its corners: 5 x 5 - 2 = 23
    mask[6:18, 16:30] = 0  # 13 x 15 - 2 = 193
    mask[24:29, 4:9] = 255  # 4 x 4 = 16
    both, small = outlined_regions(mask, (10.0, 20.0), 10, 22), outlined_regions(mask, (10.0, 20.0), 16, 23)
    assert sorted(box(region.contour) for region in both) == [(40, 40, 330, 420), (40, 480, 80, 560)]
    (region,) = small  # 16 is not more than 16
    assert [box(hole) for hole in region.holes] == [(150, 100, 300, 360)]  # and 23 not more than 23
    large = next(region for region in both if region.holes)
    assert [box(hole) for hole in large.holes] == [(150, 100, 300, 360), (70, 100, 120, 200)]  # the largest first
    # Its holes do not count for the area of a region: 551 - 23 - 193 = 335.
    assert outlined_regions(mask, (1.0, 1.0), 335, 1) == []
    assert len(outlined_regions(mask, (1.0, 1.0), 334, 1)) == 1


def test_no_more_than_the_largest_holes():
    mask = np.full((9, 99), 255, np.uint8)
    for index in range(9):
        mask[2 : 3 + index // 2, 10 * index + 3 : 10 * index + 8] = 0
    assert len(outlined_regions(mask, (1.0, 1.0), 0, 0)[0].holes) == 9
    assert len(outlined_regions(mask, (1.0, 1.0), 0, 0, max_holes=8)[0].holes) == 8


def test_tcga_works_on_the_level_nearest_to_64():
    # At 64x the tissue is 44 x 44 px, more than 16 squares of 8 x 8; the island of 12 x 12 is not.
    # OpenCV's closing by an even square moves it by one px: 4 to 47 becomes 5 to 48.
    pixels = glass(4096, 4096, (256, 256, 3072, 3072), (3264, 3264, 4032, 4032))
    (region,) = find_tissue(array_slide(pixels, (1, 64))).regions
    assert box(region.contour) == (5 * 64, 5 * 64, 48 * 64, 48 * 64)


def test_tcga_takes_saturation_above_8():
    def slide(saturation):
        other = round(200 * (1 - saturation / 255))
        return array_slide(glass(4096, 4096, (0, 0, 3072, 3072), color=(200, other, other)), (1, 64))

    assert len(find_tissue(slide(11)).regions) == 1
    with pytest.raises(ValueError, match="no tissue"):
        find_tissue(slide(7))


def test_a_level_too_large_for_a_mask_is_shrunk(monkeypatch):
    pixels = glass(800, 600, (80, 80, 640, 480))
    whole = find_tissue(array_slide(pixels), "otsu", tile_px=16).regions
    monkeypatch.setattr(slide_tissue, "MAX_MASK_PIXELS", 800 * 600 // 4)
    shrunk = find_tissue(array_slide(pixels), "otsu", tile_px=16).regions
    for first, second in zip(box(whole[0].contour), box(shrunk[0].contour), strict=True):
        assert abs(first - second) <= 2


INKS = {"green": (20, 140, 110), "blue": (30, 70, 200), "red": (225, 30, 60), "black": (30, 20, 25)}


@pytest.mark.parametrize("ink", INKS.values(), ids=INKS)
def test_ink_is_cut_off_by_otsu_and_kept_by_tcga(ink):
    tissue, line = (64, 64, 1024, 1984), (1280, 64, 1600, 1984, ink)
    slide = array_slide(glass(2048, 2048, tissue, line))
    (region,) = find_tissue(slide, "otsu", tile_px=128).regions
    assert box(region.contour)[2] < 1024
    across = array_slide(glass(2048, 2048, tissue, (256, 512, 800, 900, ink)))
    (region,) = find_tissue(across, "otsu", tile_px=128).regions
    assert len(region.holes) == 1  # a mark on the tissue is a hole in it
    large = array_slide(glass(4096, 4096, (64, 64, 4032, 4032), color=ink), (1, 64))
    if ink != INKS["black"]:  # black has hardly a saturation
        assert len(find_tissue(large, "tcga").regions) == 1


def test_otsu_keeps_a_slide_that_is_all_tissue():
    rng = np.random.default_rng(0)
    pixels = (np.array(PINK) + rng.integers(-20, 20, (256, 256, 1))).astype(np.uint8)
    (region,) = find_tissue(array_slide(pixels), "otsu", tile_px=64).regions
    assert min(box(region.contour)[2:]) >= 252 and not region.holes


@pytest.mark.parametrize(("gap", "pieces"), [(24, 1), (80, 2)])
def test_otsu_joins_what_lies_a_quarter_of_a_tile_apart(gap, pieces):
    # A px of the mask is 128 / 16 = 8 px, so the closing bridges up to 4 x 8 = 32.
    pixels = glass(1024, 512, (64, 64, 400, 448), (400 + gap, 64, 900, 448))
    assert len(find_tissue(array_slide(pixels), "otsu", tile_px=128).regions) == pieces
