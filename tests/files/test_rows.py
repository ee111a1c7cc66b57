"""Rows of tables: the same ones whatever the format; what is wrong with a line is said in its place."""

import gzip
import io
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from hf_medreport.data.tables import ReportDataset
from hf_medreport.evaluation.images.folders import read_captions
from hf_medreport.evaluation.reports.predictions import read_predictions
from hf_medreport.files.rows import (
    RepeatedField,
    csv_lines,
    csv_rows,
    is_name,
    jsonl_lines,
    open_text,
    parse_json,
    read_rows,
    read_text,
    stream_rows,
)
from hf_medreport.processing.input_error import InputError


def told(lines):
    return [(number, str(row) if isinstance(row, InputError) else row) for number, row in lines]


def of_csv(text, *arguments, **options):
    return told(csv_lines(io.StringIO(text, newline=""), "t.csv", *arguments, **options))


def test_a_bad_line_of_csv_stands_where_it_is_and_the_next_are_read():
    assert of_csv('a,b\r\n1,"x,\ny"\n\n2\n3,4,5\n6,7\n8,"open\n') == [
        (3, {"a": "1", "b": "x,\ny"}),
        (5, "t.csv, line 5: found 1 fields; expected 2 as in the header; mend the line"),
        (6, "t.csv, line 6: found 3 fields; expected 2 as in the header; mend the line"),
        (7, {"a": "6", "b": "7"}),
        (8, "t.csv, line 8: found broken CSV (unexpected end of data); expected quoted fields that end; mend the line"),
    ]


def test_a_file_without_header():
    def headless(first):
        return ["text"] if first != ["text"] else None

    assert of_csv("one\ntwo\n", headless=headless) == [(1, {"text": "one"}), (2, {"text": "two"})]
    assert of_csv("text\none\n", headless=headless) == [(2, {"text": "one"})]


@pytest.mark.parametrize(
    "text, columns, message",
    [
        ("a,b,a\n", (), "found the column 'a' twice; expected each column once; mend the header"),
        ("a,b\n", ("a", "c", "d"), "found columns a, b; expected columns a, c, d; name the column 'c'"),
        ("", ("a",), "found no header; expected columns a; name the column 'a'"),
        (
            '"a\n',
            (),
            "line 1: found broken CSV (unexpected end of data); expected quoted fields that end; mend the line",
        ),
    ],
)
def test_a_header_that_cannot_be_used(text, columns, message):
    with pytest.raises(InputError) as raised:
        of_csv(text, columns)
    assert str(raised.value).removeprefix("t.csv").lstrip(":, ") == message


@pytest.mark.parametrize(
    "text, rows",
    [
        ("a;b\n1;x, y\n", [(2, {"a": "1", "b": "x, y"})]),
        ("a\tb\r\n1\tx; y\r\n", [(2, {"a": "1", "b": "x; y"})]),
        ("a|b\n1|x\n", [(2, {"a": "1", "b": "x"})]),
        ('"a";"b"\n"1";"x\ny"\n', [(3, {"a": "1", "b": "x\ny"})]),
        ("sep=;\na;b\n1;x\n2\n", [(3, {"a": "1", "b": "x"}), (4, "2")]),
        ("\n \na;b\n1;x\n", [(4, {"a": "1", "b": "x"})]),
        ("a, b\n1,x\n", [(2, {"a": "1", "b": "x"})]),
        # a header that is parted as well by commas is; one whose parts are sentences is none
        ("a,b|c\n1,x|y\n", [(2, {"a": "1", "b|c": "x|y"})]),
        ("Clear. No effusion; the heart is normal.\n1\n", [(2, {"Clear. No effusion; the heart is normal.": "1"})]),
    ],
)
def test_what_parts_the_fields_is_told_by_the_header(text, rows):
    assert of_csv(text)[0] == rows[0]
    if len(rows) > 1:
        assert of_csv(text)[1] == (4, "t.csv, line 4: found 1 fields; expected 2 as in the header; mend the line")


