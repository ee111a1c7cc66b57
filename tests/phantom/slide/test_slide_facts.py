"""The facts of a slide validate themselves, and are drawn as the tables say."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.phantom.slide.findings import BENIGN, DIAGNOSES, FIELDS, SITES, SlideFacts
from hf_medreport.phantom.slide.patients import PREVALENCES, draw_slide_facts
from hf_medreport.processing.input_error import InputError

TUMOR = {"site": "lung", "diagnosis": "adenocarcinoma", "grade": 2, "necrosis": "focal", "inflammation": "mild"}
TUMOR |= {"mitoses": 4, "margin": "negative", "size_cm": 1.5, "nodes_positive": 1, "nodes_examined": 3}
CLEAN = {"site": "lung", "diagnosis": BENIGN, "inflammation": "marked", "nodes_examined": 2}


@pytest.mark.parametrize(
    "facts, wrong, message",
    [
        (
            TUMOR,
            {"site": "skin"},
            "slide facts: found site 'skin'; expected one of breast, colon, lung, kidney; correct the site",
        ),
        (
            TUMOR,
            {"diagnosis": "invasive ductal carcinoma"},
            "slide facts: found diagnosis 'invasive ductal carcinoma'; expected a diagnosis of lung: adenocarcinoma, "
            "squamous cell carcinoma, no malignancy; correct the diagnosis",
        ),
        (TUMOR, {"grade": 4}, "slide facts: found grade 4; expected 1, 2 or 3; correct the grade"),
        (TUMOR, {"grade": None}, "slide facts: found grade None; expected 1, 2 or 3; correct the grade"),
        (TUMOR, {"grade": True}, "slide facts: found grade True; expected 1, 2 or 3; correct the grade"),
        (
            TUMOR,
            {"necrosis": "some"},
            "slide facts: found necrosis 'some'; expected one of absent, focal, extensive; correct the necrosis",
        ),
        (
            TUMOR,
            {"inflammation": "moderate"},
            "slide facts: found inflammation 'moderate'; expected one of absent, mild, marked; "
            "correct the inflammation",
        ),
        (
            TUMOR,
            {"mitoses": 41},
            "slide facts: found mitoses 41; expected 0 to 40 per 10 high-power fields; correct the mitoses",
        ),
        (
            TUMOR,
            {"mitoses": -1},
            "slide facts: found mitoses -1; expected 0 to 40 per 10 high-power fields; correct the mitoses",
        ),
        (
            TUMOR,
            {"margin": "close"},
            "slide facts: found margin 'close'; expected negative or positive; correct the margin",
        ),
        (
            TUMOR,
            {"size_cm": 0},
            "slide facts: found size_cm 0; expected 0.5 to 5.0 cm with one decimal; correct the size_cm",
        ),
        (
            TUMOR,
            {"size_cm": 1.55},
            "slide facts: found size_cm 1.55; expected 0.5 to 5.0 cm with one decimal; correct the size_cm",
        ),
        (
            TUMOR,
            {"size_cm": float("nan")},
            "slide facts: found size_cm nan; expected 0.5 to 5.0 cm with one decimal; correct the size_cm",
        ),
        (
            TUMOR,
            {"size_cm": "1.5"},
            "slide facts: found size_cm '1.5'; expected 0.5 to 5.0 cm with one decimal; correct the size_cm",
        ),
        (
            TUMOR,
            {"nodes_positive": 4},
            "slide facts: found nodes_positive 4; expected 0 to 3, the nodes examined; correct the nodes_positive",
        ),
        (
            TUMOR,
            {"nodes_examined": 7},
            "slide facts: found nodes_examined 7; expected 0 to 6 lymph nodes; correct the nodes_examined",
        ),
        (CLEAN, {"grade": 1}, "slide facts: found grade 1; expected None beside 'no malignancy'; correct the grade"),
        (
            CLEAN,
            {"mitoses": 0},
            "slide facts: found mitoses 0; expected None beside 'no malignancy'; correct the mitoses",
        ),
        (
            CLEAN,
            {"margin": "negative"},
            "slide facts: found margin 'negative'; expected None beside 'no malignancy'; correct the margin",
        ),
        (
            CLEAN,
            {"size_cm": 1.0},
            "slide facts: found size_cm 1.0; expected None beside 'no malignancy'; correct the size_cm",
        ),
        (
            CLEAN,
            {"necrosis": "focal"},
            "slide facts: found necrosis 'focal'; expected absent beside 'no malignancy'; correct the necrosis",
        ),
        (
            CLEAN,
            {"nodes_positive": 1},
            "slide facts: found nodes_positive 1; expected 0 beside 'no malignancy'; correct the nodes_positive",
        ),
    ],
)
def test_impossible_facts_are_refused(facts, wrong, message):
    assert SlideFacts(**facts)
    with pytest.raises(InputError) as error:
        SlideFacts(**facts | wrong)
    assert str(error.value) == message


def test_the_pairs_leave_out_what_does_not_apply():
    assert SlideFacts(**TUMOR).facts == {
        ("site", "lung"),
        ("diagnosis", "adenocarcinoma"),
        ("grade", 2),
        ("necrosis", "focal"),
        ("inflammation", "mild"),
        ("mitoses", 4),
        ("margin", "negative"),
        ("size_cm", 1.5),
        ("nodes", (1, 3)),
    }
    assert SlideFacts(**CLEAN).facts == {
        ("site", "lung"),
        ("diagnosis", BENIGN),
        ("necrosis", "absent"),
        ("inflammation", "marked"),
        ("nodes", (0, 2)),
    }
    assert [name for name, _ in sorted(SlideFacts(**TUMOR).facts, key=lambda pair: FIELDS.index(pair[0]))] == [*FIELDS]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(PREVALENCES))
def test_a_drawn_slide_is_possible_and_repeats(seed, prevalence):
    one, other = (draw_slide_facts(np.random.default_rng(seed), prevalence) for _ in range(2))
    assert one == other  # and it exists: SlideFacts refuses what is impossible


def many(prevalence, n=3000):
    rng = np.random.default_rng(0)
    return [draw_slide_facts(rng, prevalence) for _ in range(n)]


def test_balanced_prevalence():
    drawn = many("balanced")
    tumors = [facts for facts in drawn if facts.diagnosis != BENIGN]
    # Shares of 3,000: the standard error of 0.15 is 0.007, of 0.25 0.008, of a third 0.009.
    assert abs(1 - len(tumors) / len(drawn) - 0.15) < 0.03
    sites, grades = Counter(facts.site for facts in drawn), Counter(facts.grade for facts in tumors)
    assert all(abs(sites[site] / len(drawn) - 1 / 4) < 0.035 for site in SITES)
    assert all(abs(grades[grade] / len(tumors) - 1 / 3) < 0.04 for grade in (1, 2, 3))
    for site, diagnoses in DIAGNOSES.items():
        here = Counter(facts.diagnosis for facts in tumors if facts.site == site)
        shares = [here[diagnosis] / here.total() for diagnosis in diagnoses if diagnosis != BENIGN]
        assert max(shares) - min(shares) < 0.15


def test_natural_prevalence_and_what_goes_together():
    drawn = many("natural")
    tumors = [facts for facts in drawn if facts.diagnosis != BENIGN]
    assert abs(1 - len(tumors) / len(drawn) - 0.3) < 0.04
    assert Counter(facts.grade for facts in tumors).most_common(1)[0][0] == 2
    low, high = ([facts for facts in tumors if facts.grade == grade] for grade in (1, 3))
    counts = [np.mean([facts.mitoses for facts in group]) for group in (low, high)]
    assert counts[1] > 4 * counts[0]
    necrotic = [np.mean([facts.necrosis != "absent" for facts in group]) for group in (low, high)]
    assert necrotic[0] < 0.25 < 0.6 < necrotic[1]
    nodes = [facts for facts in tumors if facts.nodes_examined]
    large, small = ([facts for facts in nodes if (facts.size_cm > 2.5) == big] for big in (True, False))
    shares = [np.mean([facts.nodes_positive / facts.nodes_examined for facts in group]) for group in (small, large)]
    assert shares[1] > shares[0] + 0.08


def test_an_unknown_prevalence_is_refused():
    with pytest.raises(InputError) as error:
        draw_slide_facts(np.random.default_rng(0), "rare")
    assert str(error.value) == "prevalence: found 'rare'; expected balanced or natural; name one of the two"
