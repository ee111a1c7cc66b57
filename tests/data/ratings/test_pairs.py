"""Pairs: of one prompt and unequal ratings, with a margin worked out by hand; comparisons as raters wrote them."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.data.ratings.pairs import Comparison, RatedPair, append_comparison, pairs_of, read_pairs
from hf_medreport.data.ratings.table import Rating
from hf_medreport.processing.input_error import InputError
from tests.data.ratings.made import pictures

HEADER = "chosen,rejected,modality,expert_level,prompt,rater,tie\n"


def rated(*rows):
    return [Rating(Path(name), rating, "CT", level, prompt, rater) for name, rating, level, prompt, rater in rows]


def test_pairs_and_their_margins():
    ratings = rated(("a", 3, 3, "p", ""), ("b", 1, 2, "p", ""), ("c", 3, 1, "p", ""), ("d", 2, 3, "q", ""))
    assert pairs_of(ratings) == [
        RatedPair("p", "CT", Path("a"), Path("b"), pytest.approx(2 / 3)),  # min(3, 2) / 3 * (3 - 1) / 2
        RatedPair("p", "CT", Path("c"), Path("b"), pytest.approx(1 / 3)),  # min(1, 2) / 3 * (3 - 1) / 2
    ]


def test_a_picture_is_never_better_than_itself():
    two_raters = rated(("a", 3, 3, "p", "ann"), ("a", 1, 3, "p", "bob"))
    with pytest.raises(InputError, match="no two pictures of one prompt with unequal ratings in 2 of 1 prompts"):
        pairs_of(two_raters)


@pytest.mark.parametrize(
    ("ratings", "options", "message"),
    [
        ([], {}, "ratings: found none; expected at least two different ratings"),
        (rated(("a", 2, 3, "p", ""), ("b", 2, 3, "p", "")), {}, "ratings: found 2 ratings, all of them 2"),
        (rated(("a", 1, 3, "p", ""), ("b", 2, 3, "q", "")), {}, "rate several pictures of each prompt"),
        (rated(("a", 1, 3, "p", ""), ("b", 2, 3, "p", "")), {"most": 0}, "most: found 0; expected at least 1"),
    ],
)
def test_where_there_is_no_pair(ratings, options, message):
    with pytest.raises(InputError, match=message):
        pairs_of(ratings, **options)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3), st.sampled_from("pq")), min_size=2, max_size=12))
def test_the_better_is_chosen(rows):
    ratings = [Rating(Path(str(k)), rating, None, level, prompt) for k, (rating, level, prompt) in enumerate(rows)]
    by_name = {rating.image: rating for rating in ratings}
    try:
        pairs = pairs_of(ratings)
    except InputError:
        assert all(len({r for r, _, prompt in rows if prompt == one}) < 2 for one in "pq")
        return
    counts = [[sum(r == k and prompt == one for r, _, prompt in rows) for k in (1, 2, 3)] for one in "pq"]
    assert len(pairs) == sum(a * b + a * c + b * c for a, b, c in counts)
    for pair in pairs:
        better, worse = by_name[pair.chosen], by_name[pair.rejected]
        assert better.rating > worse.rating and better.prompt == worse.prompt == pair.prompt
        assert 0 < pair.margin <= 1
    some = pairs_of(ratings, most=3, seed=1)
    assert some == pairs_of(ratings, most=3, seed=1) and len(some) == min(3, len(pairs)) and set(some) <= set(pairs)


@pytest.fixture
def folder(tmp_path):
    pictures(tmp_path)
    return tmp_path


def read(folder, text):
    (folder / "p.csv").write_text(text)
    return read_pairs(folder / "p.csv")


def test_comparisons_are_written_and_read_again(folder):
    said = [
        Comparison(folder / "a.png", folder / "b.png", "ct", 2, "mass, left", "ann"),
        Comparison(folder / "c.png", folder / "d.png", None, 3, "mass", "ann", tie=True),
    ]
    for one in said:
        append_comparison(folder / "p.csv", one)
    table = read_pairs(folder / "p.csv")
    assert table.comparisons == said and not table.problems
    # A step of one by a rater of level 2: 2 / 3 * 1 / 2.
    expected = RatedPair("mass, left", "ct", folder / "a.png", folder / "b.png", pytest.approx(1 / 3))
    assert table.pairs == [expected]


def test_a_mind_changed_holds(folder):
    table = read(folder, HEADER + "a.png,b.png,ct,3,mass,ann,0\nb.png,a.png,ct,3,mass,ann,\n")
    assert [(pair.chosen.name, pair.rejected.name) for pair in table.pairs] == [("b.png", "a.png")]
    assert table.problems == [
        "p.csv, line 3: found 'b.png' and 'a.png' again; expected one comparison of a rater; the last holds"
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.png,a.png,ct,3,mass,,", "p.csv, line 3: found one picture twice; expected two pictures"),
        (
            "a.png,gone.png,ct,3,mass,,",
            "line 3: found no file 'gone.png'; expected an existing picture; correct the rej",
        ),
        ("a.png,c.png,ct,4,mass,,", "line 3: found the expert level '4'"),
        ("a.png,c.png,ct,3,,,", "line 3: found an empty prompt"),
        ("a.png,c.png,ct,3,mass,,maybe", "line 3: found the tie 'maybe'; expected 1, 0 or an empty cell"),
    ],
)
def test_a_bad_comparison_is_told(folder, row, message):
    table = read(folder, f"{HEADER}a.png,b.png,ct,3,mass,,\n{row}\n")
    assert len(table.pairs) == 1 and len(table.problems) == 1 and message in table.problems[0]


def test_a_table_without_pairs_is_refused(folder):
    with pytest.raises(InputError, match="p.csv: found columns chosen, prompt; expected a column 'rejected'"):
        read(folder, "chosen,prompt\na.png,mass\n")
    with pytest.raises(InputError, match="p.csv: found no row; expected pairs of pictures"):
        read(folder, HEADER)


def test_a_comparison_is_of_two(folder):
    with pytest.raises(InputError, match="rejected: found the chosen picture; expected another picture"):
        Comparison(folder / "a.png", folder / "a.png", None, 3, "mass")
