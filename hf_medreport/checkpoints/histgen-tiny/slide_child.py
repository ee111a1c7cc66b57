"""OpenSlide in a process of its own: a slide that crashes it ends that process, not this one.

`ChildSlide` has what is used of `openslide.OpenSlide`. Its process runs this very file, is used again for the next
slide, and ends with its parent, however that ends, because its input does. Pixels come through memory that both
processes map and that has no name, so nothing stays behind. Nothing of the user's own script is run in the child.

    slide = ChildSlide("slide.svs")
    slide.read_region((4096, 2048), 0, (512, 512))  # uint8 (512, 512, 3), or (512, 512, 4) where it is transparent
"""

import atexit
import contextlib
import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import threading
import weakref

try:
    import openslide
except ImportError:
    openslide = None

try:
    import pydicom
except ImportError:
    pydicom = None

SMALL = 4 << 20  # bytes of shared memory that a child keeps between reads
DICOM_PREFIX = slice(128, 132)


# --- the parent -------------------------------------------------------------------------------------------------------


class ChildSlide:
    """An open slide.

    Attributes:
        level_dimensions, level_downsamples, properties: as of `openslide.OpenSlide`.

    Raises:
        openslide.OpenSlideError: not a slide that OpenSlide opens, or one that it is known or found to crash on.
    """

    def __init__(self, path: str | os.PathLike):
        if reason := known_to_crash(path):
            raise openslide.OpenSlideError(reason)
        self._path = path
        opened = self._open()
        self.level_dimensions, self.level_downsamples = opened["dimensions"], opened["downsamples"]
        self.properties = opened["properties"]

    def _open(self) -> dict:
        self._reader = _take_reader()
        self._rest = weakref.finalize(self, _rest, self._reader)
        try:
            return self._reader.ask("open", os.fspath(self._path))
        except BaseException:
            self.close()
            raise

    def read_region(self, place: tuple[int, int], level: int, size: tuple[int, int]):
        """A rectangle of one level as an array, uint8 (height, width, 3), or RGBA where not all of it is opaque."""
        if not self._reader.is_own:
            self._open()
        return self._reader.read(place, level, size)

    def close(self) -> None:
        """Close the file; its process waits for the next slide."""
        self._rest()


def detect_format(path: str | os.PathLike) -> str | None:
    """The vendor of a slide by OpenSlide's names; None of what it does not know."""
    reader = _take_reader()
    try:
        return reader.ask("detect", os.fspath(path))["vendor"]
    finally:
        _rest(reader)


def known_to_crash(path: str | os.PathLike) -> str | None:
    """Why OpenSlide must not be given a file: DICOM tiles in no order whose frames do not say where they lie."""
    with open(path, "rb") as file:
        if file.read(132)[DICOM_PREFIX] != b"DICM" or pydicom is None:
            return None
    with contextlib.suppress(Exception):  # what cannot be read here is OpenSlide's to refuse
        header = pydicom.dcmread(
            path,
            stop_before_pixels=True,
            specific_tags=["DimensionOrganizationType", "PerFrameFunctionalGroupsSequence", "NumberOfFrames"],
        )
        groups = header.get("PerFrameFunctionalGroupsSequence") or []
        placed = [group for group in groups if group.get("PlanePositionSlideSequence")]
        if header.get("DimensionOrganizationType") == "TILED_SPARSE" and len(placed) < int(header.NumberOfFrames):
            return "TILED_SPARSE frames without their positions"
    return None


