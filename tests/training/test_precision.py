"""`bf16: auto`: the precision that a machine trains best in, chosen by its instructions and said."""

import pytest
import torch
from torch import nn

from hf_medreport.processing.input_error import InputError
from hf_medreport.training import precision
from hf_medreport.training.precision import chosen_bf16, has_bfloat16, lay_out
from hf_medreport.training.recipe import ReportRecipeArguments

AVX2 = {"avx2": True, "avx512_bf16": False, "amx_bf16": False, "cpu_name": "An old one"}
without_gpu = pytest.mark.skipif(torch.accelerator.is_available(), reason="asks the processor, which a GPU outranks")


@pytest.fixture
def processor_with(monkeypatch):
    return lambda **instructions: monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: AVX2 | instructions)


@without_gpu
@pytest.mark.parametrize("instruction", ["avx512_bf16", "amx_bf16"])
def test_auto_is_what_the_processor_multiplies(processor_with, tmp_path, instruction):
    processor_with()
    assert not has_bfloat16() and not ReportRecipeArguments(tmp_path, bf16="auto").bf16
    processor_with(**{instruction: True})
    assert has_bfloat16() and ReportRecipeArguments(tmp_path, bf16="auto").bf16


@without_gpu
def test_asked_for_it_is_what_was_asked(processor_with):
    processor_with()
    assert [chosen_bf16(word) for word in (True, "true", False, "false")] == [True, True, False, False]
    processor_with(avx512_bf16=True)
    assert chosen_bf16("auto") and not chosen_bf16("auto", fp16=True)


def test_another_word_is_refused():
    with pytest.raises(InputError) as error:
        chosen_bf16("yes")
    assert str(error.value) == "bf16: found 'yes'; expected true, false or auto; correct it"


@without_gpu
def test_the_layout_follows_and_the_choice_is_said(processor_with, capsys):
    processor_with()
    model = nn.Conv2d(4, 8, 3)
    lay_out(model, bf16=True)
    assert model.weight.is_contiguous(memory_format=torch.channels_last) and not model.weight.is_contiguous()
    lay_out(model, bf16=False)
    assert model.weight.is_contiguous()
    capability = torch.backends.cpu.get_cpu_capability()
    place = f"this processor (An old one, {capability}) does not multiply bfloat16"
    assert capsys.readouterr().out == (
        f"precision: bfloat16, channels last; {place}\nprecision: float32, channels first; {place}\n"
    )
    assert precision.processor() == f"An old one, {capability}"
