"""Metrics, intervals and tests on a set of pairs; each is held to the function that it is said to be."""

import json

import numpy as np
import pytest

from hf_medreport.evaluation.registry import METRICS, metric
from hf_medreport.evaluation.reports.labeled import Labeled
from hf_medreport.evaluation.reports.predictions import ReportPairs
from hf_medreport.evaluation.reports.resampling import FIGURE, MEAN, resampled
from hf_medreport.evaluation.reports.scoring import Settings, evaluate_reports
from hf_medreport.evaluation.significance import bootstrap_interval, holm, paired_randomisation
from hf_medreport.processing.input_error import InputError
from tests.evaluation.reports.pairs import two_systems

QUICK = Settings(resamples=200, randomizations=300)
GOOD, BAD = two_systems()
CHEXPERT = [name for name in METRICS if name.startswith("chexpert")]


def test_one_system():
    evaluation = evaluate_reports(GOOD, ["rougeL", "bleu4", "rougeL"], settings=QUICK)
    assert list(evaluation.results) == ["rougeL", "bleu4"]
    score = metric("rougeL")(GOOD.predictions, GOOD.references)
    result = evaluation.results["rougeL"]
    assert result.score.value == score.value and (result.score.per_sample == score.per_sample).all()
    assert result.interval == bootstrap_interval(score.per_sample, resamples=200)
    assert result.other is None and result.p is None and "compared" not in result.to_json()
    content = evaluation.to_json()
    assert content["n"] == 40 and content["predictions"] == "good.jsonl" and content["compared"] is None
    assert not any(text in json.dumps(content) for text in GOOD.predictions if text)


def test_two_systems():
    evaluation = evaluate_reports(GOOD, ["rougeL", "token_f1", "cider_d"], compare=BAD, settings=QUICK)
    results = evaluation.results
    ours, theirs = (metric("rougeL")(each.predictions, each.references).per_sample for each in (GOOD, BAD))
    assert results["rougeL"].p == paired_randomisation(ours, theirs, resamples=300)
    assert [result.p_holm for result in results.values()] == holm([result.p for result in results.values()])
    assert results["token_f1"].of == MEAN and results["rougeL"].of == FIGURE
    assert results["rougeL"].to_json()["compared"]["difference"] == pytest.approx(ours.mean() - theirs.mean())
    table = evaluation.table()
    assert "bad.jsonl: 1 empty predictions" in table and "p (Holm)" in table
    assert "intervals and tests of token_f1 are of the mean over the reports" in table


def test_equal_systems_do_not_differ():
    result = evaluate_reports(GOOD, ["bleu4"], compare=GOOD, settings=QUICK).results["bleu4"]
    assert result.p == 1.0 and result.interval == result.other_interval


@pytest.mark.parametrize("name", [f"{kind}{n}" for kind in ("bleu", "sacrebleu") for n in (1, 4)])
def test_rows_of_a_corpus_figure_give_the_figure(name):
    score = metric(name)(GOOD.predictions, GOOD.references)
    rows = resampled(metric(name), score, GOOD.predictions, GOOD.references)
    assert rows.of == FIGURE and rows.value == pytest.approx(score.value, rel=1e-9)
    # A resample is the metric of the samples drawn: here each of the first ten twice, the others not.
    weights = np.repeat([2.0, 0.0], [10, 30])
    subset = metric(name)(GOOD.predictions[:10] * 2, GOOD.references[:10] * 2).value
    # Means are over all 40 samples though only 20 were drawn, so the statistic's sums are those of 20.
    assert rows.statistic((weights @ rows.rows / 40)[None])[0] == pytest.approx(subset, rel=1e-6)


@pytest.mark.parametrize("name", CHEXPERT)
@pytest.mark.parametrize("uncertain", ["positive", "negative", "ignored"])
def test_labeling_once_gives_the_same_scores(name, uncertain):
    predictions = [*BAD.predictions, "Possible pneumonia.", "Probable small effusion."]
    references = [*BAD.references, ["Pneumonia."], ["Cannot exclude pneumonia."]]
    expected = metric(name)(predictions, references, uncertain=uncertain)
    labeled = Labeled(predictions, references)
    assert labeled.knows(metric(name)) and not labeled.knows(metric("rougeL"))
    score, rows = labeled.scored(metric(name), uncertain=uncertain)
    assert (score.value, score.name, score.convention) == (expected.value, expected.name, expected.convention)
    np.testing.assert_array_equal(score.per_sample, expected.per_sample)
    assert rows.of == FIGURE and rows.value == pytest.approx(expected.value)


