"""Mask stacks: against the golden set, by hand, and by law."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.modeling.anatomical_prior import attention_bias, blur_matrix, kernel_schedule, layer_masks
from tests.modeling.golden import vectors

CASES = {
    "stack_L12_32": ("mask.inputs", 5, (32, 32), 12, {}),
    "stack_L12_32_odd": ("mask.odd_input", 1, (32, 32), 12, {}),
    "stack_tiny": ("mask.inputs", 5, (14, 14), 4, {}),
    "alt0_stack": ("mask.inputs", 3, (32, 32), 3, {"base_kernel": 1, "kernel_growth": 2}),
    "alt1_stack": ("mask.inputs", 3, (32, 32), 3, {"base_kernel": 2, "kernel_growth": 3, "sigma": 1.5}),
    "impulse_stack_L12_32": ("mask.impulse_input", 1, (32, 32), 12, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_golden_stacks(name):
    source, count, grid, layers, options = CASES[name]
    stack = layer_masks(vectors()[source][:count], grid, layers, **options)
    assert (stack - vectors()[f"mask.{name}"]).abs().max() < 1e-5


def test_schedule_of_twelve_layers():
    sizes, sigmas = zip(*kernel_schedule(12), strict=True)
    assert sizes == (27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5)
    assert [round(sigma, 2) for sigma in sigmas] == [4.33, 4.0, 3.67, 3.33, 3.0, 2.67, 2.33, 2.0, 1.67, 1.33, 1.0, 0.67]


def test_blur_by_hand():
    """Four cells, kernel 3, weights (a, b, a): the neighbor is counted twice at an end, since the edge reflects."""
    import math

    side = math.exp(-0.5)
    a, b = side / (1 + 2 * side), 1 / (1 + 2 * side)
    expected = torch.tensor([[b, 2 * a, 0, 0], [a, b, a, 0], [0, a, b, a], [0, 0, 2 * a, b]])
    torch.testing.assert_close(blur_matrix(4, 3, 1.0), expected)


def test_an_impulse_spreads_less_in_later_layers():
    spreads = (layer_masks(vectors()["mask.impulse_input"], (32, 32), 12)[0] > 0.01).sum(dim=(1, 2))
    assert (spreads.diff() <= 0).all() and spreads[-1] < spreads[0]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 6), st.integers(0, 1000))
def test_any_grid_gives_values_from_0_to_1_and_each_layer_reaches_1(rows, columns, layers, seed):
    mask = torch.rand(2, 1, 24, 31, generator=torch.Generator().manual_seed(seed))
    stack = layer_masks(mask, (rows, columns), layers)
    assert stack.shape == (2, layers, rows, columns) and stack.min() >= 0 and stack.max() <= 1
    if rows * columns > 4:
        assert stack.amax(dim=(2, 3)).min() > 0.99


@pytest.mark.parametrize("value", [0.0, 1.0], ids=["empty", "full"])
@pytest.mark.parametrize("mode", ["soft", "strict"])
def test_a_constant_mask_is_no_mask(mode, value):
    stack = layer_masks(torch.full((1, 1, 64, 64), value), (8, 8), 3)
    assert torch.equal(attention_bias(stack, mode, 1.0, torch.float32), torch.zeros(1, 3, 64))


def test_a_mask_that_the_grid_makes_flat_is_no_mask():
    checkerboard = (torch.arange(64)[:, None] + torch.arange(64)) % 2
    assert layer_masks(checkerboard[None, None].float(), (32, 32), 12).max() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_strict_keeps_the_map_and_hides_the_rest(dtype):
    stack = torch.tensor([0.0, 0.25, 1.0, 0.0]).reshape(1, 1, 2, 2)
    hide = torch.finfo(dtype).min
    assert attention_bias(stack, "strict", 2.0, dtype).tolist() == [[[hide, 0.5, 2.0, hide]]]
    assert attention_bias(stack, "soft", 2.0, dtype).tolist() == [[[0.0, 0.5, 2.0, 0.0]]]


def test_autocast_changes_nothing():
    masks = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = layer_masks(masks, (14, 14), 12)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer_masks(masks, (14, 14), 12), expected)


def test_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"found shape \(2, 64, 64\); expected \(batch, 1, height, width\)"):
        layer_masks(torch.zeros(2, 64, 64), (8, 8), 3)
