"""The ablation's table: what is pooled, what is starred, and what is said of a run that is missing or cut."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from hf_medreport.processing.input_error import InputError

ROOT = Path(__file__).parent.parent
with pytest.MonkeyPatch.context() as patch:
    patch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    ablation = importlib.import_module("ablation")


def result(share: float, films: int = 300, seed: int = 0) -> dict:
    """A model that states one fact a film, true of it with this share."""
    hit = (np.random.default_rng(seed).random(films) < share).astype(int)
    column = {name: np.zeros(films, int) for name in ablation.KEPT_FACTS}
    column |= {"hits": hit, "kind_hits": hit, "hallucinated": 1 - hit}
    column |= {name: np.ones(films, int) for name in ("stated", "true", "kind_stated", "kind_true")}
    evidence = [[2, 1, 0]] * 10  # two true sentences a film, one of them with its map on the finding
    return {
        "settings": ablation.settings(),
        "training_seconds": 1,
        "facts": np.stack(list(column.values()), axis=1).tolist(),
        "evidence": evidence,
        "blinded": dict.fromkeys(ablation.FACT_FIGURES, 0.1),
    }


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(ablation, "RESULTS", tmp_path / "ablation")
    monkeypatch.setattr(ablation, "PICTURE", tmp_path / "ablation.png")
    (tmp_path / "ablation").mkdir()

    def write(mode, seed, share, legacy=None):
        content = result(share, seed=seed)
        if mode == "soft":
            content["legacy_decode"] = {**result(legacy or share, seed=seed)}
        ablation.place(mode, seed).write_text(json.dumps(content))

    return write


def test_figures_by_hand():
    arm = {0: result(1.0), 1: result(0.0)}
    rows = ablation.summary(arm)
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
    ablation.summarise()
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
    ablation.summarise()
    out = capsys.readouterr().out
    assert "| none (2 of 3 seeds) |" in out and "| soft (1 of 3 seeds) |" in out and "*" not in out
    assert "| strict (0 of 3 seeds) | not run |" in out


@pytest.mark.parametrize(
    "content, message",
    [
        ('{"mode": "none", ', "none-0.json: found cut JSON; expected a whole result; delete it and run again"),
        (
            '{"settings": {"films": 1}}',
            "none-0.json: found a result of other settings; expected those of today; delete it and run again",
        ),
    ],
)
def test_a_file_that_cannot_stand_in_the_table_is_named(results, content, message):
    ablation.place("none", 0).write_text(content)
    with pytest.raises(InputError) as error:
        ablation.summarise()
    assert str(error.value) == message


def test_run_trains_what_has_no_result_and_nothing_else(results, monkeypatch, tmp_path):
    for mode in ablation.MODES:
        for seed in ablation.SEEDS:
            if (mode, seed) != ("soft", 1):
                results(mode, seed, 0.5)
    trained = []

    def train(system, config, flags):
        trained.append((system, config, *flags[: flags.index("--output_dir")]))
        return {"model": "folder"}

    class Pipe:
        class model:
            class config:
                legacy_decode = False

    monkeypatch.setattr(ablation, "train", train)
    monkeypatch.setattr(ablation, "load", lambda folder: Pipe)
    monkeypatch.setattr(ablation, "scores", lambda pipe: {"legacy": pipe.model.config.legacy_decode})
    ablation.run(tmp_path)
    ablation.run(tmp_path)  # now it is there
    assert trained == [("anatomical", "examples/anatomical_ablation.yaml", "--mask_mode", "soft", "--seed", "1")]
    kept = ablation.read("soft", 1)
    assert kept["legacy"] is False and kept["legacy_decode"] == {"legacy": True}
    assert kept["settings"] == ablation.settings()
