"""Which pictures of a folder are to be rated, and what each was drawn for."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hf_medreport.data.pictures.columns import COLUMNS, is_empty
from hf_medreport.data.ratings import rows
from hf_medreport.files.rows import stream_rows
from hf_medreport.processing.input_error import InputError

__all__ = ["NO_PROMPT", "ToRate", "pictures_to_rate"]

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
TABLES = ("metadata.jsonl", "metadata.csv", "pictures.csv")
RECORDS = "records.jsonl"  # of a folder that `synthesize` wrote
NO_PROMPT = "(no prompt: rate the picture alone)"


@dataclass(frozen=True)
class ToRate:
    """A picture, and what it was drawn for."""

    image: Path
    prompt: str
    modality: str | None = None


def pictures_to_rate(folder: str | os.PathLike, csv: str | os.PathLike | None = None) -> tuple[list[ToRate], list[str]]:
    """The pictures of a folder with their prompts.

    Args:
        folder: of `synthesize` (its records.jsonl tells prompts), of pictures with a table beside them (metadata.jsonl,
            metadata.csv or pictures.csv), or of pictures alone: their prompt is `NO_PROMPT`.
        csv: the table, where it has another name or lies elsewhere; its paths are relative to `folder`.

    Returns:
        The pictures in the table's order, by name where there is none; and what is wrong with the rows left out.

    Raises:
        InputError: no such folder or table, or no picture.
    """
    folder = Path(folder)
    if not folder.is_dir():
        found = "a file" if folder.exists() else "no such folder"
        raise InputError(folder.name or str(folder), found, "a folder of pictures", "check the path")
    folder = folder.resolve()
    tables = [folder / name for name in (RECORDS, *TABLES)] if csv is None else [Path(csv)]
    table = next((path for path in tables if csv is not None or path.is_file()), None)
    if table is None:
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
        pictures, problems = [ToRate(path, NO_PROMPT) for path in files], []
    else:
        pictures, problems = _of_table(table, folder)
    if not pictures:
        first = f" (the first problem: {problems[0]})" if problems else ""
        raise InputError(folder.name, f"no picture{first}", "pictures to rate", "give a folder that holds some")
    return list(dict.fromkeys(pictures)), problems


def _of_table(table: Path, base: Path) -> tuple[list[ToRate], list[str]]:
    pictures, problems = [], []
    lines = _records(table) if table.name == RECORDS else rows.read_roles(table, COLUMNS, ("path", "text"))
    for where, cells in lines:
        try:
            pictures.append(_picture(where, cells, base))
        except InputError as error:
            problems.append(str(error))
    return pictures, problems


def _records(table: Path) -> Iterator[tuple[str, dict | InputError]]:
    for where, line in stream_rows(table):
        record = line.get("record") if isinstance(line, dict) else None
        if isinstance(record, dict):
            line = {"path": record.get("file"), "text": record.get("prompt"), "modality": record.get("modality")}
        elif isinstance(line, dict):
            line = InputError(
                where, "no record of a picture", "a line that `synthesize` wrote", "draw the folder again"
            )
        yield where, line


def _picture(where: str, cells: dict | InputError, base: Path) -> ToRate:
    if isinstance(cells, InputError):
        raise cells
    prompt = rows.text_cell(where, cells["text"], "prompt")
    modality = None if is_empty(cells.get("modality")) else str(cells["modality"])
    return ToRate(rows.picture_file(where, cells["path"], base), prompt, modality)
