"""What a generator is to draw: a prompt several times, or the rows of a table; each picture with its id and its seed.

Picture k of a prompt has the prompt's seed + k. Rows without a seed of their own count on: no two pictures of a list
have the same noise, and the first rows of a longer list are drawn as before.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hf_medreport.files.items import unlike
from hf_medreport.files.nearest import did_you_mean
from hf_medreport.files.rows import csv_lines, jsonl_lines, open_text
from hf_medreport.files.writing import readable, sha256
from hf_medreport.inference.report import Failure
from hf_medreport.processing.input_error import InputError

__all__ = ["AskedPicture", "asked_of_prompt", "asked_of_table"]

# What a column may be called, in any case and with blanks around it, beside its own name.
COLUMNS = {
    "prompt": ("text", "caption", "description"),
    "modality": ("modal",),
    "negative_prompt": ("negative prompt", "negative"),
    "seed": (),
    "image": ("init", "init_image"),
    "id": ("name",),
}
READERS = {".csv": csv_lines, ".jsonl": jsonl_lines}
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class AskedPicture:
    """One picture: its id, which names its file too, what it shows, and the seed of its noise.

    `image` is a picture that it begins from. `drawn_prompt` is what the model is given, where that is more than what
    was asked for: prompts that are completed from a list of cases.
    """

    id: str
    prompt: str
    seed: int
    modality: str | None = None
    negative_prompt: str | None = None
    image: Path | None = None
    drawn_prompt: str | None = None

    @property
    def given(self) -> str:
        """The prompt that the model is given."""
        return self.prompt if self.drawn_prompt is None else self.drawn_prompt

    def digest(self) -> str:
        """Of all that the picture depends on, but the model and how it draws; "" where its image cannot be read."""
        parts = [self.given, self.modality or "", self.negative_prompt or "", str(self.seed)]
        try:
            parts += [] if self.image is None else [sha256(self.image)]
        except OSError:
            return ""
        return sha256("\0".join(parts).encode("utf-8", "replace"))


def asked_of_prompt(prompt: str, n: int = 1, *, seed: int = 0, **others) -> list[AskedPicture]:
    """`n` pictures of one prompt, 0001 to n, with the seeds from `seed` on; `others` as in `AskedPicture`."""
    if n < 1:
        raise InputError("n", str(n), "1 or more", "give the number of pictures")
    _checked_seed(seed, "seed")
    return [AskedPicture(f"{k + 1:04d}", prompt, seed + k, **others) for k in range(n)]


def asked_of_table(path: Path, n: int = 1, *, seed: int = 0, **others) -> Iterator[AskedPicture | Failure]:
    """`n` pictures of each row of a CSV or JSONL; in a bad row's place why it is none.

    Args:
        path: the table: a column `prompt`, and of `modality`, `negative_prompt`, `seed`, `image` (a path relative to
            the table) and `id` those that it has; also by the names in `COLUMNS`.
        n: pictures a row.
        seed: of the first row's first picture; a row's own counts for that row.
        others: what a row does not say itself: `modality`, `negative_prompt`, `image`.

    Raises:
        InputError: no such table, one of another kind, or one without prompts.
    """
    if n < 1:
        raise InputError("n", str(n), "1 or more", "give the number of pictures")
    _checked_seed(seed, "seed")
    if path.suffix.lower() not in READERS or not path.is_file():
        found = "no such file" if not path.exists() else "a folder" if path.is_dir() else f"a '{path.suffix}' file"
        raise InputError(path.name or "table", found, "a .csv or .jsonl file", "check the path, or convert it")
    return _asked(path, n, seed, others)


def _asked(path: Path, n: int, seed: int, others: dict) -> Iterator[AskedPicture | Failure]:
    used, number = set(), 0
    with open_text(path) as file:
        for line, row in READERS[path.suffix.lower()](file, path.name):
            where, first, number = f"{path.name}, line {line}", seed + number * n, number + 1
            try:
                if isinstance(row, InputError):
                    raise row
                if number == 1:
                    _check_columns(path.name, row)
                asked = _of_row(path, where, row, first, others)
            except InputError as error:
                if error.name == path.name:  # of the whole table
                    raise
                yield Failure(where, readable(str(error)))
                continue
            name = unlike(asked.pop("id") or f"{number:05d}", used)
            used.add(name)
            first = asked.pop("seed")
            for k in range(n):
                yield AskedPicture(name if n == 1 else f"{name}_{k + 1:02d}", seed=first + k, **asked)
    if number == 0:
        raise InputError(path.name, "no rows", "a row a prompt", "write the table again")


def _of_row(path: Path, where: str, row: dict, seed: int, others: dict) -> dict:
    """The fields of a row, by their own names; what it leaves empty is as `others` say."""
    fields = {_column(key): value for key, value in row.items()}
    prompt = fields.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise InputError(where, "no prompt", "a description", "fill it in or remove the line")
    asked = {**others, "prompt": prompt.strip(), "seed": seed, "id": ""}
    for name in ("modality", "negative_prompt", "id"):
        if fields.get(name) not in (None, ""):
            asked[name] = str(fields[name]).strip()
    asked["id"] = re.sub(r"[^\w.-]", "_", asked["id"]).lstrip(".")[:100]
    if fields.get("seed") not in (None, ""):
        asked["seed"] = _seed_of(fields["seed"], where)
    if fields.get("image"):
        asked["image"] = _inside(path.parent, str(fields["image"]), where)
    return asked


def _check_columns(name: str, row: dict) -> None:
    """Refuse a table whose first row has no prompt; the nearest of its columns is asked about."""
    if "prompt" not in map(_column, row):
        found = f"columns {', '.join(map(str, row))}"
        known = ("prompt", *COLUMNS["prompt"])
        alike = next((str(key) for key in row if did_you_mean(_column(key), known)), None)
        remedy = f"is it '{alike}'? name it 'prompt'" if alike else "name the column of prompts so"
        raise InputError(name, readable(found[:120]), "a column 'prompt' or 'text'", remedy)


def _column(key: object) -> str:
    name = str(key).strip().lower()
    return next((column for column, aliases in COLUMNS.items() if name == column or name in aliases), name)


def _seed_of(value: object, where: str) -> int:
    try:
        return _checked_seed(int(str(value)), where)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        found = f"seed '{readable(str(value))[:40]}'"
        raise InputError(where, found, "a whole number", "correct it, or leave it empty") from None


def _checked_seed(seed: int, where: str) -> int:
    if not 0 <= seed <= LARGEST_SEED:
        raise InputError(where, f"seed {seed}", "0 or more, below 2^63", "give another seed")
    return seed


def _inside(folder: Path, image: str, where: str) -> Path:
    """The path of an image of the table's folder; nothing leads out of it."""
    path = (folder / image).resolve()
    if not path.is_relative_to(folder.resolve()):
        expected = "an image inside it"
        raise InputError(where, "a path that leaves the table's folder", expected, "correct 'image'")
    if not path.is_file():
        raise InputError(where, f"no file {readable(image)}", "an existing image", "correct 'image'")
    return path
