"""A stained slide, drawn from its facts piece by piece: any region at any time, without the rest.

The slide is cut into blocks of 512 px that start at multiples of 512. A block depends on (facts, patient, size, mpp,
style, pen) and its place, never on what was drawn before; a region is put together from blocks, so overlapping
regions agree to the last bit and 40,000 x 40,000 px need no more memory than a few blocks. Cells that cross from one
block into the next are drawn in both.

    SlideDrawing(facts, patient=7, size=2048, mpp=1.0).region(512, 512, 256, 256)
"""

from collections import OrderedDict

import numpy as np

from hf_medreport.phantom.slide.cells import View, draw_cells
from hf_medreport.phantom.slide.chance import PERIOD, numbers, opencv, texture
from hf_medreport.phantom.slide.findings import SlideFacts
from hf_medreport.phantom.slide.section import NODE_CAPSULE, lay_out, truth_of
from hf_medreport.phantom.slide.stain import INKS, PENS, colors_of, look_of
from hf_medreport.processing.input_error import InputError

__all__ = ["SlideDrawing", "check_drawing"]

BLOCK, PAD = 512, 8  # px; PAD is what the blur needs from the neighbors
KEPT = 24  # blocks, 0.8 MB each
CELLS, COARSEST = 256, 64  # cells a side of the macroscopic grid at least; px a cell at most
SIZES = (256, 131_072)  # px
MPPS = (0.2, 4.0)  # um a pixel
ROUGH = (5.0, 0.003)  # how uneven an outline is: um, and at most this share of the slide's side
SHIFT = 4  # corners of polygons are placed to a sixteenth of a pixel


