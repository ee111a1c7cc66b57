"""Pictures read back from a folder are those that were drawn, and what is wrong with a folder is said."""

import json

import numpy as np
import pytest
from PIL import Image

from hf_medreport.data.drawn.picture_folder import as_color, cached_pictures, drawn_pictures, read_drawn, read_training
from hf_medreport.phantom.picture.corpus import PictureCorpus
from hf_medreport.processing.input_error import InputError


@pytest.fixture(scope="module")
def corpus():
    return PictureCorpus(4, 0, 32, ("mri", "oct"))


@pytest.fixture(scope="module")
def folder(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures") / "drawn"
    cached_pictures(folder, corpus)
    return folder


def test_what_is_read_is_what_is_drawn(corpus, folder):
    made, again, read = drawn_pictures(corpus), cached_pictures(folder, corpus), read_drawn(folder)
    for one in (again, read):
        np.testing.assert_array_equal(one.images, made.images)
        assert (one.facts, one.prompts) == (made.facts, made.prompts)
    images, modalities = read_training(folder)
    np.testing.assert_array_equal(images, made.images)
    assert modalities == made.modalities == ["mri", "oct"] * 2 and len(made) == 4


def test_another_corpus_is_not_taken_for_this_one(folder):
    with pytest.raises(InputError, match="a run with seed 0"):
        cached_pictures(folder, PictureCorpus(4, 1, 32, ("mri", "oct")))


def test_a_table_of_paths_will_do(tmp_path):
    Image.new("L", (8, 8), 7).save(tmp_path / "a.png")
    (tmp_path / "pictures.csv").write_text("path,text,modality\na.png,a nodule,ct\n")
    images, modalities = read_training(tmp_path)
    assert images.shape == (1, 8, 8, 3) and (images == 7).all() and modalities == ["ct"]


def test_gray_becomes_color():
    color = np.zeros((2, 2, 3), np.uint8)
    assert as_color(color) is color and as_color(np.full((2, 2), 5, np.uint8)).tolist() == [[[5] * 3] * 2] * 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (None, "training pictures: found none in 'here'; expected a folder with metadata.jsonl or pictures.csv"),
        ([{"file_name": "a.png"}], "metadata.jsonl, row 1: found no modality; expected both"),
        ([{"modality": "ct"}], "metadata.jsonl, row 1: found no path"),
        ([{"file_name": "gone.png", "modality": "ct"}], "here/gone.png: found no such file; expected a picture"),
        ([{"file_name": "text.png", "modality": "ct"}], "here/text.png: found no readable picture"),
        (
            [{"file_name": name, "modality": "ct"} for name in ("a.png", "b.png")],
            "here/b.png: found 9 x 8 px; expected 8 x 8 px as the first",
        ),
    ],
)
def test_what_is_refused(tmp_path, rows, message):
    folder = tmp_path / "here"
    folder.mkdir()
    Image.new("L", (8, 8)).save(folder / "a.png"), Image.new("L", (9, 8)).save(folder / "b.png")
    (folder / "text.png").write_text("no picture")
    if rows is not None:
        (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError) as error:
        read_training(folder)
    assert str(error.value).startswith(message)


def test_a_folder_that_is_not_there():
    with pytest.raises(InputError, match="training pictures: found no folder 'gone'"):
        read_training("gone")


def test_pictures_without_their_facts_are_refused(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.png", "prompt": "a nodule", "modality": "ct"}\n')
    with pytest.raises(InputError, match="found rows without finding; expected pictures with their facts"):
        read_drawn(tmp_path)
