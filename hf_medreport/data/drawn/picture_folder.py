"""Pictures in memory with what is known of them: drawn anew, or read from a folder of `phantom pictures`.

drawn = cached_pictures("pictures", PictureCorpus(n=10_000, seed=100))   # drawn once, then read
drawn.images[0], drawn.facts[0], drawn.prompts[0]
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from hf_medreport.data.drawn.pictures import FACT, write_pictures
from hf_medreport.files.rows import read_rows
from hf_medreport.phantom.picture.corpus import PictureCorpus
from hf_medreport.phantom.picture.facts import PictureFact
from hf_medreport.processing.input_error import InputError

__all__ = ["DrawnPictures", "as_color", "cached_pictures", "drawn_pictures", "read_drawn", "read_training"]

TABLES = ("metadata.jsonl", "pictures.csv", "metadata.csv")


@dataclass(frozen=True, eq=False)
class DrawnPictures:
    """Pictures whose truth is known.

    Attributes:
        images: uint8 (n, size, size, 3); gray ones with three equal channels.
        facts, prompts: of each.
    """

    images: np.ndarray
    facts: list[PictureFact]
    prompts: list[str]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def modalities(self) -> list[str]:
        """Of each picture."""
        return [fact.modality for fact in self.facts]


def drawn_pictures(corpus: PictureCorpus, progress: Callable[[Iterable], Iterable] = iter) -> DrawnPictures:
    """A corpus drawn into memory by this process, some 30 ms a picture."""
    cases = list(progress(map(corpus.__getitem__, range(len(corpus)))))
    images = np.stack([as_color(case.image) for case in cases])
    return DrawnPictures(images, [case.fact for case in cases], [case.prompt for case in cases])


def cached_pictures(
    folder: str | os.PathLike, corpus: PictureCorpus, progress: Callable[[Iterable], Iterable] = iter
) -> DrawnPictures:
    """A corpus from its folder, into which it is drawn first, or drawn to the end, where that is not yet done.

    Raises:
        InputError: the folder holds another corpus, or something else.
    """
    write_pictures(folder, corpus, progress=progress, resume=True)
    return read_drawn(folder)


def read_drawn(folder: str | os.PathLike) -> DrawnPictures:
    """The pictures of a folder that `phantom pictures` wrote as png or csv.

    Raises:
        InputError: no such folder, a row without its fact, pictures of several sizes, or one that cannot be read.
    """
    folder = Path(folder)
    rows = read_rows(folder / "metadata.jsonl")
    missing = [name for name in ("file_name", "prompt", *FACT) if name not in rows[0]]
    if missing:
        found, remedy = f"rows without {missing[0]}", "give a folder that `hf-medreport phantom pictures` wrote"
        raise InputError(f"{folder.name}/metadata.jsonl", found, "pictures with their facts", remedy)
    facts = [PictureFact(*(row[name] for name in FACT)) for row in rows]
    return DrawnPictures(_read(folder, [row["file_name"] for row in rows]), facts, [row["prompt"] for row in rows])


def read_training(folder: str | os.PathLike) -> tuple[np.ndarray, list[str]]:
    """Pictures with their modalities alone, as a generator was trained on: uint8 (n, size, size, 3), and names.

    Args:
        folder: holds `metadata.jsonl` (columns file_name and modality), or a CSV (path or file_name, and modality).

    Raises:
        InputError: no such folder or table, a row without modality, pictures of several sizes, or one that cannot be
            read.
    """
    folder = Path(folder)
    tables = [folder / name for name in TABLES if (folder / name).is_file()]
    if not tables:
        found = f"none in '{folder.name}'" if folder.is_dir() else f"no folder '{folder.name}'"
        raise InputError("training pictures", found, f"a folder with {' or '.join(TABLES)}", "check the path")
    rows = read_rows(tables[0])
    names = [row.get("file_name") or row.get("path") for row in rows]
    for number, (name, row) in enumerate(zip(names, rows, strict=True), 1):
        if not name or not row.get("modality"):
            found = "no path" if not name else "no modality"
            raise InputError(f"{tables[0].name}, row {number}", found, "both", "fill them in")
    return _read(folder, names), [row["modality"] for row in rows]


def as_color(image: np.ndarray) -> np.ndarray:
    """uint8 (height, width) or (height, width, 3) -> (height, width, 3)."""
    return np.repeat(image[..., None], 3, axis=-1) if image.ndim == 2 else image


def _read(folder: Path, names: list[str]) -> np.ndarray:
    images = []
    for name in names:
        try:
            with Image.open(folder / name) as picture:
                images.append(np.asarray(picture.convert("RGB")))
        except (OSError, UnidentifiedImageError) as error:
            found = "no such file" if isinstance(error, FileNotFoundError) else "no readable picture"
            raise InputError(f"{folder.name}/{name}", found, "a picture", "draw or copy the folder again") from error
        if images[-1].shape != images[0].shape:
            found, first = (f"{image.shape[1]} x {image.shape[0]} px" for image in (images[-1], images[0]))
            raise InputError(f"{folder.name}/{name}", found, f"{first} as the first", "resize the pictures")
    return np.stack(images)
