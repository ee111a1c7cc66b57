"""Freed memory goes back to the system, every so many items of a run."""

import platform
import sys

import psutil
import pytest

from hf_medreport.files import memory, run_folder
from hf_medreport.files.run_folder import RunFolder

MIB = 2**20


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone keeps what was freed")
def test_what_lies_between_pieces_that_are_used_goes_back():
    process = psutil.Process()
    pieces = [bytes(2000) for _ in range(100_000)]  # of glibc's heap, not Python's own
    used, pieces = pieces[::1000], None
    before = process.memory_info().rss
    assert memory.give_back() is True
    assert before - process.memory_info().rss > 100 * MIB and len(used) == 100


def test_elsewhere_nothing_is_done(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory.give_back() is False


def test_a_run_gives_back_every_so_many_items(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(run_folder, "GIVE_BACK_EVERY", 3)
    monkeypatch.setattr(run_folder, "give_back", lambda: given.append(len(folder.entries)))
    with RunFolder(tmp_path / "out", "test", {}) as folder:
        for number in range(7):
            folder.add(str(number), {})
    assert given == [3, 6]
