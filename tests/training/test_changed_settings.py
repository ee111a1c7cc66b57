"""What a run that is gone on with was begun with."""

import json
import logging
from dataclasses import dataclass, field

import pytest
import torch
from transformers import BertConfig, BertModel

from hf_medreport.processing.input_error import InputError
from hf_medreport.training import recipe
from hf_medreport.training.changed_settings import check_inputs, check_shapes
from hf_medreport.training.recipe import ReportDataArguments, ReportRecipeArguments, RunArguments

TRAINING = {"learning_rate": 0.001, "max_steps": 8, "resume": False}
REFUSED = (
    "the same; leave them as they were, go on all the same with `allow_changed_settings`, "
    "or begin anew with `overwrite`"
)


@dataclass
class Sizes:
    """The model's arguments of a made-up recipe."""

    width: int | dict = 4


@dataclass
class MadeUpArguments(ReportRecipeArguments):
    """And its training's."""

    tail: float = field(default=0.5)


def asked(folder, width=4, tables=("a.csv",), **training) -> RunArguments:
    arguments = MadeUpArguments(str(folder), **{**TRAINING, **training})
    return RunArguments("made_up", None, Sizes(width), ReportDataArguments(list(tables)), arguments)


@pytest.fixture
def begun(tmp_path):
    """The folder of a run that was killed after four of eight steps."""
    run = asked(tmp_path)
    recipe.write_manifest(run, recipe.manifest_of(run, 7, []), None)
    (tmp_path / "checkpoint-4").mkdir()
    (tmp_path / "checkpoint-4" / "trainer_state.json").touch()
    return tmp_path


CHANGES = {
    "a rate": (
        {"learning_rate": 0.01},
        ["learning_rate: 0.001 when the run was begun, 0.01 now; the checkpoint keeps 0.001"],
    ),
    "a batch": (
        {"per_device_train_batch_size": 2},
        ["per_device_train_batch_size: 8 when the run was begun, 2 now; the checkpoint keeps 8"],
    ),
    "a schedule": (
        {"lr_scheduler_type": "cosine"},
        ["lr_scheduler_type: linear when the run was begun, cosine now"],
    ),
    "an order": ({"seed": 7}, ["seed: 42 when the run was begun, 7 now"]),
    "a recipe's own": ({"tail": 0.25}, ["tail: 0.5 when the run was begun, 0.25 now"]),
    "sizes": ({"width": {"a": 8}}, ["width: 4 when the run was begun, {'a': 8} now"]),
    "tables and a size": (
        {"tables": ("b.csv",), "width": 2},
        [
            "width: 4 when the run was begun, 2 now",
            "train_data: ['a.csv'] when the run was begun, ['b.csv'] now",
        ],
    ),
}


@pytest.mark.parametrize("how", [{"resume": True}, {"resume_from_checkpoint": "true"}], ids=["resume", "from the last"])
@pytest.mark.parametrize(("changes", "lines"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_told_and_refused_unless_it_is_allowed(begun, changes, lines, how, caplog):
    names = ", ".join(line.split(":")[0] for line in lines)
    with pytest.raises(InputError) as error:
        asked(begun, **changes, **how)
    expected = f"resume: found other settings than the run was begun with ({names}); expected {REFUSED}"
    assert str(error.value) == expected and caplog.messages == lines
    caplog.clear()
    asked(begun, **changes, **how, allow_changed_settings=True)
    assert caplog.messages == lines


def test_what_may_change_and_what_is_only_told(begun, caplog):
    caplog.set_level(logging.INFO)
    asked(begun, resume=True, logging_steps=1, save_steps=2, model_name="other", per_device_eval_batch_size=1)
    assert caplog.messages == []
    asked(begun, resume=True, max_steps=16)
    assert caplog.messages == ["max_steps: 8 when the run was begun, 16 now; rates follow the new length"]


def test_an_argument_that_came_later_and_a_run_without_a_manifest(begun, caplog):
    manifest = json.loads((begun / "manifest.json").read_text())
    del manifest["training"]["tail"], manifest["model"]["width"], manifest["training"]["max_steps"]
    (begun / "manifest.json").write_text(json.dumps(manifest))
    asked(begun, resume=True, tail=1.0, width=8)
    (begun / "manifest.json").unlink()
    asked(begun, resume=True, learning_rate=1.0)
    assert caplog.messages == []


def test_the_first_manifest_is_kept(begun):
    first = (begun / "manifest.json").read_bytes()
    run = asked(begun, resume=True)
    recipe.write_manifest(run, recipe.manifest_of(run, 7, []), 4)
    assert [path.name for path in begun.glob("manifest*")] == ["manifest.json"]
    run = asked(begun, resume=True, learning_rate=0.01, allow_changed_settings=True)
    recipe.write_manifest(run, recipe.manifest_of(run, 7, []), 4)
    assert (begun / "manifest.json").read_bytes() == first
    assert json.loads((begun / "manifest-4.json").read_text())["training"]["learning_rate"] == 0.01
    recipe.remove_older_run(run.training)
    assert not list(begun.glob("manifest*"))


def test_a_table_with_other_content(begun, caplog):
    manifest = json.loads((begun / "manifest.json").read_text())
    (begun / "manifest.json").write_text(json.dumps(manifest | {"inputs": {"t/a.csv": "1", "t/b.csv": "2"}}))
    run, same = asked(begun, resume=True), {"t/b.csv": "2", "t/new.csv": "3"}
    check_inputs(run, begun / "manifest.json", same)
    with pytest.raises(InputError, match=r"begun with \(a.csv\)"):
        check_inputs(run, begun / "manifest.json", same | {"t/a.csv": "4"})
    assert caplog.messages == ["a.csv: changed since the run was begun"]


def test_weights_of_other_shapes(tmp_path):
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = BertModel(BertConfig(**sizes, vocab_size=10))
    model.save_pretrained(tmp_path / "checkpoint-4")
    check_shapes(model, tmp_path / "checkpoint-4")
    remedy = "; resume with the sizes that the run was begun with, or begin anew with `overwrite`"
    for other, message in (
        (
            {"vocab_size": 12},
            "embeddings.word_embeddings.weight of shape (10, 8); expected embeddings.",
        ),
        (
            {"vocab_size": 10, "num_hidden_layers": 2},
            "no encoder.layer.1.attention.self.query.weight; expected encoder.",
        ),
    ):
        with pytest.raises(InputError) as error:
            check_shapes(BertModel(BertConfig(**sizes | other)), tmp_path / "checkpoint-4")
        assert f"checkpoint-4 in {tmp_path.name}: found {message}" in str(error.value)
        assert str(error.value).endswith(remedy)
    assert not any(parameter.is_meta for parameter in model.parameters()) and torch.get_default_device().type == "cpu"
