"""Sizes from the shapes of tensors: each number below is another, so that none stands for a neighbor."""

import pytest
import torch

from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.radscribe.original.checkpoint_sizes import (
    WHOLE,
    bert_sizes,
    lacking,
    medvill_config,
    resnet_sizes,
    t5_sizes,
    vit_sizes,
)


def weights(**shapes: tuple) -> dict[str, torch.Tensor]:
    """Empty tensors of these shapes; `__` in a name is a dot."""
    return {name.replace("__", "."): torch.empty(shape, device="meta") for name, shape in shapes.items()}


BERT = weights(
    bert__embeddings__word_embeddings__weight=(120, 32),
    bert__embeddings__position_embeddings__weight=(300, 32),
    bert__embeddings__token_type_embeddings__weight=(2, 32),
    bert__encoder__layer__0__intermediate__dense__weight=(40, 32),
    bert__encoder__layer__1__intermediate__dense__weight=(40, 32),
)
VIT = weights(
    image_encoder__vit__embeddings__patch_embeddings__projection__weight=(32, 3, 16, 16),
    image_encoder__vit__embeddings__position_embeddings=(1, 26, 32),
    image_encoder__vit__layers__0__mlp__fc1__weight=(28, 32),
)
MIXING = weights(image_encoder__token_mixing__weight=(9, 25))
T5 = weights(
    decoder__embed_tokens__weight=(100, 36),
    decoder__block__0__layer__0__SelfAttention__relative_attention_bias__weight=(8, 4),
    decoder__block__0__layer__0__SelfAttention__q__weight=(20, 36),
    decoder__block__0__layer__2__DenseReluDense__wi__weight=(64, 36),
)


def refused(act) -> str:
    with pytest.raises(InputError) as raised:
        act()
    return str(raised.value)


def without(tensors: dict, part: str) -> dict:
    return {key: tensor for key, tensor in tensors.items() if part not in key}


def test_of_bert():
    assert bert_sizes("f", BERT, 4) == {
        "vocab_size": 120,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 40,
        "max_position_embeddings": 300,
        "type_vocab_size": 2,
    }
    missing = refused(lambda: bert_sizes("f", without(BERT, "position"), 4))
    assert (
        missing
        == f"f: found no tensor for bert.embeddings.position_embeddings.weight; expected a whole checkpoint; {WHOLE}"
    )
    gap = refused(lambda: bert_sizes("f", without(BERT, "layer.0"), 4))
    assert (
        gap == f"f: found no bert.encoder.layer.0 before bert.encoder.layer.1; expected all layers from 0 on; {WHOLE}"
    )


