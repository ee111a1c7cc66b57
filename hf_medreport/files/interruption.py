"""How long work ends before it is done: signals become exceptions, and workers do not outlive who started them."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["INTERRUPTIONS", "Terminated", "exit_code", "follow_parent", "terminable"]


class Terminated(BaseException):
    """SIGTERM, as KeyboardInterrupt is SIGINT: nothing that catches an `Exception` takes it for an item's failure."""


INTERRUPTIONS = (KeyboardInterrupt, Terminated)


def exit_code(interruption: BaseException) -> int:
    """128 and the signal's number, as shells say it: 130 or 143."""
    return 128 + (signal.SIGTERM if isinstance(interruption, Terminated) else signal.SIGINT)


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM raises `Terminated` in the block, so that it is left in order; only in a process's main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(number, frame):
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def follow_parent() -> None:
    """The initializer of a pool's processes: they leave Ctrl-C to their parent and die with it, however it dies.

    A thread waits for the parent itself: the kernel's PR_SET_PDEATHSIG would tell of the fork server, which lives as
    long as the workers do.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # each would print a traceback
    threading.Thread(target=_die_with, args=(multiprocessing.parent_process(),), daemon=True).start()


def _die_with(parent) -> None:
    parent.join()
    os._exit(1)
