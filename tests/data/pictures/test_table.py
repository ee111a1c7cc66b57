"""A table of pictures and descriptions, as tables of the field are: read as it was meant, or told what is wrong."""

import gzip
import json
import os

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from hf_medreport.data.pictures.table import PictureTable
from hf_medreport.processing.input_error import InputError
from tests.processing.dicom_files import write_dicom
from tests.tiny import film_array

GOOD = "film.png,mild effusion,CXR\n"


@pytest.fixture
def folder(tmp_path):
    """A folder with one film."""
    Image.fromarray(film_array()).save(tmp_path / "film.png")
    return tmp_path


def opened(folder, text, name="t.csv", **options):
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return PictureTable(folder / name, size=16, **options)


def items(table):
    return [table.item(row) for row in table.rows()]


def words(table):
    return [(item["prompt"], item["modality"], item["row"]) for item in items(table)]


# --- as it was meant --------------------------------------------------------------------------------------------------


def test_an_item(folder):
    [item] = items(opened(folder, "path,text,modality\n" + GOOD))
    assert item["pixel_values"].shape == (3, 16, 16) and item["pixel_values"].dtype == torch.float32
    assert -1 <= item["pixel_values"].min() < item["pixel_values"].max() <= 1
    assert {name: item[name] for name in ("prompt", "modality", "row")} == {
        "prompt": "mild effusion",
        "modality": "CXR",
        "row": 0,
    }


@pytest.mark.parametrize(
    "header",
    [
        "path,text,modality",
        "path, Text, modality",
        "PATH,TEXT,Modal",
        "Image-Path,Caption,modal",
        "file name,prompt,MODALITY",
    ],
)
def test_columns_under_their_other_names(folder, header):
    assert words(opened(folder, f"{header}\n{GOOD}")) == [("mild effusion", "CXR", 0)]


def test_columns_in_another_order_and_with_others_between_them(folder):
    text = "id,modality,text,age,path\n1,CXR,mild effusion,40,film.png\n"
    assert words(opened(folder, text)) == [("mild effusion", "CXR", 0)]


@pytest.mark.parametrize(
    "line, prompt",
    [
        ("film.png,effusion, left, no nodule,CXR", "effusion, left, no nodule"),
        ('film.png, "effusion, left, no nodule", CXR', "effusion, left, no nodule"),
        ('film.png,"effusion, left, no nodule",CXR', "effusion, left, no nodule"),
        ('film.png, "a ""round"" nodule, left", CXR', 'a "round" nodule, left'),
        ("film.png , effusion , CXR ", "effusion"),
        ('film.png,"two\nlines",CXR', "two lines"),
    ],
)
def test_commas_blanks_and_quotes(folder, line, prompt):
    assert words(opened(folder, f"path, Text, modal\n{line}\n")) == [(prompt, "CXR", 0)]


def test_commas_without_quotes_in_a_last_column_and_how_many_rows_had_them(folder, caplog):
    table = opened(folder, "path,text\nfilm.png,a, b\nfilm.png,c\nfilm.png,d,e,f\n")
    assert words(table) == [("a, b", None, 0), ("c", None, 1), ("d,e,f", None, 2)]
    assert table.mended == 2 and table.problems == 0
    assert "t.csv: commas without quotes in 2 descriptions; their parts were joined" in caplog.text


def test_another_folder(folder, tmp_path):
    (tmp_path / "tables").mkdir()
    table = opened(tmp_path / "tables", "path,text\nfilm.png,nodule\n", base=folder)
    assert words(table) == [("nodule", None, 0)]


def test_an_absolute_path(folder):
    assert words(opened(folder, f"path,text\n{folder}/film.png,nodule\n")) == [("nodule", None, 0)]


def test_names_of_modalities_are_asked_for(folder):
    assert words(opened(folder, "path,text,modality\n" + GOOD, modality=str.lower))[0][1] == "cxr"


