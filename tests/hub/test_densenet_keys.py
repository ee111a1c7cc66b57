"""DenseNets of chest films, read: held against torchvision's own forward pass on the same weights."""

import re
import sys

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models.densenet import DenseNet

from hf_medreport.hub.densenet_keys import SCALES, read_densenet, three_channels
from hf_medreport.modeling.densenet_encoder import DenseNetEncoder
from hf_medreport.processing.input_error import InputError

SIZES = {"growth_rate": 4, "block_config": [2, 1, 3, 2], "num_init_features": 8, "bn_size": 3}
POINTS = ("relu0", "denseblock1", "denseblock2", "denseblock3", "denseblock4")
FILMS = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
RGB = FILMS.expand(-1, 3, -1, -1)
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def densenet(classes: int = 14, channels: int = 3) -> DenseNet:
    """torchvision's DenseNet with random weights and random batch statistics."""
    torch.manual_seed(1)
    model = DenseNet(**SIZES, num_classes=classes)
    model.features.conv0 = torch.nn.Conv2d(channels, SIZES["num_init_features"], 7, 2, 3, bias=False)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                for tensor in (module.weight, module.running_var):
                    tensor.uniform_(0.5, 1.5)
                for tensor in (module.bias, module.running_mean):
                    tensor.normal_(0, 0.3)
    return model.eval()


def maps_of(model: DenseNet, pixels: torch.Tensor) -> list[torch.Tensor]:
    """The activations at the five points, seen by hooks."""
    seen = []
    for point in POINTS:
        layer = getattr(model.features, point)
        layer.register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
    with torch.no_grad():
        model(pixels)
    return seen


def read_maps(path, pixels: torch.Tensor) -> list[torch.Tensor]:
    """What the converted encoder makes of films in [0, 1]."""
    sizes, state, layout, _ = read_densenet(path)
    mean, std = SCALES[layout]
    encoder = DenseNetEncoder(**sizes).eval()
    encoder.load_state_dict(state)
    with torch.no_grad():
        return encoder((pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None])


def scaled(films: torch.Tensor, mean: list[float], std: list[float]) -> torch.Tensor:
    return torch.stack([(films[:, i] - mean[i]) / std[i] for i in range(3)], dim=1)


def assert_close(ours: list[torch.Tensor], theirs: list[torch.Tensor], tolerance: float = 1e-5) -> None:
    assert len(ours) == len(theirs) == 5
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape
        assert (one - other).abs().max() <= tolerance * other.abs().max()


def old_names(state: dict) -> dict:
    """As a CheXNet of 2017 is stored: two wrappers, dots within a dense layer, and no counters."""
    dotted = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): value for key, value in state.items()}
    dotted = {key.replace("classifier.", "classifier.0."): value for key, value in dotted.items()}
    return {f"module.densenet121.{key}": value for key, value in dotted.items() if "num_batches" not in key}


def keras_tensors(state: dict, stem: str = "conv1/") -> dict[str, np.ndarray]:
    """`layer/kind` -> array, named as Keras' DenseNet names them; written out here, not taken from the encoder."""
    pairs = [("features.conv0", f"{stem}conv"), ("features.norm0", f"{stem}bn"), ("features.norm5", "bn")]
    parts = {"norm1": "0_bn", "conv1": "1_conv", "norm2": "1_bn", "conv2": "2_conv"}
    for block, layers in enumerate(SIZES["block_config"], start=1):
        for layer in range(1, layers + 1):
            for ours, keras in parts.items():
                place = f"features.denseblock{block}.denselayer{layer}.{ours}"
                pairs.append((place, f"conv{block + 1}_block{layer}_{keras}"))
        if block < 4:
            pairs.append((f"features.transition{block}.norm", f"pool{block + 1}_bn"))
            pairs.append((f"features.transition{block}.conv", f"pool{block + 1}_conv"))
    arrays = {}
    for ours, keras in pairs:
        if f"{ours}.running_mean" in state:
            kinds = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
            arrays |= {f"{keras}/{kind}:0": state[f"{ours}.{torch_kind}"].numpy() for kind, torch_kind in kinds.items()}
        else:
            arrays[f"{keras}/kernel:0"] = state[f"{ours}.weight"].numpy().transpose(2, 3, 1, 0)
    arrays["predictions/kernel:0"] = state["classifier.weight"].numpy().T
    arrays["predictions/bias:0"] = state["classifier.bias"].numpy()
    return arrays


