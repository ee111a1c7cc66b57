"""Films with reports -> tables to train on: Parquet, or RadScribe's JSONL with an archive.

    funnel = prepare(MimicCxr(Path("mimic-cxr-jpg")), "mimic")

writes `train`, `validation` and `test.parquet` (those that are not empty) with the columns `image`, `text`, `labels`,
`findings`, `impression`, `view`, `patient_id`, `study_id` and `split`, one row a film, in the sources' order;
`funnel.json` (films left at each step, and what was wrong), a card, and `manifest.json`. `labels` are the CheXpert
observations that count as there, empty where nothing is, null where nobody labeled.

How often a source is drawn beside others stands in the recipe, not here: `train_weights` has one number a table.

    train_data: [mimic/train.parquet, plus/train.parquet]
    train_weights: [0.7, 0.3]
"""

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import islice

import numpy as np
from PIL import Image

from hf_medreport.data.archives.write_radscribe import write_lines_and_films
from hf_medreport.data.drawn.formats import RADSCRIBE_ROOT, RADSCRIBE_SPLITS
from hf_medreport.dataset_scripts.parts.films import Chosen, Rules, Source, choose
from hf_medreport.dataset_scripts.parts.lung_crop import png
from hf_medreport.dataset_scripts.parts.patient_split import read_split, split_of
from hf_medreport.files.items import why
from hf_medreport.files.run_folder import RunFolder, refuse_older
from hf_medreport.processing.image_reading import read_image
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.label_text import checked_labels

__all__ = ["FORMATS", "prepare"]

PARTS = ("train", "validation", "test")
DRAWN = {"val": "validation"}  # as `split_of` calls it
ROWS_A_GROUP = 16  # what a reader takes at once and the writer holds
PACKAGES = ("datasets", "numpy", "pillow", "pyarrow")  # what decides about bytes
EMBEDDED = (".jpg", ".jpeg", ".png")  # as they lie; a DICOM film becomes 8 bits


def prepare(
    source: Source,
    out: str | os.PathLike | None = None,
    rules: Rules | None = None,
    *,
    format: str = "parquet",
    split: str | None = None,
    seed: int = 0,
    embed: bool = True,
    workers: int = 1,
    progress: Callable[[Iterable, int], Iterable] = lambda items, total: items,
    resume: bool = False,
    overwrite: bool = False,
) -> dict:
    """Write tables, funnel, card and manifest to `out`; without `out`, only count.

    Args:
        source: `MimicCxr` or `CheXpertPlus`.
        out: new or empty; see `RunFolder`.
        rules: None is `Rules()`.
        format: "parquet", or "radscribe": `SPLIT.jsonl` and `SPLIT.tar.gz` of JPEGs.
        split: parts of train, validation and test by patient, where the source publishes none.
        seed: of that split. A patient's part depends on nothing else.
        embed: films inside the tables, DICOM as 8-bit PNG; else their absolute paths. Each is read to its end before.
        workers: films read at once; the bytes do not depend on it.
        progress: wraps the films whose reports are read, and then those of a part as they are read themselves.
        resume, overwrite: of `RunFolder`. A part that is whole is not read again.

    Returns:
        the funnel: `steps` (films left), rows by part (`parts`), and `problems`, one line a bad row, report or film.

    Raises:
        InputError: an argument is wrong, a table cannot be used, or no film is left to write.
    """
    rules, problems = rules or Rules(), []
    _check(source, out, format, split, embed, workers)
    if out is not None:
        refuse_older(out, resume, overwrite)
    cases, steps = choose(source, source.films(problems), rules, problems, progress)
    funnel = {"steps": steps, "problems": problems}
    if out is None:
        return funnel
    if not cases:
        raise InputError("rules", "no film left", "at least one", "see the funnel with `out=None`")

    arguments = {"sources": source.digests(), "texts": _digest(cases), "labels": source.labels, "rules": asdict(rules)}
    arguments |= {"format": format, "split": split, "seed": seed, "embed": embed}
    drawn = read_split(split) if split else None
    by_part: dict[str, list[Chosen]] = {part: [] for part in PARTS}
    for case in cases:
        part = case.film.split or split_of(case.film.patient_id, drawn, seed)
        by_part[DRAWN.get(part, part)].append(case)
    encode, write, names = FORMATS[format]
    with (
        RunFolder(out, f"prepare {source.name}", arguments, resume=resume, overwrite=overwrite, alone=True) as folder,
        ThreadPoolExecutor(workers) as pool,
    ):
        if folder.finished() is not None:
            return json.loads((folder.path / "funnel.json").read_text(encoding="utf-8"))
        folder.total, funnel["parts"] = len(cases), {}
        for part, its_cases in by_part.items():
            if not its_cases:
                continue
            record = folder.done(part)
            if record is None:
                bad: list[str] = []
                read = _read(progress(its_cases, len(its_cases)), part, encode, embed, bad, pool, workers)
                record = {"rows": write(folder, part, read), "problems": bad}
                written = [name.format(part if format == "parquet" else _radscribe_split(part)) for name in names]
                folder.add(part, record, written, count=record["rows"])
            folder.failed_items += len(record["problems"])
            funnel["parts"][part] = record["rows"]
            problems += record["problems"]
        steps["readable films"] = sum(funnel["parts"].values())
        funnel["arguments"] = folder.run["arguments"]  # as they will be read back
        folder.write_json("funnel.json", funnel)
        folder.write("README.md", _card(source, funnel).encode())
        folder.finish(source.statement, PACKAGES)
    return funnel


