"""Folders and archives of films: random access, the index that is kept, hostile members, several processes."""

import json
import os
import pickle
import sys
import tarfile
import zipfile
from multiprocessing import get_context

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.data.archives import index as archive_index
from hf_medreport.data.archives.films import FilmArchive, FilmFolder, FilmShards, open_films, shard_paths
from hf_medreport.data.archives.index import unsafe
from hf_medreport.processing.input_error import InputError
from tests.data.archives.made import member, tar_bytes, write_tar

# Long and short, and one that is empty; the second is larger than what is read at once.
FILES = {"train/a.bin": b"a" * 700, "train/b.bin": os.urandom(3 * 2**20), "c.bin": b"", "über/d e.bin": b"d"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_MEDREPORT_CACHE", str(tmp_path / "cache"))


def kinds(tmp_path):
    """The same files in each kind of place."""
    for name, content in FILES.items():
        file = tmp_path / "folder" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    parts = [dict(list(FILES.items())[:2]), dict(list(FILES.items())[2:])]
    for number, part in enumerate(parts):
        write_tar(tmp_path / f"part-{number}.tar", part)
    return {
        "folder": tmp_path / "folder",
        "tar": write_tar(tmp_path / "films.tar", FILES),
        "tar.gz": write_tar(tmp_path / "films.tar.gz", FILES),
        "tgz": write_tar(tmp_path / "films.tgz", FILES),
        "pattern": f"{tmp_path}/part-{{0..1}}.tar",
        "list": [tmp_path / "part-0.tar", tmp_path / "part-1.tar"],
    }


@pytest.mark.parametrize("kind", ["folder", "tar", "tar.gz", "tgz", "pattern", "list"])
def test_every_place_gives_the_same_bytes_in_any_order(tmp_path, kind):
    films = open_films(kinds(tmp_path)[kind])
    assert sorted(films.names()) == sorted(FILES)
    assert {name: films.read(name) for name in reversed(FILES)} == FILES
    assert "train" not in films and "a.bin" not in films and films.refused == {}
    sent = pickle.loads(pickle.dumps(films))
    assert {name: sent.read(name) for name in FILES} == FILES


def test_the_kind_is_decided_by_the_first_bytes(tmp_path):
    plain = write_tar(tmp_path / "films.tar", FILES).rename(tmp_path / "films.tar.gz")
    assert FilmArchive(plain).read("train/a.bin") == FILES["train/a.bin"]


def test_names_that_tar_and_pax_write(tmp_path):
    """A leading ./ as `tar -C folder .` has it, folders, and names that do not fit into a header."""
    long = "p" * 150 + "/" + "q" * 150 + ".png"
    for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        folder = member("./train", type=tarfile.DIRTYPE)
        (tmp_path / "a.tar").write_bytes(
            tar_bytes(folder, member("./train/1.png", b"1"), member(long, b"2"), format=format)
        )
        films = FilmArchive(tmp_path / "a.tar")
        assert list(films.names()) == ["train/1.png", long]
        assert (films.read("train/1.png"), films.read(long)) == (b"1", b"2")


# --- the index --------------------------------------------------------------------------------------------------------


@pytest.fixture
def made(monkeypatch):
    """How often an archive was read through."""
    count = []
    scan = archive_index._scan
    monkeypatch.setattr(archive_index, "_scan", lambda *args: count.append(args[0]) or scan(*args))
    return count


def test_an_archive_is_read_through_once(tmp_path, made):
    path = write_tar(tmp_path / "films.tar.gz", FILES)
    for _ in range(3):
        assert FilmArchive(path).read("train/b.bin") == FILES["train/b.bin"]
    assert made == ["films.tar.gz"]
    assert sorted(os.listdir(tmp_path)) == ["films.tar.gz", "films.tar.gz.index"]


def test_a_changed_archive_is_indexed_again(tmp_path, made):
    path = write_tar(tmp_path / "films.tar", {"a": b"first"})
    films = FilmArchive(path)
    write_tar(path, {"b": b"", "a": b"other"})
    os.utime(path, ns=(0, 0))
    with pytest.raises(InputError) as error:
        films.read("a")
    assert str(error.value) == (
        "films.tar: found an archive that changed; expected the archive as it was opened; open it again"
    )
    assert FilmArchive(path).read("a") == b"other"
    assert len(made) == 2


def cut_index(index):
    index.write_bytes(index.read_bytes()[:-40])


def flip_in_index(index):
    content = bytearray(index.read_bytes())
    content[len(content) // 2] ^= 1
    index.write_bytes(content)


def rewrite_index(index, change):
    with zipfile.ZipFile(index) as parts:
        head, points = json.loads(parts.read("index.json")), parts.read("seek_points")
    head, points = change(head, points)
    with zipfile.ZipFile(index, "w") as parts:
        parts.writestr("index.json", json.dumps(head))
        parts.writestr("seek_points", points)


@pytest.mark.parametrize(
    "damage",
    [
        cut_index,
        flip_in_index,
        lambda index: index.write_bytes(b""),
        lambda index: rewrite_index(index, lambda head, points: (head | {"format": "of tomorrow"}, points)),
        lambda index: rewrite_index(index, lambda head, points: (head | {"members": {"a": 3}}, points)),
        lambda index: rewrite_index(index, lambda head, points: (head, b"GZIDX of another version")),
        lambda index: rewrite_index(index, lambda head, points: ([], points)),
    ],
)
def test_a_damaged_index_is_made_again(tmp_path, made, damage):
    path = write_tar(tmp_path / "films.tar.gz", FILES)
    FilmArchive(path)
    damage(tmp_path / "films.tar.gz.index")
    assert FilmArchive(path).read("train/b.bin") == FILES["train/b.bin"]
    assert FilmArchive(path).read("train/a.bin") == FILES["train/a.bin"]
    assert len(made) == 2


def only_in(allowed):
    """ZipFile that writes below one folder only."""

    def zip_file(file, mode="r"):
        if mode == "w" and not str(file).startswith(str(allowed)):
            raise PermissionError(13, "Permission denied")
        return zipfile.ZipFile(file, mode)

    return zip_file


def test_the_index_of_a_folder_that_takes_none_lies_in_the_cache(tmp_path, made, monkeypatch):
    path = write_tar(tmp_path / "films.tar.gz", FILES)
    proxy = type("zipfile", (), {"ZipFile": staticmethod(only_in(tmp_path / "cache")), "ZIP_DEFLATED": 8})
    monkeypatch.setattr(archive_index, "zipfile", proxy)
    for _ in range(2):
        assert FilmArchive(path).read("train/a.bin") == FILES["train/a.bin"]
    assert made == ["films.tar.gz"]
    assert not (tmp_path / "films.tar.gz.index").exists()
    assert len(list((tmp_path / "cache" / "archives").iterdir())) == 1


def test_an_index_that_can_be_kept_nowhere_is_told(tmp_path, monkeypatch):
    path = write_tar(tmp_path / "films.tar", FILES)
    proxy = type("zipfile", (), {"ZipFile": staticmethod(only_in("nowhere")), "ZIP_DEFLATED": 8})
    monkeypatch.setattr(archive_index, "zipfile", proxy)
    with pytest.warns(UserWarning, match="films.tar: its index can be written nowhere; it is read through at each"):
        assert FilmArchive(path).read("train/a.bin") == FILES["train/a.bin"]


# --- hostile members --------------------------------------------------------------------------------------------------

HOSTILE = {
    "absolute": (member("/etc/passwd", b"x"), "an absolute path"),
    "drive": (member("C:\\films\\1.png", b"x"), "an absolute path"),
    "up": (member("../out.png", b"x"), "a path that leaves the archive"),
    "up inside": (member("train/../../out.png", b"x"), "a path that leaves the archive"),
    "up by backslash": (member("train\\..\\..\\out.png", b"x"), "a path that leaves the archive"),
    "new line": (member("train/1.png\nall is well", b"x"), "a name that is not printable"),
    "no text": (member("train/\udcff.png", b"x"), "a name that is not printable"),
    "symbolic link": (member("link.png", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "a link"),
    "hard link": (member("hard.png", type=tarfile.LNKTYPE, linkname="train/1.png"), "a link"),
    "character device": (member("zero", type=tarfile.CHRTYPE), "a device or another special file"),
    "block device": (member("disk", type=tarfile.BLKTYPE), "a device or another special file"),
    "pipe": (member("pipe", type=tarfile.FIFOTYPE), "a device or another special file"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_member_is_refused_and_the_others_are_read(tmp_path, case):
    (info, content), problem = HOSTILE[case]
    (tmp_path / "a.tar").write_bytes(
        tar_bytes(member("train/1.png", b"1"), (info, content), member("train/2.png", b"2"))
    )
    films = FilmArchive(tmp_path / "a.tar")
    assert films.refused == {info.name: problem}
    assert {name: films.read(name) for name in films.names()} == {"train/1.png": b"1", "train/2.png": b"2"}
    with pytest.raises(InputError) as error:
        films.read(info.name)
    assert error.value.found == problem and "\n" not in str(error.value)
    str(error.value).encode()
    assert FilmArchive(tmp_path / "a.tar").refused == films.refused  # from the kept index


def test_a_name_that_comes_twice_is_neither(tmp_path):
    (tmp_path / "a.tar").write_bytes(tar_bytes(member("1", b"1"), member("./1", b"2"), member("1", b"3"), member("2")))
    films = FilmArchive(tmp_path / "a.tar")
    assert films.refused == {"1": "a name that comes twice"} and list(films.names()) == ["2"]


def test_a_name_in_two_shards_is_neither(tmp_path):
    shards = [write_tar(tmp_path / f"{number}.tar", {"1": b"", f"only {number}": b""}) for number in range(2)]
    films = FilmShards(map(FilmArchive, shards))
    assert films.refused == {"1": "a name that comes in two archives"} and list(films.names()) == ["only 0", "only 1"]


def test_a_member_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_index, "MAX_MEMBER_BYTES", 10)
    films = FilmArchive(write_tar(tmp_path / "a.tar", {"large": b"x" * 11, "small": b"x" * 10}))
    assert films.refused == {"large": "a file of 11 bytes (at most 10 are read)"} and list(films.names()) == ["small"]


@given(st.text(alphabet="ab./\\:C\x00", max_size=12))
def test_a_safe_name_stays_inside_a_folder(name):
    if unsafe(name) is None:
        inside = os.path.normpath(os.path.join("/root/folder", name))
        assert inside == "/root/folder" or inside.startswith("/root/folder/")


@pytest.mark.parametrize("name", ["../secret", "a/../../secret", "/etc/passwd", "", "train", "missing", "a\0b"])
def test_a_folder_gives_nothing_outside(tmp_path, name):
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "folder" / "train").mkdir(parents=True)
    films = FilmFolder(tmp_path / "folder")
    assert name not in films
    with pytest.raises(InputError):
        films.read(name)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("train-{000..003}.tar", [f"train-{number}.tar" for number in ("000", "001", "002", "003")]),
        ("{9..11}.tar", ["9.tar", "10.tar", "11.tar"]),
        ("{0..1}/{a}-{1..2}.tar", ["0/{a}-1.tar", "0/{a}-2.tar", "1/{a}-1.tar", "1/{a}-2.tar"]),
        ("one.tar", ["one.tar"]),
    ],
)
def test_the_shards_of_a_pattern(pattern, names):
    assert list(map(str, shard_paths(pattern))) == names


# --- several processes ------------------------------------------------------------------------------------------------


def _open_together(path, barrier, answers):
    barrier.wait(timeout=60)
    films = FilmArchive(path)
    answers.put([len(films.read(name)) for name in films.names()])


def test_processes_that_open_an_archive_at_once_do_not_break_each_other(tmp_path):
    path = write_tar(tmp_path / "films.tar.gz", FILES)
    context = get_context("fork" if sys.platform == "linux" else "spawn")
    barrier, answers = context.Barrier(3), context.Queue()
    processes = [context.Process(target=_open_together, args=(path, barrier, answers)) for _ in range(3)]
    for process in processes:
        process.start()
    sizes = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert sizes == [[len(content) for content in FILES.values()]] * 3
    assert sorted(os.listdir(tmp_path)) == ["films.tar.gz", "films.tar.gz.index"]


def _read_all(films, answers):
    for _ in range(20):
        assert {name: films.read(name) for name in FILES} == FILES
    answers.put(films._gzip[0])


def test_a_fork_reads_by_an_open_file_of_its_own(tmp_path):
    """Two processes with one file position between them would read each other's bytes."""
    films = FilmArchive(write_tar(tmp_path / "films.tar.gz", FILES))
    films.read("train/b.bin")
    context = get_context("fork")
    answers = context.Queue()
    processes = [context.Process(target=_read_all, args=(films, answers)) for _ in range(2)]
    for process in processes:
        process.start()
    _read_all(films, answers)
    owners = {answers.get(timeout=60) for _ in range(3)}
    for process in processes:
        process.join()
    assert owners == {os.getpid(), *(process.pid for process in processes)}
