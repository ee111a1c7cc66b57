"""A run's items shared among processes: which ones are this process's, what became of them, and the whole in the end.

    share = this_share("3/16")  # or RANK and WORLD_SIZE, as torchrun sets them
    mine = share.take(ids)
    finish_share(folder, share, ids, [{"id": id, "state": "done"} for id in mine], write_summary)

The items go round in the order of the list: share 3 of 16 does the third, the nineteenth and so on. So the shares are
of one size, but for one item, and the whole can be put together again in the list's order. It asks for one list: each
part keeps a digest of the one that its process saw, and parts of different lists are not joined.
"""

import json
import logging
import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_medreport.files.claims import drop_claim, holder_of, take_claim
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.files.writing import sha256
from hf_medreport.processing.input_error import InputError

__all__ = ["ALL", "Share", "finish_share", "joined", "listing", "read_part", "this_share"]


@dataclass(frozen=True)
class Share:
    """One of several shares of a list, counted from 1."""

    number: int = 1
    of: int = 1

    @property
    def file(self) -> str:
        """The name of the file that says what became of its items."""
        return f"part-{self.number}-of-{self.of}.json"

    def take(self, items: Sequence) -> list:
        """This share's items, in their order."""
        return list(items[self.number - 1 :: self.of])


ALL = Share()
PATIENCE = 30  # seconds, in which another process has long joined the shares

logger = logging.getLogger(__name__)


def this_share(shard: str | None = None, resume: bool = True) -> Share:
    """What this process is to do.

    Args:
        shard: `"3/16"`, the third of sixteen. Where torchrun or accelerate started this process (RANK, WORLD_SIZE), the
            share is divided among its processes.
        resume: whether the run is begun with it; processes that were started together share a folder only so.

    Raises:
        InputError: no such share; or WORLD_SIZE without RANK, as a cluster may leave it: each process would do the
            first share. Or one of several processes without `resume`.
    """
    of_jobs = ALL if shard is None else _read(shard)
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world > 1 and "RANK" not in os.environ:
        found, remedy = f"none beside WORLD_SIZE={world}", "start with torchrun, set RANK, or unset WORLD_SIZE"
        raise InputError("RANK", found, "which of the processes this is", remedy)
    if world > 1 and not resume:
        found, expected = f"none, in one of {world} processes", "`resume`, with which they share a folder"
        raise InputError("resume", found, expected, "give it to all of them, and to a new folder too")
    return Share((of_jobs.number - 1) * world + rank + 1, of_jobs.of * world)


def _read(shard: str) -> Share:
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", shard.strip(), re.ASCII)
    number, of = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= of:
        expected = "which share of how many, from 1/16 to 16/16"
        raise InputError("shard", f"'{shard}'", expected, "count from 1: the first of sixteen jobs is 1/16")
    return Share(number, of)


def finish_share(
    folder: RunFolder,
    share: Share,
    ids: Sequence[str],
    results: list[dict],
    write: Callable[[list[dict], dict], Any],
    beside: dict | None = None,
) -> Any | None:
    """Keep what became of a share's items; the last share of a folder writes the whole.

    Args:
        folder: of the run, this share's own or one of several shares.
        share: of this process.
        ids: of all items.
        results: what became of each item of the share, in their order; goes into JSON.
        write: what writes the whole's files and its manifest, of the results of all items in their order and `beside`.
        beside: what else is known of the run; goes into JSON.

    Returns:
        What `write` returned; None while parts are missing.
    """
    beside = beside or {}
    if share.of == 1:
        return write(results, beside)
    part = {"share": share.number, "of": share.of, "listing": listing(ids), "results": results, "beside": beside}
    with _alone(folder.path):
        folder.write_json(share.file, part)
        files = [Share(number, share.of).file for number in range(1, share.of + 1)]
        parts = [read_part(folder.path / file) for file in files]
        if any(each is None or each["listing"] != part["listing"] for each in parts):
            return None
        for file, each in zip(files, parts, strict=True):
            folder.write_json(file, each)  # the manifest is to name those of other processes too
        folder.in_order(ids)
        return write(joined(parts), beside)


def listing(ids: Sequence[str]) -> dict:
    """What a part says of the list that its process saw."""
    return {"items": len(ids), "sha256": sha256("\n".join(ids).encode())}


def joined(parts: list[dict]) -> list[dict]:
    """The results of all parts, which come in the order of their shares, in the order of the list."""
    whole = [None] * sum(len(part["results"]) for part in parts)
    for start, part in enumerate(parts):
        whole[start :: len(parts)] = part["results"]
    return whole


def read_part(path: Path) -> dict | None:
    """A part as it was written; None where there is none, or not a whole one."""
    with suppress(FileNotFoundError, ValueError, TypeError, RecursionError):
        part = json.loads(path.read_text(encoding="utf-8"))
        if {"share", "of", "listing", "results", "beside"} <= set(part):
            return part
    return None


@contextmanager
def _alone(folder: Path):
    """One process at a time, so that the last one sees the parts of all."""
    path, told, begun = folder / ".parts.claim", False, time.monotonic()
    while (claim := take_claim(path)) is None:
        if not told and time.monotonic() - begun > PATIENCE:
            told = True
            logger.warning("waiting for %s to join the shares; if it is dead, `clear_dead_claims`", holder_of(path))
        time.sleep(0.1)
    try:
        yield
    finally:
        drop_claim(claim)