def _check(source: Source, out, format: str, split: str | None, embed: bool, workers: int) -> None:
    """What can be known to be wrong before the tables are read."""
    if format not in FORMATS:
        raise InputError("format", f"'{format}'", " or ".join(FORMATS), "choose one of them")
    if format == "radscribe" and not embed:
        raise InputError("embed", 'paths with `format="radscribe"`', "films in an archive", "leave out `embed`")
    if workers < 1:
        raise InputError("workers", str(workers), "at least 1", "leave it out for 1")
    if split is not None:
        read_split(split)
        if source.published:
            raise InputError("split", f"'{split}' beside published parts", "one of the two", "leave out `split`")
    elif not source.published and out is not None:
        raise InputError("split", "no published parts and no `split`", "one of the two", 'give `split="8:1:1"`')
    if out is not None and format == "parquet" and find_spec("datasets") is None:
        raise InputError("datasets", "not installed", "datasets 4 or later", "pip install 'hf-medreport[train]'")


def _digest(cases: Iterable[Chosen]) -> str:
    """SHA-256 of what will be written but for the films: reports are too many files to digest each."""
    digest = hashlib.sha256()
    for case in cases:
        digest.update(json.dumps([case.film.id, case.findings, case.impression, case.positives]).encode())
    return digest.hexdigest()


def _read(cases, part: str, encode, embed: bool, problems: list[str], pool, workers: int) -> Iterator:
    """What `encode` makes of the cases, in their order; a few films a worker are read ahead, bad ones are told."""
    waiting = iter(cases)

    def attempt(case: Chosen):
        try:
            return encode(case, part, embed)
        except Exception as error:
            return why(case.film.id, error)

    while batch := list(islice(waiting, 4 * workers)):
        for encoded in pool.map(attempt, batch):
            if isinstance(encoded, str):
                problems.append(encoded)
            else:
                yield encoded


# --- Parquet ----------------------------------------------------------------------------------------------------------


def encode_parquet(case: Chosen, part: str, embed: bool) -> dict:
    """The row of a film."""
    film, path = case.film, case.path
    pixels = read_image(path, name=f"{film.id}{path.suffix}")  # CheXpert's own file names repeat
    if not embed:
        image = {"bytes": None, "path": str(path.absolute())}
    elif path.suffix.lower() in EMBEDDED:
        image = {"bytes": path.read_bytes(), "path": f"{film.id}{path.suffix.lower()}"}
    else:
        image = {"bytes": png(pixels), "path": f"{film.id}.png"}
    labels = None if case.positives is None else checked_labels(case.positives)
    row = {"image": image, "text": case.text, "labels": labels, "findings": case.findings}
    row |= {"impression": case.impression, "view": film.view or None, "patient_id": film.patient_id}
    return row | {"study_id": film.study_id, "split": part}


