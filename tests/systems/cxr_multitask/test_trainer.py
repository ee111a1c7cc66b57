"""Stages of unfreezing: how they are read, and what the callback makes of them; in a run: `test_cxr_multitask.py`."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from hf_medreport.systems.cxr_multitask.trainer import StagedUnfreezing, layers_at, read_stages
from tests.tiny import tiny_model

COUNTS = st.one_of(st.none(), st.integers(0, 500))


@given(st.dictionaries(st.integers(1, 10**6), COUNTS), COUNTS, st.integers(0, 10**6))
def test_stages_are_read_as_written_and_each_step_is_in_the_last_that_began(later, first, step):
    stages = sorted({0: first, **later}.items())
    assert read_stages([f"{begin}:{'all' if layers is None else layers}" for begin, layers in stages]) == stages
    assert layers_at(stages, step) == {0: first, **later}[max(begin for begin, _ in stages if begin <= step)]


def test_no_stages():
    assert read_stages([]) == []


FORM = "expected STEP:LAYERS, such as 300:10 or 900:all; correct it, and quote it in YAML, which takes 300:10 for "
FORM += "minutes and seconds"
ORDER = "expected rising steps, the first 0; put them in order"


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (["x:3"], f"unfreezing: found 'x:3'; {FORM}"),
        (["0"], f"unfreezing: found '0'; {FORM}"),
        (["0:"], f"unfreezing: found '0:'; {FORM}"),
        (["0:-1"], f"unfreezing: found '0:-1'; {FORM}"),
        (["0:0", "1.5:3"], f"unfreezing: found '1.5:3'; {FORM}"),
        (["0:0", "300:All"], f"unfreezing: found '300:All'; {FORM}"),
        (["0:0", 18010], f"unfreezing: found '18010'; {FORM}"),  # what YAML makes of 300:10
        (["300:10"], f"unfreezing: found 300:10; {ORDER}"),
        (["0:0", "900:10", "300:all"], f"unfreezing: found 0:0, 900:10, 300:all; {ORDER}"),
        (["0:0", "300:10", "300:all"], f"unfreezing: found 0:0, 300:10, 300:all; {ORDER}"),
    ],
)
def test_stages_that_are_none(stages, message):
    with pytest.raises(InputError) as error:
        read_stages(stages)
    assert str(error.value) == message


def test_the_callback_changes_what_is_trained_at_its_steps_only():
    model = tiny_model(system("cxr_multitask")).train()
    callback, counts, calls = StagedUnfreezing([(0, 0), (2, 3), (4, None)]), [], []
    unfreeze = model.unfreeze
    model.unfreeze = lambda layers: calls.append(layers) or unfreeze(layers)
    for step in range(6):
        callback.on_step_begin(None, SimpleNamespace(global_step=step), None, model=model)
        counts.append(sum(weight.requires_grad for weight in model.encoder.parameters()))
    assert counts == [0, 0, 2, 2, *[len(list(model.encoder.parameters()))] * 2] and calls == [0, 3, None]


def test_the_callback_of_a_resumed_run_begins_in_a_later_stage_and_reaches_through_a_wrapper():
    model = tiny_model(system("cxr_multitask"))
    wrapped = SimpleNamespace(module=model)
    StagedUnfreezing([(0, 0), (2, 3)]).on_step_begin(None, SimpleNamespace(global_step=7), None, model=wrapped)
    trained = {name for name, weight in model.encoder.named_parameters() if weight.requires_grad}
    assert trained == {"features.norm5.weight", "features.norm5.bias"} and model.config.encoder_trainable_last_n == 3


def test_frozen_layers_keep_their_statistics_in_training():
    model = tiny_model(system("cxr_multitask"))
    model.unfreeze(3)
    model.train()
    before = {name: value.clone() for name, value in model.encoder.named_buffers()}
    model(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64))
    moved = {name for name, value in model.encoder.named_buffers() if not torch.equal(value, before[name])}
    assert moved == {f"features.norm5.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")}
