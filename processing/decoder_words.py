"""What a C library writes straight to stderr while it decodes: libtiff says there what is wrong with a file, past all
of Python's handlers, and a line of it on a screen tells nobody which file it is about.

    with decoder_words() as words:
        picture.load()
    words  # ["ZIPDecode: Decoding error at scanline 0, incorrect data check"]
"""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LINE = 120  # letters of a line that are kept
LINES = 5
ITS_OWN = re.compile(rb"(tempfile\.tif|_?[A-Z]\w*[a-z]\w*): .+\.")  # its function and a sentence

_one_at_a_time = threading.Lock()  # there is one stderr


@contextmanager
def decoder_words() -> Iterator[list[str]]:
    """What libtiff writes to stderr's descriptor within the block, at its end; none where the system cannot do that.

    Lines of another form are another thread's, and come to the screen when the block ends.
    """
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
                lines = said.read().splitlines(keepends=True)
            its_own = [bool(ITS_OWN.fullmatch(line.strip())) for line in lines]
            os.write(2, b"".join(line for line, own in zip(lines, its_own, strict=True) if not own))
            words += [_words(line) for line, own in zip(lines, its_own, strict=True) if own][:LINES]


def _words(line: bytes) -> str:
    return line.decode("utf-8", "replace").removeprefix("tempfile.tif: ").strip(" .\r\n")[:LINE]
