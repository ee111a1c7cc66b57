"""What MedViLL refuses, and exactly what it says of it."""

import pytest
import torch

from hf_medreport.registry import system
from tests.tiny import tiny_config, tiny_model

ROW = system("medvill")
PATCHES = {"image_encoder": "bert_vit", "image_encoder_sizes": {"patch_size": 8, "channels": 12}}
ORACLE = {"label_mode": "oracle"}
PREDICTED = {"label_mode": "predicted", "label_names": ("Edema", "Fracture", "Lung Opacity")}


def films(count=2, side=32):
    return torch.randn(count, 3, side, side)


# What is wrong -> the whole message.
CONFIGURATIONS = [
    (
        {"image_encoder": "resnet50"},
        "MedViLLConfig: found image_encoder='resnet50'; expected one of vit, resnet101, chexnet121, bert_vit; correct "
        "the configuration",
    ),
    (
        {"mask_mode": "causal"},
        "MedViLLConfig: found mask_mode='causal'; expected one of full, bar, legacy; correct the configuration",
    ),
    (
        {"label_mode": "given"},
        "MedViLLConfig: found label_mode='given'; expected one of none, oracle, predicted; correct the configuration",
    ),
    (
        {"max_text_tokens": 24},
        "MedViLLConfig: found max_text_tokens=24; expected 1 to 23, BERT's positions; correct the configuration",
    ),
    (
        {"num_image_embeds": 25},
        "MedViLLConfig: found num_image_embeds=25; expected 1 to 24, BERT's positions; correct the configuration",
    ),
    (
        {"image_size": 36},
        "MedViLLConfig: found image_size=36; expected a multiple of 8, the image encoder's stride; correct the "
        "configuration",
    ),
    (
        {**PATCHES, "num_image_embeds": 17},
        "MedViLLConfig: found num_image_embeds=17; expected at most 16, the places of a film of 32 px; correct the "
        "configuration",
    ),
    (
        {"image_encoder_sizes": {"hidden_size": 48, "patch_size": 8}},
        "MedViLLConfig: found a ViT of width 48 beside a BERT of 32; expected one width, for nothing projects the one "
        "to the other; correct the configuration",
    ),
    (
        {"image_encoder": "chexnet121", "image_encoder_sizes": {"growth": 4}},
        "MedViLLConfig: found image_encoder_sizes field 'growth'; expected growth_rate, block_config, "
        "num_init_features, bn_size, channels; correct the configuration",
    ),
    (
        {**PREDICTED, "label_pieces": [[9]]},
        "MedViLLConfig: found 1 label_pieces for 3 label_names; expected one a name, as "
        "RadScribeProcessor.label_pieces makes "
        "them; correct the configuration",
    ),
]


@pytest.mark.parametrize(("changes", "message"), CONFIGURATIONS)
def test_configurations_that_do_not_fit(changes, message):
    with pytest.raises(ValueError) as error:
        tiny_config(ROW, **changes)
    assert str(error.value) == message


INPUTS = [
    (
        {},
        {"pixel_values": films(side=64)},
        "pixel_values: found shape (2, 3, 64, 64); expected (batch, 3, 32, 32); let the model's processor read films",
    ),
    (
        {},
        {"pixel_values": None},
        "pixel_values: found none; expected (batch, 3, 32, 32); let the model's processor read films",
    ),
    (
        {},
        {"input_ids": torch.ones(2, 20, dtype=torch.long)},
        "input_ids: found shape (2, 20); expected (2, 21), max_text_tokens and [SEP]; let the model's processor write "
        "them",
    ),
    (
        ORACLE,
        {"input_ids": torch.zeros(2, 21, dtype=torch.long)},
        "attention_mask: found a text without any token; expected [SEP] at least; let the model's processor write it",
    ),
    (
        ORACLE,
        {},
        "input_ids: found no labels; expected those of each film, for label_mode is oracle; give them, or use a model "
        "that predicts them or needs none",
    ),
]


@pytest.mark.parametrize(("changes", "inputs", "message"), INPUTS)
def test_inputs_that_do_not_fit(changes, inputs, message):
    with pytest.raises(ValueError) as error:
        tiny_model(ROW, **changes)(**{"pixel_values": films(), **inputs})
    assert str(error.value) == message
