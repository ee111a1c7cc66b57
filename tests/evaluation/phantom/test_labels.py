"""Scores of a model that is given labels: they say which, the blinded reporter is given the same, and the head that
names them is scored beside the truth."""

import json
from types import SimpleNamespace

import pytest

from hf_medreport.evaluation.phantom.evidence import evaluate_evidence
from hf_medreport.evaluation.phantom.films import evaluate_phantom, score_table
from hf_medreport.evaluation.phantom.labels import label_head_interval, score_label_head, scored_labels
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.phantom.chest.findings import observations
from hf_medreport.processing.input_error import InputError
from tests.labeled import labeled_pipe

# What a model that repeats what it is given writes of a label.
SAYS = {
    "Cardiomegaly": "There is mild cardiomegaly.",
    "Pleural Effusion": "There is a small left pleural effusion.",
}
BALANCED = {"n": 12, "seed": 1, "prevalence": "balanced", "progress": False}


class Repeater:
    """A pipeline that is blind: it writes what it is given, or what its `head` names of a film."""

    def __init__(self, mode: str, head=lambda film: []):
        taken = {"oracle": {"labels": "required"}, "predicted": {"labels": "optional"}}.get(mode, {})
        config = SimpleNamespace(name_or_path="blind", model_type="radscribe" if mode else "stub")
        self.model = SimpleNamespace(config=config, takes=lambda: taken)
        self.processor = SimpleNamespace(image_processor=SimpleNamespace(size=64))
        self.head, self.given = head, []

    def __call__(self, images, batch_size):
        return [[self.report(image)] for image in images]

    def report(self, image) -> dict:
        given = "labels" in image
        labels = image["labels"] if given else self.head(image["frontal"])
        self.given.append(labels)
        text = " ".join(SAYS[name] for name in labels if name in SAYS)
        return {"generated_text": text, "labels": labels, "label_source": "oracle" if given else "predicted"}


def truth() -> list[list[str]]:
    corpus = ChestCorpus(n=12, seed=1, size=64, split="test", prevalence="balanced")
    return [observations(corpus[index].facts) for index in range(12)]


class TestOracle:
    @pytest.mark.slow
    def test_the_blinded_reporter_shows_what_the_labels_give_away(self):
        pipe = Repeater("oracle")
        scores = evaluate_phantom(pipe, **BALANCED)
        assert scores["labels"] == "oracle" and next(iter(scores)) == "labels"
        assert pipe.given == truth() * 2  # the film's, then the noise's
        assert scores["kind"]["f1"] == scores["blinded"]["kind"]["f1"] > 0.1
        assert scores["constant_report"]["kind"]["f1"] == 0 and "label_head" not in scores

    def test_table_and_command_say_so(self):
        scores = evaluate_phantom(Repeater("predicted"), **BALANCED, labels="oracle")
        first = score_table(scores).splitlines()[0]
        assert first == "labels: oracle, the model was given the true ones of each film, and so was the blinded one"
        assert scores["command"].endswith("--prevalence balanced --labels oracle --json")
        assert "--labels" not in evaluate_phantom(Repeater("oracle"), **BALANCED)["command"]


