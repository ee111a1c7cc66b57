"""The layouts in which a known-truth corpus is written: Parquet, PNG, DICOM, and RadScribe's JSONL with an archive.

Each is three functions. `encode(corpus, index)` runs in a process that draws: it turns a case into a `Record`.
`write(records, left, folder, corpus)` runs in the one that writes: it takes the records of the cases that are `left`,
in their order. Which are left, `left(folder, corpus)` says: those of what an earlier run has not written whole.
"""

import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import islice

import numpy as np
from PIL import Image

from hf_medreport.data.archives.write_radscribe import write_lines_and_films
from hf_medreport.data.drawn.dicom import film_bytes
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.phantom.chest.corpus import ChestCase, ChestCorpus
from hf_medreport.phantom.chest.findings import Fact, observations
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.report_sections import split_sections

__all__ = ["FORMATS", "Format", "Record", "cases_left", "check_format", "facts_rows", "png_bytes"]
__all__ += ["write_files_and_table"]

SHARD_ROWS = 1000
PNG_FOLDERS = {"image": "images"}
GROUP_ROWS, GROUP_BYTES = 100, 32_000_000  # a row group: what a reader takes at once and the writer holds in memory
RADSCRIBE_ROOT = "data/preprocessed/mimic/"
RADSCRIBE_SPLITS = {"validation": "valid"}  # as MIMIC-CXR's preprocessing calls it; the others keep their names


@dataclass(frozen=True)
class Record:
    """What a case becomes: a row of the corpus's table, and files by name."""

    row: dict
    files: dict[str, bytes]


@dataclass(frozen=True)
class Format:
    """A layout; `data_files` is what the data set's card names as its data, for a split."""

    encode: Callable[..., Record]
    left: Callable[..., list[int]]
    write: Callable[..., None]
    data_files: str


# --- what several layouts share ---------------------------------------------------------------------------------------


def png_bytes(pixels: np.ndarray) -> bytes:
    """PNG of 8, 16 or (masks) 1 bit."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _pictures(case: ChestCase) -> dict[str, bytes]:
    """The pictures of a case as PNG, by the column they belong to."""
    pictures = {"image": case.image, "lungs": case.lungs, "heart": case.heart}
    if case.lateral is not None:
        pictures["lateral"] = case.lateral.image
    if case.prior is not None:
        pictures["prior"] = case.prior.image
    return {column: png_bytes(pixels) for column, pixels in pictures.items()}


def _texts(case: ChestCase, corpus: ChestCorpus) -> dict:
    """What is known of a case in words: facts, report, its sections; in a corpus of follow-ups the prior film's too."""
    sections = split_sections(case.report)
    texts = {"facts": facts_rows(case.facts), "report": case.report}
    texts |= {name: sections.get(name) for name in ("findings", "impression")}
    if corpus.follow_up:
        prior = case.prior
        texts["prior_report"] = None if prior is None else prior.report
        texts["prior_facts"] = None if prior is None else facts_rows(prior.facts)
        texts["resolved"] = None if prior is None else facts_rows(case.resolved)
    return texts


def facts_rows(facts: Iterable[Fact]) -> list[dict]:
    """Facts as they go into JSON."""
    return [asdict(fact) for fact in facts]


def _json_line(row: dict) -> bytes:
    return (json.dumps(row) + "\n").encode()


def cases_left(folder: RunFolder, corpus: ChestCorpus) -> list[int]:
    """The cases whose files are not all there."""
    return [index for index in range(corpus.n) if folder.done(str(index)) is None]


def write_files_and_table(records: Iterable[Record], left: list[int], folder, corpus, table: str) -> None:
    """The files of the cases that are left, each done once they are written, and last a JSONL with the rows of all."""
    for index, record in zip(left, records, strict=True):
        for name, content in record.files.items():
            folder.write(name, content)
        folder.add(str(index), record.row, record.files)
    folder.write(table, b"".join(_json_line(folder.entries[str(index)]["record"]) for index in range(corpus.n)))


# --- Parquet ----------------------------------------------------------------------------------------------------------


