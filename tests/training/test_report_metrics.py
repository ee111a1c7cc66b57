"""The table of samples: the step in each row, each step once, in order, and nothing beyond where a run goes on."""

import json

import numpy as np
import pytest
from transformers import EvalPrediction

from hf_medreport.training.report_metrics import ReportMetrics, chest_facts, drop_samples_beyond, slide_facts
from tests.tiny import tiny_tokenizer


@pytest.fixture
def evaluated(tmp_path):
    """Evaluates at a step: two references, two generated texts; returns the metrics."""
    tokenizer = tiny_tokenizer()
    metrics = ReportMetrics(tokenizer, tmp_path / "samples.jsonl", lambda generated, _: {"said": len(generated)})

    def at(step: int, generated: str) -> dict:
        metrics.step = step
        ids = [np.array([tokenizer(text)["input_ids"]] * 2) for text in (generated, "Normal heart.")]
        return metrics(EvalPrediction(predictions=ids[0], label_ids=ids[1]))

    return at


def rows(tmp_path):
    return [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]


def test_a_step_scored_again_takes_its_own_place(evaluated, tmp_path):
    assert evaluated(2, "Normal heart.")["bleu4"] == pytest.approx(evaluated(1, "Normal heart.")["bleu4"])
    evaluated(3, "Large heart.")
    evaluated(2, "Large heart.")
    assert [(row["step"], row["generated"]) for row in rows(tmp_path)] == [
        *[(1, "Normal heart.")] * 2,
        *[(2, "Large heart.")] * 2,
        *[(3, "Large heart.")] * 2,
    ]
    assert {row["said"] for row in rows(tmp_path)} == {2} and {row["reference"] for row in rows(tmp_path)} == {
        "Normal heart."
    }


@pytest.mark.parametrize(("step", "left"), [(0, []), (1, [1, 1]), (2, [1, 1, 2, 2]), (9, [1, 1, 2, 2])])
def test_a_run_goes_on_with_the_rows_up_to_its_step(evaluated, tmp_path, step, left):
    evaluated(1, "Normal heart.")
    evaluated(2, "Normal heart.")
    with (tmp_path / "samples.jsonl").open("a") as table:
        table.write('{"bleu4": 1.0, "reference": "of an earlier version", "generated": ""}\n')
    drop_samples_beyond(tmp_path / "samples.jsonl", step)
    assert [row["step"] for row in rows(tmp_path)] == left


def test_a_run_without_a_table_begins_none(tmp_path):
    drop_samples_beyond(tmp_path / "samples.jsonl", 0)
    assert not list(tmp_path.iterdir())


def test_facts_of_chests_and_slides():
    chest = "FINDINGS: There is a small left pleural effusion."
    assert chest_facts([chest], [chest]) == {"fact_f1": 1.0, "kind_f1": 1.0}
    assert chest_facts(["FINDINGS: There is a small right pleural effusion."], [chest])["fact_f1"] == 0.0
    assert slide_facts([""], [""]) == {"fact_f1": 0.0}