def write_keras(path, state: dict, stem: str = "conv1/", root: str = ""):
    """A file of `save_weights`: each layer's group repeats its name. With a root, one of `model.save`."""
    with h5py.File(path, "w") as file:
        for name, array in keras_tensors(state, stem).items():
            layer = name.rsplit("/", 1)[0]
            file[f"{root}{layer}/{name}"] = array
            if root:  # the optimizer's moments have the same names
                file[f"optimizer_weights/Adam/m/{name}"] = np.zeros_like(array)
    return path


def test_torchvision(tmp_path):
    model = densenet(classes=1000)
    torch.save(model.state_dict(), tmp_path / "densenet.pth")
    save_file(model.state_dict(), tmp_path / "model.safetensors")  # as timm's repositories have it
    for name in ("densenet.pth", "model.safetensors"):
        sizes, _, layout, unexpected = read_densenet(tmp_path / name)
        assert sizes == SIZES and layout == "torchvision" and SCALES[layout] == IMAGENET
        assert unexpected == ["classifier.bias", "classifier.weight"]
        assert_close(read_maps(tmp_path / name, RGB), maps_of(densenet(1000), scaled(RGB, *IMAGENET)))


def test_chexnet_of_2017(tmp_path):
    torch.save({"epoch": 9, "state_dict": old_names(densenet().state_dict())}, tmp_path / "model.pth.tar")
    sizes, _, layout, unexpected = read_densenet(tmp_path / "model.pth.tar")
    assert sizes == SIZES and layout == "chexnet" and SCALES[layout] == IMAGENET
    assert unexpected == ["densenet121.classifier.0.bias", "densenet121.classifier.0.weight"]
    assert_close(read_maps(tmp_path / "model.pth.tar", RGB), maps_of(densenet(), scaled(RGB, *IMAGENET)))


def test_torchxrayvision(tmp_path):
    model = densenet(classes=18, channels=1)
    torch.save({**model.state_dict(), "op_threshs": torch.full((18,), torch.nan)}, tmp_path / "xrv.pt")
    sizes, _, layout, unexpected = read_densenet(tmp_path / "xrv.pt")
    assert sizes == SIZES and layout == "torchxrayvision" and SCALES[layout] == ([0.5] * 3, [1 / 2048] * 3)
    assert unexpected == ["classifier.bias", "classifier.weight", "op_threshs"]
    assert_close(read_maps(tmp_path / "xrv.pt", RGB), maps_of(model, (2 * FILMS - 1) * 1024))


def test_three_channels_answer_a_gray_film_as_one_did():
    generator = torch.Generator().manual_seed(0)  # whole numbers, so that nothing is rounded
    weight = 3.0 * torch.randint(-50, 50, (8, 1, 7, 7), generator=generator)
    film = torch.randint(-1024, 1025, (1, 1, 32, 32), generator=generator).float()
    gray = torch.nn.functional.conv2d(film, weight, padding=3)
    assert torch.equal(torch.nn.functional.conv2d(film.expand(-1, 3, -1, -1), three_channels(weight), padding=3), gray)


@pytest.mark.parametrize(("stem", "root"), [("conv1/", ""), ("conv1_", ""), ("conv1/", "model_weights/")])
def test_keras(tmp_path, stem, root):
    model = densenet()
    path = write_keras(tmp_path / "chexnet.h5", model.state_dict(), stem, root)
    sizes, _, layout, unexpected = read_densenet(path)
    assert sizes == SIZES and layout == "keras" and SCALES[layout] == ([0.0] * 3, [1.0] * 3)
    assert unexpected == ["predictions.bias", "predictions.weight"]
    assert_close(read_maps(path, RGB), maps_of(model, RGB))


