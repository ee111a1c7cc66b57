"""SSIM as a loss, against the metric, which is numpy and float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.evaluation.images.pixels import ssim
from hf_medreport.modeling.structural_similarity import structural_similarity


def pictures(batch=2, channels=3, height=24, width=24, seed=0):
    return torch.rand(batch, channels, height, width, generator=torch.Generator().manual_seed(seed))


def by_the_metric(a, b):
    arrays = [each.double().permute(0, 2, 3, 1).numpy() for each in (a, b)]
    return np.array([ssim(one, other) for one, other in zip(*arrays, strict=True)])


@settings(max_examples=25, deadline=None)
@given(st.integers(11, 40), st.integers(11, 40), st.floats(0, 1), st.integers(0, 10**6))
def test_it_is_the_metric(height, width, noise, seed):
    a, b = pictures(2, 3, height, width, seed), pictures(2, 3, height, width, seed + 1)
    b = (1 - noise) * a + noise * b
    found = structural_similarity(a, b)
    assert found.shape == (2,) and found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), by_the_metric(a, b), atol=2e-4)


def test_equal_pictures_are_1_and_it_does_not_matter_which_comes_first():
    a, b = pictures(), pictures(seed=1)
    torch.testing.assert_close(structural_similarity(a, a), torch.ones(2))
    torch.testing.assert_close(structural_similarity(a, b), structural_similarity(b, a))


def test_flat_pictures_by_hand():
    """No variance: only luminance is left, (2 * 0.2 * 0.6 + 0.0001) / (0.04 + 0.36 + 0.0001)."""
    a, b = torch.full((1, 1, 11, 11), 0.2), torch.full((1, 1, 11, 11), 0.6)
    assert structural_similarity(a, b).item() == pytest.approx(0.2401 / 0.4001, abs=1e-4)


def test_its_gradient_is_the_finite_difference():
    a, b = pictures(1, 1, 13, 13).requires_grad_(), pictures(1, 1, 13, 13, seed=1)
    structural_similarity(a, b).sum().backward()
    step, plane = 1e-5, a.detach().double()
    for row, column in ((0, 0), (6, 6), (12, 3)):
        moved = [plane.clone(), plane.clone()]
        moved[0][0, 0, row, column] -= step
        moved[1][0, 0, row, column] += step
        low, high = (by_the_metric(each, b)[0] for each in moved)
        assert a.grad[0, 0, row, column].item() == pytest.approx((high - low) / (2 * step), rel=1e-2, abs=1e-6)


def test_climbing_it_makes_pictures_alike():
    b = pictures(1, 3, 16, 16)
    a = torch.nn.Parameter(0.5 * b + 0.5 * pictures(1, 3, 16, 16, seed=1))
    before, optimizer = structural_similarity(a, b).item(), torch.optim.Adam([a], lr=0.02)
    for _ in range(20):
        optimizer.zero_grad()
        (1 - structural_similarity(a, b).mean()).backward()
        optimizer.step()
    assert structural_similarity(a, b).item() > before + 0.05


@pytest.mark.parametrize("autocast", [False, True], ids=["bfloat16", "autocast"])
def test_half_precision_is_reckoned_in_full(autocast):
    """Pictures nearly alike: means of squares in bfloat16 would not tell a variance of 1e-4 from none."""
    a = (0.5 + 0.01 * pictures()).bfloat16()
    b = (a.float() + 0.005 * pictures(seed=1)).bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = structural_similarity(a, b)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), by_the_metric(a, b), atol=2e-3)
