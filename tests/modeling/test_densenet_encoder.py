"""The DenseNet that both views share: its five maps, its weights' names, and its layers as Keras counts them."""

import pytest
import torch
from torch import nn
from torchvision.models import densenet121
from torchvision.models.densenet import DenseNet

from hf_medreport.modeling.configuration_cxr_multitask import DENSENET121
from hf_medreport.modeling.densenet_encoder import DenseNetEncoder, keras_layers

TINY = {"growth_rate": 4, "block_config": [2, 3, 2, 2], "num_init_features": 8, "bn_size": 2}

# Keras' name of each skip -> torchvision's point, and its shape at 224 px.
SKIPS = {
    "conv1_relu": ("relu0", (64, 112, 112)),
    "conv2_block6_concat": ("denseblock1", (256, 56, 56)),
    "conv3_block12_concat": ("denseblock2", (512, 28, 28)),
    "conv4_block24_concat": ("denseblock3", (1024, 14, 14)),
    "conv5_block16_concat": ("denseblock4", (1024, 7, 7)),
}


def randomized(network: nn.Module) -> nn.Module:
    """Batch norms that do something, so that a left out or doubled one is seen."""
    draw = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(generator=draw)
            module.running_var.uniform_(0.5, 2, generator=draw)
            nn.init.uniform_(module.weight, 0.5, 2, generator=draw)
            nn.init.normal_(module.bias, generator=draw)
    return network.eval()


def torchvisions(sizes: dict) -> DenseNet:
    torch.manual_seed(0)
    sizes = {**sizes, "block_config": tuple(sizes["block_config"])}
    return randomized(DenseNet(**sizes, num_classes=3))


@pytest.fixture(scope="module")
def published():
    """DenseNet-121 of torchvision, and the encoder with its weights."""
    torch.manual_seed(0)
    network, encoder = randomized(densenet121(weights=None)), DenseNetEncoder(**DENSENET121)
    encoder.load_state_dict(without_classifier(network))
    return network, encoder.eval()


def without_classifier(network: DenseNet) -> dict[str, torch.Tensor]:
    return {name: value for name, value in network.state_dict().items() if not name.startswith("classifier")}


@torch.no_grad()
def hooked(network: DenseNet, pixels: torch.Tensor) -> list[torch.Tensor]:
    """torchvision's own forward, listened to at the five points; copied, since `transition` works in place."""
    heard = {}
    for point, _ in SKIPS.values():
        module = getattr(network.features, point)
        module.register_forward_hook(lambda _, inputs, output, point=point: heard.update({point: output.clone()}))
    network(pixels)
    return [heard[point] for point, _ in SKIPS.values()]


def test_five_maps_of_densenet121_at_224_px(published):
    network, encoder = published
    pixels = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        maps = encoder(pixels)
    assert [tuple(each.shape[1:]) for each in maps] == [shape for _, shape in SKIPS.values()]
    assert encoder.widths == [shape[0] for _, shape in SKIPS.values()]
    for ours, theirs in zip(maps, hooked(network, pixels), strict=True):
        assert torch.equal(ours, theirs)


def test_keras_names_of_the_skips_are_where_torchvision_has_them(published):
    """The last weights that Keras lists up to each skip are the last ones that torchvision runs up to its point."""
    _, encoder = published
    names, modules = zip(*keras_layers(encoder.features), strict=True)
    last = {"relu0": encoder.features.norm0}
    for index, layers in enumerate(DENSENET121["block_config"], start=1):
        last[f"denseblock{index}"] = encoder.features.get_submodule(f"denseblock{index}.denselayer{layers}.conv2")
    for name, (point, _) in SKIPS.items():
        before = [module for module in modules[: names.index(name) + 1] if module is not None]
        assert before[-1] is last[point], name


def test_weights_have_torchvisions_names(published):
    network, encoder = published
    assert list(encoder.state_dict()) == list(without_classifier(network))
    assert "features.denseblock4.denselayer16.norm1.running_mean" in encoder.state_dict()


@pytest.mark.parametrize("side", [32, 96])
def test_maps_of_any_size_are_torchvisions(side):
    network, encoder = torchvisions(TINY), DenseNetEncoder(**TINY)
    encoder.load_state_dict(without_classifier(network))
    pixels = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        maps = encoder.eval()(pixels)
    for index, (ours, theirs) in enumerate(zip(maps, hooked(network, pixels), strict=True)):
        assert torch.equal(ours, theirs)
        assert ours.shape == (2, encoder.widths[index], side // 2 ** (index + 1), side // 2 ** (index + 1))


def test_activations_are_what_the_classifier_pools():
    network, encoder = torchvisions(TINY), DenseNetEncoder(**TINY)
    encoder.load_state_dict(without_classifier(network))
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        pooled = encoder.eval().activations(encoder(pixels)[-1]).mean(dim=(2, 3))
        torch.testing.assert_close(network.classifier(pooled), network(pixels))


def test_the_last_ten_layers_are_the_last_dense_layer_and_the_last_norm(published):
    _, encoder = published
    layers = keras_layers(encoder.features)
    assert [name for name, _ in layers[-10:]] == [
        "conv5_block15_concat",
        "conv5_block16_0_bn",
        "conv5_block16_0_relu",
        "conv5_block16_1_conv",
        "conv5_block16_1_bn",
        "conv5_block16_1_relu",
        "conv5_block16_2_conv",
        "conv5_block16_concat",
        "bn",
        "relu",
    ]
    block, names = "features.denseblock4.denselayer16", {module: name for name, module in encoder.named_modules()}
    assert [names[module] for module in encoder.last_layers(10)] == [
        f"{block}.norm1", f"{block}.conv1", f"{block}.norm2", f"{block}.conv2", "features.norm5"
    ]  # fmt: skip


def test_keras_lists_427_layers(published):
    """7 of the stem; 7 a dense layer, of which there are 6 + 12 + 24 + 16 = 58; 4 a transition; 2 at the end."""
    _, encoder = published
    layers = keras_layers(encoder.features)
    assert len(layers) == 7 + 7 * 58 + 3 * 4 + 2 == 427
    assert len({name for name, _ in layers}) == 427


def test_each_module_with_weights_is_listed_once_in_the_order_of_running(published):
    _, encoder = published
    listed = [module for _, module in keras_layers(encoder.features) if module is not None]
    weighted = [module for module in encoder.modules() if list(module.parameters(recurse=False))]
    assert [id(module) for module in listed] == [id(module) for module in weighted]


@pytest.mark.parametrize(
    ("count", "modules"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (424, 240), (425, 241), (500, 241), (None, 241)]
)
def test_how_many_modules_the_last_layers_hold(published, count, modules):
    """From the end: ReLU, norm, concatenation, convolution. In all 1 + 2 * 58 + 3 convolutions, one norm more."""
    _, encoder = published
    chosen = encoder.last_layers(count)
    assert len(chosen) == modules
    assert not chosen or chosen[-1] is encoder.features.norm5
