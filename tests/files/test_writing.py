"""Files appear whole or not at all, under names that any file system takes."""

import hashlib
import json
import os
import threading

import pytest

from hf_medreport.files.writing import (
    MAX_STEM_BYTES,
    open_whole,
    output_folder,
    readable,
    sha256,
    unique_stem,
    write_json,
    write_text,
    write_whole,
    write_whole_folder,
)
from hf_medreport.processing.input_error import InputError


def test_a_file_is_replaced_at_once(tmp_path):
    path = tmp_path / "a.json"
    write_text(path, "old")

    def write(part):
        assert part.parent == tmp_path and part != path and path.read_text() == "old"
        part.write_text("new")

    assert write_whole(path, write) == path
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("shared", [False, True])
def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, shared):
    path = write_text(tmp_path / "a.txt", "old")

    def write(part):
        part.write_text("half")
        raise OSError("No space left")

    with pytest.raises(OSError, match="No space"):
        write_whole(path, write, shared)
    with pytest.raises(OSError, match="No space"), open_whole(path) as file:
        file.write(b"half")
        raise OSError("No space left")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_many_threads_may_write_one_shared_file(tmp_path):
    path, errors = tmp_path / "a.json", []

    def work(number):
        try:
            for _ in range(50):
                write_json(path, [number] * 1000, shared=True)
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = json.loads(path.read_text())
    assert not errors and len(content) == 1000 and len(set(content)) == 1 and os.listdir(tmp_path) == ["a.json"]


def test_json_is_indented_and_ends_its_last_line(tmp_path):
    assert write_json(tmp_path / "a", {"b": "é"}).read_bytes() == b'{\n  "b": "\\u00e9"\n}\n'
    assert write_json(tmp_path / "a", {"c": 1, "b": 2}, indent=None, sort_keys=True).read_text() == '{"b": 2, "c": 1}\n'
    with pytest.raises(ValueError):
        write_json(tmp_path / "a", float("nan"), allow_nan=False)
    assert write_text(tmp_path / "a", "é\r\n").read_bytes() == "é\r\n".encode()


def test_a_folder_appears_at_once(tmp_path):
    folder = tmp_path / "deep" / "out"
    (tmp_path / "deep" / ".out.part").mkdir(parents=True)
    (tmp_path / "deep" / ".out.part" / "left").write_text("by a killed run")

    def fill(part):
        assert not folder.exists()
        (part / "a").write_text("x")

    assert write_whole_folder(folder, fill) == folder
    assert os.listdir(folder) == ["a"] and os.listdir(tmp_path / "deep") == ["out"]


def test_a_folder_that_cannot_be_filled_leaves_an_empty_one(tmp_path):
    (tmp_path / "out").mkdir()

    def fill(part):
        (part / "a").write_text("x")
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        write_whole_folder(tmp_path / "out", fill)
    assert os.listdir(tmp_path) == ["out"] and os.listdir(tmp_path / "out") == []
    write_whole_folder(tmp_path / "out", lambda part: (part / "a").write_text("x"))
    with pytest.raises(OSError):  # it is full now
        write_whole_folder(tmp_path / "out", lambda part: (part / "b").write_text("x"))
    assert os.listdir(tmp_path / "out") == ["a"]


def test_the_output_folder_is_made(tmp_path):
    assert output_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b").is_dir()


def test_an_output_folder_that_cannot_be(tmp_path, monkeypatch):
    write_text(tmp_path / "file", "")
    for name in ("file", "file/below"):
        with pytest.raises(InputError, match="found a file; expected a folder to write to"):
            output_folder(tmp_path / name)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may do everything
    with pytest.raises(InputError, match="out: found no permission to write"):
        output_folder(tmp_path / "out")


def test_sha256_of_a_file_and_of_its_bytes(tmp_path):
    path = write_text(tmp_path / "a", "hello")
    assert sha256(path) == sha256(str(path)) == sha256(b"hello") == hashlib.sha256(b"hello").hexdigest()


def test_the_last_number_of_a_uid_is_no_ending():
    used = set()
    names = ("1.2.3.100", "1.2.3.101", "1.2.3.102.dcm")
    assert [unique_stem(name, used) for name in names] == ["1.2.3.100", "1.2.3.101", "1.2.3.102"]


def test_names_that_can_be_printed_and_written():
    assert readable("caf\udce9.png") == "caf?.png"
    used = set()
    assert [unique_stem(name, used) for name in ("a b.png", "a_b.dcm", "...", ".x.png")] == [
        "a_b",
        "a_b-2",
        "film",
        "x",
    ]
    assert used == {"a_b", "a_b-2", "film", "x"}
    assert len(unique_stem("é" * 300, used).encode()) <= MAX_STEM_BYTES