class SlideDrawing:
    """One slide.

    Args:
        facts: what it shows.
        patient: a whole number; decides about everything that the facts leave open.
        size: side of the square slide in px, 256 to 131,072.
        mpp: um a pixel, 0.2 to 4. Cells have their true size; the specimen is shrunk to the slide (see `section`).
        style: "standard" or "held_back" (other stains, a thicker section, a worse scanner).
        pen: draw a pen stroke on the glass.

    Raises:
        InputError: an argument out of range.
    """

    def __init__(self, facts: SlideFacts, patient: int, size: int, mpp: float, style="standard", pen: bool = False):
        check_drawing(size, mpp, style)
        self.facts, self.patient, self.size, self.mpp, self.style, self.pen = facts, patient, size, mpp, style, pen
        coarse, fine = numbers(20, patient & 0xFFFFFFFF, patient >> 32, 2)
        self._seed = int(coarse * (1 << 24)) << 8 | int(fine * (1 << 8))  # 32 bits, each patient their own
        self._look = look_of(style, self._seed)
        self._colors = colors_of(self._look)
        step = 1
        while step < COARSEST and -(-size // step) > CELLS:
            step *= 2
        self._step = step  # px a cell of the grid
        self._fields = lay_out(facts, self._seed, -(-size // step), step / size, pen)
        self._truth = truth_of(self._fields)
        self._chance = numbers(self._seed, 3, 3, 8)
        self._upright = bool(self._chance[4] < 0.5)  # the fibers run from top to bottom
        self._blocks: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()

    def region(self, x: int, y: int, width: int, height: int) -> np.ndarray:
        """Pixels uint8 (height, width, 3) of the region whose top left corner is (x, y).

        Raises:
            InputError: the region is empty or leaves the slide.
        """
        self._check_region(x, y, width, height)
        out = np.empty((height, width, 3), np.uint8)
        for row in range(y // BLOCK, -(-(y + height) // BLOCK)):
            for column in range(x // BLOCK, -(-(x + width) // BLOCK)):
                left, top = max(x, column * BLOCK), max(y, row * BLOCK)
                right, bottom = min(x + width, (column + 1) * BLOCK), min(y + height, (row + 1) * BLOCK)
                block = self._block(column, row)
                part = block[top - row * BLOCK : bottom - row * BLOCK, left - column * BLOCK : right - column * BLOCK]
                out[top - y : bottom - y, left - x : right - x] = part
        return out

    def truth(self, x: int, y: int, width: int, height: int) -> dict[str, float]:
        """Share of a region that is tissue, tumor, necrosis, inflammation, node, ink, pen.

        Counted on the macroscopic grid (1/256 of the side, 64 px at most), so outlines are told to half a cell.

        Raises:
            InputError: the region is empty or leaves the slide.
        """
        self._check_region(x, y, width, height)
        across, down = self._overlap(x, width), self._overlap(y, height)
        (left, wide), (top, high) = across, down
        weight = high[:, None] * wide / (width * height)
        parts = {name: truth[top : top + len(high), left : left + len(wide)] for name, truth in self._truth.items()}
        return {name: float((part * weight).sum()) for name, part in parts.items()}

    def truth_map(self, cells: int) -> dict[str, np.ndarray]:
        """The same as bool (cells, cells) each: what lies at the middle of each cell."""
        places = ((np.arange(cells) + 0.5) * self.size / cells / self._step).astype(int)
        return {name: truth[np.ix_(places, places)] for name, truth in self._truth.items()}

    def _check_region(self, x, y, width, height) -> None:
        if width < 1 or height < 1 or x < 0 or y < 0 or x + width > self.size or y + height > self.size:
            expected = f"at least one pixel, within {self.size} x {self.size}"
            raise InputError("region", f"{width} x {height} px at ({x}, {y})", expected, "ask for a part of the slide")

    def _overlap(self, start: int, length: int) -> tuple[int, np.ndarray]:
        """First cell of the grid that an interval touches, and how many px of the interval lie in each."""
        first, last = start // self._step, -(-(start + length) // self._step)
        edges = np.clip(np.arange(first, last + 1) * self._step, start, start + length)
        return first, np.diff(edges)

    def _block(self, column: int, row: int) -> np.ndarray:
        place = (column, row)
        if place not in self._blocks:
            self._blocks[place] = self._draw(column, row)
            if len(self._blocks) > KEPT:
                self._blocks.popitem(last=False)
        return self._blocks[place]

    def _draw(self, column: int, row: int) -> np.ndarray:
        """One block uint8 (512, 512, 3); at the slide's right and lower edge it goes on beyond."""
        left, top = column * BLOCK - PAD, row * BLOCK - PAD
        inner = slice(PAD, PAD + BLOCK)
        piece = _Piece(self, left, top)
        noise = piece.texture("noise", moving=True)
        if piece.touches("tissue", 4 * piece.rough):
            canvas = piece.ground()
            for outlines in draw_cells(piece.view()):
                piece.paint(canvas, *outlines)
            image = np.take(self._colors, piece.finish(canvas)[inner, inner], axis=0)
            if piece.touches("ink", 2 * piece.rough):
                line = piece.field("ink") + 0.5 * piece.rough * piece.texture("clouds")
                _tint(image, line[inner, inner] > 0, INKS[int(self._chance[0] * 2)])
        else:
            image = np.empty((BLOCK, BLOCK, 3), np.uint8)
            image[:] = np.array(self._look.glass, np.uint8)
        if piece.touches("pen", 8 * piece.rough):
            stroke = piece.field("pen") + 2 * piece.rough * piece.texture("clouds")
            _tint(image, stroke[inner, inner] > 0, PENS[int(self._chance[1] * 3)])
        return self._scanned(image, noise[inner, inner], column, row)

    def _scanned(self, image: np.ndarray, noise: np.ndarray, column: int, row: int) -> np.ndarray:
        """Light falls off toward the edge of the slide; the sensor adds noise."""
        cv2 = opencv()
        x, y = (((np.arange(BLOCK) + place * BLOCK) / self.size - 0.5).astype(np.float32) for place in (column, row))
        darker = 9 * (x[None] ** 2 + y[:, None] ** 2) + self._look.noise * noise + 2 * self._look.noise
        return cv2.subtract(image, cv2.merge([np.clip(darker, 0, 60).astype(np.uint8)] * 3))


class _Piece:
    """A block with its margin: fields, textures and the canvas uint8 (528, 528, 2) of both stains."""

    def __init__(self, drawing: SlideDrawing, left: int, top: int):
        self.drawing, self.left, self.top, self.side = drawing, left, top, BLOCK + 2 * PAD
        self.um = drawing.size * drawing.mpp  # of the slide's side
        self.rough = min(ROUGH[0], ROUGH[1] * self.um)

    def _crop(self, name: str) -> tuple[np.ndarray, int, int]:
        """The part of the grid that this piece needs, one cell more on each side."""
        field, step = self.drawing._fields[name], self.drawing._step
        x0, y0 = self.left // step - 1, self.top // step - 1
        count = -(-self.side // step) + 3
        columns, rows = (np.clip(np.arange(start, start + count), 0, len(field) - 1) for start in (x0, y0))
        return field[rows[:, None], columns[None]], x0, y0

    def touches(self, name: str, distance: float) -> bool:
        """Whether a field is within a distance (um) anywhere in the piece."""
        return bool(self._crop(name)[0].max() * self.um > -distance)

    def field(self, name: str) -> np.ndarray:
        """A field at every pixel, float32; in um, where it is a distance."""
        cv2 = opencv()
        part, x0, y0 = self._crop(name)
        step = self.drawing._step
        large = cv2.resize(part, None, fx=step, fy=step, interpolation=cv2.INTER_LINEAR)
        x, y = self.left - x0 * step, self.top - y0 * step
        return large[y : y + self.side, x : x + self.side] * np.float32(self.um)

    def at(self, name: str, points: np.ndarray) -> np.ndarray:
        """A field at points (n, 2) in um, between the middles of four cells."""
        field = self.drawing._fields[name]
        places = points / np.float32(self.drawing._step * self.drawing.mpp) - np.float32(0.5)
        places = np.clip(places, 0, len(field) - 1.001)
        whole = places.astype(np.int32)
        (x, y), (c, r) = (places - whole).T, whole.T
        upper = field[r, c] * (1 - x) + field[r, c + 1] * x
        lower = field[r + 1, c] * (1 - x) + field[r + 1, c + 1] * x
        value = upper * (1 - y) + lower * y
        return value if name == "parenchyma" else value * np.float32(self.um)

    def texture(self, name: str, moving: bool = False) -> np.ndarray:
        """A texture at every pixel; `moving`: another part of it in every block, so that its period cannot show."""
        chance = self.drawing._chance[2:4]
        if moving:
            chance = numbers(self.drawing._seed + 90, self.left, self.top, 2)
        x, y = (int(start + PERIOD * part) % PERIOD for start, part in zip((self.left, self.top), chance, strict=True))
        if name == "fibers" and self.drawing._upright:
            return texture(name, self.drawing.mpp)[x : x + self.side, y : y + self.side].T
        return texture(name, self.drawing.mpp)[y : y + self.side, x : x + self.side]

    def view(self) -> View:
        mpp = self.drawing.mpp
        bounds = tuple(place * mpp for place in (self.left, self.top, self.left + self.side, self.top + self.side))
        turn = np.pi / 2 if self.drawing._upright else 0.0
        return View(self.drawing.facts, self.drawing._seed, bounds, self.um, mpp, self.at, self.touches, turn)

    def ground(self) -> np.ndarray:
        """Stroma with its fibers and clefts, what is smudged by necrosis, and the capsule of nodes."""
        fibers, clouds = self.texture("fibers"), self.texture("clouds")
        eosin = 112 + 24 * fibers + 10 * clouds
        haematoxylin = 16 + 3 * clouds
        if self.touches("tumor", 0):
            inside = self.field("tumor") + self.rough * clouds > 0
            haematoxylin[inside] += 16  # the loose bluish stroma of a tumor
            eosin[inside] -= 12
            if self.drawing.facts.site == "kidney":
                vessels = inside & (np.abs(clouds) < 0.08)
                eosin[vessels], haematoxylin[vessels] = 205, 60
        eosin[fibers + 0.5 * clouds < -1.75] = 6
        if self.touches("node", 0):
            node = self.field("node")
            capsule = 0.5 * NODE_CAPSULE * self.um
            haematoxylin[node > capsule] += 34
            eosin[node > capsule] -= 30
            eosin[(node > 0) & (node <= capsule)] = 190
        if self.touches("necrosis", 2 * self.rough):
            dead = self.field("necrosis") + self.rough * clouds > 0
            eosin[dead] = 70 + 16 * clouds[dead]
            haematoxylin[dead] = 10 + 5 * clouds[dead]
        return np.clip(np.stack([haematoxylin, eosin], 2), 0, 255).astype(np.uint8)

    def paint(self, canvas: np.ndarray, polygons: np.ndarray, colors: np.ndarray) -> None:
        """Fill polygons (um) that touch the canvas, in their order."""
        cv2 = opencv()
        origin = np.array([self.left, self.top], np.float32)
        places = (polygons / np.float32(self.drawing.mpp) - origin - np.float32(0.5)) * np.float32(1 << SHIFT)
        low, high = places.min(1), places.max(1)
        seen = ((high > 0) & (low < self.side << SHIFT)).all(1)
        for polygon, color in zip(np.floor(places[seen]).astype(np.int32), colors[seen].tolist(), strict=True):
            cv2.fillConvexPoly(canvas, polygon, color, cv2.LINE_8, SHIFT)

    def finish(self, canvas: np.ndarray) -> np.ndarray:
        """Grain, blur and the section's edge; then both stains in one number, uint16 (side, side)."""
        cv2 = opencv()
        blur = self.drawing._look.blur
        canvas = cv2.GaussianBlur(canvas, (0, 0), blur)
        grain = cv2.convertScaleAbs(self.texture("grain"), alpha=11, beta=100)
        stains = cv2.multiply(canvas, cv2.merge([grain, grain]), scale=0.01).view(np.uint16)[..., 0]
        if self._crop("tissue")[0].min() * self.um < 4 * self.rough:
            stains = stains * (self.field("tissue") + self.rough * self.texture("clouds") > 0)
        return stains


def _tint(image: np.ndarray, where: np.ndarray, lets_through: np.ndarray) -> None:
    image[where] = (image[where] * lets_through).astype(np.uint8)


def check_drawing(size: int, mpp: float, style: str) -> None:
    """Raise InputError if no slide can be drawn so."""
    if not isinstance(size, int | np.integer) or isinstance(size, bool) or not SIZES[0] <= size <= SIZES[1]:
        raise InputError("size", repr(size), f"{SIZES[0]} to {SIZES[1]} whole px", "choose another size")
    if not isinstance(mpp, int | float) or isinstance(mpp, bool) or not MPPS[0] <= mpp <= MPPS[1]:
        raise InputError("mpp", repr(mpp), f"{MPPS[0]} to {MPPS[1]} um a pixel", "choose another mpp")
    look_of(style, 0)
