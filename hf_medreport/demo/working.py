"""Work of a page in a thread of its own: it says how long it takes, has a limit, and ends where nobody waits for it.

    def run(path):
        report = yield from seconds_of(lambda: report_of(path), limit_s=120)

A generator that is closed, as Gradio does with what a user stops, stops its work at the next line of Python.
"""

import ctypes
import threading
import time
from collections.abc import Callable, Generator
from typing import TypeVar

from hf_medreport.processing.input_error import InputError

__all__ = ["seconds_of"]

T = TypeVar("T")
TOLD_EVERY_S = 0.5
_one_at_a_time = threading.Lock()  # what was stopped may go on for a moment, and models keep what they saw


class Stopped(BaseException):
    """Raised within the work: no `except Exception` on its way takes it for the failure of one item."""


def seconds_of(work: Callable[[], T], limit_s: float) -> Generator[int, None, T]:
    """Do some work; yields every now and then the seconds that it has taken, and returns what it returned.

    Args:
        work: called once, never beside other work.
        limit_s: how long it may take.

    Raises:
        InputError: it took longer.
        Exception: whatever the work raises.
    """
    outcome: dict[str, object] = {}

    def run() -> None:
        try:
            with _one_at_a_time:
                outcome["value"] = work()
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    begun = time.monotonic()
    thread.start()
    try:
        while thread.is_alive():
            thread.join(TOLD_EVERY_S)
            taken = time.monotonic() - begun
            if thread.is_alive() and taken > limit_s:
                remedy = "give a smaller file, or start the demo on a faster machine"
                raise InputError("time", f"more than {limit_s:g} s", f"at most {limit_s:g} s", remedy)
            if thread.is_alive():
                yield int(taken)
    finally:
        if thread.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Stopped))
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]
