"""The golden vectors of HistGen and the model that they belong to."""

import json
from functools import cache
from pathlib import Path

from safetensors.torch import load_file

from hf_medreport.modeling.configuration_histgen import HistGenConfig
from hf_medreport.modeling.modeling_histgen import HistGenForConditionalGeneration
from hf_medreport.systems.histgen.convert import read_sizes, rename_keys

FOLDER = Path(__file__).parents[1] / "golden" / "histgen"
OPTIONS = {"num_attention_heads": 4, "region_size": 16, "memory_top_k": 6, "num_prototypes": 24}


@cache
def vectors() -> dict:
    return load_file(FOLDER / "vectors.safetensors")


@cache
def meta() -> dict:
    return json.loads((FOLDER / "meta.json").read_text(encoding="utf-8"))


def golden_model(**changes) -> HistGenForConditionalGeneration:
    """Upstream's weights; `compatibility` unless told otherwise."""
    weights, leftover = rename_keys(load_file(FOLDER / "state_dict.safetensors"))
    assert not leftover
    sizes = read_sizes("state_dict.safetensors", weights)
    config = HistGenConfig(**{**sizes, **OPTIONS, "compatibility": "histgen", **changes})
    model = HistGenForConditionalGeneration(config).eval()
    model.load_state_dict(weights)
    return model
