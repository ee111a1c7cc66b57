"""Features of a folder's model equal those of the model called directly; what is no model is said in one line."""

import builtins
import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel, ResNetModel, ViTForImageClassification, ViTModel

from hf_medreport.evaluation.images.features import grid_statistics, load_extractor
from hf_medreport.processing.input_error import InputError
from tests.evaluation.images.models import save_bert, save_classifier, save_clip, save_resnet, save_vit

EXPECTED = "expected a folder of an image model, or a file of Inception's weights"


def pictures() -> list[np.ndarray]:
    """A gray one and a color one of another size, on the grid of 8 bits."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, shape).astype(np.float32) / 255 for shape in ((20, 24), (30, 18, 3))]


def pixels(folder) -> torch.Tensor:
    """The model's input, of pictures made in another way."""
    eight_bit = [Image.fromarray((255 * picture).round().astype("uint8")).convert("RGB") for picture in pictures()]
    return AutoImageProcessor.from_pretrained(folder, backend="pil")(eight_bit, return_tensors="pt")["pixel_values"]


def test_the_stand_in_by_hand():
    (row,), logits = grid_statistics([np.full((16, 16), 0.5, np.float32)])
    assert logits is None and row.shape == (96,)
    assert row[:16] == pytest.approx(0.5) and row[16:] == pytest.approx(0, abs=1e-6)
    ramp = np.tile(np.arange(64, dtype=np.float32) / 64, (64, 1))  # 1/64 a px to the right
    fields = grid_statistics([ramp])[0][0].reshape(6, 4, 4)
    assert fields[0, 0] == pytest.approx([7.5 / 64, 23.5 / 64, 39.5 / 64, 55.5 / 64])
    assert fields[3] == pytest.approx(0) and fields[4] == pytest.approx(1 / 64)
    assert fields[5] == pytest.approx(np.std(np.arange(16) / 64), abs=1e-4)
    red = np.zeros((8, 8, 3), np.float32)
    red[..., 0] = 0.9
    fields = grid_statistics([red])[0][0].reshape(6, 16)
    assert fields[0] == pytest.approx(0.3) and fields[1] == pytest.approx(0.6) and fields[2] == pytest.approx(-0.3)


def test_the_stand_in_says_that_it_is_not_inception():
    extractor = load_extractor()
    assert extractor.name == "grid-statistics-96 (built in and hand-made, not Inception)" and extractor.texts is None


@torch.no_grad()
def test_backbones_equal_the_model_called_directly(tmp_path):
    vit, bare, resnet = save_vit(tmp_path / "vit"), save_vit(tmp_path / "bare", False), save_resnet(tmp_path / "resnet")
    states = ViTModel.from_pretrained(bare, add_pooling_layer=False).eval()(pixels(bare)).last_hidden_state
    expected = {
        vit: ("vit (vit, pooled)", ViTModel.from_pretrained(vit).eval()(pixels(vit)).pooler_output),
        # Its checkpoint has no pooler: the random one that loading adds is not looked at.
        bare: ("bare (vit, mean of all positions)", states.mean(dim=1)),
        resnet: (
            "resnet (resnet, pooled)",
            ResNetModel.from_pretrained(resnet).eval()(pixels(resnet)).pooler_output[..., 0, 0],
        ),
    }
    for folder, (name, vectors) in expected.items():
        extractor = load_extractor(folder, "cpu")
        found, logits = extractor.images(pictures())
        assert extractor.name == name and extractor.texts is None and logits is None
        np.testing.assert_allclose(found, vectors.numpy(), atol=1e-5)


@torch.no_grad()
def test_a_classifier_gives_features_and_logits(tmp_path):
    folder = save_classifier(tmp_path / "classifier")
    model = ViTForImageClassification.from_pretrained(folder).eval()
    extractor = load_extractor(folder, "cpu")
    vectors, logits = extractor.images(pictures())
    assert extractor.name == "classifier (vit, mean of all positions)" and vectors.shape == (2, 16)
    np.testing.assert_allclose(logits, model(pixels(folder)).logits.numpy(), atol=1e-4)
    states = model.vit(pixels(folder)).last_hidden_state
    np.testing.assert_allclose(vectors, states.mean(dim=1).numpy(), atol=1e-4)


@torch.no_grad()
def test_a_clip_like_model_gives_features_of_pictures_and_texts(tmp_path):
    folder = save_clip(tmp_path / "clip")
    model, tokenizer = CLIPModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    extractor = load_extractor(folder, "cpu")
    assert extractor.name == "clip (clip, projected)"
    vectors, logits = extractor.images(pictures())
    assert logits is None and vectors.shape == (2, 8)
    captions = ["clear lungs", "left", "left right left right left right left"]  # the last is cut to 6 tokens
    texts = extractor.texts(captions)
    for row, caption in zip(texts, captions, strict=True):
        ids = torch.tensor([tokenizer(caption, truncation=True, max_length=6)["input_ids"]])
        output = model(input_ids=ids, pixel_values=pixels(folder))
        np.testing.assert_allclose(row / np.linalg.norm(row), output.text_embeds[0].numpy(), atol=1e-5)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors / lengths, output.image_embeds.numpy(), atol=1e-5)


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    """torchvision's Inception with random weights, and the file of its state, as bfloat16 to be small."""
    from torchvision.models import inception_v3

    torch.manual_seed(0)
    net = inception_v3(weights=None, init_weights=False).to(torch.bfloat16).eval()
    path = tmp_path_factory.mktemp("inception") / "net.safetensors"
    save_file(net.state_dict(), path)
    return net.float(), path


