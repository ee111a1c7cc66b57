"""Tables of films and reports: the same records whatever the format."""

import json

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from hf_medreport.data.tables import ReportDataset
from hf_medreport.processing.input_error import InputError


@pytest.fixture
def folder(tmp_path):
    """Two films with masks, and their rows."""
    for index in range(2):
        pixels = np.full((16, 16), 40, np.uint8)
        pixels[:, 4 * (index + 1) :] = 200
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
        Image.fromarray((pixels > 100).astype(np.uint8)).save(tmp_path / f"{index}_mask.png")
    return tmp_path


ROWS = [
    {"image": "0.png", "text": "Mostly bright.", "mask": "0_mask.png"},
    {"image": "1.png", "text": 'Right half, "bright", left dark.', "mask": "1_mask.png"},
]


def write(folder, kind):
    path = folder / f"table.{kind}"
    if kind == "csv":
        quoted = ROWS[1]["text"].replace('"', '""')
        path.write_text(f'image,text,mask\n0.png,Mostly bright.,0_mask.png\n1.png,"{quoted}",1_mask.png\n')
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    elif kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    else:
        datasets = pytest.importorskip("datasets")

        datasets.Dataset.from_list(ROWS).save_to_disk(folder / "saved")
        path = folder / "saved"
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "datasets"])
def test_every_format_gives_the_same_records(folder, kind):
    table = ReportDataset(write(folder, kind), mask_column="mask")
    assert len(table) == 2 and table.skipped == []
    assert [table[index]["text"] for index in range(2)] == [row["text"] for row in ROWS]
    film = table[1]["image"]
    assert film.dtype == np.float32 and film.shape == (16, 16)
    np.testing.assert_allclose(film[0], [40 / 255] * 8 + [200 / 255] * 8)
    np.testing.assert_array_equal(table[1]["mask"][0], [0] * 8 + [1] * 8)


def test_texts_are_read_without_the_films(folder):
    table = ReportDataset(write(folder, "csv"))
    (folder / "0.png").write_bytes(b"no film any more")
    assert list(table.texts()) == [row["text"] for row in ROWS]


def test_films_stored_by_datasets_as_bytes(folder):
    rows = [{"image": {"bytes": (folder / "1.png").read_bytes(), "path": None}, "text": "Half."}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "bytes.parquet")
    assert ReportDataset(folder / "bytes.parquet")[0]["image"].shape == (16, 16)


def test_a_folder_of_parquet_files_is_one_table(folder):
    (folder / "parts").mkdir()
    for index, row in enumerate(ROWS):
        row = {**row, "image": str(folder / row["image"])}
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), folder / "parts" / f"{index}.parquet")
    assert [record["text"] for record in map(ReportDataset(folder / "parts").__getitem__, range(2))] == [
        row["text"] for row in ROWS
    ]


def test_bad_rows_are_skipped_on_request_and_told(folder):
    rows = [*ROWS, {"image": "0.png", "text": " "}, {"image": "9.png", "text": "Gone."}]
    (folder / "some.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = ReportDataset(folder / "some.jsonl", on_bad="skip")
    assert len(table) == 2
    assert table.skipped == [
        "some.jsonl, row 3: found no text in 'text'; expected a report; fill it in or drop the row",
        "some.jsonl, row 4: found no file 9.png; expected an existing image; correct 'image'",
    ]
    with pytest.raises(InputError, match="bad rows in all: 2"):
        ReportDataset(folder / "some.jsonl")


@pytest.mark.parametrize("path", ["../film.png", "a/../../film.png", "./../../etc/passwd"])
def test_a_path_does_not_leave_the_tables_folder(folder, path):
    (folder / "out.jsonl").write_text(json.dumps({"image": path, "text": "Out."}))
    with pytest.raises(InputError, match="row 1: found a path that leaves the table's folder"):
        ReportDataset(folder / "out.jsonl")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("blank.csv", b"image,text\n\n0.png,Bright.\n\n"),
        ("windows.csv", b"\xef\xbb\xbfimage,text\r\n0.png,Bright.\r\n"),
        ("CAPITALS.CSV", b"image,text\n0.png,Bright.\n"),
        ("marked.jsonl", b'\xef\xbb\xbf{"image": "0.png", "text": "Bright."}\n\n'),
    ],
)
def test_what_other_programs_write_is_read(folder, name, content):
    (folder / name).write_bytes(content)
    assert [ReportDataset(folder / name)[0]["text"]] == ["Bright."]


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("mark.csv", b"\xef\xbb\xbf", "no rows"),
        ("deep.jsonl", b"[" * 100_000, "broken JSON \\(too large or too deep\\)"),
        ("long.jsonl", b'{"image": "0.png", "text": "x", "n": ' + b"9" * 5000 + b"}", "broken JSON"),
        ("name.jsonl", b'{"image": "' + b"x" * 5000 + b'", "text": "x"}', "no file x"),
        ("bytes.jsonl", b'{"image": {"bytes": "text", "path": null}, "text": "x"}', "no path"),
    ],
)
def test_odd_tables_end_in_a_message(folder, name, content, found):
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}.*: found {found}"):
        ReportDataset(folder / name)


def test_folders_that_are_not_one_table(folder):
    datasets = pytest.importorskip("datasets")
    datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)}).save_to_disk(folder / "splits")
    with pytest.raises(InputError, match="splits: found a folder of several splits"):
        ReportDataset(folder / "splits")
    (folder / "broken").mkdir()
    (folder / "broken" / "state.json").write_text("{")
    with pytest.raises(InputError, match="broken: found a damaged datasets folder"):
        ReportDataset(folder / "broken")
    (folder / "mixed").mkdir()
    for index, column in enumerate(("text", "report")):
        pyarrow.parquet.write_table(
            pyarrow.table({"image": ["0.png"], column: ["x"]}), folder / f"mixed/{index}.parquet"
        )
    with pytest.raises(InputError, match="mixed: found Parquet files of different columns"):
        ReportDataset(folder / "mixed")


def test_a_damaged_film_is_named_by_its_row_where_it_has_no_file(folder):
    rows = [{"image": {"bytes": b"no film", "path": None}, "text": "x"}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "bytes.parquet")
    with pytest.raises(InputError, match="^bytes.parquet, row 1: found text"):
        ReportDataset(folder / "bytes.parquet")[0]


def test_an_unknown_way_with_bad_rows_is_refused(folder):
    with pytest.raises(InputError, match="on_bad: found 'skpi'; expected raise or skip"):
        ReportDataset(write(folder, "csv"), on_bad="skpi")
