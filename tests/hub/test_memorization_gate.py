"""What `publish` asks of a generator's folder: a gate that passed."""

import json

import pytest

from hf_medreport.hub.memorization_gate import check_gate, gate_of
from hf_medreport.processing.input_error import InputError

PASSED, FAILED = {"passes": True, "share": 0.0}, {"passes": False, "share": 0.034}


@pytest.mark.parametrize("evaluation", [{"gate": PASSED}, {"test": {"n": 5, "gate": PASSED}}])
def test_a_gate_that_passed(tmp_path, evaluation):
    (tmp_path / "evaluation.json").write_text(json.dumps(evaluation))
    check_gate(tmp_path)
    assert gate_of(evaluation) == PASSED


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "no figures"),
        ("{}", "no figures"),
        ('{"n": 3, "gate": null}', "no figure of it"),
        (json.dumps({"gate": FAILED}), r"one that failed \(3.40% of its pictures are suspect\)"),
        ('{"gate": {}}', "one that failed"),
        ('{"gate": {"passes": "yes"}}', "one that failed"),
        ("{", r"broken JSON \(line 1\)"),
    ],
)
def test_none_or_a_failed_one_is_refused(tmp_path, content, found):
    if content is not None:
        (tmp_path / "evaluation.json").write_text(content)
    with pytest.raises(InputError, match=f"{tmp_path.name}/evaluation.json: found {found}; expected .*unchecked"):
        check_gate(tmp_path)
