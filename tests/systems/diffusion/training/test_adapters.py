"""Adapters: on exactly the layers that are named, merged without loss, and refused on another base."""

import pytest
import torch

from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.patch_encoder import weights_revision
from hf_medreport.systems.diffusion.training.adapters import (
    add_adapter,
    check_base,
    load_adapter,
    merged_unet,
    save_adapter,
)
from hf_medreport.systems.diffusion.training.quantization import dequantized_state, quantize
from hf_medreport.systems.diffusion.training.settings import CROSS_ATTENTION
from tests.diffusion import tiny_pipeline, tiny_unet

INPUTS = torch.randn(1, 4, 8, 8), torch.tensor(5), torch.randn(1, 3, 32)


def adapted(unet, rank: int = 2):
    """With an adapter that says something."""
    add_adapter(unet, rank, 2 * rank, CROSS_ATTENTION, seed=1)
    with torch.no_grad():
        for name, each in unet.named_parameters():
            if ".lora_B" in name:
                each.copy_(torch.randn(each.shape, generator=torch.Generator().manual_seed(0)) / 4)
    return unet


def test_it_changes_nothing_at_first_and_alone_is_trained():
    unet = tiny_unet()
    with torch.no_grad():
        before = unet(*INPUTS).sample
        layers = add_adapter(unet, 2, 2, CROSS_ATTENTION, seed=0)
        assert torch.equal(unet(*INPUTS).sample, before)
    trained = {name.partition(".lora_")[0] for name, each in unet.named_parameters() if each.requires_grad}
    assert trained == set(layers) and "conv_out" in layers and not [name for name in layers if "proj_out" in name]


@pytest.mark.parametrize("four_bits", [False, True])
def test_merged_is_the_adapter_on_the_plain_base(four_bits):
    base = quantize(tiny_unet()) if four_bits else tiny_unet()
    state = dequantized_state(base)
    unet = adapted(base)
    plain = tiny_unet()
    plain.load_state_dict(state)
    expected = adapted(plain)
    with torch.no_grad():
        merged, wanted = merged_unet(unet)(*INPUTS).sample, expected(*INPUTS).sample
    assert (merged - wanted).norm() / wanted.norm() < 5e-6
    assert not [name for name in merged_unet(unet).state_dict() if "lora" in name]


@pytest.mark.parametrize(
    "targets, found",
    [
        ("nothing", "lora_targets: found 'nothing', which no layer matches; expected names of the U-Net's layers;"),
        ("(to_q", "lora_targets: found '(to_q' ("),
        ("conv_norm_out", "lora_targets: found 'conv_norm_out' (Target module GroupNorm"),
    ],
)
def test_targets_that_cannot_be(targets, found):
    with pytest.raises(InputError) as raised:
        add_adapter(tiny_unet(), 2, 2, targets, seed=0)
    assert str(raised.value).startswith(found)


def test_saved_and_gone_on_from_or_refused(tmp_path):
    pipe = tiny_pipeline()
    revision = weights_revision(pipe.unet)
    adapted(pipe.unet)
    save_adapter(pipe, tmp_path / "one", "ORG/NAME", revision)
    first = (tmp_path / "one" / "pytorch_lora_weights.safetensors").read_bytes()
    save_adapter(pipe, tmp_path / "two", "ORG/NAME", revision)
    assert (tmp_path / "two" / "pytorch_lora_weights.safetensors").read_bytes() == first

    other = tiny_pipeline()
    add_adapter(other.unet, 2, 4, CROSS_ATTENTION, seed=9)
    load_adapter(other, tmp_path / "one", revision)
    with torch.no_grad():
        assert torch.equal(other.unet(*INPUTS).sample, pipe.unet(*INPUTS).sample)

    check_base(tmp_path / "one", revision)
    with pytest.raises(InputError) as raised:
        load_adapter(other, tmp_path / "one", "another")
    assert str(raised.value) == (
        f"one: found an adapter for another base than another; expected ORG/NAME of revision {revision}, "
        "which it was trained on; load it on that"
    )
    larger = tiny_pipeline()
    add_adapter(larger.unet, 3, 3, CROSS_ATTENTION, seed=0)
    with pytest.raises(InputError, match=r"adapter: found .*lora_A.weight. of \(2, .*\) for \(3, .*\); expected"):
        load_adapter(larger, tmp_path / "one", revision)
    with pytest.raises(InputError, match="adapter: found no pytorch_lora_weights.safetensors in empty; expected"):
        load_adapter(larger, tmp_path / "empty", revision)
