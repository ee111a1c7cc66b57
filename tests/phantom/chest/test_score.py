"""The exact-fact score against figures worked by hand, and against a slow count written another way."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.phantom.chest.findings import KINDS, Fact
from hf_medreport.phantom.chest.parser import Mention
from hf_medreport.phantom.chest.score import COUNTS, figures, film_counts, measure, score_facts
from hf_medreport.processing.input_error import InputError

HEART = Fact("cardiomegaly", severity="mild")
BIG_HEART = Fact("cardiomegaly", severity="severe")
LEFT = Fact("pleural_effusion", "left", severity="mild")
RIGHT = Fact("pleural_effusion", "right", severity="mild")
NODULE = Fact("nodule", "left", "upper", size_mm=20)
LOWER_NODULE = Fact("nodule", "left", "lower", size_mm=20)
GRANULOMA = Fact("calcified_granuloma", "right", "upper", number="single")


def score_one(stated: set, true: set) -> dict:
    return score_facts([stated], [true])


def test_worked_by_hand():
    truth = [{HEART, LEFT}, {RIGHT}, set(), {LEFT, RIGHT}]
    stated = [
        {HEART, RIGHT},  # heart right; effusion on the wrong side
        {RIGHT, NODULE},  # effusion right; nodule made up
        {NODULE},  # made up
        {LEFT, Mention("pleural_effusion")},  # one of two, and one incomplete
    ]
    score = score_facts(stated, truth)
    assert score["n"] == 4
    # hits: HEART, RIGHT, LEFT = 3; stated 2 + 2 + 1 + 2 = 7; true 2 + 1 + 0 + 2 = 5; f1 = 6 / 12
    exact = score["exact"]
    assert (exact["precision"], exact["recall"], exact["f1"]) == (3 / 7, 3 / 5, 0.5)
    # heart: 1 hit of 1 stated and 1 true; effusion: 2 hits of 4 stated and 4 true; nodule: none of 2 stated and 0 true
    assert exact["by_kind"]["cardiomegaly"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert exact["by_kind"]["pleural_effusion"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert exact["by_kind"]["nodule"] == {"precision": 0.0, "recall": None, "f1": 0.0}
    # means over heart, effusion and nodule; the nodule has no recall, the thirteen other kinds nothing at all
    assert exact["macro"] == pytest.approx({"precision": 1.5 / 3, "recall": 1.5 / 2, "f1": 1.5 / 3})
    # kinds stated: {c, e}, {e, n}, {n}, {e} = 6; true: {c, e}, {e}, {}, {e} = 4; both: 2 + 1 + 0 + 1 = 4; f1 = 8 / 10
    kind = score["kind"]
    assert (kind["precision"], kind["recall"], kind["f1"]) == (4 / 6, 1.0, 0.8)
    assert kind["by_kind"]["pleural_effusion"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert kind["by_kind"]["nodule"] == {"precision": 0.0, "recall": None, "f1": 0.0}
    assert kind["by_kind"]["pneumothorax"] == {"precision": None, "recall": None, "f1": None}
    assert kind["macro"] == pytest.approx({"precision": 2 / 3, "recall": 1.0, "f1": 2 / 3})
    assert list(kind["by_kind"]) == list(exact["by_kind"]) == list(KINDS)
    # two nodules made up of seven stated facts
    assert score["hallucination_rate"] == 2 / 7
    # sided and of a present kind: RIGHT in film 1 (only left is true), RIGHT in 2, LEFT in 4; one of three is wrong
    assert score["wrong_side_rate"] == 1 / 3


class TestErrors:
    """What is wrong is counted once, under the first attribute that is wrong."""

    def test_severity(self):
        score = score_one({BIG_HEART}, {HEART})
        assert score["exact"]["f1"] == 0.0 and score["kind"]["f1"] == 1.0
        assert score["hallucination_rate"] == 0.0 and score["wrong_side_rate"] is None
        assert score["wrong_severity_rate"] == 1.0

    def test_severity_is_asked_only_where_the_side_is_right(self):
        moderate = dataclasses.replace(RIGHT, severity="moderate")
        assert score_one({moderate}, {LEFT})["wrong_severity_rate"] is None
        # right side: moderate is wrong, mild is right; left side: mild is right
        assert score_one({moderate, RIGHT, LEFT}, {RIGHT, LEFT})["wrong_severity_rate"] == 1 / 3

    def test_zone(self):
        # left: lower is right, upper is wrong; right: not there at all
        right = dataclasses.replace(NODULE, side="right")
        score = score_one({NODULE, LOWER_NODULE, right}, {LOWER_NODULE})
        assert score["wrong_zone_rate"] == 1 / 2 and score["wrong_side_rate"] == 1 / 3
        assert score["wrong_severity_rate"] is None

    def test_size(self):
        stated = [{dataclasses.replace(NODULE, size_mm=size)} for size in (14, 23, 20, None)]
        score = score_facts(stated, [{NODULE}] * 4)
        # |14 - 20|, |23 - 20|, 0; the fourth states no size; all four are exact hits
        assert score["size_error_mm"] == 9 / 3 and score["exact"]["f1"] == 1.0
        assert score_one({LOWER_NODULE}, {NODULE})["size_error_mm"] is None  # no exact hit
        assert score_one({NODULE}, {dataclasses.replace(NODULE, size_mm=None)})["size_error_mm"] is None

    def test_number(self):
        stated = [{dataclasses.replace(GRANULOMA, number=number)} for number in ("single", "multiple", None)]
        score = score_facts(stated, [{GRANULOMA}] * 3)
        assert score["wrong_number_rate"] == 1 / 2 and score["exact"]["f1"] == 1.0

    def test_certainty(self):
        possible = dataclasses.replace(NODULE, certain=False)
        score = score_facts([{possible}, {NODULE, HEART}, {possible}], [{NODULE}, {NODULE, HEART}, {possible}])
        # three nodules, one hedged without need; nobody calls a heart possible
        assert score["wrong_certainty_rate"] == 1 / 3 and score["exact"]["f1"] == 1.0

    def test_change_is_not_judged_and_one_key_is_one_fact(self):
        grown = dataclasses.replace(NODULE, change="increased")
        sized = dataclasses.replace(NODULE, size_mm=None)
        score = score_one({NODULE, grown, sized}, {grown})
        assert score["exact"]["precision"] == score["exact"]["recall"] == 1.0 and score["size_error_mm"] == 0.0
        counts = film_counts([{NODULE, grown, sized}], [{grown}]).sum(axis=(0, 1))
        assert (counts[COUNTS.index("stated")], counts[COUNTS.index("sized")]) == (1, 1)


def test_an_incomplete_mention_counts_as_stated():
    score = score_one({Mention("pleural_effusion", "right")}, {LEFT})
    assert score["exact"]["precision"] == 0.0 and score["kind"]["precision"] == 1.0
    assert score["wrong_side_rate"] == 1.0
    assert score_one({Mention("nodule")}, {LEFT})["hallucination_rate"] == 1.0


def test_silent_and_empty():
    silent = score_one(set(), {HEART})
    assert (silent["exact"]["precision"], silent["exact"]["recall"], silent["exact"]["f1"]) == (None, 0.0, 0.0)
    assert silent["exact"]["macro"] == {"precision": None, "recall": 0.0, "f1": 0.0}
    assert silent["hallucination_rate"] is None
    nothing = score_facts([], [])
    assert nothing["n"] == 0 and nothing["exact"]["macro"] == {"precision": None, "recall": None, "f1": None}
    assert nothing["exact"]["f1"] is None and nothing["kind"]["f1"] is None


def test_films_must_pair_up():
    with pytest.raises(InputError, match="predicted: found 1 films; expected 2 as in truth"):
        score_facts([set()], [set(), set()])


@st.composite
def facts(draw) -> Fact:
    kind = draw(st.sampled_from(["cardiomegaly", "pleural_effusion", "nodule", "calcified_granuloma", "pacemaker"]))
    row = KINDS[kind]

    def one_of(values):
        return draw(st.sampled_from(values)) if values else None

    return Fact(
        kind,
        one_of(row.sides),
        one_of(row.zones),
        one_of(row.severities),
        size_mm=draw(st.none() | st.integers(*row.sizes)) if row.sizes else None,
        number=draw(st.sampled_from((None, *row.numbers))),
        certain=draw(st.booleans()) if row.doubtful else True,
    )


mentions = st.builds(Mention, st.sampled_from(["nodule", "pleural_effusion"]), st.sampled_from([None, "left", "right"]))
# A film has one fact of a kind and side.
truths = st.lists(facts(), max_size=4).map(lambda many: {(fact.kind, fact.side): fact for fact in many}.values())
films = st.lists(st.tuples(st.lists(facts() | mentions, max_size=5).map(set), truths.map(set)), max_size=4)


def slow_score(films) -> dict:
    """The definitions of `score_facts` again, as sentences over lists."""

    def ratio(part, whole):
        return float(Fraction(part, whole)) if whole else None

    def key(one):
        return one.kind, one.side, one.zone, one.severity

    said = [
        (key(one), [key(fact) for fact in true])
        for stated, true in films
        for one in {key(o): o for o in stated}.values()
    ]
    hits = sum(one in true for one, true in said)
    true_count = sum(len(true) for _, true in films)
    sided = [(one, true) for one, true in said if one[1] and any(one[0] == other[0] for other in true)]
    zoned = [(one, true) for one, true in said if one[2] and any(one[:2] == other[:2] for other in true)]
    graded = [(one, true) for one, true in said if one[3] and any(one[:3] == other[:3] for other in true)]
    pairs = [
        (one, fact)
        for stated, true in films
        for one in stated
        if isinstance(one, Fact)
        for fact in true
        if key(one) == key(fact)
    ]
    sizes = [abs(one.size_mm - fact.size_mm) for one, fact in pairs if one.size_mm and fact.size_mm]
    kind_pairs = [({one.kind for one in stated}, {fact.kind for fact in true}) for stated, true in films]
    both = sum(len(stated & true) for stated, true in kind_pairs)
    return {
        "exact": (ratio(hits, len(said)), ratio(hits, true_count), ratio(2 * hits, len(said) + true_count)),
        "kind": (ratio(both, sum(len(s) for s, _ in kind_pairs)), ratio(both, sum(len(t) for _, t in kind_pairs))),
        "hallucination_rate": ratio(sum(all(one[0] != o[0] for o in true) for one, true in said), len(said)),
        "wrong_side_rate": ratio(sum(all(one[:2] != o[:2] for o in true) for one, true in sided), len(sided)),
        "wrong_zone_rate": ratio(sum(all(one[:3] != o[:3] for o in true) for one, true in zoned), len(zoned)),
        "wrong_severity_rate": ratio(sum(one not in true for one, true in graded), len(graded)),
        "stated_sizes": len(sizes),
    }


@given(films)
@settings(max_examples=100, deadline=None)
def test_as_the_slow_count(films):
    score = score_facts([stated for stated, _ in films], [true for _, true in films])
    expected = slow_score(films)
    assert (score["exact"]["precision"], score["exact"]["recall"], score["exact"]["f1"]) == expected["exact"]
    assert (score["kind"]["precision"], score["kind"]["recall"]) == expected["kind"]
    for rate in ("hallucination_rate", "wrong_side_rate", "wrong_zone_rate", "wrong_severity_rate"):
        assert score[rate] == expected[rate], rate
    assert (score["size_error_mm"] is None) == (expected["stated_sizes"] == 0)


@given(films, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_the_order_of_films_and_their_grouping_change_nothing(films, random):
    shuffled = random.sample(films, len(films))
    one, other = (score_facts([s for s, _ in many], [t for _, t in many]) for many in (films, shuffled))
    assert one == other
    counts = film_counts([s for s, _ in films], [t for _, t in films])
    halves = counts[::2].sum(axis=0) + counts[1::2].sum(axis=0)
    assert {"n": len(films), **figures(halves)} == one


@given(st.lists(truths.map(set), max_size=5))
@settings(max_examples=50, deadline=None)
def test_the_truth_is_perfect(truth):
    score = score_facts(truth, truth)
    perfect = 1.0 if any(truth) else None
    for level in ("exact", "kind"):
        assert all(
            score[level][name] == score[level]["macro"][name] == perfect for name in ("precision", "recall", "f1")
        )
        assert all(value in (None, 1.0) for row in score[level]["by_kind"].values() for value in row.values())
    rates = [value for name, value in score.items() if name.endswith(("_rate", "_mm"))]
    assert len(rates) == 7 and all(value in (None, 0.0) for value in rates)


def test_many_sums_are_measured_at_once():
    counts = film_counts([{HEART, RIGHT}, {NODULE}, set()], [{HEART, LEFT}, set(), {LEFT}])
    sums = np.stack([counts.sum(axis=0), counts[0], counts[2]])
    # all films: 1 hit, 3 stated, 3 true; the first: 1, 2, 2; the third: nothing stated, 1 true
    assert measure(sums, "exact.f1").tolist() == [2 / 6, 2 / 4, 0.0]
    assert measure(sums, "exact.by_kind.cardiomegaly.recall").tolist()[:2] == [1.0, 1.0]
    assert np.array_equal(measure(sums, "hallucination_rate"), [1 / 3, 0.0, np.nan], equal_nan=True)
    assert measure(counts.mean(axis=0), "exact.f1") == pytest.approx(2 / 6)
