"""Where a slide has tissue: outlines with holes, by one of two presets.

`tcga` is the segmentation of CLAM (Lu et al. 2021) with the settings that HistGen was trained on: saturation above a
fixed 8 on the level nearest to 64x, regions of more than 16 and holes of more than 4 squares of 512 px, at most 8 holes
a region. It has no filter for ink: tiles under a pen mark are cut as the original cuts them.

`otsu` thresholds the saturation by Otsu's method and takes ink off the mask (see `slide_ink`). It keeps regions down
to a quarter of a tile. Gray background, white glass and shadows have no saturation; no preset takes them for tissue.

`otsu-keep-ink` is `otsu` with whatever looks like ink: for stains and pigments that it takes for ink.

A level of more than 100 million px, which CLAM refuses (it happens where a slide has no pyramid), is shrunk by a box
average while it is read, so that memory stays below 0.5 GB; only there does `tcga` differ from the original.
"""

from dataclasses import dataclass

import numpy as np

from .image_processing_tile import KEEP_INK, TISSUE_PRESETS
from .input_error import InputError
from .slide_ink import VOID, ink_mask
from .slide_reading import Slide
from .slide_sources import INSTALL

try:
    import cv2
except ImportError:
    cv2 = None

MAX_MASK_PIXELS = 100_000_000
CLAM_DOWNSAMPLE = 64
CLAM_REFERENCE_PX = 512
CLAM_THRESHOLD, CLAM_BLUR, CLAM_CLOSING = 8, 7, 4
CLAM_REGION, CLAM_HOLE = 16, 4  # squares of the reference size
CLAM_MAX_HOLES = 8
# Otsu splits a slide that is all tissue, or all glass, in two: saturation below 10 of 255 is never tissue, above 30
# always.
OTSU_RANGE = (10, 30)
OTSU_GRAIN = 16  # one px of the mask is a sixteenth of a tile
OTSU_CLOSING = 5  # px of the mask: pieces a quarter of a tile apart are one, with one grid
OTSU_REGION, OTSU_HOLE = 0.25, 0.25  # tiles; a stroke of ink through tissue is a hole


@dataclass(frozen=True)
class TissueRegion:
    """One piece of tissue: its outline and the outlines of its holes, each int32 (points, 2), (x, y) in level-0 px."""

    contour: np.ndarray
    holes: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Tissue:
    """The tissue of a slide.

    Attributes:
        regions: in the order in which OpenCV finds their outlines, which is the order of the tiles.
        ink: share of all that is stained that was taken for ink and left out; None where no ink is looked for.
    """

    regions: list[TissueRegion]
    ink: float | None = None


def find_tissue(slide: Slide, preset: str = "tcga", tile_px: float = CLAM_REFERENCE_PX) -> Tissue:
    """Find the tissue of a slide.

    Args:
        slide: an open slide.
        preset: `tcga`, `otsu` or `otsu-keep-ink`.
        tile_px: the side of a tile in level-0 px; sets the grain of `otsu`, and is nothing to `tcga`.

    Raises:
        InputError: no tissue (or nothing but ink), or OpenCV is not installed.
    """
    if cv2 is None:
        raise InputError(slide.name, "a slide to segment, but no OpenCV", "opencv-python-headless", INSTALL)
    if preset == "tcga":
        return Tissue(_tcga_regions(slide))
    if preset in ("otsu", KEEP_INK):
        return _otsu_tissue(slide, tile_px, keep_ink=preset == KEEP_INK)
    raise InputError("tissue", repr(preset), ", ".join(TISSUE_PRESETS), "choose one of them")


def _tcga_regions(slide: Slide) -> list[TissueRegion]:
    level = slide.level_for(CLAM_DOWNSAMPLE)
    factor = _factor(slide, level)
    saturation = np.concatenate([_hsv(strip)[..., 1] for strip in slide.strips(level, factor)])
    _, mask = cv2.threshold(cv2.medianBlur(saturation, CLAM_BLUR), CLAM_THRESHOLD, 255, cv2.THRESH_BINARY)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((CLAM_CLOSING, CLAM_CLOSING), np.uint8))
    scale = _scale(slide, level, factor)
    reference = int(CLAM_REFERENCE_PX**2 / (scale[0] * scale[1]))  # truncated, as the original does
    regions = outlined_regions(mask, scale, CLAM_REGION * reference, CLAM_HOLE * reference, CLAM_MAX_HOLES)
    if not regions:
        raise InputError(
            slide.name,
            "no tissue",
            f"a stained region of more than {CLAM_REGION} squares of {CLAM_REFERENCE_PX} px",
            'look at the slide; `tissue="otsu"` takes smaller regions',
        )
    return regions


