"""Bad tables, archives and shards, one by one, each with its whole message."""

import gzip
import io
import json
import os
import sys
import tarfile
import zipfile

import numpy as np
import pytest

from hf_medreport.data.archives.radscribe import RadScribeReports
from hf_medreport.data.archives.webdataset import WebDatasetReports
from hf_medreport.processing.input_error import InputError
from tests.data.archives.made import film, member, row, tar_bytes, write_rows, write_tar

LINE = "train.jsonl, line 1"
ONE_BAD = " (bad rows in all: 1; skip_bad_rows leaves them out)"
ARCHIVE = "expected a .tar or .tar.gz archive"
COPY = f"{ARCHIVE}; copy it again"
DROP = "fill it in or drop the row"
IMG = "expected a film in train.tar; correct 'img' or drop the row"
NOISE = np.random.default_rng(0).bytes(4000)
WHOLE = tar_bytes(member("train/0.png", film()), member("train/noise", NOISE))


# --- rows -------------------------------------------------------------------------------------------------------------

ROWS = {
    "broken JSON": (
        b'{"id": "0",',
        "found broken JSON (Expecting property name enclosed in double quotes)",
        "one object; mend it",
    ),
    "nesting without end": (b"[" * 100_000, "found broken JSON (too large or too deep)", "one object; mend it"),
    "a list": (b'["0", "text"]', "found a list", "one object; mend it"),
    "Latin-1": ('{"id": "Müller"}'.encode("latin-1"), "found text that is not UTF-8", "UTF-8; save it as UTF-8"),
    "UTF-16": (json.dumps(row(0)).encode("utf-16"), "found text that is not UTF-8", "UTF-8; save it as UTF-8"),
    "no id": (row(0, id=None), "found no field 'id'", f"id, text and img; {DROP}"),
    "no text": (row(0, text=None), "found no field 'text'", f"id, text and img; {DROP}"),
    "no img": (row(0, img=None), "found no field 'img'", f"id, text and img; {DROP}"),
    "id a number": (row(0, id=7), "found int in 'id'", "text; write it as text"),
    "img a list": (row(0, img=["0.png"]), "found list in 'img'", "text; write it as text"),
    "text a number": (row(0, text=3.5), "found float in 'text'", "a report; write it as text"),
    "empty text": (row(0, text=""), "found no text in 'text'", f"a report; {DROP}"),
    "blank text": (row(0, text=" \n"), "found no text in 'text'", f"a report; {DROP}"),
    "half a character": (
        row(0, text="a \ud800"),
        "found half a character in 'text'",
        "a report; write it again as UTF-8",
    ),
    "label a number": (
        row(0, label=1),
        "found labels 1",
        "a list of CheXpert's names, or these in quotes with commas between; correct them",
    ),
    "label of numbers": (
        row(0, label=[1, 0]),
        "found labels [1, 0]",
        "a list of CheXpert's names, or these in quotes with commas between; correct them",
    ),
    "unknown label": (
        row(0, label="'Edema', 'Pleural Efusion'"),
        "found unknown label 'Pleural Efusion'",
        "one of CheXpert's 14 names; did you mean 'Pleural Effusion'?",
    ),
    "open quote": (
        row(0, label="'Edema, 'Fracture'"),
        "found broken quotes at 'Edema",
        "each name in quotes, commas between; mend the label",
    ),
    "missing film": (row(9), "found no film 9.png", "a film in train.tar; correct 'img' or drop the row"),
    "absolute film": (
        row(0, img="/etc/0.png"),
        "found an absolute path",
        "a film in train.tar; correct 'img' or drop the row",
    ),
    "film outside": (
        row(0, img="data/preprocessed/mimic/../0.png"),
        "found a path that leaves the archive",
        "a film in train.tar; correct 'img' or drop the row",
    ),
    "film that is a link": (
        row(0, img="data/preprocessed/mimic/train/link.png"),
        "found a link",
        "a film in train.tar; correct 'img' or drop the row",
    ),
    "film that comes twice": (
        row(0, img="train/twice.png"),
        "found a name that comes twice",
        "a film in train.tar; correct 'img' or drop the row",
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_a_bad_row_is_said(tmp_path, case):
    line, found, expected = ROWS[case]
    (tmp_path / "train.jsonl").write_bytes(line if isinstance(line, bytes) else json.dumps(line).encode())
    link = member("train/link.png", type=tarfile.SYMTYPE, linkname="0.png")
    twice = member("train/twice.png", film())
    (tmp_path / "train.tar").write_bytes(tar_bytes(member("train/0.png", film()), link, twice, twice))
    with pytest.raises(InputError) as error:
        RadScribeReports(tmp_path / "train.jsonl", tmp_path / "train.tar")
    assert str(error.value) == f"{LINE}: {found}; expected {expected}{ONE_BAD}"
    with pytest.raises(InputError, match="train.jsonl: found no usable row"):
        RadScribeReports(tmp_path / "train.jsonl", tmp_path / "train.tar", on_bad="skip")


# --- films, when they are read ----------------------------------------------------------------------------------------

PICTURES = {
    "empty": (b"", "an empty file (0 bytes); expected an image file; copy or export the file again"),
    "truncated": (film()[:150], "a truncated PNG; expected a complete image; copy or export the file again"),
    "text": (
        b"<html>not found</html>",
        "text; expected PNG, JPEG, TIFF or DICOM; give the image itself or convert it to PNG",
    ),
}


@pytest.mark.parametrize("case", PICTURES)
def test_a_bad_film_is_said_with_its_row_and_member(tmp_path, case):
    content, found = PICTURES[case]
    films = write_tar(tmp_path / "train.tar.gz", {"train/0.png": film(), "train/1.png": content})
    reports = RadScribeReports(write_rows(tmp_path / "train.jsonl", [row(0), row(1)]), films)
    assert reports[0]["image"].shape == (16, 16)
    with pytest.raises(InputError) as error:
        reports[1]
    assert str(error.value) == f"train.jsonl, line 2 (1.png): found {found}"


def test_an_archive_that_goes_away_is_said(tmp_path):
    films = write_tar(tmp_path / "train.tar.gz", {"train/0.png": film()})
    reports = RadScribeReports(write_rows(tmp_path / "train.jsonl", [row(0)]), films)
    films.unlink()
    with pytest.raises(InputError) as error:
        reports[0]
    assert str(error.value) == (
        "train.tar.gz, member 0.png: found no such file or directory; expected the archive as it was opened; "
        "check the archive"
    )


# --- archives ---------------------------------------------------------------------------------------------------------


def flipped(content, at):
    content = bytearray(content)
    content[at] ^= 0xFF
    return bytes(content)


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("train/0.png", film())
    return buffer.getvalue()


def claims(size, type):
    """The header of a file, or of a long name, that claims a size; without what it claims."""
    return tar_bytes(member("train/0.png", film()))[:1024] + member("x", size=size, type=type)[0].tobuf(
        tarfile.GNU_FORMAT
    )


PACKED = gzip.compress(WHOLE, mtime=0)
SECOND_HEADER = 1024  # after a header and a film of less than 512 bytes

ARCHIVES = {
    "empty": (b"", f"found an empty file; {COPY}"),
    "ZIP": (zipped(), f"found a ZIP archive; {ARCHIVE}; pack it again as .tar or .tar.gz"),
    "bzip2": (b"BZh91AY&SY", f"found a bzip2 file; {ARCHIVE}; pack it again as .tar or .tar.gz"),
    "xz": (b"\xfd7zXZ\x00\x00", f"found an xz file; {ARCHIVE}; pack it again as .tar or .tar.gz"),
    "zstandard": (b"\x28\xb5\x2f\xfd\x00", f"found a zstandard file; {ARCHIVE}; pack it again as .tar or .tar.gz"),
    "web page": (b"<html>" + b" " * 2000, f"found no tar header at byte 0; {COPY}"),
    "gzip of text": (gzip.compress(b"text " * 500), f"found no tar header at byte 0; {COPY}"),
    "tar cut in a film": (WHOLE[:3000], f"found a truncated archive; {COPY}"),
    "tar cut before its end": (WHOLE[: SECOND_HEADER + 512 + 4096], f"found a truncated archive; {COPY}"),
    "tar cut in a header": (WHOLE[: SECOND_HEADER + 100], f"found a truncated archive; {COPY}"),
    "gzip cut in half": (PACKED[: len(PACKED) // 2], f"found a truncated archive; {COPY}"),
    "gzip without its last bytes": (PACKED[:-4], f"found a truncated archive; {COPY}"),
    "gzip with a flipped byte": (flipped(PACKED, len(PACKED) // 2), f"found damaged gzip data; {COPY}"),
    "gzip with a flipped checksum": (flipped(PACKED, -6), f"found damaged gzip data; {COPY}"),
    "gzip and something after it": (PACKED + b"garbage", f"found damaged gzip data; {COPY}"),
    "damaged header": (flipped(WHOLE, SECOND_HEADER + 5), f"found no tar header at byte {SECOND_HEADER}; {COPY}"),
    "two archives in one": (
        PACKED + PACKED,
        "found more data after the archive's end; expected one archive; unpack and pack it again",
    ),
    "a film of a negative size": (
        claims(-1024, tarfile.REGTYPE),
        f"found no tar header at byte {SECOND_HEADER}; {COPY}",
    ),
    "a name of 8 GB": (claims(2**33 - 1, tarfile.XHDTYPE), f"found no tar header at byte {SECOND_HEADER}; {COPY}"),
    "a film of 2^80 bytes": (claims(2**80, tarfile.REGTYPE), f"found no tar header at byte {SECOND_HEADER}; {COPY}"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_a_bad_archive_is_said(tmp_path, case):
    content, message = ARCHIVES[case]
    (tmp_path / "train.tar.gz").write_bytes(content)
    with pytest.raises(InputError) as error:
        RadScribeReports(write_rows(tmp_path / "train.jsonl", [row(0)]), tmp_path / "train.tar.gz")
    assert str(error.value) == f"train.tar.gz: {message}"
    assert sorted(os.listdir(tmp_path)) == ["train.jsonl", "train.tar.gz"]  # no index of it


def test_no_archive_and_no_table_are_said(tmp_path):
    table = write_rows(tmp_path / "train.jsonl", [row(0)])
    with pytest.raises(InputError) as error:
        RadScribeReports(table, tmp_path / "train.tar.gz")
    assert str(error.value) == f"train.tar.gz: found no such file or directory; {ARCHIVE}; check the path"
    with pytest.raises(InputError) as error:
        RadScribeReports(tmp_path / "test.jsonl", tmp_path)
    assert str(error.value) == "test.jsonl: found no such file; expected a .jsonl table; check the path"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "train.tar")
    with pytest.raises(InputError) as error:
        RadScribeReports(write_rows(tmp_path / "train.jsonl", [row(0)]), tmp_path / "train.tar")
    assert str(error.value) == f"train.tar: found a folder or device; {ARCHIVE}; name the archive itself"


def test_a_missing_package_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "indexed_gzip", None)
    films = write_tar(tmp_path / "train.tar.gz", {"train/0.png": film()})
    with pytest.raises(InputError) as error:
        RadScribeReports(write_rows(tmp_path / "train.jsonl", [row(0)]), films)
    assert str(error.value) == (
        "train.tar.gz: found a .tar.gz but no indexed_gzip; expected indexed_gzip 1.8 or later; "
        "pip install 'hf-medreport[train]', or unpack it once"
    )


def test_an_empty_table_is_said(tmp_path):
    (tmp_path / "train.jsonl").write_bytes(b"\n\n")
    with pytest.raises(InputError) as error:
        RadScribeReports(tmp_path / "train.jsonl", tmp_path)
    assert str(error.value) == "train.jsonl: found no usable row; expected films with reports; check the path"


# --- shards -----------------------------------------------------------------------------------------------------------

AGAIN = "pack the shard again or drop the sample"
SAMPLES = {
    "no film": ({"7.txt": b"Clear."}, f"found no film; expected one .jpg, .png or .dcm; {AGAIN}"),
    "no report": ({"7.png": film()}, f"found no report; expected a .txt or .json; {AGAIN}"),
    "two films": (
        {"7.png": film(), "7.jpg": film(), "7.txt": b"Clear."},
        f"found 2 films; expected one .jpg, .png or .dcm; {AGAIN}",
    ),
    "empty report": ({"7.png": film(), "7.txt": b" \n"}, f"found no text in 'text'; expected a report; {DROP}"),
    "no text in the .json": ({"7.png": film(), "7.json": b"{}"}, f"found no text in 'text'; expected a report; {DROP}"),
    "broken .json": (
        {"7.png": film(), "7.json": b'{"text": '},
        "found broken JSON (Expecting value); expected one object; mend it",
    ),
    "a .json of a list": ({"7.png": film(), "7.json": b"[]"}, "found a list; expected one object; mend it"),
    "Latin-1": (
        {"7.png": film(), "7.txt": "Größe".encode("latin-1")},
        "found text that is not UTF-8; expected UTF-8; save it as UTF-8",
    ),
}


@pytest.mark.parametrize("case", SAMPLES)
def test_a_bad_sample_is_said(tmp_path, case):
    files, message = SAMPLES[case]
    with pytest.raises(InputError) as error:
        WebDatasetReports(write_tar(tmp_path / "train.tar", files))
    assert str(error.value) == f"train.tar, sample 7: {message}{ONE_BAD}"


@pytest.mark.parametrize(
    ("shards", "message"),
    [
        (
            "train-{3..0}.tar",
            "train-{3..0}.tar: found {3..0}; expected a range up to 100000 archives, the smaller number first; "
            "correct the pattern",
        ),
        (
            "train-{0..999999}.tar",
            "train-{0..999999}.tar: found {0..999999}; expected a range up to 100000 archives, the smaller number "
            "first; correct the pattern",
        ),
        ([], "shards: found an empty list; expected at least one .tar; name the shards"),
    ],
)
def test_shards_that_cannot_be_named_are_said(shards, message):
    with pytest.raises(InputError) as error:
        WebDatasetReports(shards)
    assert str(error.value) == message
