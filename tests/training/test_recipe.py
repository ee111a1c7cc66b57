"""What recipes share: checks of arguments, and the run around the trainer, seen on the tiny run of one system."""

import json
import logging
import pickle
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import SafetensorError
from torch.utils.data import ConcatDataset
from transformers import AutoModel, TrainerState

from hf_medreport.files.writing import sha256
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from hf_medreport.training import recipe, run
from hf_medreport.training.recipe import ReportDataArguments, ReportRecipeArguments, RunArguments
from hf_medreport.training.trainer import ReportTrainer
from tests.systems.anatomical.test_recipe import EXAMPLES, Killed, configuration, paper_flags, weights, write_tables
from tests.tiny import tiny_model, tiny_processor

PAPER = str(EXAMPLES / "anatomical_paper.yaml")


@pytest.fixture
def tables(tmp_path):
    return write_tables(tmp_path)


def refused(act) -> str:
    with pytest.raises(InputError) as raised:
        act()
    return str(raised.value)


# --- what goes together ---

NAMES = {"encoder": "a/vit", "decoder": "a/gpt"}
SIZES = {"encoder": {"width": 4}, "decoder": {}}


def test_parts_are_all_names_or_all_configurations():
    assert recipe.from_names(**NAMES) and not recipe.from_names(**SIZES)
    choose = "expected two names or two configurations; choose"
    mixed = refused(lambda: recipe.from_names(**NAMES | {"decoder": {}}))
    assert mixed == f"encoder, decoder: found a name and a configuration; {choose}"
    assert refused(lambda: recipe.from_names(**NAMES | {"encoder": None})) == (
        f"encoder, decoder: found none and a name; {choose}"
    )


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        (NAMES, "encoder, decoder: found 'a/vit', 'a/gpt', of which one does not load; expected folders or repository"),
        (NAMES | {"encoder": None}, "decoder: found 'a/gpt', which does not load; expected a folder or repository id;"),
    ],
)
def test_parts_that_do_not_load_are_named(parts, found):
    def load():
        with recipe.loading(**parts):
            raise OSError("We couldn't connect")

    assert refused(load).startswith(found)


@pytest.mark.parametrize("error", [pickle.UnpicklingError("Weights only load failed"), SafetensorError("header")])
def test_weights_that_are_none_are_named(error):
    def load():
        with recipe.loading(model="m", encoder=None):
            raise error

    assert refused(load).startswith("model: found weights that are broken, or objects besides tensors; expected whole")


@pytest.mark.parametrize(("cases", "data", "found"), [(4, ["a.csv"], "both"), (0, [], "neither")])
def test_data_have_one_source(cases, data, found):
    message = f"train_data, phantom_cases: found {found}; expected one of them; name tables, or draw phantom cases"
    assert refused(lambda: recipe.check_source(ReportDataArguments(data, phantom_cases=cases))) == message
    recipe.check_source(ReportDataArguments(["a.csv"]))


@pytest.mark.parametrize(
    ("changes", "phantoms", "message"),
    [
        ({"eval_strategy": "no", "early_stopping_patience": 2}, 4, "early_stopping_patience: found eval_strategy no"),
        ({}, 0, "validation_data: found none; expected a table to evaluate on; name it or set eval_strategy to no"),
        ({"metric_for_best_model": "eval_fact_f1"}, 0, "metric_for_best_model: found eval_fact_f1 on real reports"),
    ],
)
def test_evaluations_that_cannot_be(changes, phantoms, message):
    arguments = SimpleNamespace(eval_strategy="epoch", early_stopping_patience=0, metric_for_best_model=None)
    vars(arguments).update(changes)
    table = "a.csv" if "metric_for_best_model" in changes else None
    assert refused(lambda: recipe.check_evaluation(arguments, table, phantoms)).startswith(message)
    recipe.check_evaluation(SimpleNamespace(**vars(arguments) | {"eval_strategy": "epoch"}), "a.csv", phantoms=4)


# --- parts of a run ---


def test_which_checkpoint_a_run_goes_on_from(tmp_path):
    for step, state in ((2, True), (10, True), (12, False)):  # the last was cut while it was saved
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").touch()

    def point(asked, output=tmp_path, resume=False):
        arguments = {"resume_from_checkpoint": asked, "resume": resume, "output_dir": str(output)}
        return recipe.resume_point(SimpleNamespace(**arguments))

    assert point("true") == point(True) == point(None, resume=True) == tmp_path / "checkpoint-10"
    assert point(str(tmp_path / "checkpoint-2"), resume=True) == tmp_path / "checkpoint-2"
    assert point(None) is None and point("true", tmp_path / "empty") is None
    expected = "resume_from_checkpoint: found no folder absent; expected true or a checkpoint folder; check the path"
    assert refused(lambda: point("absent")) == expected


