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


def test_what_the_module_says_of_itself(evaluate, tmp_path):
    """`evaluate` runs a copy of the file; this is the file itself."""
    from hf_medreport.evaluation.modules.medreport.medreport import MedReport

    module = MedReport("rougeL", cache_dir=str(tmp_path))
    assert module.inputs_description == "rougeL: predictions, strings; references, strings or lists of strings."
    assert [type(features["references"]).__name__ for features in module.features] == ["List", "Value"]
    score = metric("rougeL")(SAID, TRUE)
    assert module.compute(predictions=SAID, references=TRUE)["rougeL"] == score.value
