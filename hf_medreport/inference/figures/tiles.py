"""A slide with its tissue outlined and its tiles drawn, to look at before anyone trusts the features."""

import numpy as np
from PIL import Image, ImageDraw

from hf_medreport.processing.slide_reading import Slide
from hf_medreport.processing.slide_tiling import Tiling

OUTLINE, HOLE, GRID = (0, 120, 60), (200, 60, 0), (40, 70, 160)
# Inferno without its black end: weak tiles stay as they are, strong ones are laid over from violet to yellow.
HEAT = np.array([[87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]], np.float32)
STRONGEST = 0.75


def overlay(slide: Slide, tiling: Tiling, longest_px: int = 1600, heat: np.ndarray | None = None) -> Image.Image:
    """Draw the tiles of a slide over its thumbnail.

    Args:
        slide: an open slide.
        tiling: its tiles.
        longest_px: the longer side of the picture.
        heat: (tiles,) finite weights of at least 0; each tile is colored by its share of the largest.

    Returns:
        An RGB picture: outlines of tissue green, of holes orange, tiles blue; with `heat` tiles are filled instead.
    """
    thumbnail = slide.thumbnail(longest_px)
    per_px = max(slide.level_sizes[0]) / max(thumbnail.shape[:2])
    corners = np.rint(np.stack([tiling.coordinates, tiling.coordinates + tiling.level0_px], 1) / per_px).astype(int)
    picture = Image.fromarray(thumbnail if heat is None else _heated(thumbnail, corners, heat))
    draw = ImageDraw.Draw(picture)
    if heat is None:
        for (left, top), (right, bottom) in corners:
            draw.rectangle((left, top, right, bottom), outline=GRID)
    line = max(1, longest_px // 800)
    for region in tiling.tissue:
        _outline(draw, region.contour / per_px, OUTLINE, line)
        for hole in region.holes:
            _outline(draw, hole / per_px, HOLE, line)
    return picture


def _outline(draw: ImageDraw.ImageDraw, contour: np.ndarray, color: tuple[int, int, int], width: int) -> None:
    points = [tuple(point) for point in contour]
    draw.line([*points, points[0]], fill=color, width=width)


def _heated(thumbnail: np.ndarray, corners: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The thumbnail, each tile's color laid over it: the stronger, the more opaque; overlaps take the strongest."""
    height, width = thumbnail.shape[:2]
    share = np.asarray(heat, np.float32) / max(float(np.max(heat)), 1e-12)
    strength = np.zeros((height, width, 1), np.float32)
    for ((left, top), (right, bottom)), weight in zip(corners, share, strict=True):
        tile = strength[top : max(bottom, top + 1), left : max(right, left + 1)]
        np.maximum(tile, weight, out=tile)
    position = np.linspace(0, 1, len(HEAT))
    color = np.concatenate([np.interp(strength, position, HEAT[:, channel]) for channel in range(3)], axis=-1)
    opacity = STRONGEST * strength
    return np.rint(thumbnail * (1 - opacity) + color * opacity).astype(np.uint8)
