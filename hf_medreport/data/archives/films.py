"""Where films lie: a folder, a .tar or .tar.gz archive, or several archives as one. All are read in the same way.

    films = open_films("train.tar.gz")
    "train/1.jpg" in films
    films.read("train/1.jpg")  # the bytes of the file

All may be sent to another process and be used after a fork: each process opens the files for itself.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from hf_medreport.data.archives.index import (
    MAX_MEMBER_BYTES,
    archive_index,
    member_where,
    open_gzip,
    stamp_of,
    unsafe,
)
from hf_medreport.processing.input_error import InputError

RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
MAX_SHARDS = 100_000


class FilmFolder:
    """The files below a folder, by their paths inside it.

    Raises:
        InputError: no such folder.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.name = f"{self.path.resolve().name}/"
        self.refused: dict[str, str] = {}
        if not os.path.isdir(self.path):
            raise InputError(self.path.name, "no such folder", "a folder of films", "check the path")

    def __contains__(self, name: str) -> bool:
        return unsafe(name) is None and os.path.isfile(self.path / name)

    def names(self) -> Iterator[str]:
        """Every file, sorted."""
        files = sorted(file for file in self.path.rglob("*") if file.is_file())
        return (file.relative_to(self.path).as_posix() for file in files)

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            InputError: no such file, a name that leads out of the folder, or too large a file.
        """
        where = member_where(self.name, name)
        if name not in self:
            raise InputError(where, unsafe(name) or "no such file", "a file of the folder", "correct the name")
        try:
            if (size := (self.path / name).stat().st_size) > MAX_MEMBER_BYTES:
                raise InputError(where, f"{size} bytes", f"at most {MAX_MEMBER_BYTES}", "give a smaller film")
            return (self.path / name).read_bytes()
        except OSError as error:
            raise InputError(where, str(error.strerror).lower(), "a file of the folder", "check the folder") from error


class FilmArchive:
    """The files of a .tar or .tar.gz, read where they lie; the first opening reads the archive through once.

    Attributes:
        refused: name -> what is wrong with a member that is not read: links, hostile names and the like.

    Raises:
        InputError: no archive, or one that is damaged or truncated.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.name = self.path.name
        self.index = archive_index(self.path)
        self.refused = self.index.refused
        self._gzip = None  # (process, open file)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_gzip": None}

    def __contains__(self, name: str) -> bool:
        return name in self.index.members

    def names(self) -> Iterator[str]:
        """Every file, in the archive's order."""
        return iter(self.index.members)

    def read(self, name: str) -> bytes:
        """The content of a member.

        Raises:
            InputError: no such member, or an archive that is no longer the one that was opened.
        """
        where = member_where(self.name, name)
        if name not in self:
            found = self.refused.get(name, "no such member")
            raise InputError(where, found, "a file of the archive", "correct the name")
        offset, size = self.index.members[name]
        try:
            changed = stamp_of(self.path) != self.index.stamp
            content = b"" if changed else self._read(offset, size)
        except OSError as error:  # also those of indexed_gzip
            found = str(error.strerror or "data that do not unpack").lower()
            raise InputError(where, found, "the archive as it was opened", "check the archive") from error
        if changed or len(content) != size:
            raise InputError(self.name, "an archive that changed", "the archive as it was opened", "open it again")
        return content

    def _read(self, offset: int, size: int) -> bytes:
        if not self.index.seek_points:
            with self.path.open("rb") as file:
                file.seek(offset)
                return file.read(size)
        if self._gzip is None or self._gzip[0] != os.getpid():
            self._gzip = os.getpid(), open_gzip(self.path, self.index.seek_points)
        return self._gzip[1].pread(size, offset)


class FilmShards:
    """Several archives as one; a name that comes in two of them is refused."""

    def __init__(self, archives: Iterable[FilmArchive]):
        self.archives = list(archives)
        self.name = f"{len(self.archives)} archives"
        self.refused: dict[str, str] = {}
        self.home: dict[str, FilmArchive] = {}
        for archive in self.archives:
            self.refused |= archive.refused
            for name in archive.names():
                if name in self.home:
                    self.refused[name] = "a name that comes in two archives"
                self.home[name] = archive
        for name in self.refused:
            self.home.pop(name, None)

    def __contains__(self, name: str) -> bool:
        return name in self.home

    def names(self) -> Iterator[str]:
        """Every file, archive by archive."""
        return iter(self.home)

    def read(self, name: str) -> bytes:
        """The content of a member; InputError as `FilmArchive.read`."""
        if name not in self:
            found = self.refused.get(name, "no such member")
            raise InputError(member_where(self.name, name), found, "a file of the archives", "correct the name")
        return self.home[name].read(name)


Films = FilmFolder | FilmArchive | FilmShards


def open_films(source: str | os.PathLike | Iterable[str | os.PathLike]) -> Films:
    """A folder, an archive, archives by a pattern such as `train-{000..003}.tar`, or a list of archives."""
    if not isinstance(source, (str, os.PathLike)):
        return FilmShards(FilmArchive(path) for path in source)
    if os.path.isdir(source):
        return FilmFolder(source)
    paths = shard_paths(source)
    return FilmArchive(paths[0]) if len(paths) == 1 else FilmShards(map(FilmArchive, paths))


def shard_paths(pattern: str | os.PathLike) -> list[Path]:
    """The archives that a pattern names: `train-{000..003}.tar` is four of them, numbers as wide as the first.

    Raises:
        InputError: a range that counts down or names more than 100,000 archives.
    """
    paths = [os.fspath(pattern)]
    while match := RANGE.search(paths[0]):
        first, last = int(match[1]), int(match[2])
        if not 0 <= last - first < MAX_SHARDS // len(paths):
            expected = f"a range up to {MAX_SHARDS} archives, the smaller number first"
            raise InputError(Path(pattern).name, match[0], expected, "correct the pattern")
        numbers = [f"{number:0{len(match[1])}d}" for number in range(first, last + 1)]
        paths = [RANGE.sub(number, path, count=1) for path in paths for number in numbers]
    return [Path(path) for path in paths]
