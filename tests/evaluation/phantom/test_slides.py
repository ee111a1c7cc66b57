"""Scoring a model on drawn slides: the numbers are those of the facts, whatever model wrote the reports."""

import json
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hf_medreport.data.drawn import bags as phantom_bags
from hf_medreport.evaluation.phantom import slides
from hf_medreport.evaluation.phantom.slides import (
    INTERVALS,
    constant_facts,
    evaluate_slides,
    noise_bags,
    slide_bags,
    slide_score_table,
)
from hf_medreport.hub.card import write_card
from hf_medreport.phantom.slide.corpus import SlideCorpus
from hf_medreport.phantom.slide.findings import BENIGN, FIELDS, SlideFacts
from hf_medreport.phantom.slide.score import score_slides
from hf_medreport.processing.feature_files import PatchFeatures
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.input_error import InputError

SCALE = {"size": 512, "mpp": 2.0}  # small enough to draw in a moment
HABIT = "There is no malignancy in the colon. No lymph nodes were examined."


class MeanColors:
    """A patch encoder whose vector is a tile's mean color."""

    model, width, revision = torch.nn.Identity(), 3, "of no weights"

    def encode(self, tiles, settings):
        assert tiles.dtype == np.uint8 and tiles.shape[1:] == (32, 32, 3) and len(tiles) <= 64
        return tiles.mean((1, 2)).astype(np.float32)


class Stub:
    """A pipeline that answers a bag by its features, and any other bag with a habit."""

    device = torch.device("cpu")

    def __init__(self, reports=(), habit=HABIT):
        self.reports, self.habit, self.passes = dict(reports), habit, []
        self.model = SimpleNamespace(config=SimpleNamespace(name_or_path="stub"))
        tiles = TileImageProcessor(patch_px=64, level=0, tissue="otsu", size=32)
        self.processor = SimpleNamespace(patch_encoder=MeanColors(), image_processor=tiles)

    def __call__(self, cases, batch_size):
        self.passes.append((len(cases), batch_size))
        bags = [bag for case in cases for bag in case["slides"]]
        return [[{"generated_text": self.reports.get(bag.features.tobytes(), self.habit)}] for bag in bags]


def corpus(n=4, **options):
    return SlideCorpus(n, **{"seed": 1, "split": "test", "prevalence": "balanced", **SCALE} | options)


def evaluate(pipe, n=4, **options):
    options = {"prevalence": "balanced", "workers": 1, "progress": False, **SCALE} | options
    return evaluate_slides(pipe, n=n, **options)


@pytest.fixture(scope="module")
def reports():
    """{features: true report} of the four slides."""
    bags = slide_bags(Stub(), corpus(), 1, progress=False)
    return {bag.features.tobytes(): corpus()[index].report for index, bag in enumerate(bags)}


@pytest.mark.parametrize("batch_size", [1, 3, 4])
def test_a_model_that_tells_the_truth_is_perfect(reports, batch_size):
    pipe = Stub(reports)
    scores = evaluate(pipe, batch_size=batch_size)
    counts = [min(batch_size, 4 - start) for start in range(0, 4, batch_size)]
    assert scores["n"] == 4 and pipe.passes == [(count, count) for count in counts for _ in range(2)]  # slides, noise
    assert scores["exact"]["f1"] == scores["diagnosis_accuracy"] == scores["grade_accuracy"] == 1.0
    assert scores["number_exactness"] == 1.0 and scores["size_error_cm"] == scores["hallucination_rate"] == 0.0
    assert scores["intervals"]["exact.f1"] == [1, 1] and set(scores["intervals"]) == set(INTERVALS)
    # shown noise it has nothing but its habit
    truth = [corpus()[index].facts for index in range(4)]
    said = [{("site", "colon"), ("diagnosis", BENIGN), ("nodes", (0, 0))}] * 4
    expected = score_slides(said, truth)
    assert {name: scores["blinded"][name] for name in expected} == expected


def test_the_constant_report_says_what_is_most_frequent():
    tumor = {"grade": 2, "mitoses": 9, "margin": "negative", "size_cm": 2.5}
    truth = [
        SlideFacts("colon", "adenocarcinoma", **tumor),
        SlideFacts("lung", "adenocarcinoma", **tumor | {"grade": 3}, necrosis="focal"),
        SlideFacts("lung", BENIGN, nodes_examined=4),
        SlideFacts("lung", BENIGN, inflammation="mild", nodes_examined=4),
    ]
    # Diagnosis and nodes are two against two, the grade one against one: the first met counts.
    assert constant_facts(truth) == {
        ("site", "lung"),
        ("diagnosis", "adenocarcinoma"),
        ("grade", 2),
        ("necrosis", "absent"),
        ("inflammation", "absent"),
        ("mitoses", 9),
        ("margin", "negative"),
        ("size_cm", 2.5),
        ("nodes", (0, 0)),
    }
    assert {field for field, _ in constant_facts(truth[2:])} == set(FIELDS) - {"grade", "mitoses", "margin", "size_cm"}


def test_the_constant_is_scored_on_the_very_slides():
    truth = [corpus()[index].facts for index in range(4)]
    expected = score_slides([constant_facts(truth)] * 4, truth)
    constant = evaluate(Stub())["constant_report"]
    assert {name: constant[name] for name in expected} == expected and constant["exact"]["f1"] > 0