def test_what_reads_as_the_name_of_a_column():
    assert all(map(is_name, ["", "id", "Generated Reports", "v1.2", "a b c d e"]))
    assert not any(map(is_name, ["Clear.", "Clear. Normal", "no effusion is seen on this film", "Why?"]))


def test_a_field_twice_is_refused(tmp_path):
    with pytest.raises(RepeatedField, match="the field 'b' twice"):
        parse_json('{"a": [{"b": 1, "b": 1}]}')
    assert parse_json('[{"a": 1}, {"a": 2}]') == [{"a": 1}, {"a": 2}]
    assert told(jsonl_lines(['{"a": 1, "a": 2}'], "t.jsonl")) == [
        (1, "t.jsonl, line 1: found the field 'a' twice; expected each field once; mend the line")
    ]
    pyarrow.parquet.write_table(pyarrow.table([[1], [2]], names=["a", "a"]), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="t.parquet: found the column 'a' twice; expected each column once"):
        read_rows(tmp_path / "t.parquet")


# Written before the readers of today: ten files parted by other signs, or of unknown columns; ten with one twice.
CASES = json.loads((Path(__file__).parent / "table_cases.json").read_text(encoding="utf-8"))


def test_nine_in_ten_of_the_dialects_written_beforehand(tmp_path):
    (tmp_path / "r.csv").write_text(CASES["references"], encoding="utf-8")
    right = []
    for case in CASES["dialect"]:
        (tmp_path / "p.csv").write_text(case["content"], encoding="utf-8", newline="")
        try:
            pairs = read_predictions(tmp_path / "p.csv", tmp_path / "r.csv")
            right.append(case["expected"] == "read" and pairs.references == [["Small effusion."], ["Clear lungs."]])
        except InputError:
            right.append(case["expected"] == "refused")
    print(f"dialects: {sum(right)} of {len(right)} right")
    assert len(right) == 10 and sum(right) >= 9


def test_nine_in_ten_of_the_repetitions_written_beforehand(tmp_path):
    (tmp_path / "f.png").touch()
    (tmp_path / "r.csv").write_text(CASES["references"], encoding="utf-8")
    told = []
    for case in CASES["twice"]:
        file = tmp_path / case["file"]
        file.write_text(case["content"], encoding="utf-8")
        failures = []
        try:
            if file.stem == "p":
                read_predictions(file, tmp_path / "r.csv")
            elif file.stem == "t":
                ReportDataset(file)
            else:
                read_captions(tmp_path, ["f.png"], failures)
        except InputError as error:
            failures.append(error)
        told.append(any(" twice" in str(getattr(failure, "message", failure)) for failure in failures))
        file.unlink()
    print(f"repetitions: {sum(told)} of {len(told)} right")
    assert len(told) == 10 and sum(told) >= 9


def test_empty_names_may_repeat():
    assert of_csv("a,,\n1,2,3\n") == [(2, {"a": "1", "": "3"})]


def test_a_csv_is_read_until_its_first_bad_line(tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"\xef\xbb\xbfa\n1\n2,3\n"))
    rows = csv_rows(tmp_path / "t.csv.gz", ["a"])
    assert next(rows) == {"a": "1"}
    with pytest.raises(InputError, match="t.csv.gz, line 3: found 2 fields"):
        next(rows)


def test_a_bad_line_of_jsonl_stands_where_it_is_and_the_next_are_read():
    lines = io.StringIO('{"a": 1}\n\n{\n[1]\n"x"\n' + "[" * 100_000 + '\n{"a": 2}')
    wanted = "expected one object a line; mend the line"
    assert told(jsonl_lines(lines, "t.jsonl")) == [
        (1, {"a": 1}),
        (
            3,
            "t.jsonl, line 3: found broken JSON (Expecting property name enclosed in double quotes)"
            "; expected one object a line; name a file of one JSON value .json",
        ),
        (4, f"t.jsonl, line 4: found a list; {wanted}"),
        (5, f"t.jsonl, line 5: found a str; {wanted}"),
        (6, f"t.jsonl, line 6: found broken JSON (too large or too deep); {wanted}"),
        (7, {"a": 2}),
    ]


