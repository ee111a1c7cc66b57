"""Lines of tables: what is wrong with one is said in its place. Whole tables are in `tests/data/test_tables.py`."""

import gzip
import io

import pytest

from hf_medreport.files.rows import csv_lines, csv_rows, jsonl_lines, open_text, read_rows, read_text
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
        (3, f"t.jsonl, line 3: found broken JSON (Expecting property name enclosed in double quotes); {wanted}"),
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
