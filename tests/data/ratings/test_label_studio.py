"""Label Studio's export as ratings: pictures found by its several names for them, what is of no use told."""

import json

import pytest

from hf_medreport.data.ratings.label_studio import read_label_studio
from hf_medreport.data.ratings.table import Rating
from hf_medreport.processing.input_error import InputError
from tests.data.ratings.made import pictures


def stars(value, **more):
    return {"id": 7, "completed_by": 1, "result": [{"type": "rating", "value": {"rating": value}}]} | more


def choice(*names, **more):
    return {"id": 8, "completed_by": 1, "result": [{"type": "choices", "value": {"choices": list(names)}}]} | more


def task(*annotations, image="a.png", **data):
    return {
        "id": 1,
        "data": {"image": image, "prompt": "mass", "modality": "ct"} | data,
        "annotations": list(annotations),
    }


@pytest.fixture
def read(tmp_path):
    pictures(tmp_path)
    (tmp_path / "sub").mkdir()
    pictures(tmp_path / "sub", 1)[0].rename(tmp_path / "sub" / "e f.png")

    def read(*tasks, level=2):
        (tmp_path / "export.json").write_text(json.dumps(tasks))
        return read_label_studio(tmp_path / "export.json", image_root=tmp_path, level=level)

    return read


@pytest.mark.parametrize(
    ("image", "file"),
    [
        ("a.png", "a.png"),
        ("/data/upload/3/1a2b3c4d-a.png", "a.png"),
        ("/data/local-files/?d=sub/e%20f.png", "sub/e f.png"),
        ("s3://bucket/runs/a.png", "a.png"),
        ("http://localhost:8080/data/upload/3/1a2b3c4d-a.png?x=1", "a.png"),
        ("sub/e f.png", "sub/e f.png"),
    ],
)
def test_a_rating(read, tmp_path, image, file):
    [rating] = read(task(stars(3, completed_by={"id": 4, "email": "ann@here"}), image=image)).ratings
    assert rating == Rating(tmp_path / file, 3, "ct", 2, "mass", "ann@here")


def test_choices_levels_and_several_annotators(read):
    table = read(task(choice("1", completed_by=5), stars(2, completed_by={"id": 6}), expert_level=3))
    assert [(one.rater, one.rating, one.level) for one in table.ratings] == [("5", 1, 3), ("6", 2, 3)]


def test_the_newest_that_was_not_cancelled_counts(read):
    newer = stars(1, updated_at="2026-05-02T00:00:00Z")
    older, cancelled = stars(3, updated_at="2026-05-01T00:00:00Z"), stars(2, updated_at="2026-06", was_cancelled=True)
    table = read(task(newer, older, cancelled))
    assert [one.rating for one in table.ratings] == [1] and not table.problems


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (task(stars(5)), "task 2, annotation 7: found the rating '5'; expected a whole number from 1 to 3"),
        (task(choice("good")), "annotation 8: found the rating 'good'"),
        (task(choice("1", "2")), "annotation 8: found 2 ratings or choices; expected one rating or choice"),
        (task({"id": 9, "result": []}), "annotation 9: found no rating; expected one rating or choice; rate it"),
        (task(stars(2), image="../made/a.gif"), "found no file 'a.gif' in "),
        (task(stars(2), image=7), "annotation 7: found no path"),
        (task(stars(2), prompt=""), "annotation 7: found an empty prompt"),
        (task(stars(2), expert_level=7), "annotation 7: found the expert level '7'"),
        (
            {"data": {"image": "a.png"}, "annotations": [stars(2)]},
            "found data without prompt; expected the field 'prompt'",
        ),
        ({"image": "a.png", "rating": 2}, "export.json, task 2: found no data; expected a task with data and annotat"),
        ({"data": {}}, "task 2: found no annotations; expected a list of them; export as JSON, not as JSON-MIN"),
    ],
)
def test_what_is_of_no_use_is_told(read, bad, message):
    table = read(task(stars(3), image="b.png"), bad)
    assert len(table.ratings) == 1 and len(table.problems) == 1 and message in table.problems[0]


def test_without_a_level_none_is_made_up(read):
    with pytest.raises(InputError, match="found no expert level; expected one in the data; give `level`"):
        read(task(stars(3)), level=None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "export.json: found a dict, no list of tasks; expected Label Studio's export of the format JSON"),
        ("[{", "export.json: found broken JSON"),
        ("", "export.json: found an empty file"),
        ("[]", "export.json: found no usable annotation; expected pictures with ratings"),
    ],
)
def test_another_file_is_refused(tmp_path, content, message):
    (tmp_path / "export.json").write_text(content)
    with pytest.raises(InputError, match=message):
        read_label_studio(tmp_path / "export.json", image_root=tmp_path, level=2)
    with pytest.raises(InputError, match="gone.json: found no such file"):
        read_label_studio(tmp_path / "gone.json", image_root=tmp_path)
    with pytest.raises(InputError, match="image_root: found no folder 'gone'"):
        read_label_studio(tmp_path / "export.json", image_root=tmp_path / "gone")
