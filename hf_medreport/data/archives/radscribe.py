"""RadScribe's data: a JSONL table, and an archive or folder of films (its repository's `data/preprocessed`).

{"id": "...", "split": "valid", "label": "'Cardiomegaly', 'Edema'", "text": "...",
 "img": "data/preprocessed/mimic/valid/ID.jpg"}

reports = RadScribeReports("valid.jsonl", "valid.tar.gz")
reports[0]  # {"image": (height, width) float32, "text": "...", "labels": ["Cardiomegaly", "Edema"], ...}
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from hf_medreport.data.archives.films import Films, open_films
from hf_medreport.data.archives.index import unsafe
from hf_medreport.data.archives.reports import ArchivedReport, ArchivedReports, json_object, labels_of, text_of
from hf_medreport.processing.input_error import InputError

IMG_ROOT = "data/preprocessed/mimic/"


class RadScribeReports(ArchivedReports):
    """Records `{"image", "text", "labels", "mask", "id"}` of a JSONL table.

    Args:
        jsonl: the table; `label` may be missing, `split` and other fields are not read.
        archive: what holds the films: a folder, a .tar or .tar.gz, archives by a pattern (`films-{000..003}.tar`) or
            a list of them.
        img_root: what `img` has before the name of a member; a member that is there under the whole `img` is taken.
        on_bad: `"raise"` stops at bad rows and names the first; `"skip"` leaves them out and keeps their messages in
            `skipped`.
        film_options: as in `ArchivedReports`.

    Raises:
        InputError: no such table or archive, a damaged archive, no usable row, or bad rows with `on_bad="raise"`.
    """

    def __init__(
        self,
        jsonl: str | os.PathLike,
        archive: str | os.PathLike | Iterable[str | os.PathLike],
        img_root: str = IMG_ROOT,
        on_bad: str = "raise",
        **film_options,
    ):
        path = Path(jsonl)
        if not os.path.isfile(path):
            raise InputError(path.name, "no such file", "a .jsonl table", "check the path")
        super().__init__(path, _rows(path, open_films(archive), img_root), on_bad, **film_options)


def _rows(path: Path, films: Films, img_root: str) -> Iterator[ArchivedReport | InputError]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield _row(f"{path.name}, line {number}", line, films, img_root)
                except InputError as problem:
                    yield problem


def _row(where: str, line: bytes, films: Films, img_root: str) -> ArchivedReport:
    row = json_object(line, where)
    for name in ("id", "text", "img"):
        if name not in row:
            raise InputError(where, f"no field '{name}'", "id, text and img", "fill it in or drop the row")
    for name in ("id", "img"):
        if not isinstance(row[name], str):
            raise InputError(where, f"{type(row[name]).__name__} in '{name}'", "text", "write it as text")
    text, labels = text_of(row["text"], where), labels_of(row.get("label"), where)
    return ArchivedReport(row["id"], text, labels, films, _member(where, row["img"], films, img_root), where)


def _member(where: str, img: str, films: Films, img_root: str) -> str:
    """The name under which a film lies; InputError where there is none."""
    short = img.removeprefix(img_root.rstrip("/") + "/") if img_root else img
    for name in (img, short):
        if name in films:
            return name
    found = films.refused.get(short) or unsafe(short) or f"no film {PurePosixPath(short).name}"
    raise InputError(where, found, f"a film in {films.name}", "correct 'img' or drop the row")
