"""Longer position tables."""

import pytest
import torch

from hf_medreport.modeling.position_expansion import MODES, expand_positions
from tests.modeling.golden import state_dict, vectors


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("sizes", ["24_to_48", "10_to_25"])
def test_golden_tables(sizes, mode):
    expected = vectors()[f"wpe.{sizes}.{mode}"]
    expanded = expand_positions(vectors()[f"wpe.{sizes}.in"], len(expected), mode)
    assert (expanded - expected).abs().max() < 1e-4


def test_the_golden_decoders_table():
    expanded = expand_positions(state_dict()["extra.wpe_before_expansion"], 256)
    assert (expanded - state_dict()["decoder.transformer.wpe.weight"]).abs().max() < 1e-4


def test_linear_keeps_the_ends():
    table = torch.randn(7, 3)
    expanded = expand_positions(table, 20)
    assert torch.equal(expanded[0], table[0]) and torch.equal(expanded[-1], table[-1])


@pytest.mark.parametrize(("length", "mode"), [(6, "linear"), (9, "cubic")])
def test_refusals(length, mode):
    with pytest.raises(ValueError, match=f"found length={length}, mode='{mode}' for a table of 7 rows"):
        expand_positions(torch.zeros(7, 3), length, mode)