def encode_parquet(corpus: ChestCorpus, index: int) -> Record:
    """One row with its pictures inside."""
    case = corpus[index]

    def embedded(column: str, content: bytes) -> dict:
        return {"bytes": content, "path": f"{case.patient_id}_{column}.png"}

    masks = [
        {**asdict(fact), "mask": embedded(f"finding{number}", png_bytes(mask))}
        for number, (fact, mask) in enumerate(case.findings.items())
    ]
    pictures = {column: embedded(column, content) for column, content in _pictures(case).items()}
    return Record({"patient_id": case.patient_id, **pictures, "finding_masks": masks, **_texts(case, corpus)}, {})


def shards_left(folder: RunFolder, corpus: ChestCorpus) -> list[int]:
    """The cases of the shards that are not there."""
    shards = [range(start, min(start + SHARD_ROWS, corpus.n)) for start in range(0, corpus.n, SHARD_ROWS)]
    return [index for shard in shards if folder.done(str(shard.start)) is None for index in shard]


def write_parquet(records: Iterable[Record], left: list[int], folder, corpus: ChestCorpus) -> None:
    """Shards of `SHARD_ROWS` rows whose schema tells `datasets` which columns are pictures."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    rows = (record.row for record in records)
    schema = _features(corpus).arrow_schema
    shards = -(-corpus.n // SHARD_ROWS)
    for start in (index for index in left if index % SHARD_ROWS == 0):
        name = f"data/{corpus.split}-{start // SHARD_ROWS:05d}-of-{shards:05d}.parquet"
        with folder.open(name) as file, ParquetWriter(file, schema) as table:
            for group in _row_groups(islice(rows, SHARD_ROWS)):
                table.write_table(pyarrow.Table.from_pylist(group, schema=schema))
        folder.add(str(start), {}, [name], count=min(SHARD_ROWS, corpus.n - start))


def _features(corpus: ChestCorpus):
    """The columns as `datasets` types."""
    from datasets import Features, Image, List, Value

    text, picture = Value("string"), Image()
    types = {"size_mm": Value("int32"), "certain": Value("bool")}
    fact = {name: types.get(name, text) for name in Fact.__dataclass_fields__}
    lateral = {"lateral": picture} if corpus.lateral else {}
    prior = {"prior": picture, "prior_report": text, "prior_facts": List(fact), "resolved": List(fact)}
    return Features(
        {"patient_id": text, "image": picture}
        | lateral
        | {"lungs": picture, "heart": picture, "finding_masks": List(fact | {"mask": picture})}
        | {"facts": List(fact), "report": text, "findings": text, "impression": text}
        | (prior if corpus.follow_up else {})
    )


def _row_groups(rows: Iterable[dict]) -> Iterator[list[dict]]:
    """Rows in groups, each bounded in rows and in bytes of films."""
    group, size = [], 0
    for row in rows:
        group.append(row)
        size += sum(len(value["bytes"]) for value in row.values() if isinstance(value, dict))
        if len(group) == GROUP_ROWS or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


# --- PNG --------------------------------------------------------------------------------------------------------------


def encode_png(corpus: ChestCorpus, index: int) -> Record:
    """A folder for each column of pictures, and a row that names them as the `imagefolder` of `datasets` reads it."""
    case = corpus[index]
    files = {f"{PNG_FOLDERS.get(column, column)}/{case.patient_id}.png": png for column, png in _pictures(case).items()}
    masks = {
        f"findings/{case.patient_id}_{number}_{fact.kind}.png": png_bytes(mask)
        for number, (fact, mask) in enumerate(case.findings.items())
    }
    names = {name.split("/")[0]: name for name in files}
    row = {"file_name": names.pop("images"), "patient_id": case.patient_id}
    row |= {f"{column}_file_name": name for column, name in names.items()}
    if corpus.follow_up:
        row.setdefault("prior_file_name", None)
    return Record(row | {"finding_masks_file_names": list(masks), **_texts(case, corpus)}, files | masks)


def write_png(records: Iterable[Record], left: list[int], folder, corpus: ChestCorpus) -> None:
    """The pictures, and `metadata.jsonl`."""
    write_files_and_table(records, left, folder, corpus, "metadata.jsonl")


# --- DICOM ------------------------------------------------------------------------------------------------------------


def encode_dicom(corpus: ChestCorpus, index: int, monochrome: int | None, identity: str) -> Record:
    """A file a film (frontal, lateral, prior), and a row that names them.

    Args:
        monochrome: 1 or 2; None: in turns.
        identity: what tells this run's films from those of another, for their UIDs.
    """
    case = corpus[index]
    inverted = (monochrome or 2 - index % 2) == 1
    films = {"file_name": ("frontal", case.image, False)}
    if case.lateral is not None:
        films["lateral_file_name"] = ("lateral", case.lateral.image, False)
    if case.prior is not None:
        films["prior_file_name"] = ("frontal", case.prior.image, True)
    row, files = {"patient_id": case.patient_id}, {}
    for column, (view, pixels, earlier) in films.items():
        row[column] = f"films/{case.patient_id}_{'prior' if earlier else view}.dcm"
        files[row[column]] = film_bytes(pixels, case.patient_id, view, earlier, inverted, identity)
    if corpus.follow_up:
        row.setdefault("prior_file_name", None)
    return Record(row | _texts(case, corpus), files)


def write_dicom(records: Iterable[Record], left: list[int], folder, corpus: ChestCorpus) -> None:
    """The films, and `reports.jsonl`."""
    write_files_and_table(records, left, folder, corpus, "reports.jsonl")


# --- RadScribe --------------------------------------------------------------------------------------------------------


def encode_radscribe(corpus: ChestCorpus, index: int) -> Record:
    """A JPEG, and a row whose label is the CheXpert names, each in single quotes, as that program's preprocessing."""
    case = corpus[index]
    split = _radscribe_split(corpus)
    name = f"{split}/{case.patient_id}.jpg"
    row = {
        "id": case.patient_id,
        "split": split,
        "label": ", ".join(f"'{one}'" for one in observations(case.facts) or ("No Finding",)),
        "text": case.report,
        "img": RADSCRIBE_ROOT + name,
    }
    buffer = io.BytesIO()
    Image.fromarray(case.image).save(buffer, "JPEG", quality=95)
    return Record(row, {name: buffer.getvalue()})