def test_the_epsilon_of_keras(tmp_path):
    """On variances as small as the epsilon the two differ by sqrt(2.001 / 2), 2.5e-4 of the value."""
    model = densenet()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 1.001e-5
            module.running_var.fill_(1e-5)
    ours = read_maps(write_keras(tmp_path / "small.h5", model.state_dict()), RGB)
    assert_close(ours[:1] * 5, maps_of(model, RGB)[:1] * 5, 1e-5)


def test_keras_without_h5py(tmp_path, monkeypatch):
    path = write_keras(tmp_path / "chexnet.h5", densenet().state_dict())
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError) as caught:
        read_densenet(path)
    assert str(caught.value) == "chexnet.h5: found an HDF5 file, but no h5py; expected h5py; pip install h5py"


class Whole(torch.nn.Module):
    """What torchxrayvision's releases hold: the module itself, pickled."""


def without(state: dict, *parts: str) -> dict:
    return {key: value for key, value in state.items() if not any(part in key for part in parts)}


def bad_checkpoint(name: str, folder):
    """The file of a name in `MESSAGES`."""
    path, state = folder / name, densenet().state_dict()
    layer = "features.denseblock4.denselayer2"
    if name in TORCH_FILES:
        torch.save(TORCH_FILES[name](state), path)
    elif name == "folder.pth":
        path.mkdir()
    elif name == "noise.pth":
        path.write_bytes(b"not a checkpoint")
    elif name == "short.pth":
        torch.save(state, path)
        path.write_bytes(path.read_bytes()[:3000])
    elif name == "short.safetensors":
        save_file(state, path)
        path.write_bytes(path.read_bytes()[:3000])
    elif name == "short.h5":
        write_keras(path, state)
        path.write_bytes(path.read_bytes()[:30_000])
    elif name == "text.h5":
        path.write_text("conv1/conv")
    elif name == "resnet.h5":
        with h5py.File(path, "w") as file:
            file["res2a_branch2a/res2a_branch2a/kernel:0"] = np.zeros((3, 3, 4, 4), np.float32)
    elif name == "keras3.h5":
        with h5py.File(path, "w") as file:
            file["layers/conv2d/vars/0"] = np.zeros((7, 7, 3, 8), np.float32)
    elif name == "strings.h5":
        with h5py.File(path, "w") as file:
            file["conv1/conv/kernel:0"] = "seven by seven"
    elif name == "half.h5":
        write_keras(path, state)
        with h5py.File(path, "a") as file:
            del file["conv5_block2_2_conv"], file["bn"]
    elif name == "first.h5":
        write_keras(path, {**state, f"{layer}.conv2.weight": torch.zeros(4, 12, 5, 5)})
    return path


TORCH_FILES = {
    "whole.pt": lambda state: Whole(),
    "list.pth": lambda state: [state["classifier.bias"]],
    "nested.pth": lambda state: {"generator": state},
    "vit.pth": lambda state: {"cls_token": torch.zeros(1), "blocks.0.attn.qkv.weight": torch.zeros(3, 1)},
    "head.pth": lambda state: {key: value for key, value in state.items() if key.startswith("classifier")},
    "empty.pth": lambda state: {},
    "stem.pth": lambda state: {"features.conv0.weight": state["features.conv0.weight"]},
    "flat.pth": lambda state: {**state, "features.conv0.weight": torch.zeros(8)},
    "hollow.pth": lambda state: {**state, "features.denseblock1.denselayer1.conv2.weight": torch.zeros(0, 12, 3, 3)},
    "three.pth": lambda state: without(state, "denseblock4"),
    "gap.pth": lambda state: without(state, "denseblock3.denselayer2.", "norm5.bias"),
    "one.pth": lambda state: without(state, "transition2.conv"),
    "four.pth": lambda state: {**state, "features.conv0.weight": torch.zeros(8, 4, 7, 7)},
    "mixed.pth": lambda state: {**state, "features.norm5.weight": torch.zeros(1024)},
    "narrow.pth": lambda state: {**state, "features.denseblock1.denselayer1.conv1.weight": torch.zeros(2, 8, 1, 1)},
}