def test_the_same_rows_in_every_format(folder):
    rows = [{"path": "film.png", "text": f"row {number}", "modality": ["CXR", None][number % 2]} for number in range(5)]
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    csv = b"path,text,modality\n" + b"".join(
        f"{row['path']},{row['text']},{row['modality'] or ''}\n".encode() for row in rows
    )
    wanted = [(f"row {number}", ["CXR", None][number % 2], number) for number in range(5)]
    for name, content in (("t.csv", csv), ("t.CSV.gz", gzip.compress(csv)), ("t.jsonl", lines)):
        assert words(opened(folder, content, name)) == wanted, name
    assert words(opened(folder, gzip.compress(lines), "t.jsonl.gz")) == wanted
    png = (folder / "film.png").read_bytes()
    embedded = pyarrow.Table.from_pylist([row | {"path": {"bytes": png, "path": "a.png"}} for row in rows])
    pyarrow.parquet.write_table(embedded, folder / "t.parquet")
    parts = folder / "parts"
    parts.mkdir()
    pyarrow.parquet.write_table(embedded.slice(0, 3), parts / "0.parquet")
    pyarrow.parquet.write_table(embedded.slice(3), parts / "1.parquet")
    for path in (folder / "t.parquet", parts):
        table = PictureTable(path, size=16)
        assert words(table) == wanted
        assert torch.equal(items(table)[0]["pixel_values"], items(opened(folder, csv))[0]["pixel_values"])


def test_a_folder_of_datasets(folder):
    datasets = pytest.importorskip("datasets")
    rows = [{"image": str(folder / "film.png"), "caption": "nodule"}] * 2
    datasets.Dataset.from_list(rows).save_to_disk(str(folder / "saved"))
    assert words(PictureTable(folder / "saved", size=16)) == [("nodule", None, 0), ("nodule", None, 1)]


def test_descriptions_without_their_pictures(folder):
    table = opened(folder, "path,text\nfilm.png,nodule\nfilm.png,\nfilm.png,effusion, left\n")
    os.remove(folder / "film.png")
    assert list(table.texts()) == ["nodule", "effusion, left"]


# --- every kind of picture --------------------------------------------------------------------------------------------

GRAY = film_array()


def saved(path, picture, **options):
    Image.fromarray(picture).save(path, **options)


