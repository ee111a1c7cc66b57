"""The augmentation experiment: its arms, and a whole run with a generator that knows nothing."""

import importlib.util
import json
from pathlib import Path

import pytest

from hf_medreport.data.drawn.picture_folder import DrawnPictures
from tests.evaluation.pictures.made import drawn

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "experiments" / "augmentation.py"


@pytest.fixture(scope="module")
def augmentation():
    specification = importlib.util.spec_from_file_location("augmentation", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_arms_are_trained_alike_and_counted_on_the_same_pictures(augmentation, monkeypatch):
    seen = []

    def counted(images, labels, test, seed, steps):
        seen.append((len(images), len(labels), len(test), seed, steps))
        return 10 * (seed + 1)

    monkeypatch.setattr(augmentation, "accuracy_of", counted)
    some = drawn()
    part = DrawnPictures(some.images[:12], some.facts[:12], some.prompts[:12])
    results = augmentation.compare(part, some, some, seeds=2, steps=7)
    assert seen == [(count, count, 40, seed, 7) for count in (12, 52, 40) for seed in (0, 1)]
    assert list(results) == ["12 drawn", "12 drawn + 40 synthetic", "40 synthetic"]
    assert [row["accuracy"] for row in results["12 drawn"]] == [0.25, 0.5]
    assert augmentation.table(results).splitlines()[2].startswith("| 12 drawn | 0.250 (0.142 to 0.402) | 0.500 (")


def test_a_classifier_learns_its_own_pictures(augmentation, monkeypatch):
    monkeypatch.setattr(augmentation, "BATCH", 6)
    some = drawn()
    part = DrawnPictures(some.images[:6], some.facts[:6], some.prompts[:6])
    labels = augmentation.labels_of(part.facts, {"finding": augmentation.questions()["finding"]})
    learned = augmentation.accuracy_of(part.images, labels, part, seed=0, steps=25)
    assert learned >= 5


@pytest.mark.slow
def test_a_whole_run(augmentation, monkeypatch, tmp_path, capsys):
    from tests.evaluation.pictures.test_evaluate import generator

    monkeypatch.setattr(augmentation, "load_generator", lambda model: generator())
    options = {"n": 12, "m": 12, "test": 10, "seeds": 1, "steps": 10, "guidance": 2.0, "inference_steps": 2}
    augmentation.main("folder/gen", **options, runs=tmp_path / "runs", out=tmp_path / "out.json")
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["model"] == "gen" and list(result["arms"]) == ["12 drawn", "12 drawn + 12 synthetic", "12 synthetic"]
    assert "| 12 synthetic |" in capsys.readouterr().out