MESSAGES = {
    "gone.pth": "found no such file; expected a .pth, .pt, .safetensors or .h5 checkpoint; check the path",
    "folder.pth": "found a folder; expected a .pth, .pt, .safetensors or .h5 checkpoint; check the path",
    "whole.pt": (
        "found objects besides tensors; expected a state dict saved by torch.save; save model.state_dict() only"
    ),
    "list.pth": "found no state dict; expected names with tensors; save model.state_dict() only",
    "nested.pth": "found no state dict; expected names with tensors; save model.state_dict() only",
    "noise.pth": "found a broken file; expected a state dict saved by torch.save; save model.state_dict() only",
    "short.pth": "found a broken file; expected a state dict saved by torch.save; save model.state_dict() only",
    "short.safetensors": "found broken safetensors; expected a complete file; copy it again",
    "vit.pth": (
        "found parts blocks, cls_token, without features.conv0.weight; expected a DenseNet's features"
        "; is it a checkpoint of DenseNet-121?"
    ),
    "head.pth": (
        "found parts classifier, without features.conv0.weight; expected a DenseNet's features"
        "; is it a checkpoint of DenseNet-121?"
    ),
    "empty.pth": "found no tensors; expected a DenseNet's features; is it a checkpoint of DenseNet-121?",
    "stem.pth": (
        "found parts features, without features.denseblock1.denselayer1.conv1.weight; expected a DenseNet's features"
        "; is it a checkpoint of DenseNet-121?"
    ),
    "flat.pth": (
        "found features.conv0.weight of shape (8,); expected a convolution; is it a checkpoint of DenseNet-121?"
    ),
    "hollow.pth": (
        "found features.denseblock1.denselayer1.conv2.weight of shape (0, 12, 3, 3); expected a convolution"
        "; is it a checkpoint of DenseNet-121?"
    ),
    "three.pth": "found blocks 1, 2, 3; expected blocks 1, 2, 3, 4; use a whole DenseNet-121",
    "gap.pth": "found layers 1, 3 in block 3; expected all from 1 on; use the full file",
    "one.pth": "found no features.transition2.conv.weight; expected a whole DenseNet; use the full file",
    "four.pth": (
        "found features.conv0.weight of shape (8, 4, 7, 7); expected (8, 3, 7, 7); is it a whole, unchanged checkpoint?"
    ),
    "mixed.pth": ("found features.norm5.weight of shape (1024,); expected (17,); is it a whole, unchanged checkpoint?"),
    "narrow.pth": (
        "found features.denseblock1.denselayer1.conv1.weight of shape (2, 8, 1, 1); expected (4, 8, 1, 1)"
        "; is it a whole, unchanged checkpoint?"
    ),
    "short.h5": "found a broken or truncated HDF5 file; expected Keras weights; copy it again",
    "text.h5": "found a broken or truncated HDF5 file; expected Keras weights; copy it again",
    "strings.h5": "found conv1_conv/kernel of type object; expected numbers; save the weights again",
    "resnet.h5": (
        "found parts res2a_branch2a, without conv1_conv.weight; expected a DenseNet's features"
        "; is it a checkpoint of DenseNet-121?"
    ),
    "keras3.h5": (
        "found no tensor under a layer's name; expected Keras weights"
        "; load the model in Keras and save it by model.save('name.h5')"
    ),
    "half.h5": "found no conv5_block2_2_conv.weight and 4 more; expected a whole DenseNet; use the full file",
    "first.h5": (
        "found conv5_block2_2_conv.weight of shape (4, 12, 5, 5); expected (4, 12, 3, 3)"
        "; is it a whole, unchanged checkpoint?"
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_refusals(tmp_path, name):
    with pytest.raises(InputError) as caught:
        read_densenet(bad_checkpoint(name, tmp_path))
    assert str(caught.value) == f"{name}: {MESSAGES[name]}"
