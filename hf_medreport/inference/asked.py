"""What one call is to report: images or pairs of films, each with what is told of it, its id and its digest."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from hf_medreport.files.items import item_ids, numbered
from hf_medreport.files.marks import quick_mark
from hf_medreport.files.writing import sha256
from hf_medreport.inference.loading import shows_slide
from hf_medreport.inference.read_pairs import Pair
from hf_medreport.processing.file_suffixes import FEATURE_SUFFIXES
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.slide_reading import open_slide
from hf_medreport.processing.slide_sources import slide_files


@dataclass(frozen=True)
class Asked:
    """Args:
    paths: films, slides or feature files.
    pairs: in place of paths.
    masks, labels: one for each of these; None where there are none.
    """

    paths: list[Path]
    pairs: list[Pair] | None = None
    masks: list[Path] | None = None
    labels: list[str] | None = None

    @cached_property
    def items(self) -> list[tuple[Path, ...]]:
        """The files of each item."""
        if self.pairs is None:
            return [(path,) for path in self.paths]
        return [tuple(film for film in pair if film is not None) for pair in self.pairs]

    @cached_property
    def ids(self) -> list[str]:
        """Of each item, see `files.items.item_ids`; that of a pair names both of its films."""
        files = list(dict.fromkeys(file for item in self.items for file in item))
        of_file = dict(zip(files, item_ids(files), strict=True))
        return numbered(" + ".join(of_file[file] for file in item) for item in self.items)

    @cached_property
    def _marks(self) -> dict[int, str]:
        return {}

    def mark(self, index: int) -> str:
        """By which a slide is known again without its digest, see `files.marks`; "" of all else, which is small."""
        if index not in self._marks:  # of a share's items alone, and once
            self._marks[index] = slide_mark(self.items[index][0]) if self.pairs is None else ""
        return self._marks[index]

    def digest(self, index: int, known: dict | None = None) -> str:
        """Of all that an item's report depends on, but the model; empty where a file cannot be read.

        Args:
            index: of the item.
            known: what an earlier run keeps of it; its digest holds where its mark is still the item's.
        """
        if known is not None and known.get("mark") and known["mark"] == self.mark(index):
            return known["digest"]
        told = [] if self.labels is None else [self.labels[index]]
        with suppress(InputError, OSError):
            files = [*self.items[index], *([] if self.masks is None else [self.masks[index]])]
            return sha256("\n".join([*map(file_digest, files), *told]).encode())
        return ""

    def only(self, indices: Iterable[int]) -> "Asked":
        """The items of these places."""
        chosen = list(indices)
        lists = {name: getattr(self, name) for name in ("paths", "pairs", "masks", "labels")}
        if self.pairs is not None:
            del lists["paths"]  # there are none
        return replace(self, **{name: each and [each[index] for index in chosen] for name, each in lists.items()})


def is_scan(path: Path) -> bool:
    """Whether a file is a slide, and not its features."""
    return path.suffix.lower() not in FEATURE_SUFFIXES and shows_slide(path)


def slide_mark(path: Path) -> str:
    """That of a slide; empty of any other file, and of one that cannot be read."""
    with suppress(OSError):
        if is_scan(path):
            return quick_mark(slide_files(path))
    return ""


def file_digest(path: Path) -> str:
    """The SHA-256 of a film or feature file, the fingerprint of a slide."""
    if is_scan(path):
        with open_slide(path) as slide:
            return slide.fingerprint()
    return sha256(path)
