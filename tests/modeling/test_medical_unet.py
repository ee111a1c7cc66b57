"""The U-Net's improvements: the stock network at the start, of use afterwards."""

import copy
import re

import pytest
import torch
from diffusers import UNet2DConditionModel

from hf_medreport.modeling.medical_unet import (
    ConfigError,
    FeaturePyramid,
    MedicalUNet2DConditionModel,
    PyramidAttention,
    SkipGate,
)
from tests.diffusion import ALL, POOLED, UNET, tiny_unet

IMPROVEMENTS = {
    "pooled": POOLED,
    "gates": {"skip_gates": True, "gate_width": 8},
    "gates with channels": {"skip_gates": True, "gate_width": 8, "gate_channels": True},
    "pyramid": {"pyramid_levels": ("down.0", "mid", "up.0", "up.1")},
    "transformers": {"extra_transformer_levels": ("down.0", "down.1", "mid", "up.0", "up.1")},
    "fpn": {"fpn_width": 8},
    "all": ALL,
}


@pytest.fixture(scope="module")
def stock():
    torch.manual_seed(0)
    return UNet2DConditionModel(**UNET).eval()


def inputs(height: int = 8, width: int = 8, batch: int = 2) -> dict:
    torch.manual_seed(1)
    mask = torch.ones(batch, 5).index_fill(1, torch.tensor([4]), 0)
    return {
        "sample": torch.randn(batch, 4, height, width),
        "timestep": torch.tensor(500),
        "encoder_hidden_states": torch.randn(batch, 5, 32),
        "encoder_attention_mask": mask,
    }


def pooled(unet, batch: int = 2) -> dict:
    return {"class_labels": torch.ones(batch, 32)} if unet.config.class_embed_type else {}


@pytest.mark.parametrize("switches", IMPROVEMENTS.values(), ids=IMPROVEMENTS)
@torch.no_grad()
def test_at_the_start_each_is_the_stock_network(stock, switches):
    unet = MedicalUNet2DConditionModel.from_stock(stock, **switches)
    assert len(unet.state_dict()) > len(stock.state_dict()) and not unet.training
    for size in ((8, 8), (9, 7)):  # odd sizes too
        given = inputs(*size)
        assert torch.equal(unet(**given, **pooled(unet)).sample, stock(**given).sample), size


@torch.no_grad()
def test_without_switches_it_is_the_stock_class(stock):
    unet = MedicalUNet2DConditionModel.from_stock(stock)
    assert list(unet.state_dict()) == list(stock.state_dict())
    assert torch.equal(unet(**inputs(), return_dict=False)[0], stock(**inputs()).sample)


