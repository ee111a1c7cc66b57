"""Cut the tissue of a slide into tiles, in the order of the original.

A grid starts at the top left corner of each region's bounding box. A tile belongs to the region if one of the four
points a quarter of its side from its center lies in the outline or on it, and if its center lies in no hole. Tiles are
ordered region by region, column by column. Those at the right and lower rim may reach over the slide's edge, where they
are white. (CLAM, Lu et al. 2021: `four_pt`, "easy", with padding.)

The original asks for a level and cuts 20x and 40x slides alike. With `mpp` all tiles have one resolution: they are read
from the coarsest level that is not coarser, and resized.

    tiling = tile_slide(slide, TileImageProcessor())
    first = read_tile(slide, tiling, 0)
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from .image_processing_tile import KEEP_INK, TileImageProcessor
from .input_error import InputError
from .slide_reading import Slide
from .slide_tissue import TissueRegion, cv2, find_tissue

# Scanners are a little off their nominal resolution (0.2526 for 0.25): tiles may be enlarged by so much, not more.
FINEST = 0.9
MUCH_INK = 0.05  # of what is stained
SAME = 1.01  # a level of downsample 4.0004 counts as 4


@dataclass(frozen=True)
class Tiling:
    """Where the tiles of one slide lie and how they are read.

    Attributes:
        coordinates: int64 (tiles, 2), (x, y) of the top left corners in level-0 px.
        level: the level they are read from.
        read_px: side of a tile in px of that level.
        patch_px: side of a tile as `read_tile` returns it.
        level0_px: side of a tile in level-0 px.
        mpp: microns per px of a returned tile, or None where the slide does not say.
        tissue: the regions that the tiles cover.
        ink: share of what is stained that was taken for ink and left out; None where no ink is looked for.
    """

    coordinates: np.ndarray
    level: int
    read_px: int
    patch_px: int
    level0_px: int
    mpp: float | None
    tissue: list[TissueRegion]
    ink: float | None = None

    def __len__(self) -> int:
        return len(self.coordinates)

    @property
    def ink_note(self) -> str:
        """What to know of the ink, where it is much; else nothing."""
        if not self.ink or self.ink < MUCH_INK:
            return ""
        return (
            f"{100 * self.ink:.0f} % of what is stained was taken for ink and left out; "
            f"if that is tissue, choose the tissue preset {KEEP_INK}"
        )


def tile_slide(slide: Slide, settings: TileImageProcessor) -> Tiling:
    """Find the tissue of a slide and lay the grid over it.

    Raises:
        InputError: no tissue, a level that is not there, a resolution that is unknown or finer than the slide's, or a
            slide smaller than one tile.
    """
    level, scale = _level_and_scale(slide, settings)
    level0_px = round(settings.patch_px * scale)
    step = max(1, round((settings.patch_px - settings.overlap_px) * scale))
    width, height = slide.level_sizes[0]
    if min(width, height) < level0_px:
        raise InputError(
            slide.name,
            f"a slide of {width} x {height} px",
            f"at least one tile of {level0_px} px a side",
            "choose a smaller `patch_px`",
        )
    found = find_tissue(slide, settings.tissue, level0_px)
    tissue = found.regions
    # The original drops a region that gives a single tile; `otsu` is for small slides too and keeps it.
    fewest = 2 if settings.tissue == "tcga" else 1
    grids = [region_grid(region, level0_px, step) for region in tissue]
    kept = [grid for grid in grids if len(grid) >= fewest]
    if not kept:
        raise InputError(
            slide.name,
            f"no region of {fewest} tiles or more",
            f"tissue that fills tiles of {level0_px} level-0 px",
            "choose a smaller `patch_px`"
            + (', or `tissue="otsu"`' if fewest == 2 else "")
            + (f", or the tissue preset {KEEP_INK}, which keeps what was taken for ink" if found.ink else ""),
        )
    mpp = settings.mpp
    if mpp is None and slide.mpp is not None:
        mpp = slide.mpp * scale
    return Tiling(
        coordinates=np.concatenate(kept),
        level=level,
        read_px=settings.patch_px if settings.mpp is None else max(1, round(level0_px / slide.downsamples[level])),
        patch_px=settings.patch_px,
        level0_px=level0_px,
        mpp=mpp,
        tissue=[region for region, grid in zip(tissue, grids, strict=True) if len(grid) >= fewest],
        ink=found.ink,
    )


def read_tile(slide: Slide, tiling: Tiling, index: int) -> np.ndarray:
    """One tile, uint8 (patch_px, patch_px, 3).

    Lanczos where it has to be resized: the factor lies between two levels, and nuclei keep their edges, which an
    average over boxes of uneven size would blur.
    """
    x, y = tiling.coordinates[index]
    tile = slide.read(x, y, tiling.level, tiling.read_px, tiling.read_px)
    if tiling.read_px == tiling.patch_px:
        return tile
    resized = Image.fromarray(tile).resize((tiling.patch_px, tiling.patch_px), Image.Resampling.LANCZOS)
    return np.asarray(resized)


def region_grid(region: TissueRegion, level0_px: int, step: int) -> np.ndarray:
    """The tiles of one region: int64 (tiles, 2), (x, y) in level-0 px, column by column."""
    left, top, width, height = cv2.boundingRect(region.contour)
    corners = [(x, y) for x in range(left, left + width, step) for y in range(top, top + height, step)]
    kept = [corner for corner in corners if _belongs(region, *corner, level0_px)]
    return np.array(kept, np.int64).reshape(-1, 2)


def _belongs(region: TissueRegion, x: int, y: int, side: int) -> bool:
    """Whether a tile at (x, y) shows enough of the region: a point inside near its center, the center in no hole."""
    center_x, center_y, quarter = x + side // 2, y + side // 2, side // 4
    near = [(center_x + dx, center_y + dy) for dx in (-quarter, quarter) for dy in (-quarter, quarter)]
    if not any(_inside(region.contour, *point) >= 0 for point in near):
        return False
    return not any(_inside(hole, x + side / 2, y + side / 2) > 0 for hole in region.holes)


def _inside(contour: np.ndarray, x: float, y: float) -> float:
    """1 inside a contour, 0 on it, -1 outside."""
    return cv2.pointPolygonTest(contour, (float(x), float(y)), False)


def _level_and_scale(slide: Slide, settings: TileImageProcessor) -> tuple[int, float]:
    """The level to read, and how many level-0 px one px of a tile spans."""
    if settings.mpp is None:
        slide.check_level(settings.level)
        return settings.level, slide.downsamples[settings.level]
    if slide.mpp is None:
        raise InputError(
            slide.name,
            "no microns per px",
            f"a resolution, to cut tiles at {settings.mpp:g} microns per px",
            "give `slide_mpp`, or cut by `level`",
        )
    scale = settings.mpp / slide.mpp
    if scale < FINEST:
        raise InputError(
            slide.name,
            f"{slide.mpp:g} microns per px",
            f"{settings.mpp:g} or finer",
            f"choose `mpp={slide.mpp:g}` or more",
        )
    return slide.level_for(scale * SAME), scale


__all__ = ["Tiling", "read_tile", "region_grid", "tile_slide"]
