"""Ratings of pictures: 1 (poor), 2 (acceptable) or 3 (excellent), by a rater of level 1 (novice) to 3 (expert).

    table = read_ratings("ratings.csv")        # columns image_path, rating, modality, expert_level, prompt[, rater]
    table.ratings[0].weight, table.problems    # rows that cannot be used end nothing: they are told

A rating weighs rating x level / 3. Weights below 1 count as all others do: they are no ratings out of range.
"""

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hf_medreport.data.pictures.columns import COLUMNS, is_empty
from hf_medreport.data.ratings import rows
from hf_medreport.files.writing import write_text
from hf_medreport.processing.input_error import InputError

__all__ = ["RATINGS", "Rating", "RatingTable", "append_rating", "read_ratings", "refuse_one_class", "withdraw_rating"]
__all__ += ["write_ratings"]

logger = logging.getLogger(__name__)

RATINGS = range(1, 4)
HEADER = ("image_path", "rating", "modality", "expert_level", "prompt", "rater")
KNOWN = {"path": COLUMNS["path"], "rating": ("rating",)} | rows.RATERS
NEEDED = ("path", "rating", "text", "expert_level")


@dataclass(frozen=True)
class Rating:
    """What one rater said of one picture.

    Raises:
        InputError: a rating or level out of range, or an empty prompt.
    """

    image: Path
    rating: int
    modality: str | None
    level: int
    prompt: str
    rater: str = ""

    def __post_init__(self):
        if isinstance(self.rating, bool) or self.rating not in RATINGS:
            raise InputError("rating", str(self.rating), "1 (poor), 2 or 3 (excellent)", "correct it")
        rows.checked_level(self.level)
        if not self.prompt.strip():
            raise InputError("prompt", "an empty one", "what the picture was drawn for", "give it")

    @property
    def weight(self) -> float:
        """How much it counts in training: rating x level / 3, from 1/3 to 3."""
        return self.rating * self.level / 3

    @property
    def normalized(self) -> float:
        """The rating from 0 to 1."""
        return (self.rating - 1) / 2


@dataclass(frozen=True)
class RatingTable:
    """Ratings as they were read, and what is wrong with those that were not."""

    ratings: list[Rating]
    problems: list[str] = field(default_factory=list)


def read_ratings(path: str | os.PathLike, *, image_root: str | os.PathLike | None = None) -> RatingTable:
    """Ratings of a table.

    Args:
        path: CSV or JSONL (.gz too), Parquet, or a folder of `datasets`. Columns may have their usual other names
            (`modal`, `image`, `level`, `annotator`); modality and rater may be missing.
        image_root: folder of the pictures; by default the table's.

    Returns:
        Its usable ratings. Where a rater rated one picture of one prompt again, the last holds; that and every bad row
        (a rating or level that is no whole number from 1 to 3, no such file, an empty prompt) is told in `problems`.

    Raises:
        InputError: no such table, one without a column that must be, or no usable row.
    """
    path = Path(path)
    base = (path.parent if image_root is None else Path(image_root)).resolve()
    ratings, problems, count = {}, [], 0
    for where, cells in rows.read_roles(path, KNOWN, NEEDED):
        count += 1
        try:
            rating = _rating(where, cells, base)
        except InputError as error:
            problems.append(str(error))
            continue
        key = (rating.rater, rating.image, rating.prompt)
        if key in ratings:
            found = f"{ascii(rating.image.name)} again, rated {ratings.pop(key).rating} before and {rating.rating} now"
            problems.append(str(InputError(where, found, "one rating of a rater", "the last holds")))
        ratings[key] = rating
    if not ratings:
        found = f"no usable row (the first: {problems[0]})" if count else "no row"
        raise InputError(path.name, found, "pictures with ratings", "check the table")
    if problems:
        logger.warning("%s: %d of %d rows with problems (the first: %s)", path.name, len(problems), count, problems[0])
    return RatingTable(list(ratings.values()), problems)


def _rating(where: str, cells: dict | InputError, base: Path) -> Rating:
    if isinstance(cells, InputError):
        raise cells
    return Rating(
        image=rows.picture_file(where, cells["path"], base),
        rating=rows.whole_number(where, cells["rating"], "rating", RATINGS),
        modality=None if is_empty(cells.get("modality")) else str(cells["modality"]),
        level=rows.whole_number(where, cells["expert_level"], "expert level", rows.LEVELS),
        prompt=rows.text_cell(where, cells["text"], "prompt"),
        rater="" if is_empty(cells.get("rater")) else str(cells["rater"]),
    )


def append_rating(path: str | os.PathLike, rating: Rating) -> None:
    """Add a rating to a CSV, which is begun where there is none. It is on the disk when this returns.

    Raises:
        InputError: a table of other columns.
    """
    rows.add_row(Path(path), HEADER, _cells(rating, Path(path)))


def withdraw_rating(path: str | os.PathLike, rating: Rating) -> bool:
    """Take the last row of this rating out of a CSV that `append_rating` wrote; whether there was one."""
    return rows.withdraw_row(Path(path), _cells(rating, Path(path)))


def write_ratings(path: str | os.PathLike, ratings: Iterable[Rating]) -> Path:
    """Write a CSV of ratings, whole or not at all; pictures in or below its folder are named relative to it."""
    path = Path(path)
    return write_text(path, rows.csv_text([HEADER, *(_cells(rating, path) for rating in ratings)]))


def refuse_one_class(ratings: Sequence[Rating]) -> None:
    """Refuse ratings that nothing can be learned from: none, or all of them equal.

    Raises:
        InputError: of these.
    """
    seen = {rating.rating for rating in ratings}
    if len(seen) < 2:
        found = f"{len(ratings)} ratings, all of them {seen.pop()}" if seen else "none"
        raise InputError("ratings", found, "at least two different ratings", "rate more pictures, good and bad ones")


def _cells(rating: Rating, table: Path) -> tuple:
    picture, prompt = rows.written_path(rating.image, table), " ".join(rating.prompt.split())
    return picture, rating.rating, rating.modality or "", rating.level, prompt, " ".join(rating.rater.split())
