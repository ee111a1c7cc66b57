"""The moving average of weights, worked by hand."""

import pytest
import torch

from hf_medreport.systems.diffusion.training.ema import MovingAverage


def test_two_steps_by_hand():
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    average = MovingAverage({"w": weight}, 0.5)
    weight.data.fill_(12.0)
    average.update(1)  # min(0.5, 2 / 11) stays: 1 * 2/11 + 12 * 9/11 = 10
    assert average.averages["w"].item() == pytest.approx(10)
    weight.data.fill_(20.0)
    average.update(1000)  # 0.5 stays
    assert average.averages["w"].item() == pytest.approx(15)


def test_in_place_and_back_even_after_an_error():
    weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    average = MovingAverage({"w": weight}, 0.9)
    weight.data.fill_(7.0)
    with pytest.raises(RuntimeError), average.in_place():
        assert weight.tolist() == [1.0, 2.0]
        raise RuntimeError
    assert weight.tolist() == [7.0, 7.0] and weight.requires_grad


def test_half_weights_have_an_average_in_float32():
    weight = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float16))
    average = MovingAverage({"w": weight}, 0.9999)
    weight.data.fill_(2)
    average.update(10**6)
    assert average.averages["w"].item() == pytest.approx(1.0001, abs=2e-7)  # less than half of float16 keeps
