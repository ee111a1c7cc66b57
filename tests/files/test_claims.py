"""Claims: one process each, on file systems with locks and without, and nothing stale left."""

import errno
import fcntl
import logging
import os
import socket
import threading

import pytest

from hf_medreport.files import claims
from hf_medreport.files.claims import clear_dead_claims, drop_claim, holder_of, take_claim

GONE = 99_999_999  # above every system's highest process


@pytest.fixture(params=["locks", errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP], ids=str)
def folder(request, tmp_path, monkeypatch):
    """A folder on a file system with locks, or on one whose flock fails in one of three ways."""

    def missing(*_):
        raise OSError(request.param, os.strerror(request.param))

    if request.param != "locks":
        monkeypatch.setattr(fcntl, "flock", missing)
    return tmp_path


def has_locks(folder):
    return claims._has_locks(folder)


def test_a_claim_is_one_processs(folder):
    first = take_claim(folder / ".a.claim")
    assert take_claim(folder / ".a.claim") is None
    other = take_claim(folder / ".b.claim")
    drop_claim(first)
    drop_claim(take_claim(folder / ".a.claim"))
    drop_claim(other)
    assert list(folder.iterdir()) == []


def test_what_a_dead_process_of_this_machine_left_is_nobodys(folder):
    (folder / ".a.claim").write_text(f"{GONE}\n{socket.gethostname()}\n")
    claim = take_claim(folder / ".a.claim")
    assert claim is not None
    drop_claim(claim)
    assert list(folder.iterdir()) == []


def test_many_threads_never_hold_one_claim_together(folder):
    holding, most = [], []

    def work():
        for _ in range(50):
            claim = take_claim(folder / ".a.claim")
            if claim is not None:
                holding.append(1)
                most.append(len(holding))
                holding.pop()
                drop_claim(claim)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and list(folder.iterdir()) == []


def test_of_another_machine_only_who_asks_clears_it(folder):
    path = folder / ".a.claim"
    path.write_text("12\nfar-away\n")
    mine = take_claim(folder / ".b.claim")
    assert holder_of(path) == "process 12 on far-away"
    if not has_locks(folder):
        assert take_claim(path) is None
    assert clear_dead_claims(folder) == [".a.claim"]  # mine is held
    drop_claim(take_claim(path))
    drop_claim(mine)
    assert list(folder.iterdir()) == [] and holder_of(path) == "another process"


def test_missing_locks_are_told_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSYS, "missing")))
    with caplog.at_level(logging.WARNING):
        for name in (".a.claim", ".b.claim"):
            drop_claim(take_claim(tmp_path / name))
    assert [record.message for record in caplog.records if "without locks" in record.message] == caplog.messages
    assert len(caplog.records) == 1


def test_any_other_error_of_the_disk_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
    with pytest.raises(OSError, match="broken"):
        take_claim(tmp_path / ".a.claim")
    assert list(tmp_path.iterdir()) == []
