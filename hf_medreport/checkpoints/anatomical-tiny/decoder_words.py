"""What a C library writes straight to stderr while it decodes: libtiff says there what is wrong with a file, past all
of Python's handlers, and a line of it on a screen tells nobody which file it is about.

    with decoder_words() as words:
        picture.load()
    words  # ["ZIPDecode: Decoding error at scanline 0, incorrect data check"]
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LINE = 120  # letters of a line that are kept
LINES = 5

_one_at_a_time = threading.Lock()  # there is one stderr


@contextmanager
def decoder_words() -> Iterator[list[str]]:
    """The lines that come to stderr's descriptor within the block, at its end; none where the system cannot do that."""
    words: list[str] = []
    with _one_at_a_time:
        try:
            screen = os.dup(2)
        except OSError:  # closed
            screen = None
        if screen is None or os.name != "posix":
            yield words
            return
        reading, writing = os.pipe()
        os.set_blocking(writing, False)  # more than it holds is lost, and not waited for
        os.dup2(writing, 2)
        os.close(writing)
        try:
            yield words
        finally:
            os.dup2(screen, 2)  # which closes the pipe's end
            os.close(screen)
            with os.fdopen(reading, "rb") as said:
                words += _lines(said.read())


def _lines(said: bytes) -> list[str]:
    lines = said.decode("utf-8", "replace").split("\n")[:LINES]
    return [line.removeprefix("tempfile.tif: ").strip(" .\r")[:LINE] for line in lines if line.strip()]
