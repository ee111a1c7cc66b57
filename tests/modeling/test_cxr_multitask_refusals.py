"""What the multi-task chest X-ray refuses, and exactly what it says of it."""

import pytest
import torch

from hf_medreport.modeling.configuration_cxr_multitask import CxrMultitaskConfig
from hf_medreport.registry import system
from tests.tiny import tiny_model

ROW = system("cxr_multitask")
FRONTAL, LATERAL, BOTH = [1, 0], [0, 1], [1, 1]


def films(count=2):
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(1))


REFUSALS = {
    "no film": ({}, "forward: found no film; expected pixel_values or lateral_pixel_values; pass one of them"),
    "another number of lateral films": (
        {"pixel_values": films(2), "lateral_pixel_values": films(1)},
        "lateral_pixel_values: found 1 films for 2 frontal ones; expected one a case; mark a missing view with 0 in "
        "views",
    ),
    "cases without any view": (
        {"pixel_values": films(3), "lateral_pixel_values": films(3), "views": torch.tensor([[0, 0], BOTH, [0, 0]])},
        "views: found no film in cases [0, 2]; expected one or two; leave these cases out",
    ),
    "a view that was not given": (
        {"pixel_values": films(2), "views": torch.tensor([BOTH, LATERAL])},
        "views: found no film in cases [1]; expected one or two; leave these cases out",
    ),
    "views of one number a case": (
        {"pixel_values": films(2), "views": torch.tensor([1, 1])},
        "views: found shape (2,) for 2 cases; expected (2, 2); give a row a case, 1 where the frontal and the lateral "
        "film are there",
    ),
    "views of another number of cases": (
        {"pixel_values": films(2), "views": torch.tensor([BOTH] * 3)},
        "views: found shape (3, 2) for 2 cases; expected (2, 2); give a row a case, 1 where the frontal and the "
        "lateral film are there",
    ),
    "films of whole numbers": (
        {"pixel_values": torch.zeros(2, 3, 64, 64, dtype=torch.uint8)},
        "pixel_values: found torch.uint8 of shape (2, 3, 64, 64); expected floats (batch, 3, height, width); add the "
        "axes, scale to [0, 1]",
    ),
    "one film without a batch": (
        {"pixel_values": films(3)[0]},
        "pixel_values: found torch.float32 of shape (3, 64, 64); expected floats (batch, 3, height, width); add the "
        "axes, scale to [0, 1]",
    ),
    "lateral films of one channel": (
        {"pixel_values": films(2), "lateral_pixel_values": films(2)[:, :1]},
        "lateral_pixel_values: found torch.float32 of shape (2, 1, 64, 64); expected floats (batch, 3, height, width); "
        "add the axes, scale to [0, 1]",
    ),
    "films of 0 to 255": (
        {"pixel_values": torch.tensor([0.0, 255.0]).expand(2, 3, 64, 2)},
        "pixel_values: found values from 0 to 255; expected [0, 1]; divide by the largest gray value, and leave mean "
        "and deviation to encoder_mean and encoder_std",
    ),
    "standardized lateral films": (
        {"pixel_values": films(2), "lateral_pixel_values": torch.tensor([-2.0, 0.5]).expand(2, 3, 64, 2)},
        "lateral_pixel_values: found values from -2 to 0.5; expected [0, 1]; divide by the largest gray value, and "
        "leave mean and deviation to encoder_mean and encoder_std",
    ),
    "a classification of 2": (
        {"pixel_values": films(2), "abnormal_labels": torch.tensor([1, 2])},
        "abnormal_labels: found 2; expected 0 (normal), 1 (abnormal) or -100 (not known); correct the labels",
    ),
    "a classification of NaN": (
        {"pixel_values": films(2), "abnormal_labels": torch.tensor([1.0, torch.nan])},
        "abnormal_labels: found nan; expected 0 (normal), 1 (abnormal) or -100 (not known); correct the labels",
    ),
    "a probability for a classification": (
        {"pixel_values": films(2), "abnormal_labels": torch.tensor([0.25, 1.0])},
        "abnormal_labels: found 0.25; expected 0 (normal), 1 (abnormal) or -100 (not known); correct the labels",
    ),
    "another number of classifications": (
        {"pixel_values": films(2), "abnormal_labels": torch.tensor([1, 0, 1])},
        "abnormal_labels: found shape (3,) for 2 cases; expected (2,); give one a case, -100 where it is not known",
    ),
    "another number of masks": (
        {"pixel_values": films(2), "anatomical_masks": torch.zeros(1, 1, 8, 8)},
        "anatomical_masks: found 1 masks for 2 cases; expected one a case; pass an all-zero mask for a film without "
        "one",
    ),
    "too long a text": (
        {"pixel_values": films(2), "input_ids": torch.ones(2, 64, dtype=torch.long)},
        "forward: found 65 tokens of text, <start> counted; expected at most 64, the decoder's positions; shorten the "
        "text",
    ),
    "another number of texts": (
        {"pixel_values": films(2), "input_ids": torch.ones(3, 4, dtype=torch.long)},
        "latent: found 2 rows for 3 texts; expected one a text; repeat or choose the rows",
    ),
    "a film of NaN": (
        {
            "pixel_values": films(2) * torch.tensor([1, torch.nan])[:, None, None, None],
            "labels": torch.ones(2, 3).long(),
        },
        "latent: found NaN or infinite values in rows [1]; expected finite numbers; check the images and the encoder "
        "that made it",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_inputs_that_are_refused(case):
    inputs, message = REFUSALS[case]
    with pytest.raises(ValueError) as raised:
        tiny_model(ROW)(**inputs)
    assert str(raised.value) == message


REFUSED_FIELDS = {
    "image_size 100": (
        {"image_size": 100},
        "CxrMultitaskConfig: found image_size=100; expected a multiple of 32, the encoder's stride; choose 224 or "
        "another",
    ),
    "image_size 0": (
        {"image_size": 0},
        "CxrMultitaskConfig: found image_size=0; expected a multiple of 32, the encoder's stride; choose 224 or "
        "another",
    ),
    "a field that a DenseNet has not": (
        {"encoder": {"growth": 4}},
        "CxrMultitaskConfig: found encoder field 'growth'; expected growth_rate, block_config, num_init_features, "
        "bn_size; correct the configuration",
    ),
    "an unknown loss": (
        {"reconstruction_loss": "dice"},
        "CxrMultitaskConfig: found reconstruction_loss='dice'; expected one of bce, mse, l1, ssim, mse+ssim; correct "
        "the configuration",
    ),
    "a view withheld in three cases of one": (
        {"view_dropout": 3.0},
        "CxrMultitaskConfig: found view_dropout=3.0; expected 0 to 1; correct the configuration",
    ),
    "a negative weight": (
        {"frontal_weight": -1.0},
        "CxrMultitaskConfig: found frontal_weight=-1.0; expected 0 or more; correct the configuration",
    ),
    "no task at all": (
        dict.fromkeys(("abnormal_weight", "frontal_weight", "lateral_weight", "text_weight"), 0.0),
        "CxrMultitaskConfig: found 0 in abnormal_weight, frontal_weight, lateral_weight, text_weight; expected one of "
        "them above 0; choose a task",
    ),
    "one dropout for two layers": (
        {"classifier_dropout": (0.3,)},
        "CxrMultitaskConfig: found classifier_dropout=(0.3,); expected 2 of 0 to 1, one a hidden layer; correct the "
        "configuration",
    ),
    "a latent without cells": (
        {"latent_grid": 0},
        "CxrMultitaskConfig: found latent_grid=0; expected 1 or more; correct the configuration",
    ),
    "fewer than no layers": (
        {"encoder_trainable_last_n": -3},
        "CxrMultitaskConfig: found encoder_trainable_last_n=-3; expected 0 or more, or None for all; correct the "
        "configuration",
    ),
    "a mean of one channel": (
        {"encoder_mean": (0.5,)},
        "CxrMultitaskConfig: found encoder_mean=(0.5,); expected 3, one a channel; correct the configuration",
    ),
    "a deviation of 0": (
        {"encoder_std": (1.0, 0.0, 1.0)},
        "CxrMultitaskConfig: found encoder_std=(1.0, 0.0, 1.0); expected 3 above 0, one a channel; correct the "
        "configuration",
    ),
    "a DenseNet of two blocks": (
        {"encoder": {"block_config": [6, 12]}},
        "CxrMultitaskConfig: found encoder block_config=[6, 12]; expected 4 of 1 or more; correct the configuration",
    ),
    "a misspelt field": (
        {"use_skip": False},
        "CxrMultitaskConfig: found unknown field 'use_skip'; expected one of its fields; did you mean 'use_skips'?",
    ),
    "a misspelt field of the decoder": (
        {"decoder": {"latent_injections": "post_block"}},
        "LatentGPT2Config: found unknown field 'latent_injections'; expected one of its fields; did you mean "
        "'latent_injection'?",
    ),
}


@pytest.mark.parametrize("case", REFUSED_FIELDS)
def test_configurations_that_are_refused(case):
    fields, message = REFUSED_FIELDS[case]
    with pytest.raises(ValueError) as raised:
        CxrMultitaskConfig(**fields)
    assert str(raised.value) == message


def test_a_margin_outside_0_to_one_half_is_refused():
    with pytest.raises(ValueError) as raised:
        tiny_model(ROW, crop_margin=0.6)(films(1), anatomical_masks=torch.ones(1, 1, 8, 8))
    assert str(raised.value) == "crop_margin: found 0.6; expected 0 to 0.5, a fraction of the film; 0.05 is usual"
