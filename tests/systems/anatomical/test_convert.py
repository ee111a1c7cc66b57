"""Checkpoints of the thesis, converted."""

import json

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText

from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.anatomical.convert import convert, rename_keys
from tests.modeling.golden import ENCODER, FOLDER, golden_inputs, state_dict, vectors
from tests.tiny import tiny_tokenizer


def write_parts(folder) -> dict[str, str]:
    """A tokenizer folder and an encoder folder."""
    tiny_tokenizer().save_pretrained(folder / "words")
    torch.manual_seed(0)
    encoder = AutoModel.from_config(AutoConfig.for_model(**ENCODER))
    encoder.save_pretrained(folder / "encoder")
    return {"tokenizer": str(folder / "words"), "encoder": str(folder / "encoder")}


@pytest.fixture
def parts(tmp_path):
    return write_parts(tmp_path)


def test_the_golden_checkpoint_gives_the_golden_logits(parts, tmp_path):
    result = convert(FOLDER / "state_dict.safetensors", tmp_path / "out", num_heads=4, image_size=28, **parts)
    assert result["unexpected"] == ["extra.wpe_before_expansion"] and result["missing"] == []
    sizes = {"n_layer": 4, "n_embd": 32, "n_head": 4, "n_positions": 256, "vocab_size": 97}
    assert sizes.items() <= result["decoder"].items()
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "out", trust_remote_code=True).eval()
    logits = model(input_ids=vectors()["in.token_ids"], **golden_inputs()).logits
    assert (logits - vectors()["logits.soft"]).abs().max() < 1e-4


def test_a_training_checkpoint_with_encoder_weights(parts, tmp_path):
    encoder = AutoModel.from_pretrained(parts["encoder"])
    with torch.no_grad():
        encoder.embeddings.cls_token.fill_(0.5)
    whole = {key: value for key, value in state_dict().items() if not key.startswith("extra")}
    whole |= {f"encoder.model.{key}": value for key, value in encoder.state_dict().items()}
    whole["segmenter.channel_adapter.weight"] = torch.zeros(1)
    torch.save({"model_state_dict": whole, "epoch": 3}, tmp_path / "run.pth")
    result = convert(tmp_path / "run.pth", tmp_path / "out", num_heads=4, image_size=28, **parts)
    assert result["unexpected"] == ["segmenter.channel_adapter.weight"] and result["missing"] == []
    model = AutoModel.from_pretrained(tmp_path / "out", trust_remote_code=True)
    assert (model.encoder.embeddings.cls_token == 0.5).all()
    assert model.generation_config.max_new_tokens == 150


def test_keys():
    renamed, leftover = rename_keys(
        {
            "encoder.model.embeddings.cls_token": torch.zeros(1, 1, 4),
            "linear_projection.proj.bias": torch.zeros(4),
            "decoder.transformer.h.0.attn.bias": torch.ones(1, 1, 8, 8),  # an old causal mask
            "decoder.transformer.h.0.attn.c_attn.bias": torch.zeros(12),
            "optimizer": torch.zeros(1),
        }
    )
    assert sorted(renamed) == [
        "decoder.transformer.h.0.attn.c_attn.bias",
        "encoder.embeddings.cls_token",
        "projection.bias",
    ]
    assert leftover == ["optimizer"]


def bad_checkpoints(folder):
    torch.save({"encoder.model.x": torch.zeros(2)}, folder / "encoder_only.pt")
    torch.save({"histgen.weight": torch.zeros(2)}, folder / "other.pth")
    half = {key: value for key, value in state_dict().items() if "h.3.mlp" not in key and not key.startswith("extra")}
    save_file(half, folder / "half.safetensors")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("encoder_only.pt", "found parts encoder; expected linear_projection and decoder"),
        ("other.pth", "found parts none of ours; expected linear_projection and decoder"),
        ("half.safetensors", "found no decoder.transformer.h.3.mlp.c_fc.weight and 3 more; expected a whole decoder"),
        ("absent.pth", "found no such file; expected a .pth, .pt or .safetensors checkpoint"),
    ],
)
def test_refusals(parts, tmp_path, name, message):
    bad_checkpoints(tmp_path)
    with pytest.raises(InputError, match=message):
        convert(tmp_path / name, tmp_path / "out", num_heads=4, image_size=28, **parts)
    assert not (tmp_path / "out").exists()


def test_an_encoder_of_another_width(parts, tmp_path):
    AutoModel.from_config(AutoConfig.for_model(**{**ENCODER, "hidden_size": 16})).save_pretrained(tmp_path / "narrow")
    with pytest.raises(InputError, match="found an encoder of width 16; expected width 20"):
        convert(
            FOLDER / "state_dict.safetensors", tmp_path / "out", encoder=str(tmp_path / "narrow"),
            tokenizer=parts["tokenizer"], num_heads=4, image_size=28,
        )  # fmt: skip


def test_heads_that_do_not_divide_the_width(parts, tmp_path):
    with pytest.raises(InputError, match="num_heads: found 5; expected a divisor of the decoder's width 32"):
        convert(FOLDER / "state_dict.safetensors", tmp_path / "out", num_heads=5, image_size=28, **parts)


def test_an_encoder_is_asked_for(parts, tmp_path):
    with pytest.raises(InputError, match="found no encoder weights; expected an encoder; pass `encoder`"):
        convert(FOLDER / "state_dict.safetensors", tmp_path / "out", num_heads=4, tokenizer=parts["tokenizer"])


def test_the_folder_says_what_it_is(parts, tmp_path):
    convert(
        FOLDER / "state_dict.safetensors", tmp_path / "out", num_heads=4, image_size=28, mask_mode="strict", **parts
    )
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["model_type"] == "anatomical_report" and config["mask_mode"] == "strict"
