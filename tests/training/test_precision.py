"""`bf16: auto`: the precision that a machine is faster in, chosen by trying and said."""

import logging

import numpy as np
import pytest
import torch
from torch import nn

from hf_medreport.processing.input_error import InputError
from hf_medreport.training import precision
from hf_medreport.training.precision import bfloat16_gain, chosen_bf16, lay_out
from hf_medreport.training.recipe import ReportRecipeArguments


@pytest.fixture
def machine_with(monkeypatch):
    return lambda gain: monkeypatch.setattr(precision, "bfloat16_gain", lambda: gain)


@pytest.mark.parametrize("gain", [0.1, 5.0])
def test_auto_is_what_the_machine_is_faster_in(machine_with, tmp_path, gain):
    machine_with(gain)
    assert ReportRecipeArguments(tmp_path, bf16="auto").bf16 is (gain > 1)


@pytest.mark.parametrize("gain", [0.1, 5.0])
def test_asked_for_it_is_what_was_asked(machine_with, gain):
    machine_with(gain)
    assert [chosen_bf16(word) for word in (True, "true", False, "false")] == [True, True, False, False]
    assert not chosen_bf16("auto", fp16=True)


def test_the_gain_is_a_ratio_of_times(monkeypatch):
    seconds = {torch.float32: 0.03, torch.bfloat16: 0.01}
    monkeypatch.setattr(precision, "_seconds", lambda dtype, device: seconds[dtype])
    bfloat16_gain.cache_clear()
    assert bfloat16_gain() == pytest.approx(3)
    bfloat16_gain.cache_clear()


def test_the_best_of_a_few_products_counts(monkeypatch):
    """Float32 takes 3 seconds at best, bfloat16 1.5: the first product of either, which warms up, takes longer."""
    takes = [9, 4, 3, 5, 4, 3] + [20, 2, 2, 1.5, 2, 2]
    clock = iter(np.repeat(np.cumsum([0, *takes]), 2)[1:-1].tolist())  # each ends as the next begins
    monkeypatch.setattr(precision, "perf_counter", lambda: next(clock))
    bfloat16_gain.cache_clear()
    assert bfloat16_gain() == 2 and next(clock, None) is None
    bfloat16_gain.cache_clear()


def test_another_word_is_refused():
    with pytest.raises(InputError) as error:
        chosen_bf16("yes")
    assert str(error.value) == "bf16: found 'yes'; expected true, false or auto; correct it"


@pytest.mark.skipif(torch.accelerator.is_available(), reason="speaks of the processor, which a GPU outranks")
def test_the_choice_is_said(machine_with, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    machine_with(0.125)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": "An old one"})
    model = nn.Conv2d(4, 8, 3)
    lay_out(model, bf16=False)
    assert model.weight.is_contiguous(memory_format=torch.channels_last)
    place = f"this processor (An old one, {torch.backends.cpu.get_cpu_capability()})"
    said = f"precision: float32, channels last; {place} multiplies bfloat16 0.12 x as fast as float32"
    assert caplog.messages == [said]
