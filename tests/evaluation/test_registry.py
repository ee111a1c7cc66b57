"""Every metric of the table keeps the one interface; an unknown name lists the known; nothing is imported early."""

import subprocess
import sys

import numpy as np
import pytest

from hf_medreport.evaluation.registry import METRICS, metric
from hf_medreport.evaluation.score import Score
from hf_medreport.processing.input_error import InputError

ALONE = [row.name for row in METRICS.values() if not row.needs]


@pytest.mark.parametrize("name", METRICS)
def test_every_row_resolves(name):
    assert callable(metric(name).resolve()) and METRICS[name].name == name


@pytest.mark.parametrize("name", ALONE)
def test_every_metric_keeps_the_interface(name, monkeypatch):
    monkeypatch.delenv("METEOR_JAR", raising=False)
    # a text, a label and a fact of pathology: all of them, none, half of them
    said = ["a small effusion is seen, grade 2", "", "effusion and edema is seen here, grade 2, ER positive"]
    half = ["effusion and atelectasis is seen here, grade 2, PR positive", "no large mass is here"]
    given = ["a small effusion is seen, grade 2", "cardiomegaly, ER positive", half]
    score = metric(name)(said, given)
    assert isinstance(score, Score) and score.name == name and type(score.value) is float
    assert score.per_sample.shape == (3,) and score.per_sample.dtype == np.float64
    assert score.per_sample[0] > score.per_sample[2] > score.per_sample[1]
    assert " 0 to " in score.convention and "\n" not in score.convention
    with pytest.raises(InputError, match="references: found 1; expected 3, one for each prediction"):
        metric(name)(said, given[:1])
    with pytest.raises(TypeError):
        metric(name)(said, given, no_such_option=1)


def test_an_unknown_name():
    with pytest.raises(InputError) as caught:
        metric("cider-d")
    assert str(caught.value) == (
        f"metric: found 'cider-d'; expected one of {', '.join(METRICS)}; did you mean 'cider_d'?"
    )


def test_the_table_imports_no_metric():
    code = (
        "import sys, hf_medreport.evaluation.registry;"
        "print([name for name in ('torch', 'scipy', 'hf_medreport.evaluation.text') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert found.strip() == "[]"
