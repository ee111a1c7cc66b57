"""Deletion and evidence on tumor: figures worked by hand with a stub, and one run of a real (tiny) model."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hf_medreport.evaluation.phantom import faithfulness
from hf_medreport.evaluation.phantom.faithfulness import (
    Explained,
    evaluate_deletion,
    evaluate_faithfulness,
    faithfulness_table,
    log_probabilities,
    tumor_mass,
)
from hf_medreport.inference.loading import load
from hf_medreport.phantom.slide.findings import BENIGN
from hf_medreport.processing.feature_files import PatchFeatures
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from tests.cli.test_cli import run
from tests.tiny import save_folder, tiny_model, tiny_patch_encoder, tiny_processor, tiny_tokenizer


class Model:
    """Two ids; a token is id 1 with the log-odds 0.1 times the sum of the bag's first feature, whatever came before."""

    def __call__(self, patch_features, labels):
        odds = 0.1 * patch_features[..., 0].sum(-1)  # (bags,)
        row = torch.stack([torch.zeros_like(odds), odds], -1)  # (bags, 2)
        return SimpleNamespace(logits=row[:, None].expand(-1, labels.shape[1], -1))

    def sentence_evidence(self, ids, sentence_of_token, patch_features):
        """As of random weights: all for the first tile."""
        first = torch.zeros(1, 1, patch_features.shape[1])
        first[..., 0] = 1
        return None, first


class Pipe:
    """A pipeline whose reports are three ids 1 in one sentence, the evidence the first feature itself."""

    device, model = torch.device("cpu"), Model()

    def preprocess(self, case):
        (bag,) = case["slides"]
        return {"patch_features": torch.from_numpy(bag.features)[None]}

    def forward(self, inputs, generate_kwargs, return_evidence):
        features = inputs["patch_features"]
        assert return_evidence and not generate_kwargs
        return {
            "ids": torch.tensor([[[0, 1, 1, 1]]]),
            "sentence_of_token": torch.tensor([[[-1, 0, 0, 0]]]),
            "evidence": features[:, None, None, :, 0],  # (1, 1, sentences, tiles)
        }

    def postprocess(self, outputs, return_evidence):
        return [{"sentences": [{"text": "Adenocarcinoma."}]}]


@pytest.fixture
def pipe(monkeypatch):
    monkeypatch.setattr(faithfulness, "randomized", lambda model, seed: model)
    return Pipe()


def bag_of(*first):
    features = np.zeros((len(first), 2), np.float32)
    features[:, 0] = first
    return PatchFeatures(features)


def log_odds_to_probability(odds):
    return -np.log1p(np.exp(-odds))


def test_total_log_probability_of_each_bag():
    features = torch.tensor([[[0.0, 7.0], [20.0, 7.0]], [[0.0, 7.0], [0.0, 7.0]]])
    found = log_probabilities(Model(), features, torch.tensor([[0, 1, 1, 0]]))
    # log-odds 2: two tokens of log p(1) and one of log p(0) = log p(1) - 2; log-odds 0: three of log 0.5
    one = log_odds_to_probability(2.0)
    assert found == pytest.approx([2 * one + one - 2.0, 3 * np.log(0.5)], abs=1e-5)


def test_deletion_worked_by_hand(pipe):
    # Ten tiles, a tenth is one: the fifth holds all, the others nothing.
    bag = bag_of(0, 0, 0, 0, 20, 0, 0, 0, 0, 0)
    found = evaluate_deletion(pipe, [bag], draws=400)
    top = 3 * (log_odds_to_probability(2.0) - log_odds_to_probability(0.0))
    assert found["n"] == 1 and found["top"] == pytest.approx(top, abs=1e-5)
    # Random weights point at the first tile, whose loss changes nothing; a random tile is the fifth one time in ten.
    assert found["randomized"] == pytest.approx(0, abs=1e-6)
    assert found["random"] == pytest.approx(top / 10, rel=0.5)
    assert found["difference"] == pytest.approx(found["top"] - found["random"])
    assert found["interval"] == pytest.approx([found["difference"]] * 2)  # of a single slide


def test_a_larger_share_deletes_more_and_never_all(pipe):
    bag = bag_of(30, 20, 10, 0)

    def fall(kept):
        return 3 * (log_odds_to_probability(6.0) - log_odds_to_probability(kept))

    for share, kept in ((0.1, 3.0), (0.5, 1.0), (0.99, 0.0)):  # one tile, two, all but one
        assert evaluate_deletion(pipe, [bag], share=share)["top"] == pytest.approx(fall(kept), abs=1e-5)


def test_equal_tiles_are_all_alike(pipe):
    found = evaluate_deletion(pipe, [bag_of(*[5.0] * 20)])
    assert found["top"] == pytest.approx(found["random"]) and found["interval"] == pytest.approx([0, 0], abs=1e-5)


