"""How long work ends before it is done: signals become exceptions, and workers do not outlive who started them."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["INTERRUPTIONS", "Terminated", "exit_code", "follow_parent", "terminable"]

PR_SET_PDEATHSIG = 1  # linux/prctl.h


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
    """The initializer of a pool's processes: they leave Ctrl-C to their parent and die with it, however it dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # each would print a traceback
    if sys.platform == "linux":
        # Of a process that a fork server started, the server, which ends with who started it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():  # it died before the kernel knew that we follow it
        os._exit(1)
