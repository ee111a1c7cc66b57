"""Items worked on a batch at a time, so that any number of them needs the memory of one batch; a bad one is a `Failure`
where it stood, and the others are done.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from hf_medreport.files.items import why
from hf_medreport.files.writing import readable
from hf_medreport.inference.report import Failure
from hf_medreport.processing.input_error import InputError

__all__ = ["failed", "in_batches", "one_mask_each"]


def in_batches(items: Iterable, name: Callable, read: Callable, write: Callable, batch_size: int) -> Iterator:
    """Read one item after the other and work on them a batch at a time.

    Args:
        items: whatever `read` takes.
        name: item -> what a `Failure` calls it.
        read: item -> case. Whatever it raises is this item's failure.
        write: a list of (item, case), `batch_size` of them or the last few, -> what is yielded of each. Whatever it
            raises makes it try them one by one, and then is the failure of the item that it stood alone with.
        batch_size: how many cases are in memory at a time.
    """
    waiting = []
    for item in items:
        try:
            waiting.append((item, read(item)))
        except Exception as error:
            waiting.append((item, failed(name(item), error)))
        if sum(not isinstance(case, Failure) for _, case in waiting) == batch_size:
            yield from _written(waiting, name, write)
            waiting = []
    yield from _written(waiting, name, write)


def _written(waiting: list[tuple], name: Callable, write: Callable) -> Iterator:
    batch = [(item, case) for item, case in waiting if not isinstance(case, Failure)]
    results = iter(_each(batch, name, write) if batch else ())
    for _, case in waiting:
        yield case if isinstance(case, Failure) else next(results)


def _each(batch: list[tuple], name: Callable, write: Callable) -> list:
    """What `write` makes of a batch, or of each of its items alone where it does not get through the batch."""
    try:
        return write(batch)
    except Exception as error:
        if len(batch) == 1:
            return [failed(name(batch[0][0]), error)]
        return [result for one in batch for result in _each([one], name, write)]


def failed(name: str, error: Exception) -> Failure:
    """The failure of an item, in one line."""
    return Failure(readable(name), why(name, error))


def one_mask_each(masks: Iterable[str | os.PathLike] | None, count: int, unit: str) -> list[Path | None]:
    """A mask, or None, for each of `count` films or pairs; `unit` says which."""
    masks = [None] * count if masks is None else list(map(Path, masks))
    if len(masks) != count:
        found = f"{len(masks)} for {count} {unit}{'s' * (count != 1)}"
        raise InputError("masks", found, f"one a {unit}", f"give them in the {unit}s' order")
    return masks