def test_of_a_vit():
    """5 x 5 patches of 16 px."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 8, "intermediate_size": 28}
    assert vit_sizes("f", VIT, 8) == sizes | {"patch_size": 16, "image_size": 80}
    positions = {"image_encoder.vit.embeddings.position_embeddings": torch.empty(1, 18, 32)}
    message = f"f: found 17 positions of the ViT; expected a square number; {WHOLE}"
    assert refused(lambda: vit_sizes("f", VIT | positions, 8)) == message


def test_of_a_resnet():
    prefix = "image_encoder.resnet."
    tensors = {f"{prefix}embedder.embedder.convolution.weight": torch.empty(4, 3, 7, 7)}
    for stage, (depth, width) in enumerate([(1, 8), (3, 12), (2, 20)]):
        for layer in range(depth):
            key = f"{prefix}encoder.stages.{stage}.layers.{layer}.layer.2.convolution.weight"
            tensors[key] = torch.empty(width, 2, 1, 1)
    assert resnet_sizes("f", tensors, None) == {"embedding_size": 4, "hidden_sizes": [8, 12, 20], "depths": [1, 3, 2]}


@pytest.mark.parametrize("gated", [False, True])
def test_of_t5(gated):
    tensors = {key.replace(".wi.", ".wi_0.") if gated else key: tensor for key, tensor in T5.items()}
    assert t5_sizes("f", tensors, 20) == {
        "vocab_size": 100,
        "d_model": 36,
        "d_kv": 5,
        "d_ff": 64,
        "num_layers": 1,
        "num_decoder_layers": 1,
        "num_heads": 4,
        "relative_attention_num_buckets": 8,
        "relative_attention_max_distance": 20,
        "feed_forward_proj": "gated-gelu" if gated else "relu",
        "decoder_start_token_id": 0,
    }
    message = "max_distance: found 4; expected more than 4, half of the checkpoint's buckets; correct `max_distance`"
    assert refused(lambda: t5_sizes("f", tensors, 4)) == message


class TestEncoder:
    def test_what_the_layer_over_tokens_tells(self):
        config = medvill_config("f", BERT | VIT | MIXING, "vit", max_text_tokens=19, num_heads=4, vit_heads=4)
        assert (config.image_size, config.num_image_embeds, config.max_text_tokens) == (80, 9, 19)
        assert config.image_encoder_sizes["patch_size"] == 16 and config.bert.hidden_size == 32

    @pytest.mark.parametrize(("field", "value", "read"), [("image_size", 96, 80), ("num_image_embeds", 8, 9)])
    def test_it_is_not_to_be_contradicted(self, field, value, read):
        options = {"max_text_tokens": 19, "num_heads": 4, "vit_heads": 4, field: value}
        message = refused(lambda: medvill_config("f", BERT | VIT | MIXING, "vit", **options))
        expected = f"expected {read}, as the checkpoint's layer over tokens has it; leave out `{field}`"
        assert message == f"{field}: found {value}; {expected}"

    def test_published_sizes_stand_in_for_weights_that_are_not_here(self):
        config = medvill_config("f", BERT, "resnet101", max_text_tokens=19, num_heads=4)
        assert (config.image_size, config.num_image_embeds) == (512, 256)  # 16 x 16 places of 32 px
        projected = BERT | weights(image_projection__weight=(32, 40))
        smaller = medvill_config("f", projected, "resnet101", image_size=128, max_text_tokens=19, num_heads=4)
        assert (smaller.image_size, smaller.num_image_embeds) == (128, 16)
        assert smaller.image_encoder_sizes["channels"] == 40

    def test_heads_of_bert_and_of_the_vit_are_two_numbers(self):
        config = medvill_config("f", BERT | VIT | MIXING, "vit", max_text_tokens=19, num_heads=4, vit_heads=2)
        assert config.bert.num_attention_heads == 4 and config.image_encoder_sizes["num_attention_heads"] == 2
        message = refused(lambda: medvill_config("f", BERT | VIT | MIXING, "vit", num_heads=4))
        assert message.startswith("f: found the ViT of width 32; expected a published one")
        message = "vit_heads: found 2 for the image encoder resnet101; expected none; leave out `vit_heads`"
        assert refused(lambda: medvill_config("f", BERT, "resnet101", num_heads=4, vit_heads=2)) == message

    def test_what_the_configuration_refuses(self):
        message = refused(lambda: medvill_config("f", BERT, "resnet101", max_text_tokens=300, num_heads=4))
        assert message.startswith("MedViLLConfig: found max_text_tokens=300; ")
        assert message.endswith("; correct the options")


def test_what_a_file_lacks():
    wanted = weights(a=(2,), b=(3,), c=(4,))
    assert lacking("f", wanted, weights(b=(3,))) == ["a", "c"] and lacking("f", wanted, wanted) == []
    other = refused(lambda: lacking("f", wanted, weights(b=(5,))))
    assert other == f"f: found b of shape (5,); expected (3,), as the others have it; {WHOLE}"
    foreign = refused(lambda: lacking("f", wanted, weights(y=(1,), z=(1,))))
    assert foreign == f"f: found y and 1 more beside a model without it; expected one model's tensors; {WHOLE}"