class TestPredicted:
    def test_the_head_is_scored_beside_its_baselines(self):
        true = iter(truth())
        films = {}

        def head(film):  # right of every film, and of noise always the same
            return films.get(film.tobytes(), ["Edema"])

        corpus = ChestCorpus(n=12, seed=1, size=64, split="test", prevalence="balanced")
        films |= {corpus[index].image.tobytes(): next(true) for index in range(12)}
        scores = evaluate_phantom(Repeater("predicted", head), **BALANCED)
        assert scores["labels"] == "predicted" and scores["label_head"]["micro"]["f1"] == 1
        assert scores["intervals"]["label_head.micro.f1"] == [1, 1] and scores["label_head"]["macro"]["f1"] == 1
        assert scores["blinded"]["label_head"] == score_label_head([["Edema"]] * 12, truth())
        assert scores["constant_report"]["label_head"]["micro"]["f1"] == 0
        json.dumps(scores, allow_nan=False)
        first, _, *lines = score_table(scores).splitlines()
        assert first == "labels: predicted, the model's own"
        rows = {line[:26].strip(): line[26:].split() for line in lines}
        assert rows["label head micro f1"][:4] == ["1.000", "[1.000,", "1.000]", rows["label head micro f1"][3]]
        assert rows["label head macro precision"][0] == "1.000"

    def test_hand_worked(self):
        # Edema: 1 hit of 2 said, 1 of 1 given: P .5, R 1, F 2/3. Fracture: 0 said, 1 given: all 0. Pneumonia: said
        # of one film that none has: it counts among the said of micro, not in macro.
        named = [["Edema", "Pneumonia"], ["Edema"], []]
        true = [["Edema"], ["Fracture"], []]
        scores = score_label_head(named, true)
        assert scores["micro"] == pytest.approx({"precision": 1 / 3, "recall": 1 / 2, "f1": 2 / 5})
        assert scores["macro"] == pytest.approx({"precision": 1 / 4, "recall": 1 / 2, "f1": 1 / 3})
        assert {name: row["support"] for name, row in scores["by_label"].items()} == {"Edema": 1, "Fracture": 1}
        low, high = label_head_interval(named, true)
        assert low <= 2 / 5 <= high

    def test_no_label_anywhere_is_undefined(self):
        scores = score_label_head([[], []], [[], []])
        assert scores["micro"]["f1"] is None and scores["macro"]["f1"] is None and scores["by_label"] == {}
        assert label_head_interval([[], []], [[], []]) is None


def test_every_interval_holds_its_figure_and_figures_of_the_set_have_none():
    scores = evaluate_phantom(Repeater("oracle"), **BALANCED)
    for reporter in (scores, scores["blinded"], scores["constant_report"]):
        figures = {f"text.{name}": value for name, value in reporter["text"].items() if name != "report"}
        bounds = {name: reporter["intervals"][name] for name in figures if name in reporter["intervals"]}
        assert set(figures) - set(bounds) == {"text.token_f1", "text.chexpert_f1"}
        assert all(low <= figures[name] <= high for name, (low, high) in bounds.items())


def test_a_model_that_takes_no_labels_says_so_or_nothing():
    scores = evaluate_phantom(Repeater("none"), **BALANCED)
    assert scores["labels"] == "none" and "label_head" not in scores
    assert score_table(scores).startswith("labels: none, the model is shown the film alone\n")


class TestModels:
    """The same with random models, films and labels through their processors."""

    @pytest.mark.parametrize("mode", ["none", "predicted", "oracle"])
    def test_scores_and_evidence(self, mode):
        pipe, options = labeled_pipe(mode), BALANCED | {"n": 3}
        scores = evaluate_phantom(pipe, **options)
        assert scores["labels"] == mode and ("label_head" in scores) == (mode == "predicted")
        evidence = evaluate_evidence(pipe, **options)
        assert evidence["n"] == 3 and "--labels" not in evidence["command"]

    def test_a_predicting_model_with_the_truth(self):
        pipe = labeled_pipe("predicted")
        scores = evaluate_phantom(pipe, **BALANCED | {"n": 2}, labels="oracle")
        assert scores["labels"] == "oracle" and "label_head" not in scores
        assert "--labels oracle" in evaluate_evidence(pipe, **BALANCED | {"n": 2}, labels="oracle")["command"]


REFUSED = {
    ("oracle", "none"): "labels: found 'oracle' for blind, whose label_mode is none; expected none; "
    "choose one, or leave out `labels`",
    ("predicted", "oracle"): "labels: found 'predicted' for blind, whose label_mode is oracle; expected oracle; "
    "choose one, or leave out `labels`",
    ("none", "predicted"): "labels: found 'none' for blind, whose label_mode is predicted; expected predicted or oracle"
    "; choose one, or leave out `labels`",
    ("orakle", "predicted"): "labels: found 'orakle' for blind, whose label_mode is predicted; expected predicted or "
    "oracle; choose one, or leave out `labels`",
    ("oracle", None): "labels: found 'oracle', and blind knows no labels; expected none; leave out `labels`",
}


@pytest.mark.parametrize(("asked", "mode"), REFUSED)
def test_labels_that_the_model_cannot_be_scored_with(asked, mode):
    with pytest.raises(InputError) as caught:
        scored_labels(Repeater(mode), asked)
    assert str(caught.value) == REFUSED[asked, mode]
