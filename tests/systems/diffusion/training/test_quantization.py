"""Four bits on a processor: what is replaced, how near it is, how small, and plain again."""

import pytest
import torch
from torch import nn

from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.diffusion.training.quantization import bytes_of, dequantize, dequantized_state, quantize
from tests.diffusion import tiny_codec, tiny_unet


class Model(nn.Sequential):
    """A linear layer of 64 x 64, and a convolution."""

    def __init__(self):
        torch.manual_seed(0)
        super().__init__(nn.Linear(64, 64), nn.Conv1d(1, 2, 1))


def test_linear_layers_alone_are_replaced():
    model, plain = quantize(Model()), Model()
    assert type(model[0]).__name__ == "Linear4bit" and type(model[1]) is nn.Conv1d
    assert model.is_loaded_in_4bit and not any(each.requires_grad for each in model.parameters())
    state = dequantized_state(model)
    assert state.keys() == plain.state_dict().keys()
    assert torch.equal(state["0.bias"], plain[0].bias) and torch.equal(state["1.weight"], plain[1].weight)
    # NF4's sixteen values, of each 64 weights' largest; its widest gap is 0.30 of that.
    error = (state["0.weight"] - plain[0].weight).abs()
    largest = plain[0].weight.abs().amax(dim=1, keepdim=True)
    assert error.max() > 0 and (error <= 0.16 * largest).all()


def test_what_it_takes():
    """64 x 64 weights: 2048 bytes of four bits, 64 scales of a byte, and what decodes them; else 16384 bytes."""
    small, large = bytes_of(quantize(Model())), bytes_of(Model())
    others = 4 * (64 + 2 + 2)
    assert large == 4 * 64 * 64 + others
    assert 2048 + 64 < small - others < 2048 + 64 + 16 * 4 + 256 * 4 + 4 + 200


def test_it_computes_what_it_says():
    model, shown = quantize(Model()), torch.randn(3, 64)
    state = dequantized_state(model)
    expected = shown @ state["0.weight"].T + state["0.bias"]
    assert torch.allclose(model[0](shown), expected, atol=1e-5)
    plain = dequantize(model)
    assert type(plain[0]) is nn.Linear and torch.equal(plain[0].weight, state["0.weight"])


def test_a_part_without_linear_layers():
    with pytest.raises(InputError) as raised:
        quantize(tiny_codec())
    expected = "quantize: found a MedicalPatchCodec without linear layers; expected a part that has them; leave it out"
    assert str(raised.value) == f"{expected} of `quantize`"


def test_a_unet_keeps_its_prediction_nearly():
    inputs = torch.randn(1, 4, 8, 8), torch.tensor(5), torch.randn(1, 3, 32)
    with torch.no_grad():
        before, after = tiny_unet()(*inputs).sample, quantize(tiny_unet())(*inputs).sample
    assert 0 < (after - before).norm() / before.norm() < 0.15
