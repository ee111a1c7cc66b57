"""What a generator is asked for: ids and seeds by hand, tables in any spelling, and what is wrong with rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.inference.asked_pictures import AskedPicture, asked_of_prompt, asked_of_table
from hf_medreport.inference.report import Failure
from hf_medreport.processing.input_error import InputError


def table(folder, content, name="prompts.csv"):
    (folder / name).write_text(content, encoding="utf-8")
    return folder / name


def test_pictures_of_a_prompt_count_on():
    asked = asked_of_prompt("effusion", 2, seed=7, modality="cxr")
    assert asked == [
        AskedPicture("0001", "effusion", 7, "cxr"),
        AskedPicture("0002", "effusion", 8, "cxr"),
    ]


def test_rows_in_any_spelling(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    path = table(tmp_path, 'id, Text ,MODAL,seed,init\nfirst,"small, left",CT,,\n,clear,,40,a.png\nfirst,x,,,\n')
    asked = list(asked_of_table(path, 2, seed=5, modality="cxr", negative_prompt="blurred"))
    assert [(one.id, one.prompt, one.seed, one.modality) for one in asked] == [
        ("first_01", "small, left", 5, "CT"),
        ("first_02", "small, left", 6, "CT"),
        ("00002_01", "clear", 40, "cxr"),
        ("00002_02", "clear", 41, "cxr"),
        ("first#2_01", "x", 9, "cxr"),
        ("first#2_02", "x", 10, "cxr"),
    ]
    assert {one.negative_prompt for one in asked} == {"blurred"}
    assert [one.image for one in asked[1:4]] == [None, tmp_path / "a.png", tmp_path / "a.png"]


def test_jsonl(tmp_path):
    path = table(tmp_path, '{"prompt": "clear", "seed": 3}\n\n{"prompt": "nodule", "modality": null}\n', "rows.jsonl")
    assert [(one.prompt, one.seed) for one in asked_of_table(path, seed=1)] == [("clear", 3), ("nodule", 2)]


@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 5), st.integers(0, 100))
def test_a_longer_table_begins_like_a_shorter_one(tmp_path_factory, n, rows, more, seed):
    folder = tmp_path_factory.mktemp("tables")
    lines = ["prompt", *(f"p{number}" for number in range(rows + more))]
    whole = list(asked_of_table(table(folder, "\n".join(lines) + "\n"), n, seed=seed))
    part = list(asked_of_table(table(folder, "\n".join(lines[: rows + 1]) + "\n"), n, seed=seed))
    assert whole[: len(part)] == part
    assert len({one.seed for one in whole}) == len({one.id for one in whole}) == len(whole) == n * (rows + more)


def test_a_digest_is_of_all_that_decides(tmp_path):
    first = AskedPicture("1", "effusion", 3)
    others = [
        AskedPicture("1", "effusions", 3),
        AskedPicture("1", "effusion", 4),
        AskedPicture("1", "effusion", 3, "cxr"),
        AskedPicture("1", "effusion", 3, None, "cxr"),
        AskedPicture("1", "effusion", 3, drawn_prompt="effusion. Clear."),
    ]
    assert len({one.digest() for one in (first, *others)}) == 6
    assert first.digest() == AskedPicture("2", "effusion", 3).digest()
    assert AskedPicture("1", "effusion", 3, image=tmp_path / "gone.png").digest() == ""


BAD_ROWS = {
    "no prompt": ("prompt,seed\n,1\n", "no prompt; expected a description; fill it in or remove the line"),
    "blanks": ("prompt,seed\n  ,1\n", "no prompt; expected a description; fill it in or remove the line"),
    "a seed in words": ("prompt,seed\nx,one\n", "seed 'one'; expected a whole number; correct it, or leave it empty"),
    "half a seed": ("prompt,seed\nx,1.5\n", "seed '1.5'; expected a whole number; correct it, or leave it empty"),
    "a seed below 0": ("prompt,seed\nx,-1\n", "seed -1; expected 0 or more, below 2^63; give another seed"),
    "a seed too large": (
        f"prompt,seed\nx,{2**63}\n",
        f"seed {2**63}; expected 0 or more, below 2^63; give another seed",
    ),
    "an image that is not there": (
        "prompt,image\nx,gone.png\n",
        "no file gone.png; expected an existing image; correct 'image'",
    ),
    "an image elsewhere": (
        "prompt,image\nx,../../etc/passwd\n",
        "a path that leaves the table's folder; expected an image inside it; correct 'image'",
    ),
    "an absolute image": (
        "prompt,image\nx,/etc/passwd\n",
        "a path that leaves the table's folder; expected an image inside it; correct 'image'",
    ),
    "a field too many": ("prompt,seed\nx,1,2\n", "3 fields; expected 2 as in the header; mend the line"),
}


@pytest.mark.parametrize(("content", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_told_and_the_next_is_asked_for(tmp_path, content, message):
    columns = content.splitlines()[0].count(",")
    bad, good = asked_of_table(table(tmp_path, f"{content}good{',' * columns}\n"), seed=4)
    assert isinstance(bad, Failure) and bad.message == f"prompts.csv, line 2: found {message}"
    assert (good.prompt, good.seed) == ("good", 5)


BAD_TABLES = {
    "none": (
        "gone.csv",
        None,
        "gone.csv: found no such file; expected a .csv or .jsonl file; check the path, or convert it",
    ),
    "of another kind": (
        "rows.xlsx",
        "",
        "rows.xlsx: found a '.xlsx' file; expected a .csv or .jsonl file; check the path, or convert it",
    ),
    "a header alone": (
        "rows.csv",
        "prompt,seed\n",
        "rows.csv: found no rows; expected a row a prompt; write the table again",
    ),
    "without prompts": (
        "rows.csv",
        "promt,seed\nx,1\n",
        "rows.csv: found columns promt, seed; expected a column 'prompt' or 'text'; is it 'promt'? name it 'prompt'",
    ),
    "of other columns": (
        "rows.csv",
        "a,b\nx,1\n",
        "rows.csv: found columns a, b; expected a column 'prompt' or 'text'; name the column of prompts so",
    ),
    "not UTF-8": (
        "rows.csv",
        b"prompt\n\xff\xfe\xff\n",
        "rows.csv: found text that is not UTF-8; expected UTF-8; save the table as UTF-8",
    ),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_bad_table(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as error:
        list(asked_of_table(tmp_path / name))
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 0}, "n: found 0; expected 1 or more; give the number of pictures"),
        ({"seed": -1}, "seed: found seed -1; expected 0 or more, below 2^63; give another seed"),
    ],
)
def test_bad_numbers(tmp_path, changes, message):
    for ask, what in ((asked_of_prompt, "x"), (asked_of_table, table(tmp_path, "prompt\nx\n"))):
        with pytest.raises(InputError) as error:
            ask(what, **changes)
        assert str(error.value) == message
