"""Memory that was freed goes back to the system.

glibc keeps what was freed for itself, in pieces between what is still used: a run over thousands of films would seem to
need some more with every hundred of them.
"""

import ctypes
import sys

__all__ = ["give_back"]


def give_back() -> bool:
    """Ask the C library to do so, which takes some milliseconds; False where it has no such call."""
    if sys.platform != "linux":
        return False
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
    if trim is not None:
        trim(0)
    return trim is not None
