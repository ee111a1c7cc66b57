"""The rows of a picture table as an endless stream of items: shuffled anew each epoch, shared out, resumed at any row.

The order is that of (seed, epoch) alone. Row after row of it goes to the processes in turns, and of a process's share
one batch after the other to its workers, so that a run sees the same batches with any number of workers, and the same
rows together with any number of processes. A process or worker reads all rows, which costs microseconds each, and only
the pictures of its own.

    stream = PictureStream(table, seed=0, batch_size=8)
    loader = DataLoader(stream, batch_size=8, num_workers=2, collate_fn=collate)
    for step, batch in enumerate(loader): ...
    stream = PictureStream(table, seed=0, batch_size=8, start=8 * step)  # goes on behind it
"""

import random
from collections.abc import Callable, Iterator
from itertools import islice

import torch
from torch.utils.data import IterableDataset, get_worker_info

from hf_medreport.data.pictures.table import PictureTable, Row
from hf_medreport.files.items import why
from hf_medreport.processing.input_error import InputError

__all__ = ["PictureStream", "collate", "shuffled"]


class PictureStream(IterableDataset):
    """Items of a table, epoch after epoch.

    An item is that of `PictureTable.item` with its `epoch`; of a bad row `{"row", "epoch", "problem"}`, so that it is
    told once and moves no other row.

    Args:
        table: the rows.
        seed: of the order.
        batch_size: of one process, as the loader has it.
        rank, world: which of how many processes this is.
        start: how many rows all processes together have seen in the run so far, bad ones counted: where to go on.
        epochs: how many there are in all; None goes on for ever. At the end of all, processes whose share is a row
            shorter give None in its place, so that all give as many batches.
        buffer: rows that are shuffled at a time; 1 keeps the table's order. A table sorted by modality wants one as
            large as the table; one whose pictures lie in it holds as many of them, still compressed.
        reword: (prompt, modality, source of chance) -> the prompt as it is learned from in this epoch.

    Raises:
        InputError: a rank that is not below `world`, or another number out of range.
    """

    def __init__(
        self,
        table: PictureTable,
        *,
        seed: int = 0,
        batch_size: int = 1,
        rank: int = 0,
        world: int = 1,
        start: int = 0,
        epochs: int | None = None,
        buffer: int = 10_000,
        reword: Callable[[str, str | None, random.Random], str] | None = None,
    ):
        for name, value, least in (("batch_size", batch_size, 1), ("world", world, 1), ("buffer", buffer, 1)):
            if value < least:
                raise InputError(name, str(value), f"at least {least}", "correct it")
        if not 0 <= rank < world:
            raise InputError("rank", str(rank), f"0 to {world - 1}", "number the processes from 0")
        if start < 0:
            raise InputError("start", str(start), "a number of rows from 0", "correct it")
        self.table, self.seed, self.batch_size, self.rank, self.world = table, seed, batch_size, rank, world
        self.start, self.epochs, self.buffer, self.reword = start, epochs, buffer, reword

    def order(self, epoch: int) -> Iterator[Row]:
        """All rows of the table in the order of one epoch."""
        return shuffled(self.table.rows(), random.Random(f"{self.seed} {epoch}"), self.buffer)

    def __iter__(self) -> Iterator[dict | None]:
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        own = islice(self._places(), self.rank, None, self.world)
        for number, (epoch, row) in enumerate(own):
            if number // self.batch_size % workers == worker:
                yield None if row is None else self._item(epoch, row)

    def _places(self) -> Iterator[tuple[int, Row | None]]:
        """(epoch, row) from the start on, of all processes."""
        epoch, seen = divmod(self.start, len(self.table))
        count = 0
        while self.epochs is None or epoch < self.epochs:
            for row in islice(self.order(epoch), seen, None):
                count += 1
                yield epoch, row
            epoch, seen = epoch + 1, 0
        for _ in range(-count % self.world):
            yield epoch, None

    def _item(self, epoch: int, row: Row) -> dict:
        try:
            item = self.table.item(row) | {"epoch": epoch}
        except (InputError, OSError) as error:
            return {"row": row.number, "epoch": epoch, "problem": why(row.where, error)}
        if self.reword is not None:
            chance = random.Random(f"{self.seed} {epoch} {row.number}")
            item["prompt"] = self.reword(item["prompt"], item["modality"], chance)
        return item


def shuffled(rows: Iterator[Row], chance: random.Random, buffer: int) -> Iterator[Row]:
    """The rows in a random order, no more than `buffer` of them in memory."""
    waiting = list(islice(rows, buffer))
    for row in rows:
        place = int(chance.random() * len(waiting))
        waiting[place], row = row, waiting[place]
        yield row
    while waiting:
        place = int(chance.random() * len(waiting))
        waiting[place], waiting[-1] = waiting[-1], waiting[place]
        yield waiting.pop()


def collate(items: list[dict | None]) -> dict:
    """One batch of what a stream gives: `{"pixel_values", "prompts", "modalities", "rows", "epochs", "problems"}`.

    `pixel_values` are (batch, 3, size, size), with batch the number of good rows, which may be 0; `problems` say what
    is wrong with the bad ones.
    """
    items = [item for item in items if item is not None]
    good = [item for item in items if "problem" not in item]
    pictures = [item["pixel_values"] for item in good]
    return {
        "pixel_values": torch.stack(pictures) if pictures else torch.empty(0, 3, 0, 0),
        "prompts": [item["prompt"] for item in good],
        "modalities": [item["modality"] for item in good],
        "rows": [item["row"] for item in good],
        "epochs": [item["epoch"] for item in good],
        "problems": [item["problem"] for item in items if "problem" in item],
    }