def test_text_of_other_encodings(tmp_path):
    (tmp_path / "a").write_bytes(b"one\ncaf\xe9\n")
    with (
        pytest.raises(InputError, match="a: found text that is not UTF-8; expected UTF-8"),
        open_text(tmp_path / "a") as f,
    ):
        list(f)
    with open_text(tmp_path / "a", "surrogateescape") as file:
        assert list(file) == ["one\n", "caf\udce9\n"]
    with pytest.raises(InputError, match="a, line 2: found text that is not UTF-8 on 1 line; expected UTF-8"):
        read_text(tmp_path / "a", "a table")
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfone")
    assert read_text(tmp_path / "a", "a table") == "one"


def test_columns_that_lines_of_jsonl_lack_are_none(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n{"b": 2}\n')
    assert read_rows(tmp_path / "t.jsonl") == [{"a": 1, "b": None}, {"a": None, "b": 2}]


ROWS = [{"image": "0.png", "text": "Bright."}, {"image": "1.png", "text": 'Right, "bright".'}]


def save(folder, kind):
    """`ROWS` as a table of this kind."""
    path = folder / f"table.{kind}"
    if kind == "csv":
        path.write_text('image,text\n0.png,Bright.\n1.png,"Right, ""bright""."\n')
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    elif kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    else:
        pytest.importorskip("datasets").Dataset.from_list(ROWS).save_to_disk(path)
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "datasets"])
def test_every_format_gives_the_same_rows(tmp_path, kind):
    rows = read_rows(save(tmp_path, kind))
    assert len(rows) == 2 and list(rows) == ROWS


def test_one_cell_of_a_mapped_table(tmp_path):
    rows = read_rows(save(tmp_path, "parquet"))
    assert rows.cell(1, "image") == "1.png"
    with pytest.raises(IndexError):
        rows[2]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.txt", b"a", "found a '.txt' file; expected a .csv, .jsonl or .parquet file, or a folder of datasets or"),
        ("t.csv", b"", "found an empty file; expected a .csv, .jsonl or .parquet file, or a folder of datasets or"),
        ("t.parquet", b"PAR1", "found a damaged Parquet file; expected a complete one; copy or write it again"),
    ],
)
def test_files_that_are_no_table(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as raised:
        read_rows(tmp_path / name)
    assert str(raised.value).startswith(f"{name}: {message}")


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="t.csv: found no such file"):
        read_rows(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("blank.csv", b"image,text\n\n0.png,Bright.\n\n"),
        ("windows.csv", b"\xef\xbb\xbfimage,text\r\n0.png,Bright.\r\n"),
        ("CAPITALS.CSV", b"image,text\n0.png,Bright.\n"),
        ("marked.jsonl", b'\xef\xbb\xbf{"image": "0.png", "text": "Bright."}\n\n'),
    ],
)
def test_what_other_programs_write_is_read(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert read_rows(tmp_path / name) == ROWS[:1]


def test_a_folder_of_parquet_files_is_one_table(tmp_path):
    for index, row in enumerate(ROWS):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / f"{index}.parquet")
    assert list(read_rows(tmp_path)) == ROWS


def test_folders_that_are_not_one_table(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)}).save_to_disk(tmp_path / "splits")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "state.json").write_text("{")
    (tmp_path / "bare").mkdir()
    (tmp_path / "mixed").mkdir()
    for column in ("text", "report"):
        table = pyarrow.table({"image": ["0.png"], column: ["x"]})
        pyarrow.parquet.write_table(table, tmp_path / f"mixed/{column}.parquet")
    found = {
        "splits": "a folder of several splits",
        "broken": "a damaged datasets folder",
        "bare": "a folder without tables",
        "mixed": "Parquet files of different columns",
    }
    for name, problem in found.items():
        with pytest.raises(InputError, match=f"{name}: found {problem}"):
            read_rows(tmp_path / name)


