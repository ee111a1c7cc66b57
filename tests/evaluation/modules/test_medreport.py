"""`evaluate.load` opens the module from its folder, offline. Skipped where the `evaluate` package is not installed."""

import pytest

from hf_medreport.evaluation.modules import MODULE
from hf_medreport.evaluation.registry import metric

SAID, TRUE = ["Clear lungs today.", "Mass."], ["Clear lungs today.", "Small effusion."]


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    evaluate = pytest.importorskip("evaluate")
    monkeypatch.setattr("evaluate.config.HF_EVALUATE_OFFLINE", True)
    return evaluate


@pytest.mark.parametrize("name", ["rougeL", "chexpert_f1"])
def test_a_metric_by_its_name(evaluate, tmp_path, name):
    module = evaluate.load(MODULE, name, cache_dir=str(tmp_path))
    score = metric(name)(SAID, TRUE)
    expected = {name: score.value, "per_sample": score.per_sample.tolist(), "convention": score.convention}
    assert module.compute(predictions=SAID, references=TRUE) == expected
    assert module.compute(predictions=SAID, references=[[text] for text in TRUE]) == expected


def test_the_default_and_an_unknown_name(evaluate, tmp_path):
    module = evaluate.load(MODULE, cache_dir=str(tmp_path))
    assert set(module.compute(predictions=SAID, references=TRUE)) == {"bleu4", "per_sample", "convention"}
    with pytest.raises(ValueError, match="metric: found 'blue4'"):
        evaluate.load(MODULE, "blue4", cache_dir=str(tmp_path))
