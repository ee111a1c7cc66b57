"""Small archives of films for the tests: made in memory, with headers as tarfile would not write them by itself too."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image


def film(seed: int = 0) -> bytes:
    """A 16 x 16 PNG of noise."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 16), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def member(name: str, content: bytes = b"", **header) -> tuple[tarfile.TarInfo, bytes]:
    """One file of an archive; `header` sets fields of its TarInfo."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in header.items():
        setattr(info, field, value)
    return info, content


def tar_bytes(*members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.GNU_FORMAT) -> bytes:
    """A whole tar of some members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    """Files as an archive, compressed where the name says so."""
    content = tar_bytes(*(member(name, one) for name, one in files.items()))
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix in (".gz", ".tgz") else content)
    return path


def write_rows(path: Path, rows: list[dict]) -> Path:
    """Rows as JSONL."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def row(number: int, **fields) -> dict:
    """A row of a RadScribe table; a field that is None is left out."""
    every = {"id": f"s{number}", "split": "train", "label": "'Edema'", "text": f"Report {number}."}
    every |= {"img": f"data/preprocessed/mimic/train/{number}.png"} | fields
    return {name: value for name, value in every.items() if value is not None}
