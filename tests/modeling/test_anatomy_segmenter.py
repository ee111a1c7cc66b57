"""The lung and heart segmenter."""

import pytest
import torch

from hf_medreport.modeling.configuration_anatomy_segmenter import AnatomySegmenterConfig
from hf_medreport.modeling.modeling_anatomy_segmenter import AnatomySegmenterForSemanticSegmentation

CONVNEXT = {"model_type": "dinov3_convnext", "hidden_sizes": [8, 8, 8, 16], "depths": [1, 1, 1, 1]}


def segmenter(**changes):
    torch.manual_seed(0)
    return AnatomySegmenterForSemanticSegmentation(AnatomySegmenterConfig(**changes)).eval()


def test_the_thesis_head_turns_16_into_64():
    model = segmenter(architecture="convnext", backbone=CONVNEXT, head_channels=[16, 8, 8, 8])
    assert model(torch.randn(2, 3, 512, 512)).logits.shape == (2, 2, 64, 64)


def test_the_hearts_logit_is_positive_where_class_2_wins():
    model = segmenter(architecture="convnext", backbone=CONVNEXT, head_channels=[16, 8, 8, 8])
    pixels = torch.randn(2, 3, 64, 64)
    classes = model.network.heart_head(model.network.backbone(pixels, output_hidden_states=True).hidden_states[-1])
    assert torch.equal(model(pixels).logits[:, 1] > 0, classes.argmax(dim=1) == 2)


def test_the_prior_is_lung_or_heart():
    model = segmenter()
    logits = torch.tensor([[[1.0, -1.0, -1.0, 1.0]], [[-1.0, 1.0, -1.0, 1.0]]])[None]
    model.network.register_forward_hook(lambda module, inputs, output: logits)
    assert model.anatomical_masks(torch.zeros(1, 3, 8, 8)).tolist() == [[[[1.0, 1.0, 0.0, 1.0]]]]


def test_the_unet_learns_two_squares():
    model = segmenter(unet_channels=[4, 8], unet_size=16).train()
    labels = torch.zeros(1, 2, 32, 32)
    labels[:, 0, 4:16, 4:16] = 1
    labels[:, 1, 16:28, 16:28] = 1
    pixels = labels.sum(dim=1, keepdim=True).repeat(1, 3, 1, 1) + torch.linspace(0, 1, 32)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    first = None
    for _ in range(60):
        loss = model(pixels, labels=labels).loss
        first = first or loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3 * first
    assert (model.anatomical_masks(pixels) == labels[:, :, ::2, ::2].amax(1, keepdim=True)).float().mean() > 0.9


def test_one_film_equals_a_batch():
    model, pixels = segmenter(), torch.randn(3, 3, 64, 64)
    torch.testing.assert_close(model(pixels).logits[1:2], model(pixels[1:2]).logits, atol=1e-5, rtol=1e-4)


def test_unknown_architecture():
    with pytest.raises(ValueError, match="found architecture='mlp'; expected one of unet, convnext"):
        AnatomySegmenterConfig(architecture="mlp")
