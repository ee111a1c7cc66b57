"""A `cxr_multitask` folder around a DenseNet; how that is read: `tests/hub/test_densenet_keys.py`."""

import json

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoProcessor, BertConfig, BertModel, GPT2Config, GPT2LMHeadModel
from typer.testing import CliRunner

from hf_medreport.cli import app
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.cxr_multitask.convert_chexnet import convert
from tests.hub.test_densenet_keys import FILMS, RGB, SIZES, assert_close, densenet, maps_of
from tests.tiny import tiny_tokenizer

TINY_GPT2 = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32, "vocab_size": 257}


@pytest.fixture
def gpt2(tmp_path) -> str:
    """A folder with a tiny GPT-2 and its tokenizer."""
    torch.manual_seed(2)
    GPT2LMHeadModel(GPT2Config(**TINY_GPT2, bos_token_id=0, eos_token_id=0)).save_pretrained(tmp_path / "gpt2")
    tiny_tokenizer().save_pretrained(tmp_path / "gpt2")
    return str(tmp_path / "gpt2")


@pytest.fixture
def checkpoint(tmp_path):
    torch.save(densenet(classes=18, channels=1).state_dict(), tmp_path / "xrv.pt")
    return tmp_path / "xrv.pt"


def test_the_folder_loads_and_sees_what_the_checkpoint_saw(tmp_path, checkpoint, gpt2):
    result = convert(checkpoint, tmp_path / "out", gpt2, image_size=64)
    assert result == {
        "out": str(tmp_path / "out"),
        "layout": "torchxrayvision",
        "encoder": SIZES,
        "encoder_mean": [0.5] * 3,
        "encoder_std": [1 / 2048] * 3,
        "missing": [
            "frontal_decoder.*",
            "lateral_decoder.*",
            "classifier.*",
            "missing_view",
            "decoder.latent_projection.bias",
            "decoder.latent_projection.weight",
            "decoder.transformer.wte.weight of <start>, <end>, <pad>",
        ],
        "unexpected": ["classifier.bias", "classifier.weight"],
    }
    model = AutoModel.from_pretrained(tmp_path / "out", trust_remote_code=True).eval()
    frontal_maps = model.encode_views(RGB).maps[0]
    theirs = maps_of(densenet(classes=18, channels=1), (2 * FILMS - 1) * 1024)
    assert_close([each.detach() for each in frontal_maps], theirs)
    original = GPT2LMHeadModel.from_pretrained(gpt2).state_dict()
    for key, value in model.decoder.state_dict().items():
        if key in original:
            assert torch.equal(value[: len(original[key])], original[key]), key


def test_the_folder_is_ready_to_be_trained_and_to_write(tmp_path, checkpoint, gpt2):
    convert(checkpoint, tmp_path / "out", gpt2, image_size=64)
    model = AutoModel.from_pretrained(tmp_path / "out", trust_remote_code=True)
    processor = AutoProcessor.from_pretrained(tmp_path / "out", trust_remote_code=True)
    words = processor.tokenizer
    special = {"bos_token_id": 257, "eos_token_id": 258, "pad_token_id": 259}
    assert words.convert_tokens_to_ids(["<start>", "<end>", "<pad>"]) == [257, 258, 259]
    for settings in (words, model.config.decoder, model.generation_config):
        assert {name: getattr(settings, name) for name in special} == special
    film = (FILMS[0, 0].numpy() * 255).astype(np.uint8)
    batch = processor(
        [{"frontal": film, "lateral": film.T, "abnormal": i} for i in (0, 1)], text_target=["No.", "Yes."]
    )
    output = model.train()(**batch)
    output.loss.backward()
    assert output.loss.isfinite() and model.decoder.latent_projection.weight.grad.abs().sum() > 0
    ids = model.eval().generate(**processor(film), max_new_tokens=5, do_sample=False)
    assert ids.shape[0] == 1 and ids.shape[1] <= 5


def test_the_same_seed_gives_the_same_folder(tmp_path, checkpoint, gpt2):
    before = torch.random.get_rng_state()
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        convert(checkpoint, tmp_path / name, gpt2, image_size=64, seed=seed)
    assert torch.equal(torch.random.get_rng_state(), before)
    one, two, three = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two", "three"))
    assert one == two != three


def test_a_tokenizer_that_has_the_words(tmp_path, checkpoint, gpt2):
    words = tiny_tokenizer()
    words.add_special_tokens({"pad_token": "<pad>", "eos_token": "<end>", "bos_token": "<start>"})
    words.save_pretrained(tmp_path / "words")
    convert(checkpoint, tmp_path / "out", gpt2, str(tmp_path / "words"), image_size=64)
    config = json.loads((tmp_path / "out" / "config.json").read_text())["decoder"]
    assert config["vocab_size"] == 260
    assert config["bos_token_id"] == words.bos_token_id and config["pad_token_id"] == words.pad_token_id


