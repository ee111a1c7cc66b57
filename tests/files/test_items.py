"""Names that tell items apart, and why one failed."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.files.items import FILE_IT, item_ids, item_stems, numbered, of_installation, why
from hf_medreport.processing.input_error import InputError


def test_ids_are_paths_below_the_common_root(tmp_path):
    assert item_ids([tmp_path / "p1" / "view1.png"]) == ["view1.png"]
    assert item_ids([tmp_path / "a.png", tmp_path / "b.png"]) == ["a.png", "b.png"]
    ids = item_ids([tmp_path / "p1" / "view1.png", f"{tmp_path}/x/../p2/view1.png"])
    assert ids == ["p1/view1.png", "p2/view1.png"] and item_ids([]) == []


def test_stems_are_made_from_ids_and_none_comes_twice():
    assert item_stems(["a/1.png + a/2.png"]) == {"a/1.png + a/2.png": "a_1_a_2"}
    ids = ["p1/view1.png", "p2/view1.png", "p1_view1.dcm", "p1/view1.png"]
    assert item_stems(ids) == {"p1/view1.png": "p1_view1", "p2/view1.png": "p2_view1", "p1_view1.dcm": "p1_view1-2"}


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("a.png", "text", "an image", "convert it"), "a.png: found text; expected an image; convert it"),
        (
            PermissionError(13, "Permission denied"),
            "a.png: found permission denied; expected a file that can be read; check it and its permissions",
        ),
        (RuntimeError("out of\n  memory"), f"a.png: RuntimeError: out of memory ({FILE_IT})"),
    ],
)
def test_why_an_item_failed_is_one_line(error, line):
    assert why("a.png", error) == line


@given(st.lists(st.sampled_from(["a", "a#2", "b"]), max_size=8))
def test_numbered_ids_are_all_unlike_and_the_first_of_a_name_keeps_it(names):
    ids = numbered(names)
    assert len(set(ids)) == len(ids) == len(names)
    assert all(id == name or id.startswith(f"{name}#") for id, name in zip(ids, names, strict=True))


def test_what_is_called_as_a_number_would_be():
    assert numbered(["a", "a#2", "a", "a"]) == ["a", "a#2", "a#3", "a#4"]


def test_a_file_that_the_environment_lacks_is_not_called_the_users():
    lacking = os.path.join(os.path.dirname(os.__file__), "no-such-table.json")
    line = "no-such-table.json: found no such file or directory, in the installation; expected a whole installation; "
    assert (
        why("a.png", FileNotFoundError(2, "No such file or directory", lacking)) == line + "install hf-medreport again"
    )
    other = FileNotFoundError(2, "No such file or directory", "/films/a.png")
    assert why("a.png", other).startswith("a.png: found no such file or directory; expected a file that can be read")
    assert of_installation(other) is None and of_installation(OSError(28, "full")) is None
