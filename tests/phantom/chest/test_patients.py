"""Drawn facts are balanced, or as common as in the archive, and follow-ups are possible histories."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from hf_medreport.phantom.chest.findings import GRADES, KINDS, Fact, check_facts, report_order
from hf_medreport.phantom.chest.patients import COMPANIONS, IU_REPORTS, PREVALENCES, draw_facts, draw_follow_up
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


def what_became_of(fact, n=4000):
    """How often, of n follow-ups of a film with this fact alone, it resolved ("resolved") or shows as what."""
    rng, ends = np.random.default_rng(3), Counter()
    for _ in range(n):
        now, resolved = draw_follow_up(rng, (fact,))
        ends["resolved"] += resolved == (fact,)
        ends.update((one.severity or one.size_mm or one.number, one.change) for one in now if one.kind == fact.kind)
    return {end: count / n for end, count in ends.items() if count}


@pytest.mark.parametrize(
    ("fact", "shares"),
    [
        (
            Fact("cardiomegaly", severity="moderate"),
            {("moderate", "unchanged"): 0.25, ("severe", "increased"): 0.25, ("mild", "decreased"): 0.25},
        ),
        # Where there is no next grade, size or number, a finding stays.
        (Fact("cardiomegaly", severity="severe"), {("severe", "unchanged"): 0.5, ("moderate", "decreased"): 0.25}),
        (Fact("cardiomegaly", severity="mild"), {("mild", "unchanged"): 0.5, ("moderate", "increased"): 0.25}),
        (
            Fact("nodule", "left", "upper", size_mm=24),
            {(24, "unchanged"): 0.25, (30, "increased"): 0.25, (18, "decreased"): 0.25},
        ),
        (
            Fact("nodule", "left", "upper", size_mm=16),
            {(16, "unchanged"): 0.25, (20, "increased"): 0.25, (12, "decreased"): 0.25},
        ),
        (Fact("nodule", "left", "upper", size_mm=15), {(15, "unchanged"): 0.5, (19, "increased"): 0.25}),
        (Fact("nodule", "left", "upper", size_mm=39), {(39, "unchanged"): 0.5, (29, "decreased"): 0.25}),
        (
            Fact("rib_fracture", "left", number="single"),
            {("single", "unchanged"): 0.5, ("multiple", "increased"): 0.25},
        ),
        (
            Fact("rib_fracture", "left", number="multiple"),
            {("multiple", "unchanged"): 0.5, ("single", "decreased"): 0.25},
        ),
        (Fact("consolidation", "left", "upper"), {(None, "unchanged"): 0.75}),
    ],
    ids=str,
)
def test_what_becomes_of_a_finding(fact, shares):
    """A quarter resolves, a quarter stays, a quarter gets worse, a quarter better."""
    ends = what_became_of(fact)
    assert set(ends) == {"resolved", *shares}
    for end, share in {"resolved": 0.25, **shares}.items():
        assert ends[end] == pytest.approx(share, abs=0.028), end  # four standard deviations


def test_a_chronic_finding_stays():
    assert what_became_of(Fact("scoliosis", "left", severity="mild"), 200) == {("mild", "unchanged"): 1}


@pytest.mark.parametrize("prevalence", PREVALENCES)
def test_half_of_the_healthy_may_get_something_new(films, prevalence):
    """In half of the follow-ups a film is drawn, and one finding on it that is not chronic comes, if there is one."""
    rng, n = np.random.default_rng(5), 4000
    new = [len(draw_follow_up(rng, (), prevalence)[0]) for _ in range(n)]
    may_come = np.mean([any(not KINDS[fact.kind].chronic for fact in facts) for facts in films[prevalence]])
    assert set(new) == {0, 1}
    assert np.mean(new) == pytest.approx(may_come / 2, abs=0.035)


def test_an_unknown_prevalence_is_refused():
    with pytest.raises(InputError, match="prevalence: found 'rare'; expected balanced or natural"):
        draw_facts(np.random.default_rng(0), "rare")
