"""The contract of an encoder of films and texts: every registered system of kind `encoder` keeps it."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModel, AutoProcessor

from hf_medreport.registry import systems
from tests.tiny import film_array, save_tiny, tiny_config, tiny_model, tiny_processor

ROWS = [row for row in systems() if row.kind == "encoder"]
pytestmark = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.model_type)
TEXTS = ["heart normal.", "left effusion, small.", "clear"]
# Each image encoder in a tiny size, with the side of its films; both CNNs have a place every 32 px.
IMAGE_ENCODERS = {
    "vit": ({"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "patch_size": 8}, 32),
    "resnet101": ({"embedding_size": 4, "hidden_sizes": [4, 8, 8], "depths": [1, 1, 1], "channels": 12}, 96),
    "chexnet121": (
        {"growth_rate": 4, "block_config": [1, 1, 1, 1], "num_init_features": 8, "bn_size": 2, "channels": 12},
        96,
    ),
    "bert_vit": ({"patch_size": 8, "channels": 12}, 32),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {row.model_type: save_tiny(row, tmp_path_factory.mktemp("contract") / row.model_type) for row in ROWS}


def films(count=2):
    return [Image.fromarray(np.roll(film_array(), 7 * index, axis=0)) for index in range(count)]


def batch(row, count=2):
    return tiny_processor(row)(films(count), text=TEXTS[:count])


def settings(name):
    """Changes of the tiny configuration to another image encoder."""
    sizes, side = IMAGE_ENCODERS[name]
    return {"image_encoder": name, "image_encoder_sizes": sizes, "image_size": side}


@pytest.mark.parametrize("mask_mode", ["full", "bar", "legacy"])
@pytest.mark.parametrize("name", IMAGE_ENCODERS)
def test_states_of_one_sequence(row, name, mask_mode):
    """[CLS], image, [SEP], text and its [SEP]: 1 + n + 1 + t + 1; each film and each text has its own."""
    model = tiny_model(row, **settings(name), mask_mode=mask_mode)
    torch.manual_seed(1)
    pixels, inputs = torch.randn(2, 3, *[IMAGE_ENCODERS[name][1]] * 2), batch(row)
    outputs = model(pixels, inputs["input_ids"], inputs["attention_mask"])
    length = 1 + row.tiny["num_image_embeds"] + 1 + row.tiny["max_text_tokens"] + 1
    assert outputs.last_hidden_state.shape == (2, length, row.tiny["bert"]["hidden_size"])
    assert model.config.sequence_length == length and outputs.label_source == "none"
    assert outputs.last_hidden_state.isfinite().all()
    one, other = outputs.last_hidden_state
    assert (one - other).abs().mean() > 1e-3
    without = model(pixels).last_hidden_state
    assert without.shape == outputs.last_hidden_state.shape and not torch.equal(without, outputs.last_hidden_state)


@pytest.mark.parametrize("label_mode", ["none", "predicted"])
@pytest.mark.parametrize("name", IMAGE_ENCODERS)
def test_every_weight_gets_a_gradient(row, name, label_mode):
    labels = {"label_names": ["Edema"], "label_pieces": [[9, 10]]} if label_mode == "predicted" else {}
    model = tiny_model(row, **settings(name), label_mode=label_mode, **labels).train()
    inputs = batch(row)
    outputs = model(torch.randn(2, 3, *[IMAGE_ENCODERS[name][1]] * 2), inputs["input_ids"], inputs["attention_mask"])
    loss = outputs.last_hidden_state.square().mean()
    (loss if outputs.label_logits is None else loss + outputs.label_logits.sum()).backward()
    assert [key for key, value in model.named_parameters() if value.grad is None] == []
    assert all(value.grad.isfinite().all() for value in model.parameters())


@pytest.mark.parametrize("name", IMAGE_ENCODERS)
def test_saved_and_loaded_equal_to_the_last_bit(row, name, tmp_path):
    """Of every weight and statistic; states may differ by rounding, as weights lie elsewhere in memory."""
    model = tiny_model(row, **settings(name))
    model.save_pretrained(tmp_path)
    loaded = row.resolve("model").from_pretrained(tmp_path)
    expected, got = model.state_dict(), loaded.state_dict()
    assert expected.keys() == got.keys() and all(torch.equal(got[key], expected[key]) for key in expected)
    pixels = torch.randn(1, 3, *[IMAGE_ENCODERS[name][1]] * 2)
    torch.testing.assert_close(loaded(pixels).last_hidden_state, model(pixels).last_hidden_state, atol=1e-6, rtol=0)


def test_folder_holds_safetensors_only(row, folders):
    suffixes = {path.suffix for path in folders[row.model_type].rglob("*") if path.is_file()}
    assert ".safetensors" in suffixes and not suffixes & {".bin", ".pt", ".pth", ".pkl", ".ckpt"}


def test_auto_classes_load_model_and_processor(row, folders):
    folder = folders[row.model_type]
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    inputs, expected = processor(films(), text=TEXTS[:2]), batch(row)
    assert set(inputs) == set(expected) and all(torch.equal(inputs[name], expected[name]) for name in expected)
    model = AutoModel.from_pretrained(folder, trust_remote_code=True)
    assert model.config.model_type == row.model_type
    assert torch.equal(model(**inputs).last_hidden_state, tiny_model(row)(**expected).last_hidden_state)


def test_loads_in_a_process_without_hf_medreport(row, folders, fresh):
    """Only transformers and torch: an import of hf_medreport there is an error."""
    code = f"""
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "hf_medreport":
            raise ImportError("hidden: " + name)