def test_several_references_are_left_to_the_metric():
    pairs = ReportPairs("p", ["a"], ["Effusion."], [["No effusion.", "Small effusion."]])
    result = evaluate_reports(pairs, ["chexpert_f1"], settings=QUICK).results["chexpert_f1"]
    assert result.score.value == metric("chexpert_f1")(pairs.predictions, pairs.references).value == 1.0


def test_the_same_seed_gives_the_same_figures_and_another_does_not():
    runs = [
        evaluate_reports(GOOD, ["bleu4"], compare=BAD, settings=Settings(resamples=100, randomizations=99, seed=seed))
        for seed in (0, 0, 1)
    ]
    first, second, third = (json.dumps(run.to_json()) for run in runs)
    assert first == second != third


def test_a_section_is_scored_alone():
    text = "FINDINGS: {} IMPRESSION: {}"
    pairs = ReportPairs(
        "p", ["a", "b"], [text.format("Clear.", "x"), "Clear."], [[text.format("Clear.", "y")], ["HISTORY: z"]]
    )
    evaluation = evaluate_reports(pairs, ["rougeL"], section="findings", settings=QUICK)
    assert evaluation.results["rougeL"].score.value == 1.0 and evaluation.to_json()["section"] == "findings"
    assert evaluation.to_json()["left_out"] == [{"id": "b", "why": "the reference has no findings"}]
    assert "left out: 1 samples (the reference has no findings)" in evaluation.table()


def test_all_and_progress():
    seen = []
    pairs = ReportPairs("p", ["a", "b"], ["Clear lungs.", "x"], [["Clear lungs."], ["Small effusion on the left."]])

    def progress(rows):
        seen.extend(row.name for row in rows)
        return rows

    evaluation = evaluate_reports(pairs, ["all"], settings=Settings(resamples=9, randomizations=9), progress=progress)
    assert seen == list(evaluation.results) == [row.name for row in METRICS.values() if not row.needs]


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (["bleu-4"], "did you mean 'bleu4'?"),
        ([], "metrics: found none; expected at least one name; name some of bleu1"),
        (
            ["bertscore"],
            "metric bertscore: found no option 'model'; expected an encoder's folder, as the option model"
            "; give `model`, or the `option` bertscore.model=...",
        ),
    ],
)
def test_wrong_metrics(metrics, message):
    with pytest.raises(InputError) as caught:
        evaluate_reports(GOOD, metrics)
    assert message in str(caught.value)


def test_options_reach_their_metric_and_no_other():
    options = {"learned": {"scorer": lambda said, given: [0.5] * len(said)}}
    pairs = ReportPairs("p", ["a", "b"], ["Clear.", "x"], [["Clear."], ["Effusion."]])
    assert evaluate_reports(pairs, ["learned"], options=options, settings=QUICK).results["learned"].score.value == 0.5
    assert "learned" in evaluate_reports(pairs, ["all"], options=options, settings=QUICK).results
    with pytest.raises(InputError, match="options: found those of 'learned'; expected those of metrics that are run"):
        evaluate_reports(pairs, ["rougeL"], options=options)
    with pytest.raises(InputError, match="metric learned: found no option 'scorer'"):
        evaluate_reports(pairs, ["learned"], options={"learned": {"name": "mine"}})


def test_chexbert_may_be_run_without_options(monkeypatch):
    def positive(texts, **options):
        return np.ones((len(texts), 14), dtype=np.int8)

    monkeypatch.setattr("hf_medreport.evaluation.clinical.chexbert.chexbert_labels", positive)
    assert evaluate_reports(GOOD, ["chexbert_f1"], settings=QUICK).results["chexbert_f1"].score.value == 1.0
