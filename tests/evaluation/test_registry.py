"""Every metric of the table keeps the one interface; an unknown name lists the known; nothing is imported early."""

import inspect
import subprocess
import sys

import numpy as np
import pytest

from hf_medreport.evaluation.registry import METRICS, metric, read_options
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


@pytest.mark.parametrize(("name", "option"), [("bertscore", "model"), ("umls_f1", "linker"), ("learned", "scorer")])
def test_a_required_option(name, option):
    for options in ({}, {option: None}):
        with pytest.raises(
            InputError, match=f"^metric {name}: found no option '{option}'; expected .*; give `{option}`"
        ):
            metric(name)(["a"], ["a"], **options)


def test_what_is_required_has_no_default():
    for row in METRICS.values():
        parameters = inspect.signature(row.resolve()).parameters.values()
        assert row.required == tuple(each.name for each in parameters if each.default is each.empty)[2:], row.name
        assert bool(row.needs) >= bool(row.required)


def test_options_of_the_command_line(tmp_path):
    (tmp_path / "terms.tsv").write_text("C1\teffusion\n")
    table = f"linker={tmp_path / 'terms.tsv'}"
    texts = ["bertscore.model=a=b", "bertscore.layer=-2", "rougeL.stemmer=false", "cider.sigma=6"]
    options = read_options([*texts, f"umls_f1.{table}", f"umls_recall.{table}"])
    linker = options["umls_f1"].pop("linker")
    assert options["umls_recall"].pop("linker") is linker and linker.link("Effusions.") == {"C1"}
    assert {name: row for name, row in options.items() if row} == {
        "bertscore": {"model": "a=b", "layer": -2},
        "rougeL": {"stemmer": False},
        "cider": {"sigma": 6},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bertscore.model", "option: found 'bertscore.model'; expected METRIC.NAME=VALUE; write it like"),
        ("model=x", "option: found 'model=x'; expected METRIC.NAME=VALUE"),
        ("bertscore.model=", "option: found 'bertscore.model='"),
        ("bertscor.model=x", "did you mean 'bertscore'?"),
        ("bertscore.modle=x", "option: found 'bertscore.modle'; expected one of model, layer, batch_size, device;"),
        ("bleu1.order=2", "option: found 'bleu1.order'; expected one of tokenizer;"),
        ("learned.scorer=x", "option: found 'learned.scorer'; expected one of name, convention;"),
        ("rougeL.stemmer=no", "option: found rougeL.stemmer='no'; expected true or false;"),
        ("bertscore.layer=true", "option: found bertscore.layer='true'; expected a whole number;"),
        ("umls_f1.linker=gone.tsv", "gone.tsv: found No such file"),
    ],
)
def test_bad_options_of_the_command_line(text, message):
    with pytest.raises(InputError) as caught:
        read_options([text])
    assert message in str(caught.value) and "\n" not in str(caught.value)
