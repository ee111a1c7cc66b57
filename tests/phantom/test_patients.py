"""Drawn facts are balanced, or as common as in the archive, and follow-ups are possible histories."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from hf_medreport.phantom.findings import GRADES, KINDS, check_facts, report_order
from hf_medreport.phantom.patients import COMPANIONS, IU_REPORTS, PREVALENCES, draw_facts, draw_follow_up
from hf_medreport.processing.input_error import InputError


def drawn(prevalence, n=6000):
    rng = np.random.default_rng(7)
    return [draw_facts(rng, prevalence) for _ in range(n)]


@pytest.fixture(scope="module")
def films():
    return {prevalence: drawn(prevalence) for prevalence in PREVALENCES}


def test_balanced_facts_show_everything_equally_often(films):
    numbers = Counter(len(facts) for facts in films["balanced"])
    assert set(numbers) == set(range(6)) and min(numbers[count] for count in range(5)) > 0.15 * len(films["balanced"])
    kinds = Counter(kind for facts in films["balanced"] for kind in {fact.kind for fact in facts})
    assert set(kinds) == set(KINDS) and max(kinds.values()) < 1.3 * min(kinds.values()), kinds
    every = [fact for facts in films["balanced"] for fact in facts]
    for name, tolerance in (("side", 1.08), ("zone", 1.15), ("severity", 1.15), ("number", 1.15)):
        values = Counter(getattr(fact, name) for fact in every if getattr(fact, name))
        assert max(values.values()) < tolerance * min(values.values()), values
    sizes = [fact.size_mm for fact in every if fact.kind == "nodule"]
    assert (min(sizes), max(sizes)) == KINDS["nodule"].sizes
    assert {fact.kind for fact in every if not fact.certain} == {kind for kind, row in KINDS.items() if row.doubtful}


def test_natural_facts_are_as_common_as_in_the_archive(films):
    count = len(films["natural"])
    kinds = Counter(kind for facts in films["natural"] for kind in {fact.kind for fact in facts})
    for kind, row in KINDS.items():
        share = row.reports / IU_REPORTS
        # Four standard deviations, and what falls away because no film could show it.
        assert abs(kinds[kind] / count - share) < 4 * np.sqrt(share / count) + 0.08 * share, kind
    assert 0.48 < sum(not facts for facts in films["natural"]) / count < 0.60
    grades = Counter(fact.severity for facts in films["natural"] for fact in facts)
    assert grades["mild"] > grades["moderate"] > grades["severe"]


def test_what_comes_together_in_patients_comes_together(films):
    shown = [{fact.kind for fact in facts} for facts in films["natural"]]
    for cause, companion in COMPANIONS:
        with_cause = [companion in kinds for kinds in shown if cause in kinds]
        without = [companion in kinds for kinds in shown if cause not in kinds]
        assert np.mean(with_cause) > 1.5 * np.mean(without), (cause, companion)


@pytest.mark.parametrize("prevalence", PREVALENCES)
def test_drawn_facts_can_be_seen_together_and_come_in_report_order(films, prevalence):
    for facts in films[prevalence]:
        check_facts(facts)
        assert list(facts) == report_order(facts)


def test_a_follow_up_is_a_possible_history(films):
    rng = np.random.default_rng(1)
    changes = Counter()
    for before in films["balanced"][:3000]:
        now, resolved = draw_follow_up(rng, before)
        check_facts(now)
        assert set(resolved) <= set(before)
        earlier = {fact.key[:3]: fact for fact in before}
        for fact in now:
            changes[fact.change] += 1
            assert (fact.change == "new") == (fact.key[:3] not in earlier)
            if fact.change == "new":
                assert not KINDS[fact.kind].chronic
                continue
            old = earlier.pop(fact.key[:3])
            assert old not in resolved
            if fact.change == "unchanged":
                assert replace(fact, change=None) == old
            else:
                assert not KINDS[fact.kind].chronic
                assert grown(old, fact) == (fact.change == "increased")
        assert set(earlier.values()) == set(resolved)  # what was there is there, or has resolved
    assert set(changes) == {"new", "increased", "decreased", "unchanged"}


def grown(old, new):
    if old.severity:
        return GRADES.index(new.severity) > GRADES.index(old.severity)
    return new.size_mm > old.size_mm if old.size_mm else new.number == "multiple"


def test_an_unknown_prevalence_is_refused():
    with pytest.raises(InputError, match="prevalence: found 'rare'; expected balanced or natural"):
        draw_facts(np.random.default_rng(0), "rare")
