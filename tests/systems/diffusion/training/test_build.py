"""The pipeline that is trained, from a base or from sizes, and its noise levels."""

import pytest
import torch
from transformers import BertConfig, BertModel

from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.diffusion.training.build import freeze, from_base, from_sizes, noise_levels, with_modalities
from hf_medreport.systems.diffusion.training.settings import ModelArguments
from tests.diffusion import BERT, MODALITIES, tiny_conditioner, tiny_pipeline, tiny_stable_diffusion
from tests.systems.diffusion.runs import TINY
from tests.tiny import tiny_label_tokenizer

DXA = {"name": "DXA", "aliases": ["bone density"], "template": "d {prompt}"}
TOKENS = {"input_ids": torch.tensor([[2, 7, 8, 3]]), "attention_mask": torch.ones(1, 4, dtype=torch.long)}


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / "stock"
    tiny_stable_diffusion().save_pretrained(folder)
    return str(folder)


def test_a_new_modality_leaves_the_others_as_they_were():
    known = tiny_conditioner()
    with torch.no_grad():
        known.fuse_tokens.out.weight.normal_(generator=torch.Generator().manual_seed(0))
    grown = with_modalities(known, [*MODALITIES, DXA])
    assert [each["name"] for each in grown.config.modalities] == ["cxr", "ct", "oct", "DXA"]
    for number in range(4):  # none, and its own three
        ids = {"modality_ids": torch.tensor([number])}
        assert torch.equal(grown.eval()(**TOKENS, **ids).tokens, known(**TOKENS, **ids).tokens)
    assert grown.modality_id("Bone-Density") == 4 and with_modalities(grown, [DXA]) is grown


def test_a_stable_diffusion_with_improvements(stock):
    """It predicts as before until it is trained; the text encoder stays frozen and what is new learns."""
    switches = {"skip_gates": True, "class_embed_type": "projection"}
    pipe = from_base(ModelArguments(base=stock, improvements=switches), [DXA])
    freeze(pipe, train_text_encoder=False, adapter=False)
    assert pipe.unet.config.projection_class_embeddings_input_dim == 32
    trained = {name for name, each in pipe.text_encoder.named_parameters() if each.requires_grad}
    assert {name.partition(".")[0] for name in trained} == {"modality", "fuse_tokens", "fuse_pooled"}
    assert not any(each.requires_grad for each in pipe.vae.parameters())
    condition = pipe.encode_prompts(["an edema"], ["DXA"])
    latents, step = torch.randn(1, 4, 8, 8), torch.tensor(3)
    predicted = pipe.unet(latents, step, condition.tokens, class_labels=condition.pooled).sample
    plain = tiny_stable_diffusion()
    ids = plain.tokenizer(["d an edema"], padding="max_length", return_tensors="pt").input_ids
    expected = plain.unet(latents, step, plain.text_encoder(ids)[0]).sample
    assert torch.equal(predicted, expected)


def test_a_base_takes_another_text_encoder(stock, tmp_path):
    BertModel(BertConfig(**BERT | {"hidden_size": 16})).save_pretrained(tmp_path)
    tiny_label_tokenizer().save_pretrained(tmp_path)
    pipe = from_base(ModelArguments(base=stock, text_encoder=str(tmp_path), max_length=64), MODALITIES)
    condition = pipe.encode_prompts(["edema"], ["ct"])
    assert condition.tokens.shape[-1] == 32 and condition.pooled.shape[-1] == 16  # projected for the U-Net
    with pytest.raises(InputError, match=f"text_encoder: found '{tmp_path}/no', which does not load; expected"):
        from_base(ModelArguments(base=stock, text_encoder=f"{tmp_path}/no"), MODALITIES)


def test_an_adapter_of_a_base_adds_no_modality(stock):
    assert from_base(ModelArguments(base=stock, lora_rank=2), [DXA]).text_encoder.config.modalities == []


def test_without_a_projection_nothing_of_the_pooled_state_waits_for_gradients():
    pipe = tiny_pipeline()
    freeze(pipe, train_text_encoder=True, adapter=False)
    still = {name for name, each in pipe.text_encoder.named_parameters() if not each.requires_grad}
    assert still and {name.partition(".")[0] for name in still} == {"fuse_pooled"}


def test_sizes_say_all_of_a_new_model():
    fields = ("codec", "unet", "text_encoder", "vocabulary_size")
    arguments = ModelArguments(**{name: TINY[name] for name in fields}, max_length=40)
    pictures = torch.rand(3, 3, 32, 32) * 2 - 1
    pipe = from_sizes(arguments, MODALITIES, ["left effusion", "edema"], pictures, 32, seed=0)
    again = from_sizes(arguments, MODALITIES, ["left effusion", "edema"], pictures, 32, seed=0)
    assert pipe.unet.config.sample_size == 8 and pipe.unet.config.in_channels == 4
    assert all(torch.equal(a, b) for a, b in zip(pipe.unet.parameters(), again.unet.parameters(), strict=True))
    words = pipe.tokenize(["left effusion"], ["cxr"])["input_ids"][0].tolist()
    assert pipe.tokenizer.unk_token_id not in words and pipe.tokenizer.decode(words).startswith(
        "[CLS] chest x - ray, left"
    )


@pytest.mark.parametrize(
    "asked, expected",
    [
        ({}, ("linear", "epsilon", False)),
        ({"noise_schedule": "cosine", "prediction": "v"}, ("squaredcos_cap_v2", "v_prediction", False)),
        ({"noise_schedule": "scaled_linear", "prediction": "x0", "zero_snr": True}, ("scaled_linear", "sample", True)),
        ({"noise_schedule": "linear", "prediction": "v", "zero_snr": True}, ("linear", "v_prediction", True)),
    ],
)
def test_noise_levels(asked, expected):
    """Whatever their shape, the share of the picture falls from level to level; zero SNR leaves none at the last."""
    levels = noise_levels(ModelArguments(**asked), tiny_pipeline())
    config = levels.config
    assert (config.beta_schedule, config.prediction_type, config.rescale_betas_zero_snr) == expected
    assert (levels.alphas_cumprod.diff() < 0).all() and levels.alphas_cumprod[0] > 0.99
    assert (levels.alphas_cumprod[-1] < 1e-12) == expected[2] or config.beta_schedule == "squaredcos_cap_v2"
