"""What experiments share: which runs are trained, what is kept, what is refused, and what a cell says."""

import json

import pytest

from hf_medreport.processing.input_error import InputError
from tests.benchmarks import script

runner = script("runner")


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    """Two arms, two seeds; a run is scored by what it was told."""
    yaml = tmp_path / "tiny.yaml"
    yaml.write_text("max_steps: 3\nseed: 0\n")
    made = runner.Experiment(
        name="tiny",
        system="anatomical",
        arms={"plain": (yaml, []), "soft, long": (yaml, ["--mask_mode", "soft"])},
        seeds=(0, 1),
        cases={"films": 5},
        score=lambda arm, pipe: {"scores": {"f1": len(pipe)}, "of": arm},
        summary=lambda results: ({"rows": {arm: len(found) for arm, found in results.items()}}, "the table"),
        folder=tmp_path / "results" / "tiny",
    )
    made.trained = []
    monkeypatch.setattr(runner, "train", lambda *given: made.trained.append(given) or {"model": "folder"})
    monkeypatch.setattr(runner, "load", lambda folder: folder)
    return made


def test_what_has_no_result_is_trained_and_nothing_else(experiment, tmp_path):
    runner.write_json(experiment.place("plain", 1), {"settings": experiment.settings("plain")}, indent=None)
    experiment.run(tmp_path / "runs")
    experiment.run(tmp_path / "runs")  # now all are there
    system, config, flags = experiment.trained[1]
    told = dict(zip(flags[::2], flags[1::2], strict=True))
    assert system == "anatomical" and config == str(tmp_path / "tiny.yaml")
    assert told == {
        "--mask_mode": "soft",
        "--seed": "0",
        "--output_dir": str(tmp_path / "runs" / "soft-long-0"),
        "--warm_up_folder": str(tmp_path / "runs" / "warm-up"),
        "--resume_from_checkpoint": "true",
    }
    named = [flags[flags.index("--output_dir") + 1].rpartition("/")[2] for _, _, flags in experiment.trained]
    assert named == ["plain-0", "soft-long-0", "soft-long-1"]
    kept = experiment.read("soft, long", 0)
    assert kept["scores"] == {"f1": 6} and kept["of"] == kept["arm"] == "soft, long" and kept["training_seconds"] == 0
    assert {path.name for path in experiment.folder.iterdir()} == {f"{name}.json" for name in (*named, "plain-1")}


def test_the_summary_holds_what_its_rows_were_made_of(experiment, tmp_path, capsys):
    result = {"settings": experiment.settings("plain"), "training_seconds": 7}
    runner.write_json(experiment.place("plain", 1), result, indent=None)
    experiment.summarize()
    kept = json.loads((tmp_path / "results" / "tiny.json").read_text())
    assert kept["command"] == "python benchmarks/experiments/tiny.py summarize"
    assert kept["seeds"] == {"plain": [1], "soft, long": []} and kept["rows"] == {"plain": 1, "soft, long": 0}
    assert kept["training_seconds"] == {"plain": [7], "soft, long": []}
    assert kept["settings"]["plain"] == experiment.settings("plain") and capsys.readouterr().out == "the table\n"


def test_a_result_belongs_to_what_its_yaml_says(experiment, tmp_path):
    runner.write_json(experiment.place("plain", 0), {"settings": experiment.settings("plain")}, indent=None)
    (tmp_path / "tiny.yaml").write_text("# a comment\nseed: 0\nmax_steps: 3\n")
    assert experiment.read("plain", 0) is not None
    (tmp_path / "tiny.yaml").write_text("max_steps: 4\nseed: 0\n")
    with pytest.raises(InputError) as error:
        experiment.read("plain", 0)
    expected = "plain-0.json: found a result of other settings; expected those of today; delete it and run again"
    assert str(error.value) == expected


def test_a_cut_result_is_named(experiment):
    experiment.folder.mkdir(parents=True)
    experiment.place("plain", 0).write_text('{"arm": "plain", ')
    with pytest.raises(InputError) as error:
        experiment.run("runs")
    assert str(error.value) == "plain-0.json: found cut JSON; expected a whole result; delete it and run again"


def test_intervals_are_found_beside_the_figures_at_any_depth():
    inner = {"f1": 0.4, "intervals": {"f1": [0.3, 0.5]}}
    scores = {
        "exact": {"f1": 0.5},
        "intervals": {"exact.f1": [0.4, 0.6]},
        "tasks": {"classification": inner},
        "rate": None,
    }
    assert runner.figure_of(scores, ("exact", "f1")) == (0.5, [0.4, 0.6])
    assert runner.figure_of(scores, ("tasks", "classification", "f1")) == (0.4, [0.3, 0.5])
    assert runner.figure_of(scores, ("rate",)) == (None, None)


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ([], "not run"),
        ([(None, None), (0.5, None)], "undefined"),
        ([(0.25, None)], "0.250"),
        ([(0.2, None), (0.4, None)], "0.300 (0.200 to 0.400)"),
    ],
)
def test_a_cell_in_words(figures, words):
    assert runner.shown(runner.averaged(figures)) == words
