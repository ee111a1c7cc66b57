"""Ratings as raters' tables have them: read as they were meant, or told what is wrong; a kill loses none."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.data.ratings.table import (
    Rating,
    append_rating,
    read_ratings,
    refuse_one_class,
    withdraw_rating,
    write_ratings,
)
from hf_medreport.processing.input_error import InputError
from tests.data.ratings.made import pictures

HEADER = "image_path,rating,modality,expert_level,prompt\n"


@pytest.fixture
def folder(tmp_path):
    pictures(tmp_path)
    return tmp_path


def read(folder, text, **options):
    (folder / "r.csv").write_text(text, encoding="utf-8")
    return read_ratings(folder / "r.csv", **options)


def test_a_rating(folder):
    [rating] = read(folder, HEADER + "a.png,2,CXR,1,mild effusion\n").ratings
    assert rating == Rating(folder / "a.png", 2, "CXR", 1, "mild effusion")
    assert rating.weight == pytest.approx(2 / 3)  # below 1, and stays in
    assert rating.normalized == 0.5


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("Image_Path;Rating;Modal;Level;Prompt;Annotator", "a.png;3.0;CT;2.0;mass;ann"),
        ("image,rating,modality,expert_level,caption,rater", 'a.png, 3,CT,2, "mass",ann'),
        ("\ufeffrater,prompt,expert level,modality,rating,file_name", "ann,mass,2,CT,3,./a.png"),
    ],
)
def test_tables_of_other_hands(folder, header, row):
    table = read(folder, f"{header}\n{row}\n")
    assert table.ratings == [Rating(folder / "a.png", 3, "CT", 2, "mass", "ann")] and not table.problems


def test_a_prompt_with_commas_but_no_quotes_is_joined(folder):
    header = "image_path,rating,modality,prompt,expert_level\n"
    [rating] = read(folder, header + "a.png,3,CT,small mass, left, anterior,2\n").ratings
    assert (rating.prompt, rating.level) == ("small mass, left, anterior", 2)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            'a.png,"2,5",CT,3,mass',
            "r.csv, line 3: found the rating '2,5'; expected a whole number from 1 to 3; correct",
        ),
        ("a.png,2.5,CT,3,mass", "line 3: found the rating '2.5'; expected a whole number from 1 to 3"),
        ("a.png,0,CT,3,mass", "line 3: found the rating '0'"),
        ("a.png,4,CT,3,mass", "line 3: found the rating '4'"),
        ("a.png,nan,CT,3,mass", "line 3: found the rating 'nan'"),
        ("a.png,,CT,3,mass", "line 3: found no rating; expected a whole number from 1 to 3"),
        ("a.png,good,CT,3,mass", "line 3: found the rating 'good'"),
        ("a.png,2,CT,9,mass", "line 3: found the expert level '9'; expected a whole number from 1 to 3"),
        ("a.png,2,CT,,mass", "line 3: found no expert level"),
        ("a.png,2,CT,3,  ", "line 3: found an empty prompt; expected a prompt; fill it in or drop the row"),
        ("gone.png,2,CT,3,mass", "line 3: found no file 'gone.png'; expected an existing picture; correct the picture"),
        (".,2,CT,3,mass", "line 3: found a folder, device or pipe"),
        ("../a.png,2,CT,3,mass", "line 3: found a path that leaves the table's folder; expected a file inside"),
        (",2,CT,3,mass", "line 3: found no path"),
        ("a.png,2,CT", "line 3: found 3 fields; expected 5 as in the header"),
    ],
)
def test_a_bad_row_is_told_and_the_others_are_read(folder, row, message):
    table = read(folder, f"{HEADER}b.png,1,CT,3,mass\n{row}\nc.png,3,CT,3,mass\n")
    assert [rating.image.name for rating in table.ratings] == ["b.png", "c.png"]
    [problem] = table.problems
    assert message in problem


def test_the_last_of_a_rater_s_ratings_of_a_picture_holds(folder):
    header = HEADER.strip() + ",rater\n"
    rows = "a.png,1,CT,3,mass,ann\na.png,2,CT,3,mass,bob\na.png,3,CT,3,mass,ann\na.png,1,CT,3,no mass,ann\n"
    table = read(folder, header + rows)
    assert [(one.rater, one.rating, one.prompt) for one in table.ratings] == [
        ("bob", 2, "mass"),
        ("ann", 3, "mass"),
        ("ann", 1, "no mass"),
    ]
    assert table.problems == [
        "r.csv, line 4: found 'a.png' again, rated 1 before and 3 now; expected one rating of a rater; the last holds"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_path,modality,expert_level,prompt\na.png,CT,3,mass\n", "a column 'rating'; give the column of each"),
        ("rating,expert_level,prompt\n3,3,mass\n", "r.csv: found columns rating, expert_level, prompt; expected a col"),
        ("image,image_path,rating,expert_level,prompt\n,,,,\n", "found columns 'image', 'image_path'; expected one"),
        (HEADER, "r.csv: found no row; expected pictures with ratings; check the table"),
        (HEADER + "a.png,7,CT,3,mass\n", "r.csv: found no usable row (the first: r.csv, line 2: found the rating '7'"),
        ("", "r.csv: found an empty file"),
    ],
)
def test_a_table_of_no_use_is_refused(folder, text, message):
    with pytest.raises(InputError) as caught:
        read(folder, text)
    assert message in str(caught.value)


def test_the_folder_of_the_pictures_may_be_named(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("tables")
    assert len(read(other, HEADER + "a.png,2,CT,3,mass\n", image_root=folder).ratings) == 1


def test_one_class_teaches_nothing(folder):
    rating = Rating(folder / "a.png", 3, None, 2, "mass")
    refuse_one_class([rating, replace(rating, rating=1)])
    for ratings, found in (([rating, rating], "2 ratings, all of them 3"), ([], "none")):
        with pytest.raises(InputError, match=f"ratings: found {found}; expected at least two different ratings"):
            refuse_one_class(ratings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rating": 4}, "rating: found 4; expected 1"),
        ({"rating": True}, "rating: found True"),
        ({"level": 0}, "level: found 0; expected 1 (a novice), 2 or 3 (an expert)"),
        ({"prompt": " "}, "prompt: found an empty one"),
    ],
)
def test_no_rating_out_of_range_is_made(folder, change, message):
    with pytest.raises(InputError) as caught:
        replace(Rating(folder / "a.png", 3, None, 2, "mass"), **change)
    assert message in str(caught.value)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ratings")
    return folder, pictures(folder)


@settings(max_examples=20, deadline=None)
@given(
    numbers=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=4),
    prompt=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12).filter(str.strip),
    rater=st.text(st.characters(categories=["L", "P"]), max_size=6),
)
def test_what_is_written_is_read_again(place, numbers, prompt, rater):
    folder, files = place
    (folder / "added.csv").unlink(missing_ok=True)
    ratings = [Rating(file, pair[0], None, pair[1], prompt, rater) for file, pair in zip(files, numbers, strict=False)]
    write_ratings(folder / "whole.csv", ratings)
    for rating in ratings:
        append_rating(folder / "added.csv", rating)
    assert (folder / "whole.csv").read_bytes() == (folder / "added.csv").read_bytes()
    read = read_ratings(folder / "whole.csv")
    assert not read.problems and [one.image for one in read.ratings] == [one.image for one in ratings]
    assert [(one.rating, one.level, one.weight) for one in read.ratings] == [(r, e, r * e / 3) for r, e in numbers]


def test_a_rating_is_withdrawn_and_no_other(folder):
    table, ratings = folder / "r.csv", [Rating(folder / f"{name}.png", 2, None, 3, "x, y", "ann") for name in "abca"]
    for rating in ratings:
        append_rating(table, rating)
    assert withdraw_rating(table, ratings[0])
    lines = table.read_text().splitlines()
    assert [line[0] for line in lines[1:]] == ["a", "b", "c"]  # the last of the two
    assert not withdraw_rating(table, Rating(folder / "d.png", 2, None, 3, "x, y", "ann"))


def test_a_table_of_other_columns_is_not_added_to(folder):
    (folder / "r.csv").write_text("path,stars\na.png,5\n")
    with pytest.raises(InputError, match="r.csv: found columns path,stars; expected columns image_path,rating"):
        append_rating(folder / "r.csv", Rating(folder / "a.png", 2, None, 3, "mass"))
    assert (folder / "r.csv").read_text() == "path,stars\na.png,5\n"


def test_a_line_that_a_kill_cut_off_spoils_no_other(folder):
    table = folder / "r.csv"
    for name in "ab":
        append_rating(table, Rating(folder / f"{name}.png", 2, None, 3, "mass"))
    os.truncate(table, table.stat().st_size - 8)
    append_rating(table, Rating(folder / "c.png", 3, None, 3, "mass"))
    read = read_ratings(table)
    assert [one.image.name for one in read.ratings] == ["a.png", "c.png"] and len(read.problems) == 1


KILLED = """
import sys
from pathlib import Path
from hf_medreport.data.ratings.table import Rating, append_rating
for number in range(10**6):
    append_rating(sys.argv[1], Rating(Path(sys.argv[1]).with_name("a.png"), 1 + number % 3, None, 3, f"p {number}"))
    print(number, flush=True)
"""


def test_what_was_said_to_be_written_survives_a_kill(folder):
    table = folder / "r.csv"
    process = subprocess.Popen([sys.executable, "-c", KILLED, table], stdout=subprocess.PIPE, text=True)
    while process.poll() is None and not (table.exists() and table.stat().st_size > 2000):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    said = process.stdout.read().split()
    assert process.wait() == -signal.SIGKILL
    kept = [one.prompt for one in read_ratings(table).ratings]
    assert len(said) > 10 and kept[: len(said)] == [f"p {number}" for number in said]