def _otsu_tissue(slide: Slide, tile_px: float, keep_ink: bool) -> Tissue:
    wanted = max(1.0, tile_px / OTSU_GRAIN)
    level = slide.level_for(wanted)
    factor = max(int(wanted / slide.downsamples[level]), _factor(slide, level))
    hsv = np.concatenate([_hsv(strip) for strip in slide.strips(level, factor)])
    saturation = cv2.medianBlur(np.ascontiguousarray(hsv[..., 1]), 3)
    ink = hsv[..., 2] < VOID if keep_ink else ink_mask(hsv, saturation > _otsu(saturation))
    stained = saturation > _otsu(saturation[~ink])
    mask = (stained & ~ink).astype(np.uint8) * 255
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((OTSU_CLOSING, OTSU_CLOSING), np.uint8))
    mask[ink] = 0  # the closing may have crossed a line of ink
    scale = _scale(slide, level, factor)
    tile_area = tile_px**2 / (scale[0] * scale[1])
    regions = outlined_regions(mask, scale, OTSU_REGION * tile_area, OTSU_HOLE * tile_area)
    void = cv2.dilate((hsv[..., 2] < VOID).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0  # no ink of which to tell
    inked = np.count_nonzero(ink & ~void)
    share = inked / max(1, inked + np.count_nonzero(mask))
    if not regions:
        raise InputError(
            slide.name,
            f"no tissue, and {100 * share:.0f} % of what is stained taken for ink" if inked else "no tissue",
            "a stained region of at least a quarter of a tile",
            f"look at the slide; the tissue preset {KEEP_INK} (of hf-medreport tile too) takes it as tissue"
            if inked
            else "look at the slide; a smaller `patch_px` finds smaller regions",
        )
    return Tissue(regions, None if keep_ink else share)


def _otsu(saturation: np.ndarray) -> float:
    """The saturation above which something is stained."""
    return np.clip(cv2.threshold(saturation, 0, 255, cv2.THRESH_OTSU)[0] if saturation.size else 0, *OTSU_RANGE)


def outlined_regions(
    mask: np.ndarray, scale: tuple[float, float], least_region: float, least_hole: float, max_holes: int | None = None
) -> list[TissueRegion]:
    """The regions of a mask, uint8 (height, width), in level-0 px.

    Args:
        mask: tissue where it is not 0.
        scale: level-0 px that one px of the mask spans, along x and y.
        least_region: a region must be larger than this area (its holes not counted), in px of the mask.
        least_hole: the same for a hole.
        max_holes: only the so many largest holes of a region count; all by default.
    """
    contours, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return []
    parents = hierarchy[0][:, 3]
    regions = []
    for index in np.flatnonzero(parents == -1):
        holes = [contours[child] for child in np.flatnonzero(parents == index)]
        areas = [cv2.contourArea(hole) for hole in holes]
        area = cv2.contourArea(contours[index]) - sum(areas)
        if area == 0 or area <= least_region:
            continue
        largest = sorted(range(len(holes)), key=areas.__getitem__, reverse=True)[:max_holes]
        kept = tuple(_scaled(holes[child], scale) for child in largest if areas[child] > least_hole)
        regions.append(TissueRegion(_scaled(contours[index], scale), kept))
    return regions


def _scaled(contour: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """A contour of the mask (points, 1, 2) -> (points, 2) in level-0 px, truncated."""
    return (contour[:, 0] * np.array(scale)).astype(np.int32)


def _scale(slide: Slide, level: int, factor: int) -> tuple[float, float]:
    (width, height), (level_width, level_height) = slide.level_sizes[0], slide.level_sizes[level]
    return factor * width / level_width, factor * height / level_height


def _factor(slide: Slide, level: int) -> int:
    """The smallest whole factor that brings a level down to the largest mask."""
    width, height = slide.level_sizes[level]
    return int(np.ceil((width * height / MAX_MASK_PIXELS) ** 0.5))


def _hsv(strip: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(strip, cv2.COLOR_RGB2HSV)


__all__ = ["Tissue", "TissueRegion", "find_tissue", "outlined_regions"]
