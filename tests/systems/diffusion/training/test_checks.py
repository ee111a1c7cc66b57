"""What cannot be trained is refused before any work, in one line that says what to do."""

import pytest

from hf_medreport.processing.input_error import InputError
from hf_medreport.training import run
from tests.systems.diffusion.runs import TINY, configuration

LORA = {"base": "ORG/NAME", "unet": None, "codec": None, "text_encoder": None, "lora_rank": 4}
BASE = LORA | {"lora_rank": None}
REFUSED = {
    "both sources": ({"train_data": "a.csv"}, "train_data, phantom_cases: found both; expected one of them;"),
    "no source": ({"phantom_cases": None}, "train_data, phantom_cases: found neither; expected one of them;"),
    "no table": (
        {"train_data": "nothing.csv", "phantom_cases": None, "phantom_validation_cases": None, "eval_steps": 0},
        "nothing.csv: found no such file",
    ),
    "schedule": (
        {"noise_schedule": "cosin"},
        "noise_schedule: found 'cosin'; expected one of linear, scaled_linear, cosine; did you mean 'cosine'?",
    ),
    "prediction": ({"prediction": "noise"}, "prediction: found 'noise'; expected one of epsilon, v, x0;"),
    "rate": (
        {"lr_scheduler_type": "step"},
        "lr_scheduler_type: found 'step'; expected one of constant, cosine, linear;",
    ),
    "fit": ({"fit": "stretch"}, "fit: found 'stretch'; expected one of pad, crop;"),
    "whether": ({"train_text_encoder": "yes"}, "train_text_encoder: found 'yes'; expected one of true, false, auto;"),
    "no steps": ({"max_steps": 0}, "max_steps: found 0; expected 1 or more; give a number"),
    "no batch": ({"per_device_train_batch_size": 0}, "per_device_train_batch_size: found 0; expected 1 or more;"),
    "no parts": ({"gradient_accumulation_steps": 0}, "gradient_accumulation_steps: found 0; expected 1 or more;"),
    "rate below 0": ({"learning_rate": -0.1}, "learning_rate: found -0.1; expected 0 or more; correct it"),
    "dropout above 1": ({"prompt_dropout": 1.5}, "prompt_dropout: found 1.5; expected 0 to 1; correct it"),
    "decay above 1": ({"ema_decay": 2}, "ema_decay: found 2; expected 0 to 1; correct it"),
    "no checkpoint": ({"save_steps": 0}, "save_steps: found 0; expected 1 or more; correct it"),
    "resolution": ({"resolution": 34}, "resolution: found 34; expected a multiple of 4, as the codec has patches;"),
    "both models": ({"base": "ORG/NAME"}, "base, unet: found both; expected one of them;"),
    "no model": ({"unet": None}, "base, unet: found neither; expected one of them;"),
    "no text encoder": ({"text_encoder": None}, "text_encoder: found none; expected a folder or id, or a BERT's sizes"),
    "no codec": ({"codec": None}, "codec, vae: found neither; expected one of them;"),
    "two codecs": ({"vae": "ORG/NAME"}, "codec, vae: found both; expected one of them;"),
    "a word for sizes": ({"unet": "small"}, "unet: found a word; expected a mapping, in the YAML;"),
    "a codec beside a base": (
        BASE | {"codec": TINY["codec"]},
        "codec: found it beside `base`; expected that of the base;",
    ),
    "sizes beside a base": (
        BASE | {"text_encoder": TINY["text_encoder"]},
        "text_encoder: found sizes beside `base`; expected a folder or repository id;",
    ),
    "no such base": (
        BASE,
        "ORG/NAME: found no copy in the cache, offline; expected a repository with model_index.json;",
    ),
    "adapter of nothing": (
        {"lora_rank": 4},
        "lora_rank: found it without `base`; expected an adapter of a trained model;",
    ),
    "rank below 0": (LORA | {"lora_rank": -1}, "lora_rank: found -1; expected 1 or more, 0 for none; correct it"),
    "merged without": (
        BASE | {"merge_adapter": True},
        "merge_adapter: found it without `lora_rank`; expected an adapter;",
    ),
    "quantized alone": (
        BASE | {"quantize": ["unet"]},
        "quantize: found the U-Net that is to be trained; expected frozen",
    ),
    "quantized what": (LORA | {"quantize": ["vea"]}, "quantize: found 'vea'; expected one of unet, text_encoder, vae;"),
    "quantized and trained": (
        LORA | {"quantize": ["text_encoder"], "train_text_encoder": "true"},
        "quantize: found the text encoder that is to be trained; expected frozen parts; leave it out",
    ),
    "improved and frozen": (
        LORA | {"improvements": {"skip_gates": True}},
        "improvements: found new parts beside `lora_rank`; expected the base as it is: they stay frozen;",
    ),
    "nothing to validate on": (
        {"phantom_validation_cases": 0},
        "eval_steps: found it without validation data; expected `validation_data`; name it, or leave it out",
    ),
    "noise alone": (
        {"zero_snr": True, "prediction": "epsilon"},
        "zero_snr: found it beside the prediction epsilon; expected v or x0: noise alone tells nothing;",
    ),
    "two precisions": ({"bf16": True, "fp16": True}, "fp16: found it beside `bf16`; expected one of the two;"),
    "half without a GPU": ({"fp16": True}, "fp16: found it without a GPU; expected a GPU; set `bf16` to auto"),
    "stages and steps": (
        {"stages": [{"resolution": 32, "steps": 2}]},
        "max_steps: found it beside `stages`; expected one",
    ),
    "a stage of nothing": (
        {"max_steps": None, "stages": [{"resolution": 32}]},
        "stages, number 1: found {'resolution': 32}; expected a mapping with resolution and steps;",
    ),
    "a stage of else": (
        {"max_steps": None, "stages": [{"resolution": 32, "steps": 1, "learnig_rate": 1}]},
        "stages, number 1: found unknown field 'learnig_rate'; expected a field of a stage; did you mean 'lear",
    ),
    "a stage of words": (
        {"max_steps": None, "stages": [{"resolution": "high", "steps": 1}]},
        "stages, number 1: found {'resolution': 'high', 'steps': 1}; expected numbers; correct it",
    ),
    "a switch of another name": (
        {"improvements": {"skip_gate": True}},
        "improvements: found 'skip_gate'; expected a setting of the U-Net; did you mean 'skip_gates'?",
    ),
    "sizes that do not fit": ({"unet": TINY["unet"] | {"norm_num_groups": 3}}, "unet: found sizes that do not fit ("),
    "codec of another name": (
        {"codec": {"patch": 4}},
        "codec: found 'patch'; expected one of patch_size, latent_channels, gray; did you mean 'patch_size'?",
    ),
    "unknown field": ({"learning_rte": 1}, "found unknown field 'learning_rte'; expected a training argument; did you"),
}


@pytest.mark.parametrize("changes, message", REFUSED.values(), ids=REFUSED)
def test_refused_before_any_work(tmp_path, changes, message):
    with pytest.raises(InputError) as raised:
        run("diffusion", configuration(tmp_path / "bad", **changes))
    assert message in str(raised.value) and "\n" not in str(raised.value)
    assert not list(tmp_path.glob("bad/run/checkpoint-*"))
