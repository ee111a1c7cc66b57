"""Ink by color, shape and texture: stains that look like markers are tissue, markers on a stained slide are not."""

import cv2
import numpy as np
import pytest
from PIL import Image

from hf_medreport.phantom.slide.drawing import SlideDrawing
from hf_medreport.phantom.slide.findings import SlideFacts
from hf_medreport.processing.image_processing_tile import KEEP_INK, TileImageProcessor
from hf_medreport.processing.slide_ink import ink_mask
from hf_medreport.processing.slide_tiling import tile_slide
from tests.processing.slide_files import PINK, array_slide, glass

HE = [(225, 150, 190), (200, 120, 180), (120, 70, 150)]
STAINS = {
    "H&E": HE,
    "Masson, blue": [(90, 120, 190), (110, 140, 205), (170, 60, 80)],
    "Masson, green": [(110, 170, 150), (90, 150, 130), (170, 60, 80)],
    "Alcian blue and PAS": [(120, 190, 205), (150, 205, 215), (200, 90, 160)],
    "Luxol fast blue": [(70, 110, 180), (90, 140, 200)],
    "Giemsa": [(95, 105, 180), (120, 120, 190), (150, 120, 180)],
    "toluidine blue": [(60, 60, 160), (90, 90, 180)],
    "methyl green": [(90, 170, 160), (130, 200, 190)],
    "DAB": [(70, 40, 25), (80, 45, 30), (100, 60, 40)],
    "dark DAB": [(45, 25, 15), (60, 35, 20)],
    "melanin": [(60, 40, 70), (70, 45, 85)],
    "silver": [(60, 55, 50), (90, 85, 80), (150, 145, 140)],
    "Prussian blue": [(40, 90, 160), (60, 110, 180), (220, 140, 150)],
    "sirius red": [(200, 40, 60), (215, 60, 70), (230, 200, 120)],
    "Grocott": [(100, 180, 150), (80, 160, 130), (50, 50, 45)],
    "blood": [(190, 40, 50), (200, 60, 70), (225, 150, 190)],
}
PENS = {"black": (30, 20, 25), "blue": (30, 70, 200), "green": (20, 140, 110), "red": (225, 30, 60)}
TILES = TileImageProcessor(patch_px=64, level=0, tissue="otsu")


def stained(colors, seed=0):
    """A piece of tissue in patches of its colors, with nuclei and noise: uint8 (384, 512, 3)."""
    rng = np.random.default_rng(seed)
    patches = np.asarray(Image.fromarray(rng.random((12, 16)).astype(np.float32)).resize((512, 384), 3))
    tissue = np.zeros((384, 512), np.uint8)
    cv2.ellipse(tissue, (256, 192), (200, 150), 0, 0, 360, 1, -1)
    picture = np.array(colors, np.uint8)[np.clip(patches * len(colors), 0, len(colors) - 1).astype(int)]
    nuclei = np.zeros(tissue.shape, np.uint8)
    for x, y in rng.integers(0, (512, 384), (1200, 2)):
        cv2.circle(nuclei, (int(x), int(y)), 3, 1, -1)
    picture = picture * np.where(nuclei, 0.6, 1)[..., None]
    picture = np.where(tissue[..., None], picture, 243) + rng.normal(0, 3, (384, 512, 1))
    return np.clip(picture, 0, 255).astype(np.uint8)


def hsv_of(pixels):
    return cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2HSV)


@pytest.mark.parametrize("colors", STAINS.values(), ids=STAINS)
def test_no_stain_is_ink(colors):
    slide = array_slide(stained(colors))
    tiling, all_of_it = (
        tile_slide(slide, TileImageProcessor(patch_px=64, level=0, tissue=tissue)) for tissue in ("otsu", KEEP_INK)
    )
    assert tiling.ink < 0.05 and not tiling.ink_note
    assert len(tiling) >= 0.95 * len(all_of_it)