def write_parquet(folder: RunFolder, part: str, rows: Iterator[dict]) -> int:
    """`PART.parquet`, whose schema tells `datasets` what is a picture; returns the number of rows."""
    import pyarrow
    from datasets import Features, List, Value
    from datasets import Image as Picture
    from pyarrow.parquet import ParquetWriter

    text = Value("string")
    columns = {"image": Picture(), "text": text, "labels": List(text)}
    columns |= dict.fromkeys(("findings", "impression", "view", "patient_id", "study_id", "split"), text)
    schema, count = Features(columns).arrow_schema, 0
    with folder.open(f"{part}.parquet") as file, ParquetWriter(file, schema) as table:
        while group := list(islice(rows, ROWS_A_GROUP)):
            table.write_table(pyarrow.Table.from_pylist(group, schema=schema))
            count += len(group)
    return count


# --- RadScribe --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A line of RadScribe's JSONL and the film it names."""

    row: dict
    member: str
    jpeg: bytes


def encode_radscribe(case: Chosen, part: str, embed: bool) -> Line:
    """A film as JPEG, and its line. Its label is the names in single quotes, `No Finding` among them as in the
    original's files; without labels the line has none."""
    split = _radscribe_split(part)
    pixels = read_image(case.path, name=f"{case.film.id}{case.path.suffix}")
    content, member = case.path.read_bytes(), f"{split}/{case.film.id}.jpg"
    if not content.startswith(b"\xff\xd8\xff"):
        buffer = io.BytesIO()
        Image.fromarray(np.rint(pixels * 255).astype(np.uint8)).save(buffer, "JPEG", quality=95)
        content = buffer.getvalue()
    row = {"id": case.film.id, "split": split}
    if case.positives is not None:
        row["label"] = ", ".join(f"'{name}'" for name in case.positives)
    return Line({**row, "text": case.text, "img": RADSCRIBE_ROOT + member}, member, content)


def write_radscribe(folder: RunFolder, part: str, lines: Iterator[Line]) -> int:
    """`SPLIT.jsonl` and `SPLIT.tar.gz`; returns the number of lines."""
    films = ((line.row, {line.member: line.jpeg}) for line in lines)
    return write_lines_and_films(folder, _radscribe_split(part), films)


def _radscribe_split(part: str) -> str:
    return RADSCRIBE_SPLITS.get(part, part)


# How a row is made, how a part is written, and which files that makes.
FORMATS = {
    "parquet": (encode_parquet, write_parquet, ("{}.parquet",)),
    "radscribe": (encode_radscribe, write_radscribe, ("{}.jsonl", "{}.tar.gz")),
}


def _card(source: Source, funnel: dict) -> str:
    """The text of README.md."""
    arguments = funnel["arguments"]
    steps = "\n".join(f"| {step} | {count} |" for step, count in funnel["steps"].items())
    named = {part: f"{_radscribe_split(part)}.jsonl" for part in PARTS}
    if arguments["format"] == "parquet":
        named = {part: f"{part}.parquet" for part in PARTS}
    parts = "\n".join(f"  - split: {part}\n    path: {named[part]}" for part, count in funnel["parts"].items() if count)
    counts = ", ".join(f"{part} {count}" for part, count in funnel["parts"].items())
    drawn = f"drawn by patient as {arguments['split']}, seed {arguments['seed']}" if arguments["split"] else "published"
    rules = "\n".join(f"- {name}: {value}" for name, value in arguments["rules"].items())
    return f"""---
pretty_name: {source.title}
license: other
language: en
task_categories: [image-to-text]
tags: [medical, radiology, chest-x-ray]
configs:
- config_name: default
  data_files:
{parts}
---

# {source.title}

{source.statement}

A row is one film with the text of its study's report. Parts ({drawn}): {counts}. Labels: {arguments["labels"]}.

| step | films left |
|---|---|
{steps}

Rules:

{rules}

Drawn beside other sources by weight: `train_weights` of a recipe has one number a table of `train_data`.

Made by `hf-medreport prepare {source.name}`. `funnel.json` lists what was wrong, `manifest.json` holds the digests of
what was read and written.
"""
