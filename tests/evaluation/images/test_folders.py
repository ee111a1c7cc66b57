"""What lies in a folder, what belongs together, what captions say; and each way in which that can be wrong."""

import json

import numpy as np
import pytest
from PIL import Image

from hf_medreport.evaluation.images.folders import (
    Failure,
    list_pictures,
    modality,
    pair_names,
    read_captions,
    read_picture,
)
from hf_medreport.processing.input_error import InputError
from tests.processing.dicom_files import write_dicom


def eight_bit(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_every_file_counts_but_hidden_ones_and_captions(tmp_path):
    for name in ("b.png", "ct/a.dcm", "ct/deep/c", "notes.txt", ".DS_Store", ".git/x.png", "metadata.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list_pictures(tmp_path, "real") == ["b.png", "ct/a.dcm", "ct/deep/c", "notes.txt"]
    assert [modality(name) for name in ("b.png", "ct/a.dcm", "ct/deep/c")] == [None, "ct", "ct"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", "real: found no folder 'gone'; expected a folder of pictures; check the path"),
        ("file", "real: found a file ('file'); expected a folder of pictures; check the path"),
        ("empty", "real: found no file in 'empty'; expected a folder of pictures; check the path"),
    ],
)
def test_no_pictures(name, message, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as error:
        list_pictures(tmp_path / name, "real")
    assert str(error.value) == message


def test_every_kind_of_picture_is_read_at_its_own_depth(tmp_path):
    gray, color = eight_bit(12, 16), eight_bit(12, 16, 3)
    Image.fromarray(gray).save(tmp_path / "gray.png")
    Image.fromarray(color).save(tmp_path / "color.png")
    Image.fromarray(gray).convert("RGB").save(tmp_path / "gray_rgb.png")
    deep = np.arange(12 * 16, dtype=np.uint16).reshape(12, 16) * 256 + 1000
    Image.fromarray(deep).save(tmp_path / "deep.png")
    write_dicom(tmp_path / "film.dcm", deep)
    np.testing.assert_allclose(read_picture(tmp_path, "gray.png"), gray / 255, atol=1e-6)
    np.testing.assert_allclose(read_picture(tmp_path, "color.png"), color / 255, atol=1e-6)
    assert (read_picture(tmp_path, "gray_rgb.png") == read_picture(tmp_path, "gray.png")).all()
    stretched = np.arange(12 * 16).reshape(12, 16) / 191
    np.testing.assert_allclose(read_picture(tmp_path, "deep.png"), stretched, atol=1e-6)
    np.testing.assert_allclose(read_picture(tmp_path, "film.dcm"), stretched, atol=1e-6)


def test_a_broken_picture_is_named_with_its_folder(tmp_path):
    (tmp_path / "ct").mkdir()
    (tmp_path / "ct" / "a.png").write_text("hello")
    with pytest.raises(InputError) as error:
        read_picture(tmp_path, "ct/a.png")
    assert str(error.value) == (
        "ct/a.png: found text; expected PNG, JPEG, TIFF or DICOM; give the image itself or convert it to PNG"
    )


def test_pairs_are_of_one_name_but_for_the_ending():
    failures = []
    real = ["ct/1.dcm", "ct/2.dcm", "mr/1.PNG", "1.2.840.113", "1.2.840.114"]
    fake = ["1.2.840.114.png", "ct/1.png", "mr/1.jpeg", "mr/2.png"]
    assert pair_names(real, fake, failures) == [
        ("1.2.840.114", "1.2.840.114.png"),
        ("ct/1.dcm", "ct/1.png"),
        ("mr/1.PNG", "mr/1.jpeg"),
    ]
    assert failures == []


def test_two_pictures_of_one_name_make_no_pair():
    failures = []
    assert pair_names(["a.png", "b.png"], ["a.dcm", "a.png", "b.png"], failures) == [("b.png", "b.png")]
    message = (
        "a: found 2 pictures of this name (a.dcm, a.png); expected one, to make a pair; rename or remove the others"
    )
    assert failures == [Failure("fake", "a", message)]


NAMES = ["ct/a.png", "b.png"]
ONE_OBJECT = "expected one object a line; mend the line"
HALF = "no file_name or no text; expected both, as strings; fill in or remove the line"


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_captions(kind, tmp_path):
    if kind == "jsonl":
        rows = [{"file_name": "ct/a.png", "text": "left, small"}, {"file_name": "b.png", "text": "clear", "x": 1}]
        text = "\n".join(map(json.dumps, rows)) + "\n\n"
    else:
        text = '\ufefffile_name,text\nct/a.png,"left, small"\nb.png,clear\n'
    (tmp_path / f"metadata.{kind}").write_text(text, encoding="utf-8")
    failures = []
    assert read_captions(tmp_path, NAMES, failures) == {"ct/a.png": "left, small", "b.png": "clear"}
    assert failures == []


def test_no_captions(tmp_path):
    assert read_captions(tmp_path, NAMES, []) == {}


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("jsonl", "{broken", f"broken JSON (Expecting property name enclosed in double quotes); {ONE_OBJECT}"),
        ("jsonl", "[1]", f"a list; {ONE_OBJECT}"),
        ("jsonl", '{"file_name": "b.png"}', HALF),
        ("jsonl", '{"file_name": "b.png", "text": " "}', HALF),
        (
            "jsonl",
            '{"file_name": "z.png", "text": "x"}',
            "'z.png', which is no readable picture here; expected a picture of this folder; correct or remove the line",
        ),
        (
            "jsonl",
            '{"file_name": "ct/a.png", "text": "x"}',
            "'ct/a.png' again; expected one caption a picture; remove one of the lines",
        ),
        ("csv", "b.png,left, small", "3 fields; expected 2 as in the header; mend the line"),
        ("csv", "b.png", "1 fields; expected 2 as in the header; mend the line"),
    ],
)
def test_a_bad_caption_is_listed_and_the_others_are_kept(file, line, message, tmp_path):
    if file == "csv":
        (tmp_path / "metadata.csv").write_text(f"file_name,text\nct/a.png,clear\n{line}\n")
        number = 3
    else:
        (tmp_path / "metadata.jsonl").write_text(f'{{"file_name": "ct/a.png", "text": "clear"}}\n{line}\n')
        number = 2
    failures = []
    assert read_captions(tmp_path, NAMES, failures) == {"ct/a.png": "clear"}
    name = f"metadata.{file}"
    assert failures == [Failure("fake", name, f"{name}, line {number}: found {message}")]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"metadata.csv": b"name,text\na,b\n"},
            "metadata.csv: found columns name, text; expected columns file_name, text; name the column 'file_name'",
        ),
        (
            {"metadata.csv": b"file_name,text\na,gr\xf6\xdfe\n"},
            "metadata.csv, line 2: found text that is not UTF-8 on 1 line; expected UTF-8; save the file as UTF-8",
        ),
        (
            {"metadata.csv": b"file_name,text\n", "metadata.jsonl": b""},
            "x: found metadata.jsonl and metadata.csv; expected one of them; remove the other",
        ),
    ],
)
def test_a_metadata_file_that_cannot_be_used(files, message, tmp_path):
    (tmp_path / "x").mkdir()
    for name, content in files.items():
        (tmp_path / "x" / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        read_captions(tmp_path / "x", NAMES, [])
    assert str(error.value) == message
