"""Scoring a model on the phantom: the numbers are those of the facts, whatever model wrote them."""

from types import SimpleNamespace

import pytest

from hf_medreport.evaluation.phantom import evaluate_phantom
from hf_medreport.phantom.corpus import ChestCorpus
from hf_medreport.phantom.score import score_facts


class Stub:
    """A pipeline that answers with given reports, in order."""

    def __init__(self, reports):
        self.reports = iter(reports)
        self.model = SimpleNamespace(config=SimpleNamespace(name_or_path="stub"))
        self.processor = SimpleNamespace(image_processor=SimpleNamespace(size=64))

    def __call__(self, images, batch_size):
        assert all(image.shape == (64, 64) for image in images)
        return [[{"generated_text": next(self.reports)}] for _ in images]


def corpus(n=12):
    return list(map(ChestCorpus(n=n, seed=1, size=64, split="test").__getitem__, range(n)))


@pytest.mark.parametrize("batch_size", [1, 5, 12])
def test_a_model_that_tells_the_truth_is_perfect(batch_size):
    scores = evaluate_phantom(Stub(case.report for case in corpus()), n=12, batch_size=batch_size, progress=False)
    assert scores["exact"]["f1"] == scores["kind"]["f1"] == 1.0
    assert scores["hallucination_rate"] == scores["wrong_side_rate"] == 0.0 and scores["n"] == 12


def test_a_model_that_calls_everything_normal_is_the_constant_report():
    text = "FINDINGS: The heart is normal in size. IMPRESSION: Normal."
    scores = evaluate_phantom(Stub([text] * 12), n=12, progress=False)
    truth = [frozenset(case.facts) for case in corpus()]
    expected = score_facts([frozenset()] * 12, truth)
    assert scores["constant_report"] == expected and scores["exact"] == expected["exact"]


def test_the_command_prints_the_same():
    scores = evaluate_phantom(Stub([""] * 3), n=3, seed=7, split="held_back_style", progress=False)
    assert scores["command"] == (
        "hf-medreport evaluate phantom --model stub --n 3 --seed 7 --split held_back_style --json"
    )