sys.meta_path.insert(0, Hidden())
import numpy
from transformers import AutoModel, AutoProcessor
folder = {str(folders[row.model_type])!r}
model = AutoModel.from_pretrained(folder, trust_remote_code=True)
processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
film = numpy.random.default_rng(0).integers(0, 256, (64, 64), dtype=numpy.uint8)
assert "hf_medreport" not in sys.modules
print(model(**processor(film, text="heart normal.")).last_hidden_state.double().sum().item())
"""
    done = fresh.run(code)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "warn" not in done.stderr.lower() and "deprecat" not in done.stderr.lower(), done.stderr
    ours = tiny_model(row)(**batch(row, 1)).last_hidden_state.double().sum().item()
    assert float(done.stdout) == pytest.approx(ours, abs=1e-4)


@pytest.mark.parametrize("name", IMAGE_ENCODERS)
def test_batch_equals_one_by_one(row, name):
    model, inputs = tiny_model(row, **settings(name)), batch(row, 3)
    inputs["pixel_values"] = torch.randn(3, 3, *[IMAGE_ENCODERS[name][1]] * 2)
    together = model(**inputs).last_hidden_state
    for index in range(3):
        alone = {key: value[index : index + 1] for key, value in inputs.items()}
        torch.testing.assert_close(model(**alone).last_hidden_state[0], together[index], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", IMAGE_ENCODERS)
def test_bfloat16(row, name):
    """Close to float32, in every image encoder and with every mask."""
    model, inputs = tiny_model(row, **settings(name)), batch(row)
    inputs["pixel_values"] = torch.randn(2, 3, *[IMAGE_ENCODERS[name][1]] * 2)
    full = model(**inputs).last_hidden_state
    half = model.to(torch.bfloat16)(**inputs).last_hidden_state
    assert half.dtype == torch.bfloat16
    assert (half.float() - full).norm() / full.norm() < 0.05


def test_built_on_the_meta_device(row):
    with torch.device("meta"):
        model = row.resolve("model")(tiny_config(row))
    assert all(parameter.is_meta for parameter in model.parameters())


def test_gradient_checkpointing_changes_nothing(row):
    grads, calls = [], []
    for checkpointing in (False, True):
        model, called = tiny_model(row).train(), []
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        for linear in filter(lambda module: isinstance(module, torch.nn.Linear), model.modules()):
            linear.register_forward_pre_hook(lambda *_, called=called: called.append(1))
        model(**batch(row)).last_hidden_state.square().mean().backward()
        grads.append([parameter.grad for parameter in model.parameters()])
        calls.append(len(called))
    for plain, checkpointed in zip(*grads, strict=True):
        torch.testing.assert_close(plain, checkpointed)
    assert calls[1] > calls[0]  # some were called again for the gradient


def test_configuration_refuses_a_misspelt_field(row):
    field = next(iter(row.tiny))
    with pytest.raises(ValueError, match=f"did you mean '{field}'"):
        row.resolve("config")(**{**copy.deepcopy(row.tiny), field[:-2] + field[-1]: 1})
