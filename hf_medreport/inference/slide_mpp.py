"""What a person says of the resolution of slides: one value for all, and a table with one for some.

told_by(["a.svs", "b.svs"], 0.5, "mpp.csv")  # {"a.svs": 0.25, "b.svs": 0.5}
"""

import os
from collections.abc import Iterable
from pathlib import Path

from hf_medreport.files.rows import read_rows
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.slide_reading import check_slide_mpp

__all__ = ["told_by"]

COLUMNS = ("slide", "mpp")


def told_by(
    paths: Iterable[str | os.PathLike],
    slide_mpp: float | None = None,
    slide_mpp_csv: str | os.PathLike | None = None,
    override_slide_mpp: bool = False,
) -> dict[str, float] | float | None:
    """What is said of each slide, as `open_slide` takes it: by path where there is a table.

    Args:
        paths: of the slides.
        slide_mpp: microns per level-0 px of all that the table does not name.
        slide_mpp_csv: table (CSV, JSONL, Parquet) with the columns slide and mpp. A slide is named by its file, with
            or without its ending; a name with a folder is a path as seen from the table.
        override_slide_mpp: whether these win over the slides' own; then there have to be any.

    Raises:
        InputError: a value that no slide has, or none to override with; a table without these columns, with a cell that
            is no such value, a slide twice, or none of these slides.
    """
    if override_slide_mpp and slide_mpp is None and slide_mpp_csv is None:
        remedy = "give `slide_mpp` or `slide_mpp_csv`, or leave it out"
        raise InputError("override_slide_mpp", "it without a value", "what to put in their place", remedy)
    check_slide_mpp(slide_mpp)
    if slide_mpp_csv is None:
        return slide_mpp
    table, told, met = Path(slide_mpp_csv), {}, False
    rows = _rows(table)
    for path in paths:
        names = dict.fromkeys((os.path.abspath(path), Path(path).name, Path(path).stem))
        found = [name for name in names if name in rows]
        if len(found) > 1:
            raise InputError(table.name, f"{len(found)} rows of {Path(path).name}", "one a slide", "drop all but one")
        met = met or bool(found)
        value = rows[found[0]] if found else slide_mpp
        if value is not None:
            told[str(path)] = value
    if not met:
        raise InputError(table.name, "no row of these slides", "their names in the column slide", "correct the names")
    return told


def _rows(table: Path) -> dict[str, float]:
    """Name or absolute path of each slide -> its resolution."""
    rows, named = read_rows(table), {}
    columns = list(rows[0]) if len(rows) else []
    for column in COLUMNS:
        if column not in columns:
            found = f"columns {', '.join(map(str, columns))}" if columns else "no rows"
            raise InputError(table.name, found, f"columns {' and '.join(COLUMNS)}", f"name a column '{column}'")
    for number, row in enumerate(rows, start=1):
        where, slide = f"{table.name}, row {number}", str(row["slide"] or "").strip()
        if not slide:
            raise InputError(where, "no slide", "its name", "fill it in or drop the row")
        if "/" in slide or os.sep in slide:
            slide = os.path.abspath(table.parent / slide)
        if slide in named:
            raise InputError(where, f"{Path(slide).name} again", "each slide once", "drop one of the rows")
        try:
            named[slide] = float(row["mpp"])
            check_slide_mpp(named[slide])
        except InputError as error:
            raise InputError(where, error.found, error.expected, error.remedy) from error
        except (TypeError, ValueError) as error:
            found = f"'{row['mpp']}' as mpp" if row["mpp"] else "no mpp"
            raise InputError(where, found, "microns per px", "0.25 is usual for 40x, 0.5 for 20x") from error
    return named