KINDS = {
    "8 bits": ("a.png", lambda path: saved(path, GRAY)),
    "JPEG": ("a.jpg", lambda path: saved(path, GRAY, quality=100)),
    "16 bits": ("a.png", lambda path: saved(path, GRAY.astype(np.uint16) * 257)),
    "palette": ("a.png", lambda path: Image.fromarray(GRAY).convert("P").save(path)),
    "CMYK": ("a.tif", lambda path: Image.fromarray(GRAY).convert("RGB").convert("CMYK").save(path)),
    "color": ("a.png", lambda path: saved(path, np.stack([GRAY] * 3, -1))),
    "opaque alpha": ("a.png", lambda path: saved(path, np.stack([*[GRAY] * 3, GRAY * 0 + 255], -1))),
    "DICOM with a window": (
        "a.dcm",
        lambda path: write_dicom(
            path, GRAY.astype(np.uint16), WindowCenter=127.5, WindowWidth=255, VOILUTFunction="LINEAR_EXACT"
        ),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_picture_gives_the_same_film(folder, kind):
    name, write = KINDS[kind]
    write(folder / name)
    [item] = items(opened(folder, f"path,text\n{name},nodule\n"))
    low, high = (int(GRAY.min()), int(GRAY.max())) if kind == "16 bits" else (0, 255)  # which are stretched
    wide = (GRAY.astype(np.float32) - low) / (high - low)
    wanted = np.asarray(Image.fromarray(wide).resize((16, 16), Image.Resampling.BOX)) * 2 - 1
    assert np.abs(item["pixel_values"].numpy() - wanted).max() < 0.03


def test_what_is_transparent_is_black(folder):
    saved(
        folder / "a.png",
        np.stack([GRAY, np.where(np.arange(64) < 32, 0, 255) * np.ones_like(GRAY)], -1).astype(np.uint8),
    )
    [item] = items(opened(folder, "path,text\na.png,nodule\n"))
    assert (item["pixel_values"][:, :, :8] == -1).all() and (item["pixel_values"][:, :, 8:] > -1).any()


# --- what is wrong ----------------------------------------------------------------------------------------------------

TABLES = {  # the name and the content of a table -> what is said of it as a whole
    "no file": ("gone.csv", None, "{}/gone.csv: found no such file; expected {E}; check the path"),
    "empty": ("t.csv", "", "t.csv: found an empty file; expected {E}; write the table again"),
    "another kind": ("t.xlsx", "x", "t.xlsx: found a '.xlsx' file; expected {E}; convert it"),
    "no path": (
        "t.csv",
        "name,text\n1,2\n",
        "t.csv: found columns name, text; expected a column 'path'; give the column of each path that name",
    ),
    "no text": (
        "t.csv",
        "path,label\n1,2\n",
        "t.csv: found columns path, label; expected a column 'text'; give the column of each text that name",
    ),
    "two texts": (
        "t.csv",
        "path,text,Caption\n1,2,3\n",
        "t.csv: found columns 'text', 'Caption'; expected one column for the text; give the others another name",
    ),
    "a column twice": (
        "t.csv",
        "path,text,text\n1,2,3\n",
        "t.csv: found the column 'text' twice; expected each column once; mend the header",
    ),
    "no row": ("t.csv", "path,text\n", "t.csv: found no row; expected pictures with descriptions; check the table"),
    "no good row": (
        "t.csv",
        "path,text\ngone.png,nodule\n",
        "t.csv: found no usable row (the first: t.csv, line 2: found no file gone.png; expected an existing picture; "
        "correct the path); expected pictures with descriptions; check the table",
    ),
    "broken header": (
        "t.csv",
        '"path,text\n',
        "t.csv, line 1: found broken CSV (unexpected end of data); expected quoted fields that end; mend the line",
    ),
    "not UTF-8": (
        "t.csv",
        b"path,text\nfilm.png,\xe4\n",
        "t.csv: found text that is not UTF-8; expected UTF-8; save the table as UTF-8",
    ),
    "damaged gzip": (
        "t.csv.gz",
        gzip.compress(b"path,text\n" * 9)[:-9],
        "t.csv.gz: found a damaged gzip file; expected a complete one; download it again",
    ),
    "damaged Parquet": (
        "t.parquet",
        b"PAR1 and no more",
        "t.parquet: found a damaged Parquet file; expected a complete one; copy or write it again",
    ),
}
E = "a .csv, .jsonl or .parquet file, or a folder of datasets or Parquet"


@pytest.mark.parametrize("case", TABLES)
def test_a_table_that_cannot_be_used(folder, case):
    name, content, message = TABLES[case]
    with pytest.raises(InputError) as raised:
        PictureTable(folder / name) if content is None else opened(folder, content, name)
    assert str(raised.value) == message.format(folder, E=E)


ROWS = {  # a row's line -> what is said of it when the table is opened, and of its picture when it is asked for
    "nothing there": ("gone.png,nodule", "found no file gone.png; expected an existing picture; correct the path"),
    "above the folder": (
        "../film.png,nodule",
        "found a path that leaves the table's folder; expected a file inside {}/; correct 'path'",
    ),
    "above, by a detour": (
        "a/../../film.png,nodule",
        "found a path that leaves the table's folder; expected a file inside {}/; correct 'path'",
    ),
    "a folder": ("a,nodule", "found a folder, device or pipe; expected an existing picture; correct the path"),
    "a pipe": ("pipe,nodule", "found a folder, device or pipe; expected an existing picture; correct the path"),
    "a device": ("/dev/zero,nodule", "found a folder, device or pipe; expected an existing picture; correct the path"),
    "a dangling link": ("link.png,nodule", "found no file link.png; expected an existing picture; correct the path"),
    "a zero byte in the path": (
        '{"path": "a\\u0000.png", "text": "nodule"}',
        "found no file a?.png; expected an existing picture; correct the path",
    ),
    "no path": (",nodule", "found no path; expected a file inside {}/; correct 'path'"),
    "a number as path": ('{"path": 3, "text": "x"}', "found no path; expected a file inside {}/; correct 'path'"),
    "no text": ("film.png,", "found no text in 'text'; expected a description; fill it in or drop the row"),
    "blank text": ("film.png,  ", "found no text in 'text'; expected a description; fill it in or drop the row"),
    "null as text": (
        '{"path": "film.png", "text": null}',
        "found no text in 'text'; expected a description; fill it in or drop the row",
    ),
    "a number as text": (
        '{"path": "film.png", "text": 7}',
        "found int 7 in 'text'; expected a description; fill it in or drop the row",
    ),
    "no such key": (
        '{"path": "film.png"}',
        "found columns path; expected a column 'text'; give the column of each text that name",
    ),
    "broken JSON": (
        '{"path": ',
        "found broken JSON (Expecting value); expected one object a line; mend the line",
    ),
    "too few fields": ("film.png", "found 1 fields; expected 2 as in the header; mend the line"),
    "quotes that go on": (
        'film.png,"x"y',
        "found broken CSV (',' expected after '\"'); expected quoted fields that end; mend the line",
    ),
}
BLANK = (
    "found every pixel equal (a blank image); expected an image with contrast; "
    "check that the export or the exposure worked"
)
PICTURES = {  # a file's name and content -> what is said of it when it is asked for
    "zero bytes": (
        "a.png",
        b"",
        "found an empty file (0 bytes); expected an image file; copy or export the file again",
    ),
    "text": (
        "a.png",
        b"heart",
        "found text; expected PNG, JPEG, TIFF or DICOM; give the image itself or convert it to PNG",
    ),
    "PDF": (
        "a.pdf",
        b"%PDF-1.7",
        "found a PDF document; expected PNG, JPEG, TIFF or DICOM; give the image itself or convert it to PNG",
    ),
    "GIF": (
        "a.gif",
        lambda path: saved(path, GRAY),
        "found a GIF picture; expected PNG, JPEG, TIFF or DICOM; give the image itself or convert it to PNG",
    ),
    "animated": (
        "a.png",
        lambda path: Image.fromarray(GRAY).save(path, save_all=True, append_images=[Image.fromarray(GRAY.T)]),
        "found 2 frames; expected one image; choose one with `frame` (0 to 1), or save it as a file of its own",
    ),
    "several pages": (
        "a.tif",
        lambda path: Image.fromarray(GRAY).save(path, save_all=True, append_images=[Image.fromarray(GRAY)] * 2),
        "found 3 frames; expected one image; choose one with `frame` (0 to 2), or save it as a file of its own",
    ),
    "truncated": (
        "a.png",
        lambda path: (saved(path, GRAY), os.truncate(path, path.stat().st_size // 2)),
        "found a truncated PNG; expected a complete image; copy or export the file again",
    ),
    "1 x 1": (
        "a.png",
        lambda path: saved(path, GRAY[:1, :1]),
        "found an image of 1 x 1 px; expected at least 8 px a side; "
        "give the image itself, not an icon or a placeholder",
    ),
    "blank": (
        "a.png",
        lambda path: saved(path, GRAY * 0),
        BLANK,
    ),
    "blank color": (
        "a.jpg",
        lambda path: saved(path, np.zeros((64, 64, 3), np.uint8)),
        BLANK,
    ),
    "DICOM without pixels": (
        "a.dcm",
        lambda path: write_dicom(path, None),
        "found a DICOM file without pixel data; expected a DICOM image; choose the image of this study",
    ),
}


@pytest.mark.parametrize("case", ROWS)
def test_a_row_that_cannot_be_used_is_told_and_the_others_are_read(folder, case):
    line, message = ROWS[case]
    (folder / "a").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "link.png").symlink_to(folder / "gone.png")
    if line.startswith("{"):
        good = '{"path": "film.png", "text": "good"}'
        table = opened(folder, f"{good}\n{line}\n{good}\n", "t.jsonl")
    else:
        table = opened(folder, f"path,text\nfilm.png,good\n{line}\nfilm.png,good\n")
    place = f"{table.path.name}, line {2 if line.startswith('{') else 3}"
    assert table.first_problems == [f"{place}: {message.format(folder.name)}"]
    assert (len(table), table.problems) == (3, 1)
    for row in table.rows():
        if row.number != 1:
            assert table.item(row)["prompt"] == "good"
        else:
            with pytest.raises(InputError, match=f"^{place}"):
                table.item(row)


@pytest.mark.parametrize("case", PICTURES)
def test_a_picture_that_cannot_be_used_is_told_with_its_row(folder, case):
    name, content, message = PICTURES[case]
    content(folder / name) if callable(content) else (folder / name).write_bytes(content)
    table = opened(folder, f"path,text\n{name},bad\nfilm.png,good\n")
    bad, good = table.rows()
    with pytest.raises(InputError) as raised:
        table.item(bad)
    assert str(raised.value) == f"t.csv, line 2 ({name}): {message}"
    assert table.item(good)["prompt"] == "good"


def test_an_unknown_modality_is_told_with_its_row(folder):
    def named(name):
        raise InputError("modality", f"'{name}'", "one of CXR", "did you mean 'CXR'?")

    table = opened(folder, "path,text,modality\nfilm.png,a,\nfilm.png,a,CXL\n", modality=named)
    assert table.first_problems == ["t.csv, line 3: found 'CXL'; expected one of CXR; did you mean 'CXR'?"]


def test_only_the_first_problems_are_kept(folder):
    table = opened(folder, "path,text\nfilm.png,good\n" + "gone.png,bad\n" * 30)
    assert table.problems == 30 and len(table.first_problems) == 20


def test_a_fit_that_there_is_not(folder):
    with pytest.raises(InputError) as raised:
        opened(folder, "path,text\nfilm.png,a\n", fit="stretch")
    assert str(raised.value) == "fit: found 'stretch'; expected one of pad, crop; choose one of them"
