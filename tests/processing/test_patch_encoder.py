"""Any vision model as a function from tiles to vectors: what is pooled, what is refused, what never changes."""

import json

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import TimmWrapperConfig, TimmWrapperModel

from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.patch_encoder import PatchEncoder

VIT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16, "image_size": 32}
VIT["patch_size"] = 8
CONVOLUTIONAL = {"hidden_sizes": [8, 16], "depths": [1, 1], "out_features": None}
CONFIGS = {
    "ResNet": {**CONVOLUTIONAL, "embedding_size": 8, "layer_type": "basic"},
    "ConvNext": {**CONVOLUTIONAL, "num_stages": 2},
    "Dinov2": VIT,
    "DINOv3ViT": VIT,
    "ViT": VIT,
    "CLIPVision": VIT,
    "SiglipVision": VIT,
    "Swin": {
        "image_size": 32,
        "patch_size": 4,
        "embed_dim": 8,
        "depths": [1, 1],
        "num_heads": [1, 2],
        "window_size": 4,
    },
}
# The pooling rule, written down once more from each model's own parts.
POOLED = {
    "ResNet": lambda model, hidden: hidden.mean((2, 3)),
    "ConvNext": lambda model, hidden: model.layernorm(hidden.mean((2, 3))),
    "Dinov2": lambda model, hidden: hidden[:, 0],  # transformers gives the hidden states after the final norm
    "DINOv3ViT": lambda model, hidden: hidden[:, 0],
    "ViT": lambda model, hidden: hidden[:, 0],
    "CLIPVision": lambda model, hidden: model.post_layernorm(hidden[:, 0]),
    "SiglipVision": lambda model, hidden: model.head(hidden),
    "Swin": lambda model, hidden: hidden.mean(1),
}


def build(kind: str, **changes):
    torch.manual_seed(0)
    settings = {key: value for key, value in {**CONFIGS[kind], **changes}.items() if value is not None}
    config = getattr(transformers, f"{kind}Config")(**settings)
    return getattr(transformers, f"{kind}Model")(config).eval()


@pytest.fixture
def resnet(tmp_path):
    build("ResNet").save_pretrained(tmp_path / "resnet")
    return tmp_path / "resnet"


def tiles(n: int, px: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, px, px, 3), dtype=np.uint8)


PROCESSOR = TileImageProcessor(size=32)


