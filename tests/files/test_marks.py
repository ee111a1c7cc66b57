"""Files known again by name, size, time and ends."""

import os

import pytest

from hf_medreport.files import marks
from hf_medreport.files.marks import quick_mark


@pytest.fixture(autouse=True)
def short_ends(monkeypatch):
    monkeypatch.setattr(marks, "END_BYTES", 4)


def write(path, content, time=1):
    path.write_bytes(content)
    os.utime(path, (time, time))
    return path


def test_what_a_mark_sees(tmp_path):
    path = write(tmp_path / "a.svs", b"headmiddletail")
    before = quick_mark([path])
    assert before == quick_mark([path]) and len(before) == 64
    for content in (b"Headmiddletail", b"headmiddletaiL", b"headmiddlemtail"):  # first bytes, last bytes, size
        assert quick_mark([write(path, content)]) != before
    assert quick_mark([write(path, b"headmiddletail", time=2)]) != before
    assert quick_mark([write(path, b"headMIDDLEtail")]) == before  # what it does not see, and the digest does
    assert quick_mark([path, write(tmp_path / "b.svs", b"")]) != before


@pytest.mark.parametrize("content", [b"", b"abc", b"abcd", b"abcde", b"abcdefgh"])
def test_files_as_short_as_their_ends(tmp_path, content):
    marked = {quick_mark([write(tmp_path / "a", content[:place] + b"X" + content[place + 1 :])]) for place in range(8)}
    assert len(marked) == len({content[:place] + b"X" + content[place + 1 :] for place in range(8)})
