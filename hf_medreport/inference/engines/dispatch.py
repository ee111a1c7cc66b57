"""Tasks for workers of which any may die: each task comes back once, done again by another worker where one has died.

    for task, result in dispatch(["a.svs", "b.svs"], pool):
        ...

A pool knows how workers are started and asked (`on_ray.RayPool`); who gets what, and when it is given up, is decided
here.
"""

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Protocol

from hf_medreport.files.items import why
from hf_medreport.processing.input_error import InputError

__all__ = ["DEAD", "DONE", "READY", "TRIES", "Pool", "WorkerDied", "dispatch", "in_batches_of", "why_of"]

logger = logging.getLogger(__name__)
TRIES = 3  # workers that may die over one task, or one after the other while they load
READY, DONE, DEAD = "ready", "done", "dead"


class WorkerDied(Exception):
    """TRIES workers died over a task."""


class Pool(Protocol):
    """Workers, `size` of them at a time."""

    size: int

    def start(self) -> None:
        """Begin a worker; `wait` tells when it is READY."""

    def submit(self, worker, task) -> None:
        """Give a ready worker a task."""

    def wait(self) -> tuple[Any, str, Any]:
        """The next worker with something to tell: READY, DONE with its result or the exception of its task, or DEAD.

        Raises:
            Exception: what a worker could not be loaded for.
        """

    def close(self) -> None:
        """End all workers."""


def dispatch(tasks: Iterable, pool: Pool) -> Iterator[tuple[Any, Any]]:
    """Have tasks done.

    Args:
        tasks: what the workers take; the next one is asked for when a worker is free.
        pool: the workers, ended when all is done.

    Yields:
        Each task, as it ends, with its result, or with the exception that it raised.

    Raises:
        InputError: no worker lives to the end of its loading.
    """
    source = ((task, 0) for task in tasks)
    waiting = deque(islice(source, pool.size))  # (task, workers that died over it)
    busy, idle, loading, stillborn = {}, [], len(waiting), 0

    def give(worker) -> None:
        entry = waiting.popleft() if waiting else next(source, None)
        if entry is None:
            idle.append(worker)
        else:
            busy[worker] = entry
            pool.submit(worker, entry[0])

    try:
        for _ in range(loading):
            pool.start()
        while waiting or busy:
            worker, event, value = pool.wait()
            task, deaths = busy.pop(worker, (None, None))
            if event == READY:
                loading, stillborn = loading - 1, 0
                give(worker)
            elif event == DONE:
                give(worker)
                yield task, value
            else:
                logger.warning("a worker died %s", "while it loaded" if deaths is None else "over its task")
                if deaths is None:
                    loading, stillborn = loading - 1, stillborn + 1
                elif deaths + 1 < TRIES:
                    waiting.appendleft((task, deaths + 1))
                if idle and waiting:
                    give(idle.pop())
                elif stillborn < TRIES:
                    loading += 1
                    pool.start()
                if deaths is not None and deaths + 1 == TRIES:
                    yield task, WorkerDied()
            if waiting and not (busy or idle or loading):
                found, remedy = f"{TRIES} workers that died while they loaded", "look into their logs and memory"
                raise InputError("engine", found, "workers that live", remedy)
    finally:
        pool.close()


def why_of(name: str, error: Exception) -> str:
    """Why a task failed, in one line; see `files.items.why`."""
    if isinstance(error, WorkerDied):
        found, expected = f"that {TRIES} workers died over it", "a file that a worker survives"
        error = InputError(name, found, expected, "look into their logs and memory")
    return why(name, error)


def in_batches_of(size: int, items: Iterable) -> Iterator[list]:
    """The items, so many at a time."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