def other_folder(kind: str, folder, gpt2: str) -> dict:
    """Arguments of `convert` with what `kind` names."""
    if kind == "no decoder":
        return {"decoder": str(folder / "gone")}
    if kind == "no tokenizer":
        return {"decoder": gpt2, "tokenizer": str(folder / "gone")}
    if kind == "another model":
        BertModel(
            BertConfig(hidden_size=8, num_attention_heads=1, num_hidden_layers=1, intermediate_size=8)
        ).save_pretrained(folder / "bert")
        return {"decoder": str(folder / "bert"), "tokenizer": gpt2}
    if kind == "a decoder with a broken file":
        path = folder / "gpt2" / "model.safetensors"
        path.write_bytes(path.read_bytes()[:500])
    if kind == "a decoder that lacks a layer":
        GPT2LMHeadModel(GPT2Config(**{**TINY_GPT2, "n_layer": 1})).save_pretrained(folder / "short")
        config = json.loads((folder / "short" / "config.json").read_text())
        (folder / "short" / "config.json").write_text(json.dumps({**config, "n_layer": 2}))
        return {"decoder": str(folder / "short"), "tokenizer": gpt2}
    if kind == "a small vocabulary":
        GPT2LMHeadModel(GPT2Config(**{**TINY_GPT2, "vocab_size": 100})).save_pretrained(folder / "small")
        return {"decoder": str(folder / "small"), "tokenizer": gpt2}
    if kind == "a latent of another width":
        from hf_medreport.modeling.configuration_latent_gpt2 import LatentGPT2Config
        from hf_medreport.modeling.modeling_latent_gpt2 import LatentGPT2LMHeadModel

        LatentGPT2LMHeadModel(LatentGPT2Config(**TINY_GPT2, latent_size=5)).save_pretrained(folder / "latent")
        return {"decoder": str(folder / "latent"), "tokenizer": gpt2}
    sizes = {"a small film": 16, "an odd film": 100, "no film": 0}
    return {"decoder": gpt2, **({"image_size": sizes[kind]} if kind in sizes else {})}


REFUSALS = {
    "no decoder": (
        "gone: found no model that loads; expected a GPT-2's folder or id; pass `decoder` with GPT-2's folder"
    ),
    "no tokenizer": "gone: found no tokenizer; expected a folder or id; pass `tokenizer` with GPT-2's folder",
    "another model": "bert: found a model of type bert; expected a GPT-2; pass `decoder` with GPT-2's folder",
    "a decoder with a broken file": (
        "gpt2: found no model that loads; expected a GPT-2's folder or id; pass `decoder` with GPT-2's folder"
    ),
    "a decoder that lacks a layer": (
        "short: found no transformer.h.1.attn.c_attn.bias and 11 more; expected a whole GPT-2; use the full folder"
    ),
    "a small vocabulary": (
        "gpt2: found 257 words for a decoder of 100; expected the decoder's own; pass `tokenizer` with it"
    ),
    "a latent of another width": (
        "latent: found no model that loads; expected a GPT-2's folder or id; pass `decoder` with GPT-2's folder"
    ),
    "a small film": "image_size: found 16; expected a multiple of 32, the encoder's stride; choose 224 or another",
    "an odd film": "image_size: found 100; expected a multiple of 32, the encoder's stride; choose 224 or another",
    "no film": "image_size: found 0; expected a multiple of 32, the encoder's stride; choose 224 or another",
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_refused_arguments(tmp_path, checkpoint, gpt2, kind):
    arguments = {"image_size": 64, **other_folder(kind, tmp_path, gpt2)}
    with pytest.raises(InputError) as caught:
        convert(checkpoint, tmp_path / "out", **arguments)
    assert str(caught.value) == REFUSALS[kind]
    assert not (tmp_path / "out").exists()


def test_the_verb(tmp_path, checkpoint, gpt2):
    command = ["convert", "chexnet", str(checkpoint), "--out", str(tmp_path / "out"), "--decoder", gpt2]
    done = CliRunner().invoke(app, [*command, "--image-size", "64"])
    assert done.exit_code == 0, done.output
    missing = ["frontal_decoder.*", "lateral_decoder.*", "classifier.*", "missing_view"]
    missing += ["decoder.latent_projection.bias", "decoder.latent_projection.weight"]
    assert done.output.splitlines() == [
        f"written: {tmp_path / 'out'} (a DenseNet as torchxrayvision stores it)",
        f"missing keys: {', '.join(missing)}, decoder.transformer.wte.weight of <start>, <end>, <pad>",
        "unexpected keys: classifier.bias, classifier.weight",
    ]
    as_json = CliRunner().invoke(app, [*command, "--image-size", "64", "--json"])
    assert json.loads(as_json.stdout)["layout"] == "torchxrayvision"
