"""The ablation's table: what is pooled, what is starred, and what is said of a run that is missing or cut."""

import json

import numpy as np
import pytest

from tests.benchmarks import ROOT, script

ablation = script("ablation")
experiment = ablation.experiment


def result(share: float, films: int = 300, seed: int = 0) -> dict:
    """A model that states one fact a film, true of it with this share."""
    hit = (np.random.default_rng(seed).random(films) < share).astype(int)
    column = {name: np.zeros(films, int) for name in ablation.KEPT_FACTS}
    column |= {"hits": hit, "kind_hits": hit, "hallucinated": 1 - hit}
    column |= {name: np.ones(films, int) for name in ("stated", "true", "kind_stated", "kind_true")}
    evidence = [[2, 1, 0]] * 10  # two true sentences a film, one of them with its map on the finding
    return {
        "settings": experiment.settings("none"),
        "training_seconds": 1,
        "facts": np.stack(list(column.values()), axis=1).tolist(),
        "evidence": evidence,
        "blinded": dict.fromkeys(ablation.FACT_FIGURES, 0.1),
    }


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(experiment, "folder", tmp_path / "ablation")
    monkeypatch.setattr(ablation, "PICTURE", tmp_path / "ablation.png")
    (tmp_path / "ablation").mkdir()

    def write(mode, seed, share, legacy=None):
        content = result(share, seed=seed)
        if mode == "soft":
            content["legacy_decode"] = {**result(legacy or share, seed=seed)}
        experiment.place(mode, seed).write_text(json.dumps(content))

    return write


def test_figures_by_hand():
    arm = {0: result(1.0), 1: result(0.0)}
    rows = ablation.figures_of(arm)
    assert rows["exact-fact F1"]["value"] == 0.5  # 300 hits of 600 stated and 600 true
    assert rows["exact-fact F1"]["seeds"] == {0: 1.0, 1: 0.0}
    assert rows["hallucination rate"]["value"] == 0.5
    assert rows["wrong-side rate"]["value"] is None  # nothing has a side
    assert rows["evidence: pointing"]["value"] == 0.5 and rows["evidence, random weights"]["value"] == 0.0


def test_a_star_asks_for_significance_and_for_the_same_sign_in_every_seed(results, capsys, tmp_path):
    for seed, soft, strict in ((0, 0.9, 0.9), (1, 0.9, 0.9), (2, 0.9, 0.4)):
        results("none", seed, 0.5)
        results("soft", seed, soft, legacy=0.5)
        results("strict", seed, strict)
    experiment.summarize()
    lines = {line.split("|")[1].strip(): line for line in capsys.readouterr().out.splitlines()}
    assert lines["soft"].split("|")[2].strip().endswith("*")
    assert not lines["strict"].split("|")[2].strip().endswith("*")  # better together, worse in one seed
    assert lines["soft, legacy_decode"].split("|")[2].strip().endswith("*")  # worse than soft
    assert lines["soft, legacy_decode"].split("|")[6].strip() == "none"  # no evidence of its own
    assert lines["constant normal report"].split("|")[2].strip() == "0.000"
    assert "(0.100 to 0.100)" in lines["none"].split("|")[8]  # the blinded model beside every row
    assert (tmp_path / "ablation.png").stat().st_size > 1000
    kept = json.loads((tmp_path / "ablation.json").read_text())
    assert kept["p_by_holm"]["soft, exact-fact F1"] < 0.05


def test_missing_runs_are_named_and_get_no_star(results, capsys):
    results("none", 0, 0.5)
    results("none", 1, 0.5)
    results("soft", 0, 0.99)
    experiment.summarize()
    out = capsys.readouterr().out
    assert "| none (2 of 3 seeds) |" in out and "| soft (1 of 3 seeds) |" in out and "*" not in out
    assert "| strict (0 of 3 seeds) | not run |" in out


def test_a_soft_run_is_scored_again_without_its_prior(monkeypatch):
    class Pipe:
        class model:
            class config:
                legacy_decode = False

    monkeypatch.setattr(ablation, "scores", lambda pipe: {"legacy": pipe.model.config.legacy_decode})
    assert ablation.score("none", Pipe) == {"legacy": False}
    assert ablation.score("soft", Pipe) == {"legacy": False, "legacy_decode": {"legacy": True}}


def test_the_committed_results_are_of_todays_settings(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert all(experiment.read(mode, seed) is not None for mode in ablation.MODES for seed in ablation.SEEDS)
