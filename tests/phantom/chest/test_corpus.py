"""Case i of a split is the same for everyone, and splits share no patient."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from hf_medreport.phantom.chest.corpus import SPLITS, ChestCorpus
from hf_medreport.phantom.chest.findings import Fact
from hf_medreport.phantom.chest.parser import parse_report
from hf_medreport.processing.input_error import InputError


def content(case):
    return case.patient_id, case.facts, case.report, *(a.tobytes() for a in (case.image, case.lungs, case.heart))


def test_a_case_does_not_depend_on_access_length_or_process():
    corpus = ChestCorpus(6, seed=5, size=48)
    forwards = [content(corpus[i]) for i in range(6)]
    backwards = [content(corpus[i]) for i in reversed(range(6))][::-1]
    longer = ChestCorpus(100, seed=5, size=48)
    elsewhere = pickle.loads(pickle.dumps(corpus))
    assert forwards == backwards == [content(longer[i]) for i in range(6)] == [content(elsewhere[i]) for i in range(6)]
    assert content(corpus[-1]) == forwards[-1]
    assert content(corpus[np.int64(2)]) == forwards[2]
    assert len(corpus) == 6 == len(list(corpus))
    with pytest.raises(IndexError):
        corpus[6]


def test_splits_and_seeds_share_no_patient():
    every = [
        content(ChestCorpus(8, seed=seed, size=40, split=split, prevalence="balanced", wordings="train")[i])
        for split in SPLITS
        for seed in (0, 1)
        for i in range(8)
    ]
    assert len({case[0] for case in every}) == len(every)
    assert len({case[4] for case in every}) == len(every)  # the lungs: other patients, not only other names


def test_the_defaults_of_each_split():
    chosen = {name: ChestCorpus(1, 0, split=name) for name in SPLITS}
    assert {name: (c.prevalence, c.wordings, c.style) for name, c in chosen.items()} == {
        "train": ("balanced", "train", "standard"),
        "validation": ("natural", "train", "standard"),
        "test": ("natural", "held_out", "standard"),
        "held_back_style": ("natural", "held_out", "held_back"),
    }


def test_wordings_change_the_report_and_nothing_else():
    as_test, as_train = ChestCorpus(5, 0, 40, "test"), ChestCorpus(5, 0, 40, "test", wordings="train")
    for one, other in zip(as_test, as_train, strict=True):
        assert one.facts == other.facts and one.image.tobytes() == other.image.tobytes()
        assert one.report != other.report


def test_a_case_holds_together():
    for case in ChestCorpus(20, seed=1, size=64):
        assert case.image.shape == case.lungs.shape == case.heart.shape == (64, 64)
        assert parse_report(case.report) == frozenset(case.facts)


def test_lateral_and_bits_do_not_change_the_patient():
    plain, full = ChestCorpus(4, 2, 48), ChestCorpus(4, 2, 48, lateral=True, bits=16)
    for one, other in zip(plain, full, strict=True):
        assert one.facts == other.facts and one.report == other.report and one.lateral is None
        assert other.image.dtype == other.lateral.image.dtype == np.uint16
        assert np.array_equal(one.lungs, other.lungs)
        assert other.lateral.image.shape == (48, 48) and list(other.lateral.findings) == list(other.facts)


def test_a_follow_up_has_a_prior_film_of_the_same_patient_and_compares():
    for case in ChestCorpus(12, seed=3, size=48, follow_up=1.0):
        prior = case.prior
        assert prior.patient_id == case.patient_id and prior.prior is None
        assert prior.image.tobytes() != case.image.tobytes()
        assert all(fact.change for fact in case.facts) and not any(fact.change for fact in prior.facts)
        assert {fact.key[:3] for fact in prior.facts} - {fact.key[:3] for fact in case.facts} == {
            fact.key[:3] for fact in case.resolved
        }
        assert parse_report(case.report) == frozenset(case.facts)
        assert parse_report(prior.report) == frozenset(prior.facts)


def test_the_share_of_follow_ups_is_kept_and_leaves_the_first_film_alone():
    alone, mixed = ChestCorpus(60, 0, 32), ChestCorpus(60, 0, 32, follow_up=0.5)
    priors = [case.prior for case in mixed]
    assert 18 <= sum(prior is not None for prior in priors) <= 42
    for first, case in zip(alone, mixed, strict=True):
        assert first.image.tobytes() == (case.prior or case).image.tobytes()


def test_given_facts_are_what_every_film_shows():
    facts = (Fact("nodule", "left", "upper", size_mm=30), Fact("cardiomegaly", severity="severe"))
    cases = list(ChestCorpus(3, 0, 48, facts=facts))
    assert all(case.facts == facts[::-1] for case in cases)  # in report order
    assert len({case.image.tobytes() for case in cases}) == 3


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"style": "sepia"}, "style: found 'sepia'; expected standard or held_back"),
        ({"bits": 12}, "bits: found 12; expected 8 or 16"),
        ({"follow_up": 1.5}, "follow_up: found 1.5; expected a share from 0 to 1"),
        ({"facts": [Fact("pacemaker", "left"), Fact("pacemaker", "right")]}, "facts: found right pacemaker and left"),
        ({"facts": [Fact("tortuous_aorta")], "follow_up": 0.5}, "follow_up: found 0.5 with given facts"),
        ({"facts": [Fact("tortuous_aorta", change="new")]}, "facts: found new tortuous aorta; expected no change"),
        ({"n": 2.5}, "n: found 2.5; expected at least 1 case"),
        ({"seed": "a"}, "seed: found a; expected a whole number"),
        ({"size": 64.5}, "size: found 64.5 px"),
        ({"style": ""}, "style: found ''"),
        ({"n": 0}, "n: found 0; expected at least 1 case"),
        ({"n": -3}, "n: found -3"),
        ({"seed": -1}, "seed: found -1"),
        ({"split": "dev"}, "split: found 'dev'; expected one of train, validation, test, held_back_style"),
        ({"size": 31}, "size: found 31 px"),
        ({"size": 5000}, "size: found 5000 px"),
        ({"prevalence": "rare"}, "prevalence: found 'rare'"),
        ({"wordings": "test"}, "wordings: found 'test'"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(InputError) as error:
        ChestCorpus(**({"n": 4, "seed": 0} | arguments))
    assert str(error.value).startswith(message)


def test_the_phantom_needs_no_torch():
    rooms = "hf_medreport.phantom.chest.corpus, hf_medreport.phantom.chest.score"
    code = f"import sys, {rooms}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