@pytest.mark.parametrize("pen", PENS.values(), ids=PENS)
@pytest.mark.parametrize("shape", ["ring", "line", "thin"])
def test_a_pen_on_a_stained_slide_is_ink(pen, shape):
    # Green and red are Masson's own; black and blue are not.
    for colors in (HE, STAINS["Masson, green"])[: 2 if pen in (PENS["black"], PENS["blue"]) else 1]:
        pixels, mark = stained(colors, seed=1), np.zeros((384, 512), np.uint8)
        if shape == "ring":
            cv2.ellipse(mark, (256, 192), (150, 110), 0, 0, 360, 1, 28)
        else:
            cv2.line(mark, (20, 30), (490, 300), 1, 28 if shape == "line" else 12)
        pixels[mark > 0] = pen
        small, far = np.asarray(Image.fromarray(pixels).reduce(4)), cv2.dilate(mark, np.ones((33, 33)))
        ink = ink_mask(hsv_of(small), hsv_of(small)[..., 1] > 20)
        assert ink[mark[::4, ::4] > 0].mean() > 0.95
        assert ink[far[::4, ::4] == 0].mean() < 0.05


def test_a_dark_half_is_tissue_and_a_black_frame_is_none():
    # As of a melanoma or a lymph node beside other tissue: 12 columns of pink, 12 of dark.
    dark = array_slide(glass(1024, 512, (64, 64, 448, 448), (448, 64, 832, 448, (62, 42, 66))))
    tiling = tile_slide(dark, TILES)
    assert len(tiling) == 12 * 6 and tiling.ink == 0
    # No light is no tissue, and not ink of which to tell either.
    framed = array_slide(glass(1024, 512, (0, 0, 320, 512, (2, 0, 3)), (448, 64, 832, 448)))
    for tissue in ("otsu", KEEP_INK):
        tiling = tile_slide(framed, TileImageProcessor(patch_px=64, level=0, tissue=tissue))
        assert tiling.coordinates[:, 0].min() >= 444 and not tiling.ink


def test_what_is_lost_is_told_and_can_be_kept():
    # A flat green square, a fifth of the tissue: a mark or a stain, and nothing in it that tells.
    pixels = glass(1024, 512, (64, 64, 832, 448), (100, 100, 340, 340, (90, 150, 130)))
    tiling = tile_slide(array_slide(pixels), TILES)
    assert tiling.ink == pytest.approx(240 * 240 / (768 * 384), rel=0.2)
    kept = tile_slide(array_slide(pixels), TileImageProcessor(patch_px=64, level=0, tissue="otsu-keep-ink"))
    assert kept.ink is None and not kept.ink_note and len(kept) == 72 > len(tiling)
    nothing_else = glass(1024, 512, (100, 100, 104, 104), (200, 0, 328, 512, (20, 140, 110)))
    with pytest.raises(ValueError, match=r"taken for ink; .*otsu-keep-ink"):
        tile_slide(array_slide(nothing_else), TILES)


def test_below_a_tenth_color_decides_alone():
    # A square of pigment, neither stroke nor rough: of a tenth of the stained area and more it is tissue, else ink.
    for side, ink in ((100, True), (120, False)):  # 100 * 100 / 360 ** 2 = 0.08, 120 * 120 / 360 ** 2 = 0.11
        pixels = glass(400, 400, (20, 20, 380, 380), (100, 100, 100 + side, 100 + side, (62, 42, 66)))
        hsv = hsv_of(pixels)
        assert ink_mask(hsv, hsv[..., 1] > 10).any() == ink


@pytest.mark.parametrize("stain", [(120, 70, 150), PINK, (200, 85, 100), (150, 105, 60), (110, 130, 180)], ids=str)
def test_stains_of_which_not_one_pixel_is_proposed(stain):
    # Haematoxylin, eosin, blood, DAB, and the blue counterstain beside it, as a scanner shows them.
    pixels = np.full((20, 20, 3), stain, np.uint8)
    pixels[:, :1] = 0  # with a pixel that is
    assert not ink_mask(hsv_of(pixels), np.ones((20, 20), bool))[:, 8:].any()


def test_the_pen_of_drawn_slides():
    drawing = SlideDrawing(
        SlideFacts("colon", "adenocarcinoma", 2, mitoses=5, margin="negative", size_cm=2.0), 7, 1024, 1.0, pen=True
    )
    pixels = drawing.region(0, 0, 1024, 1024)
    pen = drawing.truth(0, 0, 1024, 1024)["pen"]
    small = hsv_of(np.asarray(Image.fromarray(pixels).reduce(8)))
    assert 0.8 * pen < ink_mask(small, small[..., 1] > 15).mean() < 3 * pen + 0.02
