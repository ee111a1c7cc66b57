"""An adapter on a report model: which layers, and which checkpoints are its own."""

import pytest

from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from hf_medreport.training.reinforce.adapter import Adapter
from tests.tiny import tiny_model


def names(adapter: Adapter) -> set[str]:
    return {name.partition(".lora_")[0] for name in adapter.weights()}


def test_all_linear_layers_that_learn_but_the_head():
    model = tiny_model(system("anatomical_report"))
    adapter = Adapter(model, 2, [])
    blocks = {f"decoder.transformer.h.{number}" for number in range(3)}
    layers = {
        f"{block}.{part}" for block in blocks for part in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    }
    assert names(adapter) == layers | {"projection"}  # the encoder is frozen
    assert {name for name, each in model.named_parameters() if each.requires_grad} == set(adapter.weights())


def test_layers_by_name_and_checkpoints_of_others(tmp_path):
    adapter = Adapter(tiny_model(system("anatomical_report")), 2, ["c_fc"])
    assert len(names(adapter)) == 3
    with pytest.raises(InputError) as raised:
        adapter.check(tmp_path)
    assert "found no adapter; expected this one; resume with the sizes that the run was begun" in str(raised.value)
    adapter.save(tmp_path / "checkpoint-1")
    adapter.check(tmp_path / "checkpoint-1")
    with pytest.raises(InputError, match="found an adapter of other layers or of another rank; expected this one"):
        Adapter(tiny_model(system("anatomical_report")), 3, ["c_fc"]).check(tmp_path / "checkpoint-1")
