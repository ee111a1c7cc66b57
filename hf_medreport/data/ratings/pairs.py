"""Pairs of pictures of one prompt, of which one is the better: made of ratings, or told by raters who saw both.

pairs = pairs_of(read_ratings("ratings.csv").ratings)   # same prompt, unequal ratings
pairs = read_pairs("pairs.csv").pairs                   # columns chosen, rejected, modality, expert_level, prompt, ...
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

from hf_medreport.data.pictures.columns import is_empty
from hf_medreport.data.ratings import rows
from hf_medreport.data.ratings.table import Rating, refuse_one_class
from hf_medreport.processing.input_error import InputError

__all__ = ["Comparison", "PairTable", "RatedPair", "append_comparison", "pairs_of", "read_pairs"]
__all__ += ["withdraw_comparison"]

logger = logging.getLogger(__name__)

HEADER = ("chosen", "rejected", "modality", "expert_level", "prompt", "rater", "tie")
KNOWN = {"chosen": ("chosen",), "rejected": ("rejected",), "tie": ("tie",)} | rows.RATERS
NEEDED = ("chosen", "rejected", "text", "expert_level")
TIES = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}


@dataclass(frozen=True)
class RatedPair:
    """Two pictures of one prompt, and by how much the chosen one is better: (0, 1]."""

    prompt: str
    modality: str | None
    chosen: Path
    rejected: Path
    margin: float


@dataclass(frozen=True)
class Comparison:
    """What one rater said of two pictures of one prompt; of a tie neither is the better.

    Raises:
        InputError: a level out of range, or a picture beside itself.
    """

    chosen: Path
    rejected: Path
    modality: str | None
    level: int
    prompt: str
    rater: str = ""
    tie: bool = False

    def __post_init__(self):
        rows.checked_level(self.level)
        if self.chosen == self.rejected:
            raise InputError("rejected", "the chosen picture", "another picture", "compare two")

    @property
    def pair(self) -> RatedPair:
        """As a pair: who says no more than "better" says a difference of one step."""
        return RatedPair(self.prompt, self.modality, self.chosen, self.rejected, _margin(self.level, 1))


@dataclass(frozen=True)
class PairTable:
    """Comparisons as they were read, and what is wrong with those that were not."""

    comparisons: list[Comparison]
    problems: list[str] = field(default_factory=list)

    @property
    def pairs(self) -> list[RatedPair]:
        """Those that are no ties."""
        return [comparison.pair for comparison in self.comparisons if not comparison.tie]


def pairs_of(ratings: Sequence[Rating], *, most: int | None = None, seed: int = 0) -> list[RatedPair]:
    """All pairs of pictures of one prompt that are rated unequally.

    Args:
        ratings: of one rater or of several: each rating is held against each of another picture.
        most: so many at most, drawn by chance.
        seed: of the drawing.

    Returns:
        Pairs with margin min(level) / 3 * (difference of ratings) / 2, in the order of the ratings.

    Raises:
        InputError: no ratings, ratings that are all equal, no pair among them, or `most` below 1.
    """
    if most is not None and most < 1:
        raise InputError("most", str(most), "at least 1", "correct it, or leave it out for all pairs")
    refuse_one_class(ratings)
    by_prompt: dict[str, list[Rating]] = {}
    for rating in ratings:
        by_prompt.setdefault(" ".join(rating.prompt.split()), []).append(rating)
    unequal = [
        (one, other) if one.rating > other.rating else (other, one)
        for alike in by_prompt.values()
        for one, other in combinations(alike, 2)
        if one.rating != other.rating and one.image != other.image
    ]
    if not unequal:
        found = f"no two pictures of one prompt with unequal ratings in {len(ratings)} of {len(by_prompt)} prompts"
        raise InputError("ratings", found, "at least one such pair", "rate several pictures of each prompt")
    if most is not None and most < len(unequal):
        kept = np.random.default_rng(seed).choice(len(unequal), most, replace=False)
        unequal = [unequal[number] for number in sorted(kept)]
    return [
        RatedPair(
            prompt=better.prompt,
            modality=better.modality or worse.modality,
            chosen=better.image,
            rejected=worse.image,
            margin=_margin(min(better.level, worse.level), better.rating - worse.rating),
        )
        for better, worse in unequal
    ]


def read_pairs(path: str | os.PathLike, *, image_root: str | os.PathLike | None = None) -> PairTable:
    """Comparisons of a table with columns chosen, rejected, expert_level and prompt (and modality, rater, tie).

    Args:
        path: as for `read_ratings`.
        image_root: folder of the pictures; by default the table's.

    Returns:
        Its usable rows. Where a rater compared two pictures again, the last holds; that and every bad row is told.

    Raises:
        InputError: no such table, one without a column that must be, or no usable row.
    """
    path = Path(path)
    base = (path.parent if image_root is None else Path(image_root)).resolve()
    kept, problems, count = {}, [], 0
    for where, cells in rows.read_roles(path, KNOWN, NEEDED):
        count += 1
        try:
            comparison = _comparison(where, cells, base)
        except InputError as error:
            problems.append(str(error))
            continue
        key = (comparison.rater, frozenset((comparison.chosen, comparison.rejected)), comparison.prompt)
        if kept.pop(key, None):
            found = f"{ascii(comparison.chosen.name)} and {ascii(comparison.rejected.name)} again"
            problems.append(str(InputError(where, found, "one comparison of a rater", "the last holds")))
        kept[key] = comparison
    if not kept:
        found = f"no usable row (the first: {problems[0]})" if count else "no row"
        raise InputError(path.name, found, "pairs of pictures", "check the table")
    if problems:
        logger.warning("%s: %d of %d rows with problems (the first: %s)", path.name, len(problems), count, problems[0])
    return PairTable(list(kept.values()), problems)


def _comparison(where: str, cells: dict | InputError, base: Path) -> Comparison:
    if isinstance(cells, InputError):
        raise cells
    tie = "" if is_empty(cells.get("tie")) else str(cells["tie"]).lower()
    if tie not in TIES:
        raise InputError(where, f"the tie {tie!r:.20}", "1, 0 or an empty cell", "correct it or drop the row")
    chosen, rejected = (rows.picture_file(where, cells[role], base, role) for role in ("chosen", "rejected"))
    if chosen == rejected:
        raise InputError(where, "one picture twice", "two pictures", "correct it or drop the row")
    return Comparison(
        chosen=chosen,
        rejected=rejected,
        modality=None if is_empty(cells.get("modality")) else str(cells["modality"]),
        level=rows.whole_number(where, cells["expert_level"], "expert level", rows.LEVELS),
        prompt=rows.text_cell(where, cells["text"], "prompt"),
        rater="" if is_empty(cells.get("rater")) else str(cells["rater"]),
        tie=TIES[tie],
    )


def append_comparison(path: str | os.PathLike, comparison: Comparison) -> None:
    """Add a comparison to a CSV, which is begun where there is none. It is on the disk when this returns.

    Raises:
        InputError: a table of other columns.
    """
    rows.add_row(Path(path), HEADER, _cells(comparison, Path(path)))


def withdraw_comparison(path: str | os.PathLike, comparison: Comparison) -> bool:
    """Take the last row of this comparison out of a CSV that `append_comparison` wrote; whether there was one."""
    return rows.withdraw_row(Path(path), _cells(comparison, Path(path)))


def _cells(one: Comparison, table: Path) -> tuple:
    pictures = (rows.written_path(picture, table) for picture in (one.chosen, one.rejected))
    prompt, rater = (" ".join(text.split()) for text in (one.prompt, one.rater))
    return *pictures, one.modality or "", one.level, prompt, rater, int(one.tie)


def _margin(level: int, difference: int) -> float:
    """How sure a pair is: of an expert who gave 3 and 1 it is 1."""
    return level / 3 * difference / 2
