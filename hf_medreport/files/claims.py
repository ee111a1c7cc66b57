"""Claims by which several processes share a folder: who holds the claim of an item works on it, nobody else.

    claim = take_claim(folder / ".slide1.claim")
    if claim is not None:
        ...
        drop_claim(claim)

A claim is a lock of the system, which goes with its process, however that ends. Some file systems have none (Lustre
without `-o flock`, some of FUSE and NFS): there it is a file that says who wrote it. Where that process was of this
machine and is gone, the claim is nobody's; of another machine nobody here can tell, and `clear_dead_claims` is for who
knows that nothing runs there.
"""

import errno
import logging
import os
import socket
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

__all__ = ["clear_dead_claims", "drop_claim", "holder_of", "take_claim"]

logger = logging.getLogger(__name__)
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP}
SUFFIX = ".claim"


def take_claim(path: Path) -> BaseFileLock | None:
    """Take a claim for this process; None where another one has it.

    Args:
        path: the claim's file, whose name ends with ".claim".
    """
    kind = FileLock if _has_locks(path.parent) else SoftFileLock
    claim = kind(path, blocking=False, thread_local=False)  # taken by one thread and dropped by another
    try:
        claim.acquire()
    except Timeout:
        return None
    return claim


def drop_claim(claim: BaseFileLock) -> None:
    """Remove the claim's file, then let go of its lock: whoever waits for a file that is gone takes a new one."""
    if not isinstance(claim, SoftFileLock):  # which is its file
        with suppress(PermissionError):  # Windows keeps a file that is open
            Path(claim.lock_file).unlink(missing_ok=True)
    claim.release()


def holder_of(path: Path) -> str:
    """Who holds a claim, in words."""
    process, machine = _holder(path)
    return f"process {process} on {machine}" if process and machine else "another process"


def clear_dead_claims(folder: Path) -> list[str]:
    """Remove the claims that no living process of this machine holds, those of other machines too.

    Returns:
        the names of what was removed.
    """
    cleared = []
    for path in sorted(folder.glob(f".*{SUFFIX}")):
        _, machine = _holder(path)
        claim = take_claim(path)  # what a dead process of this machine left is nobody's
        if claim is not None:
            drop_claim(claim)
        elif not _has_locks(folder) and machine != socket.gethostname():
            path.unlink(missing_ok=True)
        else:
            continue
        cleared.append(path.name)
    return cleared


def _holder(path: Path) -> tuple[str, str]:
    """The process and machine that a claim's file names; empty where it names none, as of a lock of the system."""
    with suppress(OSError, ValueError):
        process, machine, *_ = path.read_text(encoding="utf-8").splitlines()
        return process, machine
    return "", ""


@cache
def _has_locks(folder: Path) -> bool:
    """Whether the file system of a folder locks files; told once where it does not."""
    handle, name = tempfile.mkstemp(prefix=".locks-", dir=folder)
    os.close(handle)
    probe = FileLock(name, blocking=False, fallback_to_soft=False)
    try:
        probe.acquire()
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        logger.warning(
            "%s lies on a file system without locks: processes share it by files with their names; what a process of "
            "another machine leaves behind when it dies is cleared by `clear_dead_claims` alone",
            folder.absolute().name,
        )
        return False
    finally:
        probe.release()
        Path(name).unlink(missing_ok=True)
    return True
