"""Checkpoints of HistGen, converted."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor, pipeline

from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.histgen.convert import convert, rename_keys
from tests.modeling.histgen_golden import FOLDER, vectors

OPTIONS = {"num_heads": 4, "region_size": 16, "top_k": 6, "num_prototypes": 24, "max_length": 24}


def golden_state() -> dict[str, torch.Tensor]:
    return load_file(FOLDER / "state_dict.safetensors")


def words(count: int) -> dict[str, int]:
    return {"<unk>": 1, **{f"word{index}": index for index in range(2, count + 1)}}


def test_the_golden_checkpoint_gives_the_golden_text(tmp_path):
    result = convert(FOLDER / "state_dict.safetensors", tmp_path / "out", **OPTIONS)
    assert result["unexpected"] == [] and result["vocabulary"] is None
    sizes = {"feature_size": 1024, "visual_size": 80, "hidden_size": 64, "intermediate_size": 96, "memory_slots": 16}
    assert result["config"] == {**sizes, "vocab_size": 61, "num_hidden_layers": 3}
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "out", trust_remote_code=True).eval()
    ids = vectors()["bag0.report_ids"][:, :-1]
    logits = model(patch_features=vectors()["bag0.features"][None], decoder_input_ids=ids).logits
    length = int((vectors()["bag0.report_mask"][0] > 0).sum()) - 1
    difference = logits.log_softmax(-1)[:, :length] - vectors()["bag0.logprobs"][:, :length]
    assert difference.abs().max() < 1e-4
    # Upstream's decoding is the folder's: beam 3, no length penalty; words without a vocabulary are their ids.
    pipe = pipeline("image-to-text", model=str(tmp_path / "out"), trust_remote_code=True)
    assert pipe.processor.region_size == pipe.model.config.region_size == 16
    (record,) = pipe({"slides": [vectors()["bag0.features"].numpy()]})
    expected = [id for id in vectors()["bag0.beam3_ids"][0].tolist() if id]
    assert record["generated_text"].split() == [f"<{id}>" for id in expected]


def test_a_training_checkpoint_with_all_that_is_never_used(tmp_path):
    state = golden_state()
    prefix = "encoder_decoder.model.encoder.layer.0."
    state[f"{prefix}region_position_embeddings.pe"] = torch.zeros(1, 5, 64)
    state[f"{prefix}position_embeddings.weight"] = torch.zeros(7, 64)
    state["visual_extractor.model.0.weight"] = torch.zeros(2)
    state["encoder_decoder.logit_scale"] = torch.zeros(1)
    whole = {"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}, "monitor_best": 0.2}
    torch.save(whole, tmp_path / "model_best.pth")
    result = convert(tmp_path / "model_best.pth", tmp_path / "out", **OPTIONS)
    assert result["unexpected"] == ["encoder_decoder.logit_scale"]
    kept = load_file(tmp_path / "out" / "model.safetensors")
    assert len(kept) == len(golden_state()) - 33 and torch.equal(
        kept["lm_head.bias"], state["encoder_decoder.logit.bias"]
    )


def test_vocabularies(tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps({"token2idx": words(60)}))
    result = convert(FOLDER / "state_dict.safetensors", tmp_path / "out", tmp_path / "tokenizer.json", **OPTIONS)
    assert result["vocabulary"] == 60
    processor = AutoProcessor.from_pretrained(tmp_path / "out", trust_remote_code=True)
    assert processor.tokenizer("word2 word60 other")["input_ids"] == [0, 2, 60, 1, 1, 0]  # " ." is not in it


def test_every_tensor_has_a_place():
    renamed, leftover = rename_keys(golden_state())
    assert not leftover and len(renamed) == len(set(renamed))


def broken(drop: str = "", **changes) -> dict[str, torch.Tensor]:
    state = {key: value for key, value in golden_state().items() if not drop or drop not in key}
    return {**state, **changes}


@pytest.mark.parametrize(
    ("state", "options", "message"),
    [
        (
            broken(drop="wsi_mapping.bias"),
            {},
            "c.safetensors: found no tensor for feature_projection.bias and 0 more; expected a whole HistGen "
            "checkpoint; use the file as the training saved it",
        ),
        (
            broken(drop="wsi_mapping"),
            {},
            "c.safetensors: found no tensor for feature_projection.weight; expected a HistGen checkpoint; give a "
            "checkpoint of HistGen's training",
        ),
        (
            {"transformer.wte.weight": torch.zeros(2, 2)},
            {},
            "c.safetensors: found no tensor for feature_projection.weight; expected a HistGen checkpoint; give a "
            "checkpoint of HistGen's training",
        ),
        (
            broken(**{"wsi_mapping.weight": torch.zeros(3)}),
            {},
            "c.safetensors: found feature_projection.weight of shape (3,); expected a matrix; use the file as the "
            "training saved it",
        ),
        (
            broken(**{"encoder_decoder.memory_matrix": torch.zeros(16, 32)}),
            {},
            "c.safetensors: found a memory of width 32 beside a model of width 64; expected equal widths; use a "
            "checkpoint whose cmm_dim is its d_model",
        ),
        (
            broken(**{"encoder_decoder.model.tgt_embed.0.lut.weight": torch.zeros(50, 64)}),
            {},
            "c.safetensors: found decoder.embed_tokens.weight of shape (50, 64); expected (61, 64), as the other "
            "tensors have it; use the file as the training saved it",
        ),
        (
            broken(),
            {"num_heads": 5},
            "num_heads: found 5 heads for a width of 64; expected a divisor of the width; give the "
            "training's `num_heads`",
        ),
        (
            broken(),
            {"top_k": 17},
            "top_k: found 17 for a memory of 16 slots; expected at most as many as slots; give the training's `top_k`",
        ),
    ],
)
def test_refused(state, options, message, tmp_path):
    save_file(state, tmp_path / "c.safetensors")
    with pytest.raises(InputError) as error:
        convert(tmp_path / "c.safetensors", tmp_path / "out", **{**OPTIONS, **options})
    assert str(error.value) == message and not (tmp_path / "out").exists()


def test_a_vocabulary_of_another_size_is_refused(tmp_path):
    (tmp_path / "tokenizer.json").write_text(json.dumps({"token2idx": words(17)}))
    with pytest.raises(InputError, match="17") as error:
        convert(FOLDER / "state_dict.safetensors", tmp_path / "out", tmp_path / "tokenizer.json", **OPTIONS)
    assert "60" in str(error.value) and not (tmp_path / "out").exists()


def test_out_is_a_file(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(InputError) as error:
        convert(FOLDER / "state_dict.safetensors", tmp_path / "out", **OPTIONS)
    assert str(error.value) == "out: found a file; expected a folder to write to; choose another `out`"


def test_pickled_objects_are_not_run(tmp_path):
    torch.save({"state_dict": {"x": print}}, tmp_path / "c.pth")
    with pytest.raises(InputError, match="found objects besides tensors"):
        convert(tmp_path / "c.pth", tmp_path / "out")