@pytest.mark.parametrize("left", ["manifest.json", "checkpoint-2/model.safetensors"])
def test_an_older_run_is_gone_on_with_or_removed(tmp_path, left):
    (tmp_path / left).parent.mkdir(exist_ok=True)
    (tmp_path / left).touch()
    (tmp_path / "warm-up").mkdir()

    def arguments(**asked):
        unasked = {"resume": False, "resume_from_checkpoint": None, "overwrite": False}
        return SimpleNamespace(**unasked | asked, output_dir=str(tmp_path))

    assert refused(lambda: recipe.refuse_older_run(arguments())) == (
        f"{tmp_path.name}: found an older run; expected a folder without; "
        "go on with `resume`, begin anew with `overwrite`, or choose another `output_dir`"
    )
    for asked in ({"resume": True}, {"resume_from_checkpoint": "true"}, {"overwrite": True}):
        recipe.refuse_older_run(arguments(**asked))
    both = "overwrite: found it beside `resume`; expected one of the two; leave out the other"
    assert refused(lambda: recipe.refuse_older_run(arguments(resume=True, overwrite=True))) == both
    recipe.remove_older_run(arguments())
    assert [path.name for path in tmp_path.iterdir()] == ["warm-up"]
    recipe.refuse_older_run(arguments())


@pytest.mark.parametrize(
    ("step", "epoch", "max_steps", "done"),
    [(4, 1.0, 4, True), (3, 9.0, 4, False), (9, 3.0, -1, True), (9, 2.5, 0, False)],
)
def test_a_run_is_finished_by_its_steps_or_else_by_its_epochs(step, epoch, max_steps, done):
    arguments = SimpleNamespace(max_steps=max_steps, num_train_epochs=3)
    assert recipe.is_finished(TrainerState(global_step=step, epoch=epoch), arguments) is done


def test_texts_of_one_source_and_of_several():
    one, other = (SimpleNamespace(texts=lambda words=words: iter(words.split())) for words in ("a b", "c"))
    joined = ConcatDataset([[1], [2]])
    joined.datasets = [one, other]
    assert list(recipe.texts_of(one)) == ["a", "b"] and list(recipe.texts_of(joined)) == ["a", "b", "c"]


def test_rows_that_were_left_out_are_told(caplog):
    caplog.set_level(logging.WARNING)
    recipe.log_skipped(
        [SimpleNamespace(path="a.csv", skipped=[]), SimpleNamespace(path="b.csv", skipped=["row 2", "row 5"])]
    )
    assert caplog.messages == ["b.csv: 2 bad rows left out:", "  row 2", "  row 5"]


def test_a_fingerprint_is_of_the_settings_whatever_their_order():
    one = recipe.fingerprint([{"a": 1, "b": Path("x")}, 2])
    assert len(one) == 8 and one == recipe.fingerprint([{"b": Path("x"), "a": 1}, 2])
    assert one != recipe.fingerprint([{"a": 1, "b": Path("x")}, 3])


def test_half_precision_weights_are_read_back_in_full(tmp_path):
    row = system("anatomical_report")
    recipe.save_weights(tiny_model(row), tiny_processor(row), tmp_path / "half", half_precision=True)
    recipe.save_weights(tiny_model(row), tiny_processor(row), tmp_path / "full", half_precision=False)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.6 * sizes[1]
    half, full = (AutoModel.from_pretrained(tmp_path / name, trust_remote_code=True) for name in ("half", "full"))
    for one, other in zip(half.parameters(), full.parameters(), strict=True):
        assert one.dtype == torch.float32 and torch.equal(one, other.half().float())


@dataclass
class Sizes:
    """The model's arguments of a made-up recipe."""

    width: int = 4


def test_the_manifest_names_arguments_and_every_file(tmp_path):
    (tmp_path / "table").mkdir(), (tmp_path / "run").mkdir()
    for name in ("table/a.parquet", "table/b.parquet", "c.csv"):
        (tmp_path / name).write_text(name)
    data = ReportDataArguments([str(tmp_path / "table")], str(tmp_path / "c.csv"))
    training = ReportRecipeArguments(str(tmp_path / "run"), learning_rate=0.25)
    asked = RunArguments("made_up", "made_up.yaml", Sizes(), data, training)
    assert asked.command == "hf-medreport train made_up --config made_up.yaml"
    recipe.write_manifest(asked, recipe.manifest_of(asked, 7, recipe.tables_of(data)), None)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["training_records"] == 7 and manifest["model"] == {"width": 4}
    assert manifest["training"]["learning_rate"] == 0.25 and "torch" in manifest["versions"]
    assert manifest["inputs"] == {
        str(tmp_path / name): sha256(name.encode()) for name in ("table/a.parquet", "table/b.parquet", "c.csv")
    }


