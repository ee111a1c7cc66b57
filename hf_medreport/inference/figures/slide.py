"""A slide's report as one picture: the map of its evidence, its sentences, and the tiles that drove it, enlarged.

Where there is no slide to draw on, as beside features that came alone, the map shows the tiles' places on blank glass.
"""

import textwrap

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from hf_medreport.inference.figures.parts import footer_inches, write_footer
from hf_medreport.inference.figures.tiles import overlay
from hf_medreport.processing.slide_reading import Slide, open_slide
from hf_medreport.processing.slide_tiling import Tiling

MAP_PX, TILE_PX = 1024, 256  # longest side of the map; side of an enlarged tile
GLASS, PLACE, MARK = (246, 246, 244), (222, 222, 226), (0, 60, 200)
WIDTH, MAP, TILE, TITLE, HEADER, LINE = 11.0, 6.0, 1.72, 0.45, 0.3, 0.19  # inches
NOTE_COLOR = "#b26a00"
WRAP = 66  # letters of a sentence's line


def evidence_map(
    slide: Slide | None, coordinates: np.ndarray, level0_px: int, heat: np.ndarray, top: list[int]
) -> np.ndarray:
    """Draw the tiles, colored by their evidence, over the slide or over blank glass; the top ones are numbered.

    Args:
        slide: open; None draws the tiles' places alone.
        coordinates: (tiles, 2) top left corners in level-0 px.
        level0_px: side of a tile.
        heat: (tiles,) evidence of at least 0.
        top: indices of the tiles to number, the first is 1.

    Returns:
        uint8 (height, width, 3), at most MAP_PX a side.
    """
    tiling = _tiling(coordinates, level0_px)
    if slide is None:
        slide, tiling = _blank(tiling)
    picture = overlay(slide, tiling, MAP_PX, heat)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(MAP_PX // 45)
    per_px = max(slide.level_sizes[0]) / max(picture.size)
    for rank, index in reversed(list(enumerate(top, start=1))):  # the first over the others
        left, top_edge = tiling.coordinates[index] / per_px
        side = tiling.level0_px / per_px
        draw.rectangle((left, top_edge, left + side, top_edge + side), outline=MARK, width=2)
        style = {"font": font, "fill": MARK, "stroke_width": 2, "stroke_fill": (255, 255, 255)}
        draw.text((left + 4, top_edge + 2), str(rank), **style)
    return np.asarray(picture)


def _tiling(coordinates: np.ndarray, level0_px: int) -> Tiling:
    return Tiling(coordinates, 0, level0_px, level0_px, level0_px, None, [])


def _blank(tiling: Tiling) -> tuple[Slide, Tiling]:
    """Glass as large as the map, with the tiles' places on it, and the tiling in its px."""
    far = tiling.coordinates.max(0) + tiling.level0_px
    per_px = max(1.0, far.max() / MAP_PX)
    size = tuple(np.maximum(1, np.ceil(far / per_px)).astype(int).tolist())
    glass = Image.new("RGB", size, GLASS)
    draw, side = ImageDraw.Draw(glass), max(1, round(tiling.level0_px / per_px))
    corners = np.rint(tiling.coordinates / per_px).astype(np.int64)
    for left, top in corners.tolist():
        draw.rectangle((left, top, left + side, top + side), fill=PLACE, outline=GLASS)
    return open_slide(glass), _tiling(corners, side)


def tile_pictures(slide: Slide, coordinates: np.ndarray, level0_px: int) -> list[np.ndarray]:
    """Tiles as uint8 (TILE_PX, TILE_PX, 3), read from the level that is nearest to this size and not coarser."""
    level = slide.level_for(max(1.0, level0_px / TILE_PX))
    side = max(1, round(level0_px / slide.downsamples[level]))
    tiles = [Image.fromarray(slide.read(x, y, level, side, side)) for x, y in coordinates]
    return [np.asarray(tile.resize((TILE_PX, TILE_PX), Image.Resampling.BICUBIC)) for tile in tiles]


def slide_figure(report, facts: list[tuple[str, str]] | None = None) -> Figure:
    """Draw one report.

    Args:
        report: a `SlideReport`, with its `image` and `pictures` where there are any.
        facts: as in `hf_medreport.inference.figures.film.report_figure`.

    Returns:
        A figure: the map, beside it the sentences with the mean log-probability of their tokens, beneath them the tiles
        that spoke most for the report, with rank, place and share.
    """
    lines = _lines(report)
    upper = max(MAP, LINE * len(lines) + 0.2)
    lower = TILE + TITLE if report.pictures else 0.0
    footer = footer_inches(facts)
    height = HEADER + upper + lower + footer
    figure = Figure(figsize=(WIDTH, height), dpi=110, layout="none")
    FigureCanvasAgg(figure)
    # Names and reports are text: a dollar sign in them opens no formula.
    title = f"{report.film} \N{MIDDLE DOT} {report.model} \N{MIDDLE DOT} {report.patches} tiles"
    figure.suptitle(title, x=0.01, y=1 - 0.1 / height, ha="left", va="top", fontsize=10, parse_math=False)
    _draw_map(figure, report, (0.01, (footer + lower + upper - MAP) / height, MAP / WIDTH - 0.02, (MAP - 0.1) / height))
    for number, (words, color) in enumerate(lines):
        y = 1 - (HEADER + 0.15 + LINE * number) / height
        figure.text(MAP / WIDTH + 0.005, y, words, color=color, fontsize=8.5, va="top", parse_math=False)
    for place, (tile, picture) in enumerate(zip(report.tiles, report.pictures, strict=False)):  # without a slide none
        box = (place * (TILE + 0.1) / WIDTH + 0.01, footer / height, TILE / WIDTH, TILE / height)
        axes = figure.add_axes(box, xticks=[], yticks=[])
        axes.imshow(picture)
        label = f"{place + 1}.  {tile.share:.1%}\nat ({tile.x}, {tile.y})"
        axes.set_title(label, fontsize=7.5, loc="left", va="bottom", pad=3, parse_math=False)
    write_footer(figure, report, facts)
    return figure


def _draw_map(figure: Figure, report, box: tuple[float, float, float, float]) -> None:
    axes = figure.add_axes(box, xticks=[], yticks=[], anchor="NW")
    if report.image is None:
        axes.text(0.5, 0.5, report.note, fontsize=8.5, ha="center", parse_math=False)
        return
    axes.imshow(report.image)
    axes.set_xlabel(report.note, fontsize=8.5, loc="left", parse_math=False)


def _lines(report) -> list[tuple[str, str]]:
    """(words, color) of the text beside the map."""
    lines = [(line, NOTE_COLOR) for note in report.note_lines for line in textwrap.wrap(note, WRAP)]
    for sentence in report.sentences:
        wrapped = textwrap.wrap(f"{sentence.text}  [{sentence.mean_logprob:.2f}]", WRAP)
        lines += [(line, "#000000") for line in wrapped] + [("", "#000000")]
    if not report.pictures and report.tiles:
        lines.append(("Tiles that spoke most for the report:", "#555555"))
        for rank, tile in enumerate(report.tiles, start=1):
            where = "" if tile.x is None else f" at ({tile.x}, {tile.y})"
            lines.append((f"{rank}.  {tile.share:.1%}  tile {tile.index}{where}", "#555555"))
    return lines