@pytest.mark.parametrize("kind", CONFIGS)
def test_what_is_pooled(tmp_path, kind):
    model = build(kind)
    model.save_pretrained(tmp_path / kind)
    encoder = PatchEncoder.from_pretrained(tmp_path / kind)
    pixels = PROCESSOR(tiles(3), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        expected = POOLED[kind](model, model(pixels).last_hidden_state).numpy()
    vectors = encoder.encode(tiles(3), PROCESSOR)
    assert vectors.dtype == np.float32 and vectors.shape == (3, encoder.width) == (3, 16)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_timm(tmp_path):
    torch.manual_seed(0)
    TimmWrapperModel(TimmWrapperConfig(architecture="test_resnet", num_labels=0)).save_pretrained(tmp_path / "timm")
    encoder = PatchEncoder.from_pretrained(tmp_path / "timm")
    wrapped = encoder.model.timm_model
    pixels = PROCESSOR(tiles(2), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        expected = wrapped(pixels).numpy()  # num_classes 0: timm's own pooled features
    np.testing.assert_allclose(encoder.encode(tiles(2), PROCESSOR), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["ResNet", "Dinov2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_vector_does_not_depend_on_the_batch(tmp_path, kind, dtype):
    """To the last bit, wherever the tile stands and whatever stands beside it: a resumed run gives the same bytes."""
    build(kind).save_pretrained(tmp_path / kind)
    encoder = PatchEncoder.from_pretrained(tmp_path / kind, dtype=dtype)
    order = np.random.default_rng(1).permutation(16)
    whole = encoder.encode(tiles(16), PROCESSOR)
    np.testing.assert_array_equal(encoder.encode(tiles(16)[order], PROCESSOR), whole[order])
    others = np.full_like(tiles(16), 255)
    others[11] = tiles(16)[3]
    np.testing.assert_array_equal(encoder.encode(others, PROCESSOR)[11], whole[3])


def test_bfloat16_is_computed_in_and_float32_comes_out(resnet):
    exact = PatchEncoder.from_pretrained(resnet)
    coarse = PatchEncoder.from_pretrained(resnet, dtype=torch.bfloat16)
    assert coarse.model.dtype == torch.bfloat16 and coarse.revision == exact.revision
    one, other = exact.encode(tiles(2), PROCESSOR), coarse.encode(tiles(2), PROCESSOR)
    assert other.dtype == np.float32 and 0 < np.abs(one - other).max() < 0.05 * np.abs(one).max()


def test_the_revision_is_of_the_weights(resnet):
    first = PatchEncoder.from_pretrained(resnet)
    weights = load_file(resnet / "model.safetensors")
    assert len(first.revision) == 16 and first.name == "resnet" and first.width == 16
    name = sorted(weights)[0]
    save_file({**weights, name: weights[name] + 1}, resnet / "model.safetensors", metadata={"format": "pt"})
    assert PatchEncoder.from_pretrained(resnet).revision != first.revision


def test_a_pooler_that_a_folder_lacks_is_not_made_up(tmp_path):
    """Its random weights would change the revision with every loading."""
    transformers.ViTModel(build("ViT").config, add_pooling_layer=False).save_pretrained(tmp_path)
    first, second = (PatchEncoder.from_pretrained(tmp_path) for _ in range(2))
    assert first.revision == second.revision and first.model.pooler is None


def test_a_subfolder(resnet):
    assert PatchEncoder.from_pretrained(resnet.parent, subfolder="resnet").width == 16


SETTINGS = {
    "of transformers": (
        {"crop_size": {"height": 32, "width": 32}, "size": {"shortest_edge": 36}, "image_mean": [0.5, 0.5, 0.5]},
        {"size": 32, "image_mean": [0.5, 0.5, 0.5]},
    ),
    "ours": (
        {"size": 32, "image_std": [0.1, 0.2, 0.3], "patch_px": 128, "level": None, "mpp": 1.0, "tissue": "otsu"},
        {"size": 32, "image_std": [0.1, 0.2, 0.3], "patch_px": 128, "mpp": 1.0, "tissue": "otsu"},
    ),
}


@pytest.mark.parametrize(("saved", "expected"), SETTINGS.values(), ids=SETTINGS)
def test_how_the_model_wants_its_tiles(resnet, saved, expected):
    (resnet / "preprocessor_config.json").write_text(json.dumps(saved))
    assert PatchEncoder.from_pretrained(resnet).preprocessing == expected


def test_timms_record_tells_how_it_wants_its_tiles(tmp_path):
    record = {"input_size": [3, 96, 96], "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}
    config = TimmWrapperConfig(architecture="test_resnet", num_labels=0, pretrained_cfg=record)
    TimmWrapperModel(config).save_pretrained(tmp_path / "timm")
    expected = {"size": 96, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.2, 0.2, 0.2]}
    assert PatchEncoder.from_pretrained(tmp_path / "timm").preprocessing == expected


# --- bad input --------------------------------------------------------------------------------------------------------


def edit_config(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def pickled(folder):
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def truncated(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:3000])


def without_a_tensor(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.stages.0.layers.0.layer.0.convolution.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def text_model(folder):
    config = transformers.BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=9
    )
    transformers.BertModel(config).save_pretrained(folder)


def code_of_its_own(folder):
    edit_config(folder, model_type="unheard_of", auto_map={"AutoModel": "modeling_unheard.Model"})
    (folder / "modeling_unheard.py").write_text("open('executed.txt', 'w')")


A_MODEL = "expected a vision model of transformers or timm"
BAD = {
    "no configuration": (
        lambda folder: (folder / "config.json").unlink(),
        "resnet: found no config.json; expected a model folder; give the folder that holds config.json",
    ),
    "no weights": (
        lambda folder: (folder / "model.safetensors").unlink(),
        "resnet: found no weights; expected model.safetensors; copy the folder again",
    ),
    "pickled weights": (
        pickled,
        "resnet: found pickled weights (pytorch_model.bin); expected model.safetensors; save the model as safetensors",
    ),
    "truncated weights": (
        truncated,
        "resnet: found broken or truncated safetensors; expected whole weights; copy the folder again",
    ),
    "a tensor less": (
        without_a_tensor,
        "resnet: found no weights for encoder.stages.0.layers.0.layer.0.convolution.weight and 0 more; "
        "expected all weights; copy the folder again",
    ),
    "other shapes": (
        lambda folder: edit_config(folder, embedding_size=12),
        "resnet: found weights of other shapes than the configuration's; expected matching files; "
        "copy the folder again",
    ),
    "a text model": (
        text_model,
        f"resnet: found a BertModel, which takes no tiles of 224 px; {A_MODEL}; choose another encoder",
    ),
    "code of its own": (
        code_of_its_own,
        f"resnet: found a model that transformers does not know (its own code is never run); {A_MODEL}; "
        "choose another encoder",
    ),
    "broken settings": (
        lambda folder: (folder / "preprocessor_config.json").write_text("{"),
        "resnet: found no readable preprocessor_config.json; expected the settings of its tiles; copy the folder again",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), BAD.values(), ids=BAD)
def test_bad_folders(resnet, tmp_path, monkeypatch, spoil, message):
    monkeypatch.chdir(tmp_path)
    spoil(resnet)
    with pytest.raises(InputError) as raised:
        PatchEncoder.from_pretrained(resnet)
    assert str(raised.value) == message
    assert not (tmp_path / "executed.txt").exists()


def test_no_such_folder():
    with pytest.raises(InputError) as raised:
        PatchEncoder.from_pretrained("encoders")
    assert str(raised.value) == "encoders: found no such folder; expected a folder or ORG/NAME; check the path"


def test_no_copy_offline():
    with pytest.raises(InputError, match="^someone/no-such-encoder: found a model that does not load"):
        PatchEncoder.from_pretrained("someone/no-such-encoder")


def test_another_dtype(resnet):
    with pytest.raises(InputError) as raised:
        PatchEncoder.from_pretrained(resnet, dtype=torch.float16)
    assert str(raised.value) == "dtype: found float16; expected float32 or bfloat16; choose one of these"


def test_tiles_of_a_size_that_the_model_refuses(tmp_path):
    build("ViT").save_pretrained(tmp_path / "vit")
    encoder = PatchEncoder.from_pretrained(tmp_path / "vit")
    with pytest.raises(InputError, match="^vit: found tiles of 40 px .*; expected the size that the encoder takes"):
        encoder.encode(tiles(1), TileImageProcessor(size=40))