def test_rows_of_a_compressed_table(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b'a,b\n1,"x,\ny"\n\n2,z\n'))
    assert list(csv_rows(tmp_path / "a.csv.gz")) == [{"a": "1", "b": "x,\ny"}, {"a": "2", "b": "z"}]


def test_rows_come_before_a_table_is_read_to_its_end(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,x\n2\n")
    rows = csv_rows(tmp_path / "a.csv")
    assert next(rows) == {"a": "1", "b": "x"}
    with pytest.raises(InputError) as error:
        next(rows)
    assert str(error.value) == "a.csv, line 3: found 1 fields; expected 2 as in the header; mend the line"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,x\n", "found a damaged gzip file; expected a complete one; download it again"),
        (gzip.compress(b"a,b\n1,x\n")[:-9], "found a damaged gzip file; expected a complete one; download it again"),
        (gzip.compress(b"a\n\xe9\n"), "found text that is not UTF-8; expected UTF-8; save the table as UTF-8"),
    ],
    ids=["no gzip", "cut", "Latin-1"],
)
def test_damaged_compressed_tables(tmp_path, content, message):
    (tmp_path / "a.csv.gz").write_bytes(content)
    with pytest.raises(InputError) as error:
        list(csv_rows(tmp_path / "a.csv.gz"))
    assert str(error.value) == f"a.csv.gz: {message}"


# --- streams ----------------------------------------------------------------------------------------------------------


def streamed(path, *arguments):
    return told(stream_rows(path, *arguments))


def test_a_stream_says_where_each_row_stands(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3\n4,5\n")
    assert streamed(tmp_path / "t.csv") == [
        ("t.csv, line 2", {"a": "1", "b": "2"}),
        ("t.csv, line 3", "t.csv, line 3: found 1 fields; expected 2 as in the header; mend the line"),
        ("t.csv, line 4", {"a": "4", "b": "5"}),
    ]
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n'))
    assert streamed(tmp_path / "t.jsonl.gz") == [("t.jsonl.gz, line 1", {"a": 1})]
    pyarrow.parquet.write_table(pyarrow.table({"a": [1, 2]}), tmp_path / "t.parquet")
    assert streamed(tmp_path / "t.parquet") == [("t.parquet, row 1", {"a": 1}), ("t.parquet, row 2", {"a": 2})]
    (tmp_path / "parts").mkdir()
    for number in range(2):
        pyarrow.parquet.write_table(pyarrow.table({"a": [number]}), tmp_path / f"parts/{number}.parquet")
    assert streamed(tmp_path / "parts") == [("parts, row 1", {"a": 0}), ("parts, row 2", {"a": 1})]


def test_fields_of_a_row_may_be_mended_as_they_were_meant(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2,3\n4\n")

    def mend(header, values):
        assert header == ["a", "b"]
        return [values[0], "".join(values[1:])] if len(values) > 2 else values

    assert streamed(tmp_path / "t.csv", mend) == [
        ("t.csv, line 2", {"a": "1", "b": "23"}),
        ("t.csv, line 3", "t.csv, line 3: found 1 fields; expected 2 as in the header; mend the line"),
    ]


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("t.txt", b"x", "t.txt: found a '.txt' file"),
        ("t.csv", b"", "t.csv: found an empty file"),
        ("t.parquet", b"PAR1", "t.parquet: found a damaged Parquet file"),
        ("t.jsonl", None, "t.jsonl: found no such file"),
    ],
)
def test_a_table_that_cannot_be_streamed(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        streamed(tmp_path / name)


def test_a_folder_without_tables_cannot_be_streamed(tmp_path):
    with pytest.raises(InputError, match="a folder without tables"):
        streamed(tmp_path)
