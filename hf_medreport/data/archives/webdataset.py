"""Reports in WebDataset shards: the files of a sample lie in one tar under one name, told apart by their suffix.

    000017.jpg   the film (.jpg, .jpeg, .png or .dcm)
    000017.txt   the report
    000017.json  or {"text": "...", "label": "'Edema'"}; beside a .txt only its label is read

    reports = WebDatasetReports("train-{000..003}.tar")
    reports[0]  # {"image": (height, width) float32, "text": "...", "labels": ["Edema"], "mask": None, "id": "000017"}

Unlike the webdataset library, which streams, this is a map: any record may be asked for, so that a sampler decides
about the order.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from hf_medreport.data.archives.films import FilmArchive, shard_paths
from hf_medreport.data.archives.index import member_where
from hf_medreport.data.archives.reports import ArchivedReport, ArchivedReports, json_object, labels_of, text_of, utf8
from hf_medreport.processing.input_error import InputError

PICTURES = ("jpg", "jpeg", "png", "dcm")
# As the webdataset library parts a name: at the first full stop of its last component.
SAMPLE = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)")


class WebDatasetReports(ArchivedReports):
    """Records `{"image", "text", "labels", "mask", "id"}` of shards, in their order.

    Args:
        shards: a .tar or .tar.gz, a pattern (`train-{000..003}.tar`), or a list of them.
        on_bad: `"raise"` stops at bad samples and shards and names the first; `"skip"` leaves them out and keeps
            their messages in `skipped`.
        film_options: as in `ArchivedReports`.

    Raises:
        InputError: no usable sample, or bad ones with `on_bad="raise"`.
    """

    def __init__(self, shards: str | os.PathLike | Iterable[str | os.PathLike], on_bad: str = "raise", **film_options):
        one = isinstance(shards, (str, os.PathLike))
        paths = shard_paths(shards) if one else [Path(path) for path in shards]
        if not paths:
            raise InputError("shards", "an empty list", "at least one .tar", "name the shards")
        super().__init__(Path(shards) if one else paths[0], _rows(paths), on_bad, **film_options)


def _rows(paths: list[Path]) -> Iterator[ArchivedReport | InputError]:
    for path in paths:
        try:
            archive = FilmArchive(path)
        except InputError as problem:
            yield problem
            continue
        for name, found in archive.refused.items():
            yield InputError(member_where(archive.name, name), found, "a file of a sample", "pack the shard again")
        for key, files in _samples(archive).items():
            try:
                yield _row(f"{archive.name}, sample {PurePosixPath(key).name}", key, files, archive)
            except InputError as problem:
                yield problem


def _samples(archive: FilmArchive) -> dict[str, list[tuple[str, str]]]:
    """(suffix, name) of the files of every sample; a file without a suffix, or a hidden one, is none."""
    samples = {}
    for name in archive.names():
        if match := SAMPLE.fullmatch(name):
            samples.setdefault(match[1], []).append((match[2].lower(), name))
    return samples


def _row(where: str, key: str, files: list[tuple[str, str]], archive: FilmArchive) -> ArchivedReport:
    pictures = [name for suffix, name in files if suffix in PICTURES]
    if len(pictures) != 1:
        found = "no film" if not pictures else f"{len(pictures)} films"
        raise InputError(where, found, "one .jpg, .png or .dcm", "pack the shard again or drop the sample")
    members = dict(files)
    if "txt" not in members and "json" not in members:
        raise InputError(where, "no report", "a .txt or .json", "pack the shard again or drop the sample")
    fields = json_object(archive.read(members["json"]), where) if "json" in members else {}
    text = utf8(archive.read(members["txt"]), where).strip() if "txt" in members else fields.get("text")
    return ArchivedReport(key, text_of(text, where), labels_of(fields.get("label"), where), archive, pictures[0], where)
