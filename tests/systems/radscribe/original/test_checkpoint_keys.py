"""What the originals call a tensor, and what we call it."""

import re

import pytest
import torch

from hf_medreport.modeling.configuration_medvill import MedViLLConfig
from hf_medreport.modeling.image_tokens import ResNetTokens
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.radscribe.original.checkpoint_keys import (
    IMAGE_ENCODER,
    encoder_key,
    image_encoder_of,
    radscribe_key,
    rename,
    torchxrayvision_key,
)

MODEL = "encoder.img_encoder.model."


@pytest.mark.parametrize(
    ("image_encoder", "theirs", "ours"),
    [
        (None, "decoder.t5.shared.weight", "decoder.embed_tokens.weight"),
        (None, "decoder.t5.lm_head.weight", "decoder.embed_tokens.weight"),
        (None, "decoder.t5.decoder.block.0.layer.1.EncDecAttention.q.weight",
            "decoder.block.0.layer.1.EncDecAttention.q.weight"),
        (None, "encoder.txt_embeddings.LayerNorm.bias", "encoder.bert.embeddings.LayerNorm.bias"),
        (None, "encoder.img_embeddings.LayerNorm.bias", "encoder.bert.embeddings.LayerNorm.bias"),
        (None, "encoder.img_embeddings.img_embeddings.weight", "encoder.image_projection.weight"),
        (None, "encoder.encoder.layer.1.output.dense.bias", "encoder.bert.encoder.layer.1.output.dense.bias"),
        (None, "encoder.cross_attention_layers.2.attn.in_proj_bias", "encoder.label_layers.2.attention.in_proj_bias"),
        (None, "encoder.class_transform_layer.weight", "encoder.class_projection.weight"),
        ("vit", "encoder.img_encoder.linear.bias", "encoder.image_encoder.token_mixing.bias"),
        ("vit", f"{MODEL}layernorm.bias", "encoder.image_encoder.vit.layernorm.bias"),
        ("vit", f"{MODEL}encoder.layer.3.attention.output.dense.bias",
            "encoder.image_encoder.vit.layers.3.attention.o_proj.bias"),
        ("vit", f"{MODEL}encoder.layer.0.layernorm_before.weight",
            "encoder.image_encoder.vit.layers.0.layernorm_before.weight"),
        ("chexnet121", f"{MODEL}5.norm.weight", "encoder.image_encoder.densenet.features.transition1.norm.weight"),
        ("chexnet121", f"{MODEL}12.weight", "encoder.image_encoder.conv.weight"),
        ("chexnet121", f"{MODEL}2.weight", None),  # the ReLU
        ("resnet101", f"{MODEL}1.bias", "encoder.image_encoder.resnet.embedder.embedder.normalization.bias"),
        ("resnet101", f"{MODEL}5.0.downsample.0.weight",
            "encoder.image_encoder.resnet.encoder.stages.1.layers.0.shortcut.convolution.weight"),
        ("resnet101", f"{MODEL}6.22.bn3.bias",
            "encoder.image_encoder.resnet.encoder.stages.2.layers.22.layer.2.normalization.bias"),
        ("resnet101", f"{MODEL}7.bias", "encoder.image_encoder.conv.bias"),
        ("resnet101", f"{MODEL}4.0.fc.weight", None),
        ("resnet101", f"{MODEL}classifier.weight", None),
        (None, f"{MODEL}4.0.conv1.weight", None),
        (None, "encoder.pooler.weight", None),
        (None, "decoder.shared.weight", None),
        (None, "label_head.weight", None),
    ],
)  # fmt: skip
def test_keys(image_encoder, theirs, ours):
    assert radscribe_key(image_encoder)(theirs) == ours
    if theirs.startswith("encoder."):
        assert encoder_key(theirs.removeprefix("encoder."), image_encoder) == (ours and ours.removeprefix("encoder."))


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        (["embeddings.patch_embeddings.projection.weight"], "vit"),
        (["4.denselayer1.conv1.weight"], "chexnet121"),
        (["4.0.conv1.weight", "6.0.conv1.weight"], "resnet101"),
        (["4.0.conv1.weight", "7.0.conv1.weight"], None),  # MedViLL's own, of four stages
        (["conv.weight"], None),
    ],
)
def test_which_image_encoder_a_file_holds(keys, kind):
    assert image_encoder_of(IMAGE_ENCODER + key for key in keys) == kind


def test_a_tensor_of_several_names_becomes_one_and_every_other_is_counted():
    one = torch.ones(2, dtype=torch.float16)
    state = {"a.x": one, "b.x": one.clone(), "a.n": torch.tensor(3), "old.y": one, "old.z": one, "z": one, "c": one}
    places = {"a.x": "x", "b.x": "x", "a.n": "n"}
    renamed = rename("f.pt", state, places.get, {"what is old": re.compile("old")})
    assert set(renamed.weights) == {"x", "n"} and torch.equal(renamed.weights["x"], torch.ones(2))
    assert renamed.weights["n"].dtype == torch.int64
    assert renamed.not_carried == {"what is old": 2} and renamed.unexpected == ["c", "z"]


def test_names_of_one_tensor_have_to_agree():
    with pytest.raises(InputError) as raised:
        rename("f.pt", {"a": torch.ones(2), "b": torch.zeros(2)}, lambda key: "x", {})
    assert str(raised.value) == (
        "f.pt: found b and a that differ; expected one tensor under both names; use the file as the training saved it"
    )


def test_the_published_resnets_names_all_have_a_place():
    sizes = {"depths": [3, 4, 23]}
    with torch.device("meta"):
        ours = ResNetTokens(MedViLLConfig(image_encoder="resnet101", image_encoder_sizes=sizes)).state_dict()
    stages = {"layer1": 3, "layer2": 4, "layer3": 23}
    blocks = [(stage, block) for stage, count in stages.items() for block in range(count)]
    parts = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    norms = ["bn1", *(f"{stage}.{block}.bn{index}" for stage, block in blocks for index in (1, 2, 3))]
    norms += [f"{stage}.0.downsample.1" for stage in stages]
    convolutions = ["conv1", *(f"{stage}.{block}.conv{index}" for stage, block in blocks for index in (1, 2, 3))]
    convolutions += [f"{stage}.0.downsample.0" for stage in stages]
    theirs = [f"{norm}.{part}" for norm in norms for part in parts] + [f"{one}.weight" for one in convolutions]
    assert {torchxrayvision_key(key) for key in theirs} | {"conv.weight", "conv.bias"} == set(ours)
    assert torchxrayvision_key("layer4.0.conv1.weight") is None