def all_left(folder: RunFolder, corpus: ChestCorpus) -> list[int]:
    """All cases: an archive is written in one go."""
    return list(range(corpus.n))


def write_radscribe(records: Iterable[Record], left: list[int], folder, corpus: ChestCorpus) -> None:
    """`SPLIT.jsonl` and `SPLIT.tar.gz`; see `write_lines_and_films`."""
    write_lines_and_films(folder, _radscribe_split(corpus), ((record.row, record.files) for record in records))


def _radscribe_split(corpus: ChestCorpus) -> str:
    return RADSCRIBE_SPLITS.get(corpus.split, corpus.split)


# --- the table of layouts ---------------------------------------------------------------------------------------------

FORMATS = {
    "parquet": Format(encode_parquet, shards_left, write_parquet, "data/{split}-*.parquet"),
    "png": Format(encode_png, cases_left, write_png, "**"),
    "dicom": Format(encode_dicom, cases_left, write_dicom, "reports.jsonl"),
    "radscribe": Format(encode_radscribe, all_left, write_radscribe, "*.jsonl"),
}


def check_format(format: str, corpus: ChestCorpus, monochrome: int | None) -> None:
    """Raise InputError unless the format is known, can hold this corpus, and its package is there."""
    if format not in FORMATS:
        raise InputError("format", repr(format), "one of " + ", ".join(FORMATS), "name a known format")
    if monochrome not in (None, 1, 2):
        raise InputError("monochrome", str(monochrome), "1 or 2", "leave it out to have both in turns")
    if monochrome is not None and format != "dicom":
        raise InputError("monochrome", f"format {format}", "format dicom", "leave out `monochrome`")
    if format == "radscribe" and (corpus.lateral or corpus.follow_up or corpus.bits != 8):
        found = "a lateral film, a prior film or 16 bits"
        raise InputError("format radscribe", found, "one JPEG a case", "leave them out or choose another format")
    if format == "parquet" and find_spec("datasets") is None:
        raise InputError("format parquet", "no datasets", "datasets 4 or later", "pip install 'hf-medreport[train]'")
    if format == "dicom" and find_spec("pydicom") is None:
        raise InputError("format dicom", "no pydicom", "pydicom 3 or later", "pip install 'hf-medreport[dicom]'")