@pytest.mark.parametrize("switches", [POOLED, ALL], ids=["pooled", "all"])
def test_every_new_weight_is_trained_from_the_second_step_on(stock, switches):
    """At the first, those behind a zero have no gradient yet."""
    unet = MedicalUNet2DConditionModel.from_stock(stock, **switches).train()
    optimizer = torch.optim.SGD(unet.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        (unet(**inputs(), **pooled(unet)).sample ** 2).mean().backward()
        optimizer.step()
    new = {name: each.grad for name, each in unet.named_parameters() if name not in stock.state_dict()}
    assert new and not [name for name, grad in new.items() if grad is None or not grad.abs().sum() > 0]
    with torch.no_grad():
        assert not torch.equal(unet.eval()(**inputs(), **pooled(unet)).sample, stock(**inputs()).sample)


def awake(seed: int = 0, **switches) -> MedicalUNet2DConditionModel:
    """One whose improvements say something."""
    unet = tiny_unet(seed, **switches)
    with torch.no_grad():
        for each in unet.parameters():
            if not each.any():
                each.normal_(std=0.5)
    return unet


@torch.no_grad()
def test_saved_and_loaded_it_is_the_same(tmp_path):
    unet = awake(**ALL)
    unet.save_pretrained(tmp_path)
    again = MedicalUNet2DConditionModel.from_pretrained(tmp_path)
    expected = unet(**inputs(), **pooled(unet)).sample
    assert torch.equal(again(**inputs(), **pooled(unet)).sample, expected)
    assert torch.equal(copy.deepcopy(unet)(**inputs(), **pooled(unet)).sample, expected)
    assert {name: again.config[name] for name in ("skip_gates", "fpn_width")} == {"skip_gates": True, "fpn_width": 8}
    assert again.config.pyramid_levels == ["mid", "up.0", "up.1"]
    from_it = MedicalUNet2DConditionModel.from_stock(again)  # its own folder is as good as a stock one
    assert torch.equal(from_it(**inputs(), **pooled(unet)).sample, expected)


def test_gradient_checkpointing_changes_nothing():
    unet = awake(**ALL).train()
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            unet.enable_gradient_checkpointing()
            assert unet.gradient_checkpointing and unet.is_gradient_checkpointing
        unet.zero_grad()
        unet(**inputs(), **pooled(unet)).sample.square().mean().backward()
        gradients.append([each.grad.clone() for each in unet.parameters()])
    assert all(map(torch.equal, *gradients))


@torch.no_grad()
def test_the_mask_hides_padding():
    unet = awake(**ALL)
    given = inputs()
    longer = torch.cat([given["encoder_hidden_states"], torch.full((2, 6, 32), 9.0)], 1)
    mask = torch.cat([given["encoder_attention_mask"], torch.zeros(2, 6)], 1)
    short = unet(**given, **pooled(unet)).sample
    padded = unet(**{**given, "encoder_hidden_states": longer, "encoder_attention_mask": mask}, **pooled(unet)).sample
    assert torch.allclose(short, padded, atol=1e-4)
    seen = unet(**{**given, "encoder_hidden_states": longer, "encoder_attention_mask": None}, **pooled(unet)).sample
    assert not torch.allclose(short, seen, atol=1e-2)


@torch.no_grad()
def test_the_pooled_prompt_is_seen():
    unet = awake(**POOLED)
    one, other = (unet(**inputs(), class_labels=torch.full((2, 32), value)).sample for value in (1.0, 2.0))
    assert not torch.allclose(one, other, atol=1e-3)
    with pytest.raises(ValueError, match="class_labels should be provided"):
        unet(**inputs())


@torch.no_grad()
def test_a_gate_by_hand():
    gate = SkipGate(channels=2, signal=1, width=1, channels_too=False)
    for convolution, weight in ((gate.theta, 1.0), (gate.phi, 2.0), (gate.psi, -1.0)):
        torch.nn.init.constant_(convolution.weight, weight)
        torch.nn.init.zeros_(convolution.bias)
    skip, signal = torch.tensor([1.0, 2.0]).reshape(1, 2, 1, 1), torch.full((1, 1, 1, 1), 0.5)
    # relu(1 * 1 + 1 * 2 + 2 * 0.5) = 4, and a = sigmoid(-4)
    weight = torch.sigmoid(torch.tensor(-4.0))
    assert torch.allclose(gate.attention(skip, signal), weight)
    assert torch.equal(gate(skip, signal), skip)
    gate.gamma.fill_(0.5)
    assert torch.allclose(gate(skip, signal), skip * (0.5 + 0.5 * weight))
    gate.gamma.fill_(1.0)
    assert torch.allclose(gate(skip, signal), skip * weight)


@torch.no_grad()
def test_a_gate_on_channels_weighs_each_of_them():
    torch.manual_seed(0)
    gate = SkipGate(channels=3, signal=2, width=4, channels_too=True)
    attention = gate.attention(torch.randn(2, 3, 5, 4), torch.randn(2, 2, 5, 4))
    assert attention.shape == (2, 3, 5, 4) and attention.min() > 0 and attention.max() < 1
    assert not torch.allclose(attention[:, 0], attention[:, 1])


@torch.no_grad()
def test_pyramid_attention_sees_the_far_corner():
    torch.manual_seed(0)
    pyramid = PyramidAttention(channels=8, heads=2, grids=(1, 2, 4), groups=1)
    x = torch.randn(1, 8, 7, 5)
    assert torch.equal(pyramid(x), x)
    torch.nn.init.normal_(pyramid.to_out.weight)
    other = x.clone()
    other[..., -1, -1] += 3
    assert (pyramid(x) - pyramid(other))[..., 0, 0].abs().max() > 1e-3


@torch.no_grad()
def test_pyramid_attention_is_attention_over_the_pooled_cells():
    """One head, keys and queries zero: every place gets the mean of the values."""
    pyramid = PyramidAttention(channels=4, heads=1, grids=(1, 2), groups=1)
    torch.nn.init.zeros_(pyramid.to_q.weight)
    torch.nn.init.zeros_(pyramid.to_q.bias)
    torch.nn.init.eye_(pyramid.to_out.weight)
    x = torch.randn(1, 4, 6, 6)
    y = pyramid.norm(x)
    cells = [y.mean((2, 3))] + [y[:, :, i : i + 3, j : j + 3].mean((2, 3)) for i in (0, 3) for j in (0, 3)]
    values = pyramid.to_kv(torch.stack(cells, 1))[..., 4:].mean(1)
    assert torch.allclose(pyramid(x) - x, values[..., None, None].expand_as(x), atol=1e-5)


@torch.no_grad()
def test_the_feature_pyramid_adds_all_scales():
    fpn = FeaturePyramid([1, 1, 1], width=1)
    for each in fpn.parameters():
        torch.nn.init.zeros_(each)
    for convolution in (*fpn.lateral, fpn.out):
        torch.nn.init.ones_(convolution.weight)
    fpn.smooth.weight[0, 0, 1, 1] = 1  # the middle of 3 x 3 alone
    levels = [torch.full((1, 1, side, side), value) for side, value in ((1, 1.0), (2, 2.0), (5, 3.0))]
    expected = 3 + torch.nn.functional.silu(torch.tensor(6.0))
    assert torch.allclose(fpn(levels), expected.expand(1, 1, 5, 5))


def test_every_scale_of_the_feature_pyramid_gets_a_gradient():
    unet = awake(fpn_width=8)
    unet(**inputs()).sample.sum().backward()
    assert all(each.weight.grad.abs().sum() > 0 for each in unet.fpn.lateral)


@pytest.mark.parametrize(
    ("switches", "message"),
    [
        (
            {"pyramid_levels": ("up.2",)},
            "pyramid_levels: found 'up.2'; expected some of down.0, down.1, mid, up.0, up.1; correct the configuration",
        ),
        (
            {"extra_transformer_levels": (0,)},
            "extra_transformer_levels: found 0; expected some of down.0, down.1, mid, up.0, up.1; "
            "correct the configuration",
        ),
        ({"gate_width": 0}, "gate_width: found 0; expected a number of channels; correct the configuration"),
        ({"fpn_width": -1}, "fpn_width: found -1; expected a number of channels; correct the configuration"),
        (
            {"pyramid_grids": (0, 2)},
            "pyramid_grids: found (0, 2); expected cells a side, 1 or more; correct the configuration",
        ),
        (
            {"class_embeddings_concat": True},
            "class_embeddings_concat: found True; expected False; use the stock class for it",
        ),
        ({"skip_gate": True}, "from_stock: found 'skip_gate'; expected a switch of this U-Net; correct its name"),
        (
            {"cross_attention_dim": 48},
            "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight: found (32, 32); expected (32, 48); "
            "give the U-Net that these switches belong to",
        ),
        (
            {"layers_per_block": 2},
            re.compile(r"\w+_blocks\.\d\..*: found .*; expected .*; give the U-Net that these switches belong to$"),
        ),
    ],
)
def test_what_cannot_be_is_refused(stock, switches, message):
    with pytest.raises(ConfigError) as error:
        MedicalUNet2DConditionModel.from_stock(stock, **switches)
    assert message.match(str(error.value)) if isinstance(message, re.Pattern) else str(error.value) == message
