"""Where each file of a .tar or .tar.gz lies, found once and kept: random access without unpacking.

A tar has no table of contents and gzip no way to jump, so an archive is read through once: first by the standard
library, which checks every checksum, then by indexed_gzip, which keeps a point to start from every 4 MiB (and by itself
takes a truncated file for a whole one). What they find is written to `ARCHIVE.index` beside the archive, or where that
folder takes no file to $HF_MEDREPORT_CACHE (~/.cache/hf-medreport), and used again as long as the archive has the same
size and time. An index that is stale or damaged is made again.

Nothing is ever unpacked to disk. Even so links, devices, names that lead out of the archive and names that come twice
are refused: they are listed with the reason and have no content.
"""

import gzip
import json
import os
import posixpath
import re
import stat
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path, PureWindowsPath
from typing import BinaryIO

from hf_medreport.files.writing import sha256, write_whole
from hf_medreport.processing.input_error import InputError

FORMAT = "hf-medreport-archive-index-1"
EXPECTED = "a .tar or .tar.gz archive"
COPY_AGAIN = "copy it again"
MAX_MEMBER_BYTES = 256 * 2**20  # a film of 10,000 x 10,000 px at 16 bits is 200 MB
MAX_HEADER_BYTES = 2**20  # a long name; tarfile would hold in memory whatever a header claims
GZIP = b"\x1f\x8b"
OTHER_MAGIC = {
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ\x00": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstandard file",
    b"PK\x03\x04": "a ZIP archive",
}


@dataclass(frozen=True)
class ArchiveIndex:
    """What is in an archive.

    Args:
        stamp: size in bytes and time of change in ns of the archive that it was made of.
        members: name -> (offset in the unpacked tar, size), in bytes and in the archive's order.
        refused: name -> what is wrong with a member that is not read.
        seek_points: where to begin inside gzip data, as indexed_gzip exports it; empty for a plain tar.
    """

    stamp: tuple[int, int]
    members: dict[str, tuple[int, int]] = field(repr=False)
    refused: dict[str, str] = field(repr=False)
    seek_points: bytes = field(repr=False)


def archive_index(path: Path) -> ArchiveIndex:
    """The index of an archive, from its cache where there is one.

    Raises:
        InputError: no archive, a damaged one, or no indexed_gzip for a .tar.gz.
    """
    try:
        stamp, kind = stamp_of(path), _kind(path)
        found = filter(None, (_load(file, path, stamp, kind) for file in _cache_files(path)))
        index = next(found, None)
        if index is None:
            index = _make(path, stamp, kind)
            _keep(path, index)
    except OSError as error:
        raise InputError(path.name, str(error.strerror or error).lower(), EXPECTED, "check the path") from error
    return index


def stamp_of(path: Path) -> tuple[int, int]:
    """What tells one state of an archive from another: its size in bytes and its time of change in ns."""
    information = os.stat(path)
    return information.st_size, information.st_mtime_ns


def unsafe(name: str) -> str | None:
    """What is wrong with the name of a member; None of a name that stays inside the archive."""
    if not name.isprintable() or not name:
        return "a name that is not printable"
    if name.startswith(("/", "\\")) or PureWindowsPath(name).drive:
        return "an absolute path"
    if ".." in re.split(r"[/\\]", name):
        return "a path that leaves the archive"
    return None


def member_where(archive: str, name: str) -> str:
    """What messages call a member: the archive and the last part of its name, on one line."""
    last = posixpath.basename(name) or name
    return f"{archive}, member {last if last.isprintable() else ascii(last)}"


def open_gzip(path: Path, seek_points: bytes):
    """Unpacked gzip data with `pread(size, offset)`; it holds one open file, so each process needs its own."""
    # Not with drop_handles: that opens the file anew for each read, and ends the process when it is gone by then.
    file = _indexed_gzip(path).IndexedGzipFile(path, drop_handles=False, buffer_size=2**20)
    file.import_index(fileobj=BytesIO(seek_points))
    return file


def _indexed_gzip(path: Path):
    try:
        import indexed_gzip
    except ImportError as error:
        remedy = "pip install 'hf-medreport[train]', or unpack it once"
        raise InputError(path.name, "a .tar.gz but no indexed_gzip", "indexed_gzip 1.8 or later", remedy) from error
    return indexed_gzip


