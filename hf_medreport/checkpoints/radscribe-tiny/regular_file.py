"""Opening files that others named: regular ones alone. A pipe, a device or a socket would be waited for without end, or
never be read through.
"""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from .input_error import InputError


def refuse_special(path: str | os.PathLike, expected: str, name: str | None = None) -> None:
    """InputError for a path that is a device, pipe or socket. Of one that is missing or a folder the opening tells.

    Args:
        path: the file.
        expected: what messages say that it should have been.
        name: what messages call it; its last component where none is given.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):  # missing, or an impossible name
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(name or Path(path).name, "a device or pipe", expected, "save it as a file first")


def open_regular(path: str | os.PathLike, expected: str) -> BinaryIO:
    """Open a regular file to read its bytes; the caller closes it.

    Raises:
        InputError: a device, pipe or socket.
        OSError: as of `open`.
    """
    refuse_special(path, expected)
    return open(path, "rb")
