"""Facts validate themselves; drawn facts are balanced, or natural, and never contradict each other."""

from collections import Counter

import numpy as np
import pytest

from hf_medreport.phantom.findings import KINDS, Fact, check_facts, conflict, draw_facts, report_order
from hf_medreport.processing.input_error import InputError


@pytest.mark.parametrize(
    "arguments, named",
    [
        (("goitre",), "kind 'goitre'"),
        (("pleural_effusion", None, None, "mild"), "side None"),
        (("pleural_effusion", "both", None, "mild"), "side 'both'"),
        (("pleural_effusion", "left", "lower", "mild"), "zone 'lower'"),
        (("pleural_effusion", "left", None, "small"), "severity 'small'"),
        (("cardiomegaly", "left", None, "mild"), "side 'left'"),
        (("cardiomegaly",), "severity None"),
        (("consolidation", "left", "apical"), "zone 'apical'"),
        (("consolidation", "left"), "zone None"),
        (("nodule", "left", "upper", "mild"), "severity 'mild'"),
    ],
)
def test_a_fact_refuses_what_its_kind_does_not_take(arguments, named):
    with pytest.raises(InputError) as error:
        Fact(*arguments)
    assert error.value.found == named
    assert "\n" not in str(error.value)


def test_facts_can_be_sorted_and_hashed():
    effusion = Fact("pleural_effusion", "left", severity="mild")
    heart = Fact("cardiomegaly", severity="mild")
    nodule = Fact("nodule", "right", "upper", "small")
    assert sorted([nodule, effusion, heart]) == [heart, nodule, effusion]  # by the alphabet
    assert report_order([nodule, effusion, heart]) == [heart, effusion, nodule]  # heart, pleura, lungs
    assert len({effusion, Fact("pleural_effusion", "left", severity="mild")}) == 1


def test_conflicts_by_hand():
    def effusion(side, severity):
        return Fact("pleural_effusion", side, severity=severity)

    low, high = Fact("consolidation", "left", "lower"), Fact("nodule", "left", "upper", "small")
    assert conflict(effusion("left", "mild"), effusion("left", "severe"))
    assert not conflict(effusion("left", "mild"), effusion("right", "severe"))
    assert conflict(effusion("left", "mild"), Fact("pneumothorax", "left", severity="mild"))
    assert not conflict(effusion("left", "mild"), low)
    assert conflict(effusion("left", "moderate"), low) and conflict(low, effusion("left", "moderate"))
    assert not conflict(effusion("right", "severe"), low)
    assert not conflict(effusion("left", "severe"), high)
    assert conflict(low, Fact("atelectasis", "left", "lower"))
    assert not conflict(low, high)
    assert conflict(Fact("cardiomegaly", severity="mild"), Fact("cardiomegaly", severity="severe"))
    with pytest.raises(InputError, match="mild left pleural_effusion and severe left pleural_effusion"):
        check_facts([effusion("left", "mild"), effusion("left", "severe")])


def drawn(prevalence, n=4000):
    rng = np.random.default_rng(7)
    return [draw_facts(rng, prevalence) for _ in range(n)]


def test_balanced_facts_show_everything_equally_often():
    films = drawn("balanced")
    numbers = Counter(len(facts) for facts in films)
    assert set(numbers) == {0, 1, 2, 3, 4} and min(numbers.values()) > 0.17 * len(films)
    kinds = Counter(kind for facts in films for kind in {fact.kind for fact in facts})
    assert set(kinds) == set(KINDS) and max(kinds.values()) < 1.15 * min(kinds.values())
    every = [fact for facts in films for fact in facts]
    for name, tolerance in (("side", 1.08), ("zone", 1.12)):
        values = Counter(getattr(fact, name) for fact in every if getattr(fact, name))
        assert max(values.values()) < tolerance * min(values.values()), values
    for kind, table in KINDS.items():
        grades = Counter(fact.severity for fact in every if fact.kind == kind)
        assert set(grades) == set(table.severities or (None,))
        assert max(grades.values()) < 1.25 * min(grades.values()), (kind, grades)


def test_natural_facts_are_mostly_slight_and_four_films_in_ten_are_normal():
    films = drawn("natural")
    assert 0.37 < sum(not facts for facts in films) / len(films) < 0.43
    kinds = Counter(fact.kind for facts in films for fact in facts)
    assert kinds["pleural_effusion"] > 2 * kinds["pneumothorax"]
    grades = Counter(fact.severity for facts in films for fact in facts)
    assert grades["mild"] > grades["moderate"] > grades["severe"]


@pytest.mark.parametrize("prevalence", ["balanced", "natural"])
def test_drawn_facts_can_be_seen_together_and_come_in_report_order(prevalence):
    for facts in drawn(prevalence, 1500):
        check_facts(facts)
        assert list(facts) == report_order(facts)


def test_an_unknown_prevalence_is_refused():
    with pytest.raises(InputError, match="prevalence: found 'rare'; expected balanced or natural"):
        draw_facts(np.random.default_rng(0), "rare")
