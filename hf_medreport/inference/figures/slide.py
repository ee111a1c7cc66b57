"""A slide's report as one picture: the map of its evidence, its sentences, and the tiles that drove it, enlarged.

Where there is no slide to draw on, as beside features that came alone, the map shows the tiles' places on blank glass.
"""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from hf_medreport.inference.figures.parts import (
    GAP,
    INK,
    LINE,
    NORMAL,
    NOTE,
    PALE,
    TITLE,
    WIDTH,
    header_inches,
    header_lines,
    panel,
    screen,
    word_lines,
    write_header,
    write_legend,
    write_words,
)
from hf_medreport.inference.figures.tiles import HEAT, overlay
from hf_medreport.phantom.slide.findings import BENIGN
from hf_medreport.phantom.slide.parser import parse_slide_report
from hf_medreport.processing.slide_reading import Slide, open_slide
from hf_medreport.processing.slide_tiling import Tiling

MAP_PX, TILE_PX = 1024, 256  # longest side of the map; side of an enlarged tile
GLASS, PLACE, MARK = (246, 246, 244), (222, 222, 226), (0, 60, 200)
MAP, TILE, COLUMNS = 5.45, 1.5, 2  # inches: the map, an enlarged tile; of the tiles
EVIDENCE = "evidence, from none to the report's strongest tile; the tiles that spoke most for it are numbered"
ABSENT = {("diagnosis", BENIGN), ("necrosis", "absent"), ("inflammation", "absent"), ("margin", "negative")}


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
        A figure: the map; beside it the sentences, those first that find something, with the mean log-probability of
        their tokens; then the tiles that spoke most for the report, with rank, place and share; a legend.
    """
    told = header_lines(report.note_lines, NOTE)
    header, left = header_inches(told), 2 * GAP + MAP
    tiles = COLUMNS * (TILE + GAP) if report.pictures else 0.0
    lines = _lines(report, facts, WIDTH - left - 2 * GAP - tiles)
    figure = screen(header + TITLE + LINE * len(lines))
    write_header(figure, f"{report.film} \N{MIDDLE DOT} {report.model} \N{MIDDLE DOT} {report.patches} tiles", told)
    _draw_map(panel(figure, GAP, header, MAP), report)
    write_words(figure, left, header + TITLE, lines)
    for place, (tile, picture) in enumerate(zip(report.tiles, report.pictures, strict=False)):  # without a slide none
        row, column = divmod(place, COLUMNS)
        axes = panel(figure, WIDTH - tiles + column * (TILE + GAP), header + row * (TILE + TITLE), TILE)
        axes.imshow(picture)
        label = f"{place + 1}.  {tile.share:.1%}\nat ({tile.x}, {tile.y})"
        axes.set_title(label, fontsize=7.5, loc="left", va="bottom", pad=3, parse_math=False)
    colors = LinearSegmentedColormap.from_list("tiles", HEAT / 255)
    write_legend(figure, left, report.statement, "" if report.image is None else EVIDENCE, colors)
    return figure


def is_absent(sentence: str) -> bool:
    """Whether a sentence says that something is not there, and nothing else that we know but the site."""
    facts = [(field, value) for field, value in parse_slide_report(sentence) if field != "site"]
    if not facts:
        return NORMAL.search(sentence) is not None
    return all(fact in ABSENT or (fact[0] == "nodes" and fact[1][0] == 0) for fact in facts)


def _draw_map(axes, report) -> None:
    if report.image is None:
        axes.text(0.5, 0.5, report.note, fontsize=8.5, ha="center", parse_math=False)
        return
    axes.set_anchor("NW")
    axes.imshow(report.image)
    axes.set_xlabel(report.note, fontsize=8.5, loc="left", parse_math=False)


def _lines(report, facts, width: float) -> list[tuple[str, str, str]]:
    """The column beside the map: sentences and facts, and the tiles where they have no pictures."""
    found = [sentence for sentence in report.sentences if not is_absent(sentence.text)]
    absent = [sentence for sentence in report.sentences if is_absent(sentence.text)]
    lines = word_lines({"said to be there": found, "said to be absent or free": absent}, facts, width)
    if not report.pictures and report.tiles:
        lines.append(("the tiles that spoke most for the report", PALE, "italic"))
        for rank, tile in enumerate(report.tiles, start=1):
            where = "" if tile.x is None else f" at ({tile.x}, {tile.y})"
            lines.append((f"{rank}.  {tile.share:.1%}  tile {tile.index}{where}", INK, "normal"))
    return lines
