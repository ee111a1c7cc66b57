"""Known-truth pictures of five modalities on disk, the same bytes for any number of workers.

write_pictures("pictures", PictureCorpus(n=1000, seed=0, size=64), format="csv")
# hf-medreport train diffusion reads pictures/pictures.csv
"""

import csv
import io
import os
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import asdict
from importlib.util import find_spec
from itertools import islice

from hf_medreport.data.drawn.corpus import draw_in_order
from hf_medreport.data.drawn.formats import Record, png_bytes, write_files_and_table
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.phantom.picture.corpus import PictureCorpus
from hf_medreport.processing.input_error import InputError

__all__ = ["FORMATS", "write_pictures"]

# format: the files that hold the data set, for a split
FORMATS = {"png": "**", "csv": "pictures.csv", "parquet": "data/{split}-*.parquet"}
SHARD_ROWS, GROUP_ROWS = 5000, 500
STATEMENT = "These pictures are drawn by a program: nobody was imaged, and no clinical claim follows from them."
PACKAGES = ("numpy", "scipy", "pillow", "pyarrow", "datasets")  # what decides about bytes
FACT = ("modality", "finding", "side", "zone", "grade")


def write_pictures(
    out: str | os.PathLike,
    corpus: PictureCorpus,
    format: str = "png",
    workers: int | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
    resume: bool = False,
    overwrite: bool = False,
) -> dict:
    """Draw a corpus of pictures into a folder.

    Args:
        out: the folder; new or empty.
        corpus: what to draw.
        format: "png" (pictures, masks and `metadata.jsonl`, as `load_dataset` reads them), "csv" (those, and
            `pictures.csv` with path, text and modality, as the trainer of generators reads it) or "parquet".
        workers: processes that draw; by default one a core.
        progress: wraps the cases as they are written.
        resume, overwrite: of `RunFolder`. What is whole is not drawn again: a case, or a shard of Parquet.

    Returns:
        the manifest: `{"made_by", "hf_medreport", "arguments", "versions", "statement", "files"}`.

    Raises:
        InputError: an argument out of range, a package that is missing, or a folder that is not writable or holds
            something else.
        OSError: the disk took no more; no file is half-written under its own name.
    """
    if format not in FORMATS:
        raise InputError("format", repr(format), "one of " + ", ".join(FORMATS), "name a known format")
    if format == "parquet" and find_spec("datasets") is None:
        raise InputError("format parquet", "no datasets", "datasets 4 or later", "pip install 'hf-medreport[train]'")
    if workers is not None and workers < 1:
        raise InputError("workers", str(workers), "at least 1 process", "leave it out for one a core")
    arguments = {name: getattr(corpus, name) for name in ("n", "seed", "size", "modalities", "split", "wordings")}
    fact = None if corpus.fact is None else asdict(corpus.fact)
    arguments |= {"style": corpus.style, "fact": fact, "format": format}
    with RunFolder(out, "phantom pictures", arguments, resume=resume, overwrite=overwrite, alone=True) as folder:
        if (manifest := folder.finished()) is not None:
            return manifest
        folder.total = corpus.n
        step = SHARD_ROWS if format == "parquet" else 1
        left = [i for i in range(corpus.n) if folder.done(str(i - i % step)) is None]
        workers = max(1, min(workers or os.cpu_count() or 1, len(left)))
        with closing(draw_in_order(corpus, _encode, workers, left)) as drawn:
            write = _write_shards if format == "parquet" else _write_files
            write(progress(drawn), left, folder, corpus)
        if format == "csv":
            folder.write("pictures.csv", _table(folder.entries[str(i)]["record"] for i in range(corpus.n)))
        folder.write("README.md", _card(corpus, format, arguments).encode())
        return folder.finish(STATEMENT, PACKAGES)


def _encode(corpus: PictureCorpus, index: int) -> tuple[dict, bytes, bytes]:
    """A case as its row, its picture and its mask, both PNG; runs in a worker."""
    case = corpus[index]
    row = {"id": case.case_id, "prompt": case.prompt, **asdict(case.fact)}
    return row, png_bytes(case.image), png_bytes(case.mask)


def _write_files(drawn, left: list[int], folder: RunFolder, corpus: PictureCorpus) -> None:
    """`images/`, `masks/` and `metadata.jsonl`."""
    write_files_and_table(map(_as_files, drawn), left, folder, corpus, "metadata.jsonl")


def _as_files(drawn: tuple[dict, bytes, bytes]) -> Record:
    row, image, mask = drawn
    names = {"file_name": f"images/{row['id']}.png", "mask_file_name": f"masks/{row['id']}.png"}
    return Record(names | row, dict(zip(names.values(), (image, mask), strict=True)))


def _table(rows: Iterable[dict]) -> bytes:
    """The CSV that a generator is trained on."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("path", "text", "modality"))
    table.writerows((row["file_name"], row["prompt"], row["modality"]) for row in rows)
    return text.getvalue().encode()


def _write_shards(drawn, left: list[int], folder: RunFolder, corpus: PictureCorpus) -> None:
    """Parquet shards with the pictures inside."""
    import pyarrow
    from datasets import Features, Value
    from datasets import Image as Picture
    from pyarrow.parquet import ParquetWriter

    text = Value("string")
    columns = {"id": text, "image": Picture(), "mask": Picture(), "prompt": text} | dict.fromkeys(FACT, text)
    schema, shards = Features(columns).arrow_schema, -(-corpus.n // SHARD_ROWS)
    rows = (
        {**row, "image": {"bytes": image, "path": f"{row['id']}.png"}, "mask": {"bytes": mask, "path": None}}
        for row, image, mask in drawn
    )
    for start in (index for index in left if index % SHARD_ROWS == 0):
        shard = islice(rows, SHARD_ROWS)
        name = f"data/{corpus.split}-{start // SHARD_ROWS:05d}-of-{shards:05d}.parquet"
        with folder.open(name) as file, ParquetWriter(file, schema) as table:
            while group := list(islice(shard, GROUP_ROWS)):
                table.write_table(pyarrow.Table.from_pylist(group, schema=schema))
        folder.add(str(start), {}, [name], count=min(SHARD_ROWS, corpus.n - start))


def _card(corpus: PictureCorpus, format: str, arguments: dict) -> str:
    """The text of README.md."""
    listed = "\n".join(f"- {name}: {value}" for name, value in arguments.items())
    return f"""---
pretty_name: Known-truth pictures
license: apache-2.0
language: en
task_categories: [text-to-image, image-segmentation]
tags: [medical, radiology, ophthalmology, synthetic]
configs:
- config_name: default
  data_files:
  - split: {corpus.split}
    path: "{FORMATS[format].format(split=corpus.split)}"
---

# Known-truth pictures

{STATEMENT} They test whether a generator draws what it is asked for: each was drawn from the one
finding beside it. Sides are the patient's, of an OCT scan and a fundus photograph the eye's.

Made by `hf-medreport phantom pictures` with

{listed}

`manifest.json` holds the versions and the SHA-256 of every file; the same arguments and versions give the same bytes.
"""
