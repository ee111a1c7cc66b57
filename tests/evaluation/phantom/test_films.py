"""Scoring a model on the phantom: the numbers are those of the facts, whatever model wrote them."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from hf_medreport.evaluation.phantom import films as phantom
from hf_medreport.evaluation.phantom import tasks as multitask
from hf_medreport.evaluation.phantom.films import (
    INTERVALS,
    constant_text,
    evaluate_phantom,
    noise_like,
    phantom_counts,
    score_table,
)
from hf_medreport.evaluation.registry import metric
from hf_medreport.evaluation.significance import bootstrap_interval, paired_randomisation
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.phantom.chest.film import Film
from hf_medreport.phantom.chest.parser import parse_report
from hf_medreport.phantom.chest.score import film_counts, measure, score_facts
from hf_medreport.processing.input_error import InputError

NORMAL = "FINDINGS: The heart is normal in size. IMPRESSION: Normal."
HABIT = "FINDINGS: There is mild cardiomegaly. IMPRESSION: Cardiomegaly."


class Stub:
    """A pipeline that answers a film by its pixels, and any other picture with a habit."""

    def __init__(self, cases, answer=lambda case: case.report, habit=NORMAL, **config):
        self.reports, self.habit = {case.image.tobytes(): answer(case) for case in cases}, habit
        needs = config.pop("needs", "optional")
        config = SimpleNamespace(**{"name_or_path": "stub", "model_type": "stub"} | config)
        self.model = SimpleNamespace(config=config, takes=lambda: {"mask": needs})
        self.processor = SimpleNamespace(image_processor=SimpleNamespace(size=64))
        self.masks = []

    def __call__(self, images, batch_size):
        assert batch_size == len(images)
        self.masks += [image["mask"] for image in images if isinstance(image, dict) and "mask" in image]
        films = [image["frontal"] if isinstance(image, dict) else image for image in images]
        assert all(film.shape == (64, 64) and film.dtype == np.uint8 for film in films)
        return [[{"generated_text": self.reports.get(film.tobytes(), self.habit)}] for film in films]


def corpus(n=12, **options):
    return ChestCorpus(n=n, **{"seed": 1, "size": 64, "split": "test"} | options)


def cases(n=12, **options):
    return [corpus(n, **options)[index] for index in range(n)]


def evaluate(pipe, **options):
    return evaluate_phantom(pipe, **{"n": 12, "prevalence": "balanced", "progress": False} | options)


@pytest.mark.parametrize("batch_size", [1, 5, 12])
def test_a_model_that_tells_the_truth_is_perfect(batch_size):
    scores = evaluate(Stub(cases(prevalence="balanced")), batch_size=batch_size)
    assert scores["exact"]["f1"] == scores["kind"]["f1"] == 1.0
    assert scores["hallucination_rate"] == scores["wrong_side_rate"] == 0.0 and scores["n"] == 12
    # no drawing of films makes it less than perfect
    assert scores["intervals"] == {"exact.f1": [1, 1], "kind.f1": [1, 1]} | dict.fromkeys(INTERVALS[2:], [0, 0])
    # shown noise it has nothing but its habit: the normal report, which states nothing
    assert scores["blinded"] == scores["constant_report"] and scores["blinded"]["exact"]["f1"] == 0.0


def test_the_constant_report_calls_every_film_normal():
    scores = evaluate(Stub([]))
    constant = scores["constant_report"]
    truth = [frozenset(case.facts) for case in cases(prevalence="balanced")]
    assert {**constant, "intervals": None} == {**score_facts([frozenset()] * 12, truth), "intervals": None}
    assert constant["intervals"]["hallucination_rate"] is None and constant["intervals"]["exact.f1"] == [0, 0]
    assert scores["exact"] == constant["exact"]


def test_a_blinded_model_keeps_its_habit():
    shown = cases(prevalence="balanced")
    scores = evaluate(Stub(shown, habit=HABIT))
    truth = [frozenset(case.facts) for case in shown]
    assert scores["exact"]["f1"] == 1.0
    assert scores["blinded"]["exact"] == score_facts([parse_report(HABIT)] * 12, truth)["exact"]


def test_counts_serve_intervals_and_paired_tests():
    shown = cases(40, prevalence="balanced")
    films = corpus(40, prevalence="balanced")
    answers = {"true": lambda case: case.report, "habit": lambda case: HABIT}
    counts = {
        name: phantom_counts(Stub(shown, answer), films, progress=False)["model"] for name, answer in answers.items()
    }
    truth = [frozenset(case.facts) for case in shown]
    assert np.array_equal(counts["habit"], film_counts([parse_report(HABIT)] * 40, truth))

    def f1(means):
        return measure(means, "exact.f1")

    assert paired_randomisation(counts["true"], counts["habit"], f1, resamples=999) == 1 / 1000
    low, high = bootstrap_interval(counts["habit"], f1)
    assert low < f1(counts["habit"].sum(axis=0)) < high < 1
    assert evaluate(Stub(shown, answers["habit"]), n=40)["intervals"]["exact.f1"] == [low, high]


def test_a_model_that_needs_masks_sees_true_ones_and_blinded_none():
    pipe = Stub(cases(4), needs="required")
    evaluate(pipe, n=4, prevalence=None)
    for case, seen, blind in zip(cases(4), pipe.masks[:4], pipe.masks[4:], strict=True):
        assert np.array_equal(seen, case.lungs | case.heart) and not blind.any()


def test_noise_has_the_films_brightness_and_nothing_else():
    film = cases(1)[0].image
    noise = noise_like(film, seed=1, index=0)
    assert noise.shape == film.shape and noise.dtype == np.uint8
    # clipping to 0 to 255 moves both a little; the mean of 4,096 values is known to one part in 64 of the deviation
    assert noise.mean() == pytest.approx(film.mean(), abs=6) and noise.std() == pytest.approx(film.std(), rel=0.15)
    assert abs(np.corrcoef(noise.ravel(), film.ravel())[0, 1]) < 0.06
    assert np.array_equal(noise, noise_like(film, 1, 0))
    assert not np.array_equal(noise, noise_like(film, 1, 1)) and not np.array_equal(noise, noise_like(film, 2, 0))


def test_the_command_prints_the_same():
    scores = evaluate_phantom(Stub([]), n=3, seed=7, split="held_back_style", progress=False)
    assert scores["command"] == (
        "hf-medreport evaluate phantom --model stub --n 3 --seed 7 --split held_back_style --json"
    )
    assert scores["prevalence"] == "natural"
    scores = evaluate(Stub([]), n=3)
    assert "--prevalence balanced --json" in scores["command"] and scores["prevalence"] == "balanced"


def test_the_table_shows_the_baselines_beside_the_model():
    scores = evaluate(Stub(cases(prevalence="balanced")))
    head, *lines = score_table(scores).splitlines()
    assert head.split() == ["12", "films", "model", "blinded", "constant", "report"]
    rows = {line[:24].strip(): line[24:].split() for line in lines}
    assert rows["exact f1"] == ["1.000", "[1.000,", "1.000]"] + ["0.000", "[0.000,", "0.000]"] * 2
    assert rows["hallucination rate"] == ["0.000", "[0.000,", "0.000]", "undefined", "undefined"]


def test_unknown_prevalence():
    with pytest.raises(InputError, match="prevalence"):
        evaluate(Stub([]), prevalence="usual")


class PairStub(Stub):
    """The same of pairs of films: it says the truth only of a case whose two films it knows."""

    def __init__(self, cases, **options):
        super().__init__(cases, model_type="cxr_multitask", **options)
        self.laterals = {case.image.tobytes(): case.lateral.image.tobytes() for case in cases}
        self.seen = []

    def __call__(self, images, batch_size):
        self.seen += images
        assert all(set(image) == {"frontal", "lateral"} for image in images)
        known = [self.laterals.get(image["frontal"].tobytes()) == image["lateral"].tobytes() for image in images]
        films = [image["frontal"] if seen else image["frontal"] * 0 for image, seen in zip(images, known, strict=True)]
        return super().__call__(films, batch_size)


@pytest.fixture
def no_tasks(monkeypatch):
    """The other tasks and the constant text have tests of their own."""
    monkeypatch.setattr(multitask, "evaluate_multitask", lambda pipe, **options: options)
    monkeypatch.setattr(phantom, "constant_text", lambda: HABIT)


class TestPairs:
    @pytest.mark.parametrize("batch_size", [5, 12])
    def test_both_films_are_shown_and_both_are_withheld(self, no_tasks, batch_size):
        shown = cases(prevalence="balanced", lateral=True)
        pipe = PairStub(shown)
        scores = evaluate(pipe, batch_size=batch_size)
        assert scores["exact"]["f1"] == 1 and scores["blinded"]["exact"]["f1"] == 0
        # half of what it is shown is noise, another in either view
        real = {film for case in shown for film in (case.image.tobytes(), case.lateral.image.tobytes())}
        noise = [image for image in pipe.seen if image["frontal"].tobytes() not in real]
        assert len(noise) == 12 and not any(image["lateral"].tobytes() in real for image in noise)
        for image in noise:
            assert abs(np.corrcoef(image["frontal"].ravel(), image["lateral"].ravel())[0, 1]) < 0.1

    def test_words_are_scored_beside_the_facts(self, no_tasks):
        shown = cases(prevalence="balanced", lateral=True)
        scores = evaluate(PairStub(shown, habit=HABIT))
        assert scores["text"] == {"bleu4": pytest.approx(1), "rougeL": 1}
        references = [case.report for case in shown]
        for reporter in ("blinded", "constant_report"):  # both say the habit
            for name in ("bleu4", "rougeL"):
                value = scores[reporter]["text"][name]
                low, high = scores[reporter]["intervals"][f"text.{name}"]
                assert value == metric(name)([HABIT] * 12, references).value and low <= value <= high
        assert scores["constant_report"]["text"]["report"] == HABIT
        assert scores["constant_report"]["exact"]["f1"] == 0  # among facts it stays the one that states none
        rows = {line[:24].strip(): line[24:].split() for line in score_table(scores).splitlines()}
        assert rows["text rougeL"][:3] == ["1.000", "[1.000,", "1.000]"] and len(rows["text bleu4"]) == 9

    def test_the_tasks_are_scored_on_the_same_cases(self, no_tasks):
        scores = evaluate(PairStub([]), n=3, seed=4, split="held_back_style")
        asked = {"n": 3, "seed": 4, "split": "held_back_style", "prevalence": "balanced", "batch_size": 50}
        assert scores["tasks"] == asked | {"progress": False}

    def test_other_models_are_scored_as_before(self):
        scores = evaluate(Stub(cases(prevalence="balanced")))
        assert "text" not in scores and "tasks" not in scores and "text" not in score_table(scores)
        film = cases(1)[0].image
        stream = np.random.default_rng((1, 0)).normal(film.mean(), film.std(), film.shape)
        assert np.array_equal(noise_like(film, 1, 0), stream.round().clip(0, 255).astype(np.uint8))
        assert not np.array_equal(noise_like(film, 1, 0), noise_like(film, 1, 0, view=1))


def test_the_constant_text_is_a_normal_report_of_training(monkeypatch):
    empty = Film(*np.zeros((3, 32, 32), np.uint8))
    monkeypatch.setattr("hf_medreport.phantom.chest.corpus.draw_frontal", lambda *asked: empty)  # words need no films
    text, train = constant_text.__wrapped__(), ChestCorpus(n=500, seed=0, size=32)
    counts = Counter(train[index].report for index in range(500))
    assert parse_report(text) == frozenset() and counts[text] == max(counts.values()) > 1
