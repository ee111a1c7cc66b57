"""What the items of a run are called: names that tell `p1/view1.png` from `p2/view1.png`."""

import os
from collections.abc import Iterable
from pathlib import Path

from hf_medreport.files.writing import readable, unique_stem

__all__ = ["item_ids", "item_stems"]


def item_ids(paths: Iterable[str | os.PathLike]) -> list[str]:
    """The id of each item: its path below the common root of all, `/`-separated; of one alone its file's name."""
    absolute = [Path(os.path.abspath(path)) for path in paths]
    if not absolute:
        return []
    root = os.path.commonpath([path.parent for path in absolute])
    return [readable(path.relative_to(root).as_posix()) for path in absolute]


def item_stems(ids: Iterable[str]) -> dict[str, str]:
    """id -> how its files' names begin; the same for the same ids in their order, and none twice."""
    used: set[str] = set()
    return {name: unique_stem(name, used) for name in dict.fromkeys(ids)}