def test_the_same_seed_gives_the_same_figures(pipe):
    bags = [bag_of(*np.random.default_rng(seed).random(30)) for seed in range(3)]
    assert evaluate_deletion(pipe, bags, seed=4) == evaluate_deletion(pipe, bags, seed=4)
    assert evaluate_deletion(pipe, bags, seed=4) != evaluate_deletion(pipe, bags, seed=5)


BAD = {
    ("bags", "none"): ({}, [], "bags: found none of two tiles or more; expected at least one; give larger slides"),
    ("bags", "one tile"): (
        {},
        [bag_of(1)],
        "bags: found none of two tiles or more; expected at least one; give larger slides",
    ),
    ("share", "of all"): (
        {"share": 1.0},
        [bag_of(1, 2)],
        "share: found 1; expected a share between 0 and 1; 0.1 deletes a tenth of the tiles",
    ),
    ("draws", "none"): ({"draws": 0}, [bag_of(1, 2)], "draws: found 0; expected at least 1; 5 are usual"),
}


@pytest.mark.parametrize("pair", BAD, ids=" ".join)
def test_bad_input(pipe, pair):
    options, bags, message = BAD[pair]
    with pytest.raises(InputError) as caught:
        evaluate_deletion(pipe, bags, **options)
    assert str(caught.value) == message


class TestTumor:
    """Four tiles of 64 px on a slide of 128, of which the last two are tumor."""

    def case(self, diagnosis="adenocarcinoma"):
        def truth(x, y, width, height):
            assert x + width <= 128 and y + height <= 128
            return {"tumor": 0.9 if y >= 64 else 0.5}

        return SimpleNamespace(
            facts=SimpleNamespace(diagnosis=diagnosis), drawing=SimpleNamespace(truth=truth), size=128
        )

    def mass(self, case, *sentences, corners=((0, 0), (64, 0), (0, 64), (64, 64))):
        bag = PatchFeatures(np.ones((4, 2), np.float32), np.array(corners), {"level0_px": "64"})
        evidence = np.array([[0.1, 0.2, 0.3, 0.4]] * len(sentences))
        flat = np.full_like(evidence, 0.25)
        return tumor_mass(case, bag, Explained(None, None, list(sentences), evidence, flat)).tolist()

    def test_worked_by_hand(self):
        said = ("There is adenocarcinoma of the lung.", "There are 5 mitoses.", "Squamous cell carcinoma is seen.")
        assert self.mass(self.case(), *said) == pytest.approx([1, 0.7, 0.5, 0.5])

    def test_tiles_that_reach_over_the_edge(self):
        corners = ((0, 0), (100, 0), (0, 100), (100, 100))
        assert self.mass(self.case(), "Adenocarcinoma.", corners=corners) == pytest.approx([1, 0.7, 0.5, 0.5])

    def test_nothing_to_point_at(self):
        assert self.mass(self.case(BENIGN), "No malignancy.") == [0, 0, 0, 0]
        assert self.mass(self.case(), "Adenocarcinoma.", corners=((0, 0),) * 4) == [0, 0, 0, 0]


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    row = system("histgen")
    model, processor = tiny_model(row), tiny_processor(row)
    model.generation_config.max_new_tokens = 12
    tiles = TileImageProcessor(patch_px=64, level=0, tissue="otsu", size=16)
    processor = type(processor)(tiles, tiny_tokenizer(), region_size=row.tiny["region_size"])
    processor.patch_encoder = tiny_patch_encoder()
    return save_folder(model, processor, tmp_path_factory.mktemp("models") / "tiny")


def test_a_real_model(model_folder):
    scores = evaluate_faithfulness(load(model_folder), n=3, size=512, mpp=2.0, workers=1, progress=False)
    assert scores["deletion"]["n"] == scores["n"] == 3 and json.loads(json.dumps(scores)) == scores
    assert all(np.isfinite(scores["deletion"][name]) for name in ("top", "random", "randomized", "difference"))
    assert scores["tumor"] == {
        **dict.fromkeys(("model", "randomized", "chance", "interval")),
        "sentences": 0,
        "slides": 0,
    }
    table = faithfulness_table(scores)
    assert f"{scores['deletion']['top']:.3f}" in table and "undefined" in table


def test_the_command(capsys, model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    options = ("--n", 2, "--size", 512, "--mpp", 2, "--evidence", "--out", tmp_path / "scores")
    code, printed, err = run(capsys, "evaluate", "phantom", "--model", model_folder, *options)
    assert code == 0, err
    assert "diagnosis accuracy" in printed and "fall of log-probability" in printed
    scores = json.loads((tmp_path / "scores" / "scores.json").read_text())
    assert {"exact", "blinded", "constant_report", "intervals", "evidence", "command"} <= set(scores)


def test_films_have_no_scale(capsys, tiny_pipe_folder):
    code, _, err = run(capsys, "evaluate", "phantom", "--model", tiny_pipe_folder, "--n", 2, "--mpp", 2)
    assert code == 2
    assert (
        err == "--mpp: found 2 for a model of films; expected none; leave it out: films are drawn at the model's size\n"
    )
