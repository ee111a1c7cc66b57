"""Tables of films and reports: the same records whatever the format."""

import json

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from hf_medreport.data.collator import StudyCollator
from hf_medreport.data.tables import ReportDataset, classification, observations
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from tests.tiny import tiny_processor


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


def test_films_that_do_not_decode_are_skipped_too_and_told(folder):
    """Cut in the middle, empty, and no picture at all; the good ones keep their order."""
    whole = (folder / "0.png").read_bytes()
    for name, content in (("cut", whole[: len(whole) // 2]), ("none", b""), ("text", b"no picture")):
        (folder / f"{name}.png").write_bytes(content)
    rows = [{"image": f"{name}.png", "text": name} for name in ("cut", "1", "none", "text", "0")]
    (folder / "broken.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = ReportDataset(folder / "broken.jsonl", on_bad="skip")
    assert list(table.texts()) == ["1", "0"] == [table[index]["text"] for index in range(2)]
    assert [message.split(":")[0] for message in table.skipped] == [
        f"broken.jsonl, row {row} ({name}.png)" for row, name in ((1, "cut"), (3, "none"), (4, "text"))
    ]
    assert len(ReportDataset(folder / "broken.jsonl")) == 5  # which are read when they are asked for
    (folder / "all.jsonl").write_text(json.dumps(rows[0]))
    with pytest.raises(InputError, match="all.jsonl: found no usable row"):
        ReportDataset(folder / "all.jsonl", on_bad="skip")


@pytest.mark.parametrize("path", ["../film.png", "a/../../film.png", "./../../etc/passwd"])
def test_a_path_does_not_leave_the_tables_folder(folder, path):
    (folder / "out.jsonl").write_text(json.dumps({"image": path, "text": "Out."}))
    with pytest.raises(InputError, match="row 1: found a path that leaves the table's folder"):
        ReportDataset(folder / "out.jsonl")


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


def test_a_damaged_film_is_named_by_its_row_where_it_has_no_file(folder):
    rows = [{"image": {"bytes": b"no film", "path": None}, "text": "x"}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "bytes.parquet")
    with pytest.raises(InputError, match="^bytes.parquet, row 1: found text"):
        ReportDataset(folder / "bytes.parquet")[0]


def test_an_unknown_way_with_bad_rows_is_refused(folder):
    with pytest.raises(InputError, match="on_bad: found 'skpi'; expected raise or skip"):
        ReportDataset(write(folder, "csv"), on_bad="skpi")


VIEWS = {"lateral_column": "lateral", "label_column": "label"}
PAIR = {"image": "0.png", "lateral": "1.png", "text": "Normal.", "label": 0}


def save_pairs(folder, kind, rows):
    """The rows as a table of this kind; None is an empty cell."""
    path = folder / f"pairs.{kind}"
    if kind == "csv":
        lines = [",".join("" if value is None else str(value) for value in row.values()) for row in rows]
        path.write_text("\n".join([",".join(PAIR), *lines]))
    elif kind == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_second_view_and_a_classification_whose_cells_may_be_empty(folder, kind):
    rows = [PAIR, {**PAIR, "label": 1}, {**PAIR, "lateral": None, "label": None}]
    table = ReportDataset(save_pairs(folder, kind, rows), **VIEWS)
    records = [table[index] for index in range(3)]
    assert [record["abnormal"] for record in records] == [0, 1, None]
    np.testing.assert_allclose(records[0]["lateral"][0], [40 / 255] * 8 + [200 / 255] * 8)
    assert records[2]["lateral"] is None and records[2]["image"].shape == (16, 16)


def test_films_of_both_views_stored_by_datasets_as_bytes(folder):
    films = [{"bytes": (folder / f"{index}.png").read_bytes(), "path": f"{index}.png"} for index in range(2)]
    rows = [{**PAIR, "image": films[0], "lateral": films[1]}, {**PAIR, "image": films[0], "lateral": None}]
    table = ReportDataset(save_pairs(folder, "parquet", rows), **VIEWS)
    assert table[0]["lateral"].shape == (16, 16) and table[1]["lateral"] is None


def test_either_column_alone_and_neither(folder):
    path = save_pairs(folder, "csv", [PAIR])
    assert ReportDataset(path, lateral_column="lateral")[0]["abnormal"] is None
    assert ReportDataset(path, label_column="label")[0]["lateral"] is None
    assert set(ReportDataset(path)[0]) == {"image", "text", "mask"}


@pytest.mark.parametrize(
    ("cell", "expected"),
    [(0, 0), (1, 1), ("0", 0), ("1", 1), (False, 0), (True, 1), (1.0, 1), ("1.0", 1), ("", None), (None, None)],
)
def test_classifications(cell, expected):
    assert classification(cell) == expected and type(classification(cell)) is type(expected)


LABEL = "expected 0 (normal), 1 (abnormal) or an empty cell; correct 'label'"
REMEDY = "(bad rows in all: 1; skip_bad_rows leaves them out)"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": "2"}, f"found label '2'; {LABEL}"),
        ({"label": 2}, f"found label 2; {LABEL}"),
        ({"label": -1}, f"found label -1; {LABEL}"),
        ({"label": 0.5}, f"found label 0.5; {LABEL}"),
        ({"label": "normal"}, f"found label 'normal'; {LABEL}"),
        ({"label": "1.5"}, f"found label '1.5'; {LABEL}"),
        ({"label": " "}, f"found label ' '; {LABEL}"),
        ({"label": [1]}, f"found label [1]; {LABEL}"),
        ({"label": float("nan")}, f"found label nan; {LABEL}"),
        ({"lateral": "9.png"}, "found no file 9.png; expected an existing lateral film; correct 'lateral'"),
        (
            {"lateral": "../1.png"},
            "found a path that leaves the table's folder; expected a file inside FOLDER/; correct 'lateral'",
        ),
        ({"lateral": 7}, "found no path; expected a file inside FOLDER/; correct 'lateral'"),
        (
            {"lateral": {"bytes": None, "path": None}},
            "found no path; expected a file inside FOLDER/; correct 'lateral'",
        ),
        ({"image": None}, "found no path; expected a file inside FOLDER/; correct 'image'"),
    ],
)
def test_bad_views_and_classifications(folder, changes, message):
    path = save_pairs(folder, "jsonl", [PAIR, {**PAIR, **changes}])
    message = f"pairs.jsonl, row 2: {message}".replace("FOLDER", folder.name)
    with pytest.raises(InputError) as error:
        ReportDataset(path, **VIEWS)
    assert str(error.value) == f"{message} {REMEDY}"
    table = ReportDataset(path, on_bad="skip", **VIEWS)
    assert len(table) == 1 and table.skipped == [message]


@pytest.mark.parametrize(("role", "column"), [("lateral", "side"), ("label", "classification")])
def test_columns_that_are_not_there(folder, role, column):
    with pytest.raises(InputError) as error:
        ReportDataset(save_pairs(folder, "csv", [PAIR]), **VIEWS | {f"{role}_column": column})
    present = "pairs.csv: found columns image, lateral, text, label"
    assert str(error.value) == f"{present}; expected a column '{column}'; name it with `{role}_column`"


def test_a_damaged_lateral_film_is_named_by_its_row(folder):
    (folder / "2.png").write_bytes((folder / "1.png").read_bytes()[:40])
    table = ReportDataset(save_pairs(folder, "csv", [{**PAIR, "lateral": "2.png"}]), **VIEWS)
    with pytest.raises(InputError) as error:
        table[0]
    found = "found a truncated PNG; expected a complete image; copy or export the file again"
    assert str(error.value) == f"pairs.csv, row 1 (2.png): {found}"


def test_a_batch_of_pairs(folder):
    rows = [PAIR, {**PAIR, "lateral": None, "label": 1}, {**PAIR, "label": None}]
    table = ReportDataset(save_pairs(folder, "csv", rows), **VIEWS)
    collate = StudyCollator(tiny_processor(system("cxr_multitask")), max_length=4)
    batch = collate([table[index] for index in range(3)])
    assert batch["pixel_values"].shape == batch["lateral_pixel_values"].shape == (3, 3, 32, 32)
    assert batch["views"].tolist() == [[1, 1], [1, 0], [1, 1]] and batch["abnormal_labels"].tolist() == [0, 1, -100]
    assert batch["lateral_pixel_values"][0].std() > 0 and not batch["lateral_pixel_values"][1].any()
    assert batch["labels"].shape == (3, 4) and "anatomical_masks" not in batch and "input_ids" not in batch


def test_a_batch_with_masks_and_without_second_views_or_classifications(folder):
    rows = [{**row, "label": None, "lateral": None} for row in ROWS]
    rows.append({**rows[0], "mask": None})
    (folder / "masked.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for columns in (VIEWS, {}):  # cells that are empty, or no such columns
        table = ReportDataset(folder / "masked.jsonl", mask_column="mask", **columns)
        batch = StudyCollator(tiny_processor(system("cxr_multitask")))([table[index] for index in range(3)])
        assert "abnormal_labels" not in batch and batch["views"].tolist() == [[1, 0]] * 3
        assert batch["anatomical_masks"].shape == (3, 1, 16, 16) and not batch["anatomical_masks"][2].any()
        assert batch["labels"][0, -1] == -100 and batch["labels"][1, -1] == 0  # padded; ended


# --- labels ---

HEART, WATER = "Cardiomegaly", "Edema"


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_labels_whose_cells_may_be_empty(folder, kind):
    path = folder / f"labeled.{kind}"
    rows = [{"image": "0.png", "text": "x", "labels": labels} for labels in ([WATER, HEART], [], ["No Finding"], None)]
    if kind == "csv":
        cells = ["\"'Edema', 'Cardiomegaly'\"", "''", "No Finding", ""]
        path.write_text("\n".join(["image,text,labels", *(f"0.png,x,{cell}" for cell in cells)]))
    elif kind == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    table = ReportDataset(path, labels_column="labels")
    assert [table[index]["labels"] for index in range(4)] == [[WATER, HEART], [], [], None]
    assert set(table[0]) == {"image", "text", "mask", "labels"} and "labels" not in ReportDataset(path)[0]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ([], []),
        ([HEART, HEART], [HEART]),
        (["No Finding", WATER], [WATER]),
        ("Edema", [WATER]),
        ("'No Finding'", []),
        ("", None),
        (None, None),
    ],
)
def test_observations(cell, expected):
    assert observations(cell, "x") == expected


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (["Edma"], "found unknown label 'Edma'; expected one of CheXpert's 14 names; did you mean 'Edema'?"),
        ("'Edema", "found broken quotes at 'Edema; expected each name in quotes, commas between; mend the label"),
        (
            3,
            "found labels 3; expected a list of CheXpert's names, or these in quotes with commas between; correct them",
        ),
        (
            [WATER, 3],
            "found labels ['Edema', 3]; expected a list of CheXpert's names, or these in quotes with commas between; "
            "correct them",
        ),
    ],
)
def test_bad_labels(folder, cell, message):
    rows = [{"image": "0.png", "text": "x", "labels": labels} for labels in ([WATER], cell)]
    (folder / "labeled.jsonl").write_text("\n".join(map(json.dumps, rows)))
    table = ReportDataset(folder / "labeled.jsonl", labels_column="labels", on_bad="skip")
    assert len(table) == 1 and table.skipped == [f"labeled.jsonl, row 2: {message}"]
    with pytest.raises(InputError) as error:
        ReportDataset(folder / "labeled.jsonl", labels_column="labels")
    assert str(error.value) == f"labeled.jsonl, row 2: {message} {REMEDY}"


def test_a_column_of_labels_that_is_not_there(folder):
    with pytest.raises(InputError) as error:
        ReportDataset(save_pairs(folder, "csv", [PAIR]), labels_column="labels")
    present = "pairs.csv: found columns image, lateral, text, label"
    assert str(error.value) == f"{present}; expected a column 'labels'; name it with `labels_column`"