@torch.no_grad()
def test_torchvisions_inception_from_a_file(inception):
    net, path = inception
    extractor = load_extractor(path, "cpu")
    assert extractor.name.startswith("torchvision's Inception, not that of FID (sha256 ")
    picture = np.random.default_rng(0).integers(0, 256, (299, 299, 3)).astype(np.float32) / 255  # nothing to resize
    vectors, logits = extractor.images([picture])
    assert vectors.shape == (1, 2048)
    expected = net(2 * torch.from_numpy(picture).permute(2, 0, 1)[None] - 1)
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-4)
    np.testing.assert_allclose(net.fc(torch.from_numpy(vectors)).numpy(), expected.numpy(), atol=1e-4)


def fid_weights(inception, folder):
    """A file as FID's Inception has it: 1008 classes, no auxiliary head."""
    state = {name: value for name, value in load_file(inception[1]).items() if not name.startswith("AuxLogits")}
    state["fc.weight"], state["fc.bias"] = torch.randn(1008, 2048).bfloat16(), torch.randn(1008).bfloat16()
    torch.save(state, folder / "fid.pth")
    return folder / "fid.pth", state


def test_fids_inception_from_a_file(inception, tmp_path):
    pytest.importorskip("torch_fidelity")
    path, state = fid_weights(inception, tmp_path)
    extractor = load_extractor(path, "cpu")
    assert extractor.name.startswith("Inception of 2015, as in FID (sha256 ")
    vectors, logits = extractor.images(pictures()[:1])
    assert vectors.shape == (1, 2048)
    np.testing.assert_allclose(logits, vectors @ state["fc.weight"].float().numpy().T, atol=1e-3)


def test_a_missing_package_is_said(inception, tmp_path, monkeypatch):
    imported = builtins.__import__

    def missing(name, *arguments):
        if name.startswith("torch_fidelity"):
            raise ImportError(name)
        return imported(name, *arguments)

    path, _ = fid_weights(inception, tmp_path)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InputError) as error:
        load_extractor(path, "cpu")
    assert str(error.value) == (
        "features: found the weights of FID's Inception, but no torch-fidelity to run them; expected torch-fidelity; "
        "pip install 'hf-medreport[evaluate]'"
    )


def broken(folder, name: str):
    """A thing that is no extractor, by name."""
    if name == "nothing":
        return folder / "gone"
    if name == "empty":
        return folder
    if name == "text.pth":
        (folder / name).write_text("hello")
        return folder / name
    if name == "pickle.pth":
        torch.save({"fc.weight": torch.zeros(1000, 2), "code": broken}, folder / name)
        return folder / name
    if name == "list.pth":
        torch.save([torch.zeros(2)], folder / name)
        return folder / name
    if name in ("headless.safetensors", "ten.safetensors"):
        key = "weight" if name.startswith("headless") else "fc.weight"
        save_file({key: torch.zeros(10, 2)}, folder / name)
        return folder / name
    if name == "bert":
        return save_bert(folder / name)
    model = save_vit(folder / name)
    if name == "unprepared":
        (model / "preprocessor_config.json").unlink()
    if name == "incomplete":
        state = load_file(model / "model.safetensors")
        cut = {key: value for key, value in state.items() if "embeddings.cls_token" not in key}
        save_file(cut, model / "model.safetensors", {"format": "pt"})
    if name == "foreign":
        (model / "config.json").write_text(json.dumps({"model_type": "no-such-model"}))
    return model


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", f"found nothing at 'gone'; {EXPECTED}; check the path"),
        ("empty", f"found no config.json in 'x'; {EXPECTED}; give the folder that holds config.json"),
        (
            "unprepared",
            "found no preprocessor_config.json in 'unprepared'; expected a model that says how it reads pictures; "
            "copy that file too",
        ),
        (
            "incomplete",
            "found no weights for embeddings.cls_token and 0 more in 'incomplete'; expected all weights; "
            "copy the folder again",
        ),
        ("bert", f"found a bert model, which reads no pictures; {EXPECTED}; give an image model"),
        (
            "text.pth",
            f"found 'text.pth', which holds no readable tensors; {EXPECTED}; download the file again",
        ),
        (
            "pickle.pth",
            f"found 'pickle.pth', which holds no readable tensors; {EXPECTED}; download the file again",
        ),
        ("list.pth", f"found a list in 'list.pth'; {EXPECTED}; save the model's state_dict"),
        (
            "headless.safetensors",
            "found weights without fc.weight in 'headless.safetensors'; expected Inception-v3 with 1008 (FID) or 1000 "
            "classes (torchvision); give another file, or a model's folder",
        ),
        (
            "ten.safetensors",
            "found 10 classes; expected Inception-v3 with 1008 (FID) or 1000 classes (torchvision); "
            "give another file, or a model's folder",
        ),
    ],
)
def test_what_is_no_extractor(name, message, tmp_path):
    (tmp_path / "x").mkdir()
    with pytest.raises(InputError) as error:
        load_extractor(broken(tmp_path / "x", name), "cpu")
    assert str(error.value) == f"features: {message}"


def test_a_model_of_an_unknown_kind_runs_no_code(tmp_path):
    with pytest.raises(InputError, match="^features: found 'foreign', which does not load \\(.*no-such-model.*"):
        load_extractor(broken(tmp_path, "foreign"), "cpu")


def test_weights_that_do_not_fit(inception, tmp_path):
    save_file(load_file(inception[1]) | {"fc.weight": torch.zeros(1000, 3)}, tmp_path / "odd.safetensors")
    with pytest.raises(InputError, match="^features: found weights that do not fit .*size mismatch for fc.weight"):
        load_extractor(tmp_path / "odd.safetensors", "cpu")
