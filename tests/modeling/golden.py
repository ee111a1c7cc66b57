"""The golden vectors of layer-wise anatomical attention and the tiny model that they belong to."""

from functools import cache
from pathlib import Path

from safetensors.torch import load_file

from hf_medreport.modeling.configuration_anatomical_report import AnatomicalReportConfig
from hf_medreport.modeling.modeling_anatomical_report import AnatomicalReportForConditionalGeneration
from hf_medreport.systems.anatomical.convert import rename_keys

FOLDER = Path(__file__).parents[1] / "golden" / "anatomical"
# Stands in for the encoder, which the golden set leaves out: only its output width of 20 matters.
ENCODER = {
    "model_type": "vit",
    "hidden_size": 20,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "intermediate_size": 8,
    "image_size": 28,
    "patch_size": 2,
}
DECODER = {
    "n_layer": 4,
    "n_embd": 32,
    "n_head": 4,
    "vocab_size": 97,
    "n_positions": 256,
    "bos_token_id": 96,
    "eos_token_id": 96,
    "pad_token_id": 96,
}


@cache
def vectors():
    return load_file(FOLDER / "vectors.safetensors")


@cache
def state_dict():
    return load_file(FOLDER / "state_dict.safetensors")


def golden_model(mask_mode: str, attention: str, **changes) -> AnatomicalReportForConditionalGeneration:
    config = AnatomicalReportConfig(encoder=ENCODER, decoder=DECODER, image_size=28, mask_mode=mask_mode, **changes)
    model = AnatomicalReportForConditionalGeneration(config).eval()
    model.set_attn_implementation(attention)
    weights, leftover = rename_keys(state_dict())
    assert leftover == ["extra.wpe_before_expansion"]
    missing = model.load_state_dict(weights, strict=False)
    assert not missing.unexpected_keys and all(key.startswith("encoder.") for key in missing.missing_keys)
    return model


def golden_inputs() -> dict:
    return {"encoder_outputs": vectors()["in.patch_features"], "anatomical_masks": vectors()["mask.inputs"][:3]}
