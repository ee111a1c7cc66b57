"""Raters at a desk: own orders, what is said is on the disk, undo, skip, going on; the same of pairs."""

import pytest

from hf_medreport.data.ratings.pairs import read_pairs
from hf_medreport.data.ratings.table import Rating, append_rating, read_ratings
from hf_medreport.demo.desk import Desk
from hf_medreport.demo.to_rate import ToRate
from hf_medreport.processing.input_error import InputError
from tests.data.ratings.made import pictures


@pytest.fixture
def desk(tmp_path):
    """Makes desks of the same six pictures of one prompt."""
    shown = [ToRate(path, "mass", "ct") for path in pictures(tmp_path, 6)]
    return lambda **options: Desk(shown, tmp_path / "r.csv", **options)


def names(items):
    return ["".join(one.image.stem for one in item.pictures) for item in items]


def kept(tmp_path):
    return [(one.image.stem, one.rating, one.rater) for one in read_ratings(tmp_path / "r.csv").ratings]


def test_each_rater_sees_all_in_an_order_of_their_own(desk):
    orders = {rater: names(desk().left(rater)) for rater in ("ann", "bob", "cem", "dan")}
    assert all(sorted(order) == list("abcdef") for order in orders.values())
    assert len(set(map(tuple, orders.values()))) == 4
    assert names(desk().left("ann")) == orders["ann"] != names(desk(seed=1).left("ann"))


def test_what_is_said_is_written_at_once_and_gone_on_with(desk, tmp_path):
    first = desk().sit(" ann ", 2)
    order = names(first.queue)
    for answer in (3, 1):
        first.say(answer)
        assert kept(tmp_path)[-1] == (order[len(kept(tmp_path)) - 1], answer, "ann")
    second = desk().sit("ann", 2)  # another process
    assert names(second.queue) == order[2:] and second.progress == (2, 6)
    for _ in range(4):
        second.say(2)
    assert second.item is None and second.progress == (6, 6)
    second.say(3)
    second.skip()
    assert len(kept(tmp_path)) == 6


def test_undo_takes_back_the_last_deed_and_then_earlier_ones(desk, tmp_path):
    at = desk().sit("ann", 3)
    one, two, three = names(at.queue)[:3]
    at.say(1)
    at.say(2)
    at.skip()
    assert names([at.item]) != [three] and names(at.queue)[-1] == three
    assert at.undo() and names([at.item]) == [three] and len(kept(tmp_path)) == 2
    assert at.undo() and names([at.item]) == [two] and kept(tmp_path) == [(one, 1, "ann")]
    again = desk().sit("ann", 3)  # also what was said before
    assert again.undo() and names([again.item]) == [one] and not (tmp_path / "r.csv").exists()
    assert not again.undo()


def test_two_windows_of_one_rater_do_not_ask_twice(desk, tmp_path):
    shared = desk()
    one, other = shared.sit("ann", 3), shared.sit("ann", 3)
    one.say(1)
    one.say(2)
    other.say(3)  # of the first picture: a mind that changed
    assert names([other.item]) == names([one.item]) and other.progress == (2, 6)
    assert sorted(rating for _, rating, _ in kept(tmp_path)) == [2, 3]


def test_raters_do_not_undo_each_other(desk, tmp_path):
    shared = desk()
    ann, bob = shared.sit("ann", 3), shared.sit("bob", 1)
    ann.say(1)
    bob.say(2)
    assert ann.undo() and [rater for _, _, rater in kept(tmp_path)] == ["bob"]


def test_ratings_of_other_pictures_stay(desk, tmp_path):
    other = tmp_path / "other.png"
    (tmp_path / "a.png").rename(other)
    append_rating(tmp_path / "r.csv", Rating(other, 3, None, 3, "mass", "ann"))
    pictures(tmp_path, 1)
    at = desk().sit("ann", 3)
    assert at.progress == (0, 6)
    at.say(1)
    assert at.undo() and not at.undo() and kept(tmp_path) == [("other", 3, "ann")]


def test_pairs(desk, tmp_path):
    shared = desk(pairs=True)
    assert len(shared.items) == 15  # all of six pictures
    at = shared.sit("ann", 3)
    shown = [tuple(names([item])[0]) for item in list(at.queue)[:3]]
    for answer in ("a", "b", "tie"):
        at.say(answer)
    table = read_pairs(tmp_path / "r.csv")
    assert [(one.chosen.stem, one.rejected.stem) for one in table.comparisons[:2]] == [shown[0], shown[1][::-1]]
    assert table.comparisons[2].tie and len(table.pairs) == 2
    again = desk(pairs=True).sit("ann", 3)
    assert again.progress == (3, 15) and names([again.item]) == names([at.item])
    assert again.undo() and tuple(names([again.item])[0]) in (shown[2], shown[2][::-1])


def test_sides_are_drawn_and_many_pictures_make_no_more_pairs_than_needed(tmp_path):
    shown = [ToRate(path, "mass") for path in pictures(tmp_path, 16)]
    shared = Desk([*shown, ToRate(shown[0].image, "other")], tmp_path / "r.csv", pairs=True)
    assert len(shared.items) == 16 * 4 and {item.pictures[0].prompt for item in shared.items} == {"mass"}
    count = {one.image: 0 for one in shown}
    for item in shared.items:
        for one in item.pictures:
            count[one.image] += 1
    assert set(count.values()) == {8}
    sides = [{item.key: item.pictures for item in shared.left(rater)} for rater in ("ann", "bob")]
    swapped = sum(sides[0][key] != sides[1][key] for key in sides[0])
    assert 15 < swapped < 49


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda desk: desk().sit("", 3), "rater: found no name; expected a name of 1 to 80 signs; give one"),
        (lambda desk: desk().sit(None, 3), "rater: found no name"),
        (lambda desk: desk().sit("x" * 81, 3), "rater: found 81 signs"),
        (lambda desk: desk().sit("ann", 4), "level: found 4; expected 1 (a novice), 2 or 3"),
        (lambda desk: desk().sit("ann", 3).say(4), "answer: found 4; expected one of 1, 2, 3"),
        (lambda desk: desk(pairs=True).sit("ann", 3).say(1), "answer: found 1; expected one of a, b, tie"),
    ],
)
def test_what_is_refused(desk, call, message):
    with pytest.raises(InputError) as caught:
        call(desk)
    assert message in str(caught.value)


def test_what_is_refused_of_files(desk, tmp_path):
    with pytest.raises(InputError, match="pictures: found no two of one prompt; expected pairs to compare"):
        Desk([ToRate(tmp_path / "a.png", "p"), ToRate(tmp_path / "b.png", "q")], tmp_path / "r.csv", pairs=True)
    desk().sit("ann", 3).say(1)
    with pytest.raises(InputError, match="r.csv: found columns image_path, rating, .*; expected a column 'chosen'"):
        desk(pairs=True)