def _kind(path: Path) -> str:
    """The kind, `tar` or `gzip`, by the first bytes and never by the name."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise InputError(path.name, "a folder or device", EXPECTED, "name the archive itself")
    with path.open("rb") as file:
        head = file.read(8)
    if not head:
        raise InputError(path.name, "an empty file", EXPECTED, COPY_AGAIN)
    for magic, what in OTHER_MAGIC.items():
        if head.startswith(magic):
            raise InputError(path.name, what, EXPECTED, "pack it again as .tar or .tar.gz")
    return "gzip" if head.startswith(GZIP) else "tar"


# --- making it --------------------------------------------------------------------------------------------------------


def _make(path: Path, stamp: tuple[int, int], kind: str) -> ArchiveIndex:
    if kind == "gzip":
        _indexed_gzip(path)  # says that it is missing before the archive is read
    try:
        with gzip.open(path) if kind == "gzip" else path.open("rb") as file:
            members, refused = _scan(path.name, file)
    except EOFError as error:
        raise InputError(path.name, "a truncated archive", EXPECTED, COPY_AGAIN) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(path.name, "damaged gzip data", EXPECTED, COPY_AGAIN) from error
    return ArchiveIndex(stamp, members, refused, _seek_points(path) if kind == "gzip" else b"")


def _seek_points(path: Path) -> bytes:
    points = BytesIO()
    with _indexed_gzip(path).IndexedGzipFile(path, drop_handles=False) as file:
        file.build_full_index()
        file.export_index(fileobj=points)
    return points.getvalue()


def _scan(name: str, file: BinaryIO) -> tuple[dict, dict]:
    """Members and refused members of an open tar, which is read to its very end."""
    members, refused = {}, {}
    for member in _headers(name, file):
        if member.isdir():
            continue
        known = posixpath.normpath(member.name) if unsafe(member.name) is None else member.name
        problem = _problem(member)
        if known in members or known in refused:
            members.pop(known, None)
            problem = refused.get(known, "a name that comes twice")
        if problem is None:
            members[known] = (member.offset_data, member.size)
        else:
            refused[known] = problem
    return members, refused


def _problem(member: tarfile.TarInfo) -> str | None:
    if member.issym() or member.islnk():
        return "a link"
    if not member.isreg() or member.issparse():
        return "a sparse file" if member.issparse() else "a device or another special file"
    if member.size > MAX_MEMBER_BYTES:
        return f"a file of {member.size} bytes (at most {MAX_MEMBER_BYTES} are read)"
    return unsafe(member.name)


class _BoundedHeaders:
    """An open file that hands tarfile no more than a header may hold."""

    def __init__(self, file: BinaryIO):
        self.file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_HEADER_BYTES:
            raise tarfile.ReadError("a header of an impossible size")
        return self.file.read(size)


def _headers(name: str, file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Every header; InputError unless the archive ends as a tar does, which tarfile by itself does not look at."""
    end = 0
    try:
        with tarfile.open(fileobj=_BoundedHeaders(file), mode="r:", encoding="utf-8") as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # it would keep them all
                if not 0 <= member.size < 2**60:  # below 0 tarfile would go back, and round for ever
                    raise tarfile.ReadError("a file of an impossible size")
                end = archive.offset
                yield member
    except (tarfile.TarError, RecursionError, ValueError, OverflowError) as error:
        truncated = "unexpected end of data" in str(error)
        found = "a truncated archive" if truncated else f"no tar header at byte {end}"
        raise InputError(name, found, EXPECTED, COPY_AGAIN) from error
    file.seek(end)
    block = file.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE:
        raise InputError(name, "a truncated archive", EXPECTED, COPY_AGAIN)
    if block.strip(b"\0"):
        raise InputError(name, f"no tar header at byte {end}", EXPECTED, COPY_AGAIN)
    while rest := file.read(2**20):
        if rest.strip(b"\0"):
            raise InputError(name, "more data after the archive's end", "one archive", "unpack and pack it again")


# --- keeping it -------------------------------------------------------------------------------------------------------


def _cache_files(path: Path) -> list[Path]:
    """Where an index may lie: beside the archive, or in the cache under a name made of the archive's whole path."""
    cache = Path(os.environ.get("HF_MEDREPORT_CACHE") or "~/.cache/hf-medreport").expanduser()
    digest = sha256(os.fsencode(path.resolve()))
    return [path.with_name(f"{path.name}.index"), cache / "archives" / f"{digest[:32]}.index"]


def _load(file: Path, path: Path, stamp: tuple[int, int], kind: str) -> ArchiveIndex | None:
    """The index in a file; None where there is none that fits."""
    if not os.path.isfile(file):
        return None
    try:
        with zipfile.ZipFile(file) as parts:  # which holds a checksum of each part
            head, seek_points = json.loads(parts.read("index.json")), parts.read("seek_points")
        if (head["format"], tuple(head["stamp"])) != (FORMAT, stamp):
            return None
        if kind == "gzip":
            open_gzip(path, seek_points).close()
        members = {name: (int(offset), int(size)) for name, (offset, size) in head["members"].items()}
        return ArchiveIndex(stamp, members, head["refused"], seek_points)
    except InputError:
        raise
    except Exception:  # whatever is damaged in it, it is made again
        return None


def _keep(path: Path, index: ArchiveIndex) -> None:
    """Write the index where it can be written; others may do the same meanwhile."""
    head = {"format": FORMAT, "stamp": index.stamp, "members": index.members, "refused": index.refused}

    def write(part: Path) -> None:
        with zipfile.ZipFile(part, "w") as parts:
            parts.writestr("index.json", json.dumps(head), zipfile.ZIP_DEFLATED, compresslevel=1)
            parts.writestr("seek_points", index.seek_points)

    for file in _cache_files(path):
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, write, shared=True)
            return
    warnings.warn(f"{path.name}: its index can be written nowhere; it is read through at each opening", stacklevel=4)