def _unnamed_memory() -> int:
    """A file without a name: in memory where the system has such, else among its temporary files."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("pixels")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class _Reader:
    """A child and the memory shared with it."""

    def __init__(self):
        self.lock = threading.RLock()
        self.owner, self.handle = os.getpid(), _unnamed_memory()
        os.ftruncate(self.handle, SMALL)
        self.memory = mmap.mmap(self.handle, SMALL)
        self.process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(self.handle)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=[self.handle],
            start_new_session=True,  # Ctrl-C is the parent's
        )

    def ask(self, *request) -> dict:
        """The child's answer to a request."""
        try:
            with self.lock:
                self.process.stdin.write(json.dumps(request).encode() + b"\n")
                self.process.stdin.flush()
                answer = self.process.stdout.readline()
        except (BrokenPipeError, ConnectionError):
            answer = b""
        except BaseException:  # an interruption: what it answers later would be taken for another answer
            self.end()
            raise
        if not answer.endswith(b"\n"):
            code = self.end()
            how = signal.Signals(-code).name if code < 0 else f"exit {code}"
            raise openslide.OpenSlideError(f"OpenSlide crashed on it: {how}")
        answer = json.loads(answer)
        if "error" in answer:
            raise openslide.OpenSlideError(answer["error"])
        return answer

    def read(self, place: tuple[int, int], level: int, size: tuple[int, int]):
        """Pixels of the slide that the child has open."""
        import numpy as np  # not in the child, which starts the faster

        width, height = size
        needed = max(width * height * 4, SMALL)
        with self.lock:
            if not needed <= len(self.memory) <= 4 * needed:
                self.memory.close()
                os.ftruncate(self.handle, needed)
                self.memory = mmap.mmap(self.handle, needed)
            channels = self.ask("read", list(map(int, place)), int(level), [width, height])["channels"]
            pixels = np.frombuffer(self.memory, np.uint8, width * height * channels)
            return pixels.reshape(height, width, channels).copy()

    @property
    def is_own(self) -> bool:
        """Whether the child is of this process, not of the one that it was forked from."""
        return self.owner == os.getpid()

    def end(self) -> int:
        """End the child; its exit code."""
        if not self.memory.closed:
            self.memory.close()
            os.close(self.handle)
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(2)  # it ends with its input, or has ended
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.process.stdout.close()
        return self.process.wait()


_idle: list[_Reader] = []
os.register_at_fork(after_in_child=_idle.clear)


def _take_reader() -> _Reader:
    while _idle:
        with contextlib.suppress(IndexError):  # another thread took the last
            reader = _idle.pop()
            if reader.process.poll() is None:
                return reader
    return _Reader()


def _rest(reader: _Reader) -> None:
    """Let a reader close its slide and wait for the next."""
    if reader.is_own and reader.process.poll() is None:
        with contextlib.suppress(openslide.OpenSlideError):
            reader.ask("close")
            _idle.append(reader)


@atexit.register
def _end_all() -> None:
    while _idle:
        _idle.pop().end()


# --- the child --------------------------------------------------------------------------------------------------------


def _serve(handle: int) -> None:
    """Answer requests, one a line, until there are no more."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints is no answer
    memory, slide = None, None
    for line in sys.stdin.buffer:
        kind, *request = json.loads(line)
        answer = {}
        try:
            if kind == "detect":
                answer["vendor"] = openslide.OpenSlide.detect_format(*request)
            elif kind == "open":
                slide = openslide.OpenSlide(*request)
                answer = {"dimensions": slide.level_dimensions, "downsamples": slide.level_downsamples}
                answer["properties"] = dict(slide.properties)
            elif kind == "read":
                if memory is None or len(memory) != os.fstat(handle).st_size:
                    memory = mmap.mmap(handle, 0)
                picture = slide.read_region(*request)
                if picture.getchannel("A").getextrema()[0] == 255:  # nearly always
                    picture = picture.convert("RGB")
                answer["channels"] = len(picture.getbands())
                pixels = picture.tobytes()
                memory[: len(pixels)] = pixels
            elif slide is not None:
                slide.close()
                slide = None
        except Exception as error:
            answer = {"error": str(error) if isinstance(error, openslide.OpenSlideError) else repr(error)}
        answers.write(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    _serve(int(sys.argv[1]))


__all__ = ["ChildSlide", "detect_format", "known_to_crash"]