# --- runs ---


@pytest.mark.slow
def test_samples_of_a_resumed_run_stand_there_once(tmp_path, monkeypatch):
    """Killed after the evaluation of the third step, before its checkpoint was whole; then resumed from the second."""
    config = configuration(tmp_path, eval_steps=1, save_steps=2)
    save = ReportTrainer._save_checkpoint

    def killed_at_four(self, *arguments, **options):
        if self.state.global_step == 4:
            raise Killed
        return save(self, *arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(ReportTrainer, "_save_checkpoint", killed_at_four)
        run("anatomical", config, [])
    path = tmp_path / "run" / "samples.jsonl"
    before = path.read_text()
    assert [json.loads(line)["step"] for line in before.splitlines()] == [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3

    def seen_from_the_start(self, *arguments, **options):
        assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 1, 1, 2, 2, 2]
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(ReportTrainer, "training_step", seen_from_the_start)
        run("anatomical", config, ["--resume_from_checkpoint", "true"])
    run("anatomical", config, ["--resume_from_checkpoint", "true"])
    assert path.read_text() == before  # of the same weights, and each step once
    run("anatomical", config, ["--max_steps", "1", "--segmenter_steps", "0", "--encoder_steps", "0", "--overwrite"])
    assert {json.loads(line)["step"] for line in path.read_text().splitlines()} == {1}  # another run, another table


def test_early_stopping(tables):
    flags = paper_flags(tables, max_steps=50, learning_rate=0, early_stopping_patience=2)
    assert run("anatomical", PAPER, flags)["global_step"] == 3


def test_a_finished_run_resumed_ends_with_its_best_weights(tables):
    flags = paper_flags(tables, max_steps=3, learning_rate=0.5)  # each step makes it worse
    run("anatomical", PAPER, flags)
    expected = weights(tables / "run")
    run("anatomical", PAPER, [*flags, "--resume_from_checkpoint", "true"])
    resumed = weights(tables / "run")
    assert all(torch.equal(expected[key], resumed[key]) for key in expected)


def test_tensorboard_gets_the_log(tables):
    run("anatomical", PAPER, paper_flags(tables, report_to="tensorboard"))
    files = list((tables / "run").rglob("events.out.tfevents*"))  # of training, and of the last evaluation
    assert any(b"eval/samples/1" in path.read_bytes() for path in files)  # reports with their films


@pytest.mark.slow
def test_trackio_keeps_its_own_log(tables, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tables / "trackio"))
    run("anatomical", PAPER, paper_flags(tables, report_to="trackio"))
    assert list((tables / "trackio").rglob("*.db"))
    assert list((tables / "trackio").rglob("*.png"))  # the films of sample reports


def test_a_file_in_the_folders_place_is_said_before_any_work(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(InputError, match="output_dir: found a file; expected a folder to write to"):
        run("anatomical", configuration(tmp_path), [])
    flags = ["--output_dir", str(tmp_path / "run" / "below")]
    with pytest.raises(InputError, match="output_dir: found a file; expected a folder to write to"):
        run("anatomical", configuration(tmp_path), flags)


def test_a_card_does_not_say_where_files_lie():
    text = "/data/jane/train.csv, tables/more.csv, org/model and /home/jane/encoder"
    assert recipe.without_places(text) == "train.csv, tables/more.csv, org/model and encoder"
    assert recipe.without_places("12000 phantom films") == "12000 phantom films"


def test_the_wait_for_the_scores_is_told_before_it(caplog, monkeypatch, tmp_path):
    for name in ("save_weights", "write_model_card"):
        monkeypatch.setattr(recipe, name, lambda *_, **__: None)
    training = SimpleNamespace(model_name="m", half_precision_weights=False)
    asked = SimpleNamespace(output=tmp_path, training=training, data=SimpleNamespace(phantom_cases=2))
    caplog.set_level(logging.INFO)
    seen = []
    first = SimpleNamespace(is_world_process_zero=lambda: True)
    recipe.finish(first, asked, {}, None, None, lambda _: seen.extend(caplog.messages) or {}, {})
    assert seen == ["saved m; now it is scored on drawn cases"]