def test_noise_has_the_mean_and_deviation_of_all_bags_and_nothing_of_its_own():
    rng = np.random.default_rng(0)
    bags = [PatchFeatures(rng.normal(mean, 1, (4000, 1)).astype(np.float32)) for mean in (-3, 5)]
    first, second = noise_bags(bags, seed=1)
    assert first.features.shape == (4000, 1) and first.features.dtype == np.float32
    # Means of -3 and 5 with deviation 1 are together 1 and sqrt(1 + 4 squared) = 4.12; standard error 4.12 / 63 = 0.07.
    for noise in (first, second):
        assert noise.features.mean() == pytest.approx(1, abs=0.3)
        assert noise.features.std() == pytest.approx(4.12, rel=0.06)
    again = list(noise_bags(bags, seed=1))
    assert np.array_equal(first.features, again[0].features) and not np.array_equal(first.features, second.features)


def test_bags_are_those_of_the_pipelines_own_way():
    """Drawing in workers, resizing there and encoding in passes changes nothing."""
    from hf_medreport.processing.slide_reading import open_slide
    from hf_medreport.processing.slide_tiling import read_tile, tile_slide

    pipe = Stub()
    settings, case = pipe.processor.image_processor, corpus()[0]
    bag = next(slide_bags(pipe, corpus(), 1, progress=False))
    with open_slide(case.drawing.region(0, 0, 512, 512), case.mpp) as slide:
        tiling = tile_slide(slide, settings)
        tile = settings.resized(read_tile(slide, tiling, 5))
    made = {"encoder_revision": "of no weights", "patch_px": "64", "cut_at": "level 0", "mpp": "2"}
    assert np.array_equal(bag.coordinates, tiling.coordinates) and bag.info == made | {"level0_px": "64"}
    assert bag.features[5] == pytest.approx(tile.mean((0, 1)), abs=1e-3)


def test_what_goes_to_the_workers_can_be_pickled_and_gives_the_same(monkeypatch):
    """Processes of their own are `draw_in_order`'s affair, and tested there."""

    def drawn_elsewhere(drawn_from, encode, workers):
        assert workers == 2
        drawn_from, encode = pickle.loads(pickle.dumps((drawn_from, encode)))
        yield from (encode(drawn_from, index) for index in range(drawn_from.n))

    monkeypatch.setattr(phantom_bags, "draw_in_order", drawn_elsewhere)
    one, two = (list(slide_bags(Stub(), corpus(2), workers, progress=False)) for workers in (1, 2))
    assert all(np.array_equal(a.features, b.features) for a, b in zip(one, two, strict=True))


class Kept(dict):
    """Records in memory."""

    def done(self, id):
        return self.get(id)

    def add(self, id, record):
        self[id] = json.loads(json.dumps(record))


def test_an_evaluation_goes_on_behind_what_was_written(reports, monkeypatch):
    pipe, kept = Stub(reports), Kept()
    whole = evaluate(pipe, batch_size=2, run=kept)
    assert list(kept) == [f"case {index}" for index in range(4)] and set(kept["case 0"]) == {"model", "blinded"}
    del kept["case 2"], kept["case 3"]
    pipe.passes.clear()
    assert evaluate(pipe, batch_size=2, run=kept) == whole and pipe.passes == [(2, 2)] * 2
    monkeypatch.setattr(slides, "slide_bags", None)  # nothing is drawn for what is there
    assert evaluate(pipe, run=kept) == whole


def test_the_command_prints_the_same():
    scores = evaluate(Stub(), n=2)
    command = "hf-medreport evaluate phantom --model stub --n 2 --seed 1 --split test"
    assert scores["command"] == f"{command} --prevalence balanced --size 512 --mpp 2 --json"
    assert (scores["model"], scores["prevalence"], scores["size"], scores["mpp"]) == ("stub", "balanced", 512, 2.0)


def test_the_table_shows_the_baselines_beside_the_model(reports):
    head, *lines = slide_score_table(evaluate(Stub(reports))).splitlines()
    assert head.split() == ["4", "slides", "model", "blinded", "constant", "report"]
    rows = {line[:32].strip(): line[32:].split() for line in lines}
    assert rows["grade accuracy"][:4] == ["1.000", "[1.000,", "1.000]", "0.000"]
    assert rows["exact by field margin f1"][0] == "1.000"


def test_the_card_shows_the_figures_of_slides(reports, tmp_path):
    scores = evaluate(Stub(reports))
    about = {"model_name": "org/slides", "base": "b", "data": "d", "command": "c"}
    card = write_card(tmp_path, {"test": scores}, **about).read_text()
    for row in ("slides | 4", "diagnosis accuracy | 1.000", "number exactness | 1.000", "size error, cm | 0.000"):
        assert f"| {row} |" in card
    assert "| the same, shown noise in place of the slide | 0." in card and "| the same, of a constant report |" in card
    assert "| margin | 1.000 |" in card and "F1 of each field:" in card and 'pipe("slide.svs")' in card
    assert "wrong-side" not in card and "finding kind" not in card and "name: grade accuracy" in card


BAD = {
    ("n", "none"): ({"n": 0}, "n: found 0; expected at least 1 case; ask for one or more cases"),
    ("seed", "negative"): ({"seed": -1}, "seed: found -1; expected a whole number from 0; choose another seed"),
    ("split", "unknown"): (
        {"split": "dev"},
        "split: found 'dev'; expected one of train, validation, test, held_back_style; name a known split",
    ),
    ("prevalence", "unknown"): (
        {"prevalence": "usual"},
        "prevalence: found 'usual'; expected balanced or natural; name one of the two",
    ),
    ("size", "too small"): (
        {"size": 100},
        "size: found 100; expected 256 to 131072 whole px; choose another size",
    ),
    ("mpp", "too coarse"): ({"mpp": 9.0}, "mpp: found 9.0; expected 0.2 to 4.0 um a pixel; choose another mpp"),
}


@pytest.mark.parametrize("pair", BAD, ids=" ".join)
def test_bad_arguments(pair):
    options, message = BAD[pair]
    with pytest.raises(InputError) as caught:
        evaluate(Stub(), **options)
    assert str(caught.value) == message
