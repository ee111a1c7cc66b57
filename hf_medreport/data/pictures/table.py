"""A table of pictures and their descriptions: `path, text, modality`, in any order, read anew as often as wanted.

Rows are read in chunks and never held, so that memory does not grow with the table; a picture is read when its row is
asked for. One bad row ends nothing: what is wrong with it stands in its place.

    table = PictureTable("pairs.csv", size=256)
    for row in table.rows():
        item = table.item(row)   # {"pixel_values": (3, 256, 256) in [-1, 1], "prompt", "modality", "row"}

What tables of the field look like is read as it was meant: columns under their usual other names and in any case,
blanks after commas, and descriptions whose commas stand without quotes (the fields in the middle are joined).
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch

from hf_medreport.data.pictures.columns import COLUMNS, clean_cell, column_roles, is_empty, joined
from hf_medreport.data.pictures.fitting import check_fit, fitted
from hf_medreport.data.tables import picture_source
from hf_medreport.files.rows import stream_rows
from hf_medreport.processing.image_reading import read_pixels
from hf_medreport.processing.input_error import InputError

__all__ = ["COLUMNS", "PictureTable", "Row"]

logger = logging.getLogger(__name__)


class Row(NamedTuple):
    """One row as it was read.

    Attributes:
        number: its place in the table from 0, bad rows counted.
        where: what messages call it, "pairs.csv, line 2".
        cells: by the table's own columns; or what is wrong with the row.
    """

    number: int
    where: str
    cells: dict | InputError


class PictureTable:
    """Pictures of one size with their descriptions.

    Opening it reads the rows once, without their pictures, and says what is wrong.

    Args:
        path: CSV or JSONL (.gz too), Parquet, or a folder saved by `datasets`. A picture is a path (absolute, or
            relative to `base` and inside it), or the `{"bytes", "path"}` that `datasets` stores.
        size: side of the square pictures in pixels.
        fit: see `fitted`: "pad" or "crop".
        base: the folder of the pictures; by default the table's.
        modality: a modality as the table has it -> its name; raises InputError of one that is unknown. By default
            names are taken as they are.

    Attributes:
        mended: how many rows had commas without quotes.
        problems: how many rows cannot be used, their pictures not yet read; `first_problems` says what is wrong with
            the first of them.

    Raises:
        InputError: no such table, one without a column for paths or texts or with two for one role, or no usable row.
    """

    FIRST = 20

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        size: int = 256,
        fit: str = "pad",
        base: str | os.PathLike | None = None,
        modality: Callable[[str], str] = str,
    ):
        check_fit(size, fit)
        self.path, self.size, self.fit, self.modality = Path(path), size, fit, modality
        self.base = (self.path.parent if base is None else Path(base)).resolve()
        self.problems, self.mended, self.first_problems, self._count = 0, 0, [], 0
        self._look_through()

    def __len__(self) -> int:
        """How many rows there are, bad ones counted."""
        return self._count

    def rows(self) -> Iterator[Row]:
        """All rows in the table's order, as they are read."""
        return (Row(number, where, cells) for number, (where, cells) in enumerate(stream_rows(self.path, self._joined)))

    def item(self, row: Row) -> dict:
        """What a row stands for: `{"pixel_values", "prompt", "modality", "row"}`.

        `pixel_values` are float32 (3, size, size) in [-1, 1], the three planes of a gray picture one memory;
        `modality` is a name, None where the table has none.

        Raises:
            InputError: the row or its picture cannot be used.
        """
        source, prompt, modality = self._checked(row)
        name = row.where if isinstance(source, bytes) else f"{row.where} ({_shown(source)})"
        square = torch.from_numpy(fitted(read_pixels(source, name=name, at_least=self.size), self.size, self.fit))
        pixel_values = square.expand(3, -1, -1)
        return {"pixel_values": pixel_values, "prompt": prompt, "modality": modality, "row": row.number}

    def texts(self) -> Iterator[str]:
        """The descriptions of its usable rows, no picture read."""
        for row in self.rows():
            with suppress(InputError):
                yield self._checked(row)[1]

    def _look_through(self) -> None:
        """Count the rows, and those that cannot be used, before anybody waits for a picture."""

        def counted(header: list[str], values: list[str]) -> list[str]:
            whole = self._joined(header, values)
            self.mended += len(whole) == len(header)
            return whole

        known = False
        for number, (where, cells) in enumerate(stream_rows(self.path, counted)):
            self._count += 1
            if not known and isinstance(cells, dict):
                known = bool(self._needed(self.path.name, tuple(cells)))  # of the table as a whole
            try:
                source, _, _ = self._checked(Row(number, where, cells))
                if isinstance(source, Path) and not os.path.isfile(source):
                    found = "a folder, device or pipe" if source.exists() else f"no file {_shown(source)}"
                    raise InputError(where, found, "an existing picture", "correct the path")
            except InputError as error:
                self.problems += 1
                if len(self.first_problems) < self.FIRST:
                    self.first_problems.append(str(error))
        if self.problems == self._count:
            found = f"no usable row (the first: {self.first_problems[0]})" if self._count else "no row"
            raise InputError(self.path.name, found, "pictures with descriptions", "check the table")
        if self.mended:
            logger.warning(
                "%s: commas without quotes in %d descriptions; their parts were joined", self.path.name, self.mended
            )

    def _joined(self, header: list[str], values: list[str]) -> list[str]:
        """The fields of a row, those in the middle joined where commas in its description made several of it."""
        return joined(header, values, _roles(self.path.name, tuple(header)).get("text"))

    def _checked(self, row: Row) -> tuple[Path | bytes, str, str | None]:
        """Where the picture is, the description and the modality of a row; no file is touched."""
        if isinstance(row.cells, InputError):
            raise row.cells
        roles = self._needed(row.where, tuple(row.cells))
        value, text = clean_cell(row.cells[roles["path"]]), clean_cell(row.cells[roles["text"]])
        if not isinstance(text, str) or not text:
            found = "no text" if is_empty(text) else f"{type(text).__name__} {text!r:.20}"
            found += f" in '{roles['text'].strip()}'"
            raise InputError(row.where, found, "a description", "fill it in or drop the row")
        try:
            source = picture_source(value, self.base)
        except ValueError as error:
            expected = f"a file inside {self.base.name}/"
            raise InputError(row.where, str(error), expected, f"correct '{roles['path'].strip()}'") from None
        modality = clean_cell(row.cells[roles["modality"]]) if "modality" in roles else None
        try:
            modality = None if is_empty(modality) else self.modality(str(modality))
        except InputError as error:
            raise InputError(row.where, error.found, error.expected, error.remedy) from None
        return source, " ".join(text.split()), modality

    def _needed(self, where: str, header: tuple[str, ...]) -> dict[str, str]:
        """The columns by their roles, where there are both that must be."""
        roles = _roles(self.path.name, header)
        for role in ("path", "text"):
            if role not in roles:
                found = f"columns {', '.join(header[:8])}"
                raise InputError(where, found, f"a column '{role}'", f"give the column of each {role} that name")
        return roles


_roles = lru_cache(maxsize=64)(column_roles)  # rows of one table have one header


def _shown(path: Path) -> str:
    """The name of a file in one line, whatever is in it."""
    return "".join(one if one.isprintable() else "?" for one in path.name)
