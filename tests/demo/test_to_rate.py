"""Which pictures are rated: those of `synthesize`, of a table, or of a folder alone."""

import json

import pytest

from hf_medreport.demo.to_rate import NO_PROMPT, ToRate, pictures_to_rate
from hf_medreport.processing.input_error import InputError
from tests.data.ratings.made import pictures


@pytest.fixture
def folder(tmp_path):
    pictures(tmp_path, 3)
    return tmp_path


def test_a_folder_of_synthesize(folder):
    records = [
        {"id": "1", "record": {"file": "a.png", "prompt": "mass", "modality": "ct", "image": "init.png"}, "files": {}},
        {"id": "2", "record": {"file": "b.png", "prompt": "clear  lungs", "modality": None}},
        {"id": "3", "record": {"file": "gone.png", "prompt": "mass"}},
        {"id": "4"},
    ]
    (folder / "records.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    found, problems = pictures_to_rate(folder)
    assert found == [ToRate(folder / "a.png", "mass", "ct"), ToRate(folder / "b.png", "clear lungs")]
    assert [problem.partition(";")[0] for problem in problems] == [
        "records.jsonl, line 3: found no file 'gone.png'",
        "records.jsonl, line 4: found no record of a picture",
    ]


def test_a_table_beside_them_or_elsewhere(folder, tmp_path_factory):
    (folder / "metadata.csv").write_text("file_name,text,modal\na.png,mass,ct\na.png,mass,ct\nb.png,,ct\n")
    found, problems = pictures_to_rate(folder)
    assert found == [ToRate(folder / "a.png", "mass", "ct")]  # once
    assert problems == ["metadata.csv, line 4: found an empty prompt; expected a prompt; fill it in or drop the row"]
    other = tmp_path_factory.mktemp("tables") / "mine.csv"
    other.write_text("image_path,prompt\nc.png,small mass, left\n")
    assert pictures_to_rate(folder, other)[0] == [ToRate(folder / "c.png", "small mass, left")]


def test_pictures_alone(folder):
    (folder / "notes.txt").write_text("x")
    (folder / "c.png").rename(folder / "c.JPG")
    found, problems = pictures_to_rate(folder)
    assert [(one.image.name, one.prompt) for one in found] == [
        (name, NO_PROMPT) for name in ("a.png", "b.png", "c.JPG")
    ]
    assert not problems


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text\nmass\n", "metadata.csv: found columns text; expected a column 'path'"),
        ("path,text\ngone.png,mass\n", r"found no picture \(the first problem: metadata.csv, line 2: found no file"),
    ],
)
def test_a_table_of_no_use(folder, content, message):
    (folder / "metadata.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        pictures_to_rate(folder)


def test_no_folder_and_no_pictures(folder, tmp_path_factory):
    with pytest.raises(InputError, match="gone: found no such folder; expected a folder of pictures"):
        pictures_to_rate(folder / "gone")
    with pytest.raises(InputError, match="a.png: found a file; expected a folder of pictures"):
        pictures_to_rate(folder / "a.png")
    with pytest.raises(InputError, match="found no picture; expected pictures to rate"):
        pictures_to_rate(tmp_path_factory.mktemp("empty"))
    with pytest.raises(InputError, match="gone.csv: found no such file"):
        pictures_to_rate(folder, folder / "gone.csv")
