"""The conditioner: any text encoder, modalities by many names, and the mask."""

import pytest
import torch
from transformers import AutoModel, BertConfig, BertModel, CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

from hf_medreport.modeling.medical_text_conditioner import (
    ConfigError,
    HadamardFusion,
    MedicalTextConditioner,
    MedicalTextConditionerConfig,
)
from tests.diffusion import BERT, MODALITIES, tiny_conditioner

IDS = torch.tensor([[2, 10, 11, 3, 0, 0], [2, 12, 3, 0, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0]])
SMALL = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}


def awake(**config) -> MedicalTextConditioner:
    """One whose fusion says something."""
    model = tiny_conditioner(**config)
    for fusion in (model.fuse_tokens, model.fuse_pooled):
        torch.nn.init.normal_(fusion.out.weight)
    return model


@pytest.fixture(scope="module")
def bert():
    torch.manual_seed(3)
    return BertModel(BertConfig(**BERT)).eval()


@torch.no_grad()
def test_at_the_start_it_is_the_text_encoder(bert, tmp_path):
    bert.save_pretrained(tmp_path)
    for source in (bert, tmp_path):
        model = MedicalTextConditioner.from_text_encoder(source, modalities=MODALITIES)
        assert model.config.max_length == 64  # of 256, as many as BERT has positions
        tokens, pooled, mask = model(IDS, MASK, torch.tensor([1, 0])).to_tuple()
        expected = bert(input_ids=IDS, attention_mask=MASK).last_hidden_state
        assert torch.equal(tokens, expected) and torch.equal(pooled, expected[:, 0]) and torch.equal(mask, MASK)


@torch.no_grad()
def test_pooling(bert):
    states = bert(input_ids=IDS, attention_mask=MASK)
    mean = MedicalTextConditioner.from_text_encoder(bert, pooling="mean")(IDS, MASK).pooled
    by_hand = [states.last_hidden_state[row, :length].mean(0) for row, length in enumerate((4, 3))]
    assert torch.allclose(mean, torch.stack(by_hand), atol=1e-6)
    pooler = MedicalTextConditioner.from_text_encoder(bert, pooling="pooler")
    assert torch.equal(pooler(IDS, MASK).pooled, states.pooler_output)
    # one that pools otherwise has no weights for it, which would never be trained
    assert not [name for name, _ in tiny_conditioner().named_parameters() if "pooler" in name]


CLIP = CLIPTextConfig(**SMALL, vocab_size=60, max_position_embeddings=8, bos_token_id=2, eos_token_id=3, pad_token_id=0)
T5 = T5Config(vocab_size=60, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)


@torch.no_grad()
@pytest.mark.parametrize(
    ("encoder", "pooling"), [(CLIPTextModel(CLIP), "pooler"), (T5EncoderModel(T5), "mean")], ids=["clip", "t5"]
)
def test_other_encoders(encoder, pooling, tmp_path):
    encoder.eval()
    model = MedicalTextConditioner.from_text_encoder(encoder, pooling=pooling, cross_attention_dim=24)
    assert type(model.encoder) is type(encoder)
    output = model(IDS, MASK)
    assert output.tokens.shape == (2, 6, 24) and output.pooled.shape == (2, 16)
    model.save_pretrained(tmp_path)
    assert torch.equal(MedicalTextConditioner.from_pretrained(tmp_path)(IDS, MASK).tokens, output.tokens)


@torch.no_grad()
def test_longer_padding_changes_nothing():
    model = awake(pooling="mean")
    short = model(IDS[:, :4], MASK[:, :4], torch.tensor([1, 2]))
    long = model(IDS, MASK, torch.tensor([1, 2]))
    assert torch.allclose(short.tokens, long.tokens[:, :4], atol=1e-5)
    assert torch.allclose(short.pooled, long.pooled, atol=1e-5)


@torch.no_grad()
def test_padding_is_attended_to_where_the_configuration_says_so():
    model = tiny_conditioner(attend_padding=True)
    output = model(IDS, MASK)
    assert output.mask.all()
    assert torch.equal(output.tokens, tiny_conditioner()(IDS).tokens)
    assert not torch.allclose(output.tokens[:, :3], tiny_conditioner()(IDS, MASK).tokens[:, :3], atol=1e-3)


@torch.no_grad()
def test_the_fusion_by_hand():
    fusion = HadamardFusion(2)
    for layer, weight, bias in ((fusion.of_text, 2.0, 0.0), (fusion.of_modality, 1.0, 1.0), (fusion.out, 0.5, 0.25)):
        layer.weight.copy_(weight * torch.eye(2))
        layer.bias.fill_(bias)
    text, modality = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[3.0, -1.0]]])
    # 1 + 0.5 * (2 * (3 + 1)) + 0.25 = 5.25 and 2 + 0.5 * (4 * 0) + 0.25 = 2.25
    assert fusion(text, modality).tolist() == [[[5.25, 2.25]]]


def test_a_modality_is_told_apart_after_one_step():
    model = tiny_conditioner().train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    output = model(IDS, MASK, torch.tensor([1, 2]))
    (output.tokens.square().mean() + output.pooled.square().mean()).backward()
    optimizer.step()
    with torch.no_grad():
        model.eval()
        one, other, none = (model(IDS, MASK, torch.full((2,), number)) for number in (1, 2, 0))
        for name in ("tokens", "pooled"):
            assert not torch.equal(one[name], other[name]) and not torch.equal(one[name], none[name])
        assert torch.equal(model(IDS, MASK).tokens, none.tokens)  # no modality is the null modality


def test_modalities_by_any_of_their_names():
    model = tiny_conditioner()
    names = {None: 0, "cxr": 1, "CXR": 1, "x ray": 1, "X-Ray": 1, "Chest_X-ray": 1, "chestct": 2, "CT": 2, "oct": 3}
    assert {name: model.modality_id(name) for name in names} == names
    for name, remedy in (("chst ct", "did you mean 'ct'?"), ("ultrasound", "use one of these")):
        with pytest.raises(ConfigError) as error:
            model.modality_id(name)
        assert str(error.value) == f"modality: found '{name}'; expected one of cxr, ct, oct; {remedy}"
    with pytest.raises(ConfigError) as error:
        tiny_conditioner(modalities=()).modality_id("ct")
    assert str(error.value) == ("modality: found 'ct'; expected none, for this model reads no modality; leave it out")


def test_a_prompt_in_its_template():
    model = tiny_conditioner()
    assert model.in_words("effusion", "X-ray") == "chest x-ray, effusion"
    assert model.in_words("a {brace}", "cxr") == "chest x-ray, a {brace}"
    assert [model.in_words("effusion", name) for name in ("ct", None)] == ["effusion"] * 2
    assert model.in_words(" ", "cxr") == " "  # the null text says no modality


def test_at_the_start_a_modality_weighs_as_much_as_the_words():
    model = tiny_conditioner()
    factors = [model.fuse_tokens.of_text(torch.randn(9, 32)), model.fuse_tokens.of_modality(model.modality.weight)]
    assert [0.5 < each.std().item() < 2 for each in factors] == [True, True]
    assert not model.fuse_tokens.out.weight.any() and not model.fuse_pooled.out.bias.any()


@torch.no_grad()
def test_saved_it_loads_by_the_auto_class(tmp_path):
    model = awake()
    model.save_pretrained(tmp_path)
    assert (tmp_path / "medical_text_conditioner.py").is_file()
    again = AutoModel.from_pretrained(tmp_path, trust_remote_code=True)
    assert type(again).__name__ == "MedicalTextConditioner"
    one, other = (each(IDS, MASK, torch.tensor([1, 2])) for each in (model, again))
    assert torch.equal(one.tokens, other.tokens) and torch.equal(one.pooled, other.pooled)
    assert again.modality_id("X-ray") == 1


def test_gradient_checkpointing_changes_nothing():
    model = awake().train()
    model.encoder.config._attn_implementation = "eager"
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            model.gradient_checkpointing_enable()
            assert model.is_gradient_checkpointing
        model.zero_grad()
        model(IDS, MASK, torch.tensor([1, 2])).tokens.square().mean().backward()
        gradients.append(model.get_input_embeddings().weight.grad.clone())
    assert torch.allclose(*gradients, atol=1e-7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pooling": "last"}, "MedicalTextConditionerConfig: found pooling='last'; expected one of cls, mean, pooler;"),
        ({"max_length": 65}, "MedicalTextConditionerConfig: found max_length=65; expected at most 64, the text enc"),
        ({"max_length": 1}, "MedicalTextConditionerConfig: found max_length=1; expected 2 or more, for the encoder's"),
        ({"modalitys": []}, "MedicalTextConditionerConfig: found unknown field 'modalitys'; expected one of its field"),
        (
            {"modalities": [{"name": "ct"}, {"name": "cxr", "aliases": ["C-T"]}]},
            "MedicalTextConditionerConfig: found 'ct' of 'cxr' and 'ct'; expected a name of one modality; correct",
        ),
        (
            {"modalities": [{"name": "ct", "alias": "x"}]},
            "MedicalTextConditionerConfig: found modality {'name': 'ct', 'alias': 'x'}; expected a name, and aliases",
        ),
        (
            {"modalities": [{"name": "ct", "template": "CT of"}]},
            "MedicalTextConditionerConfig: found template 'CT of'; expected one with {prompt} in it; correct the",
        ),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    settings = {"text_config": BertConfig(**BERT).to_dict(), "max_length": 64}
    with pytest.raises(ConfigError) as error:
        MedicalTextConditionerConfig(**{**settings, **changes})
    assert str(error.value).startswith(message)


def test_half_an_encoder_is_refused(bert):
    half = BertModel(BertConfig(**BERT))
    del half.encoder.layer[0].output
    with pytest.raises(ConfigError) as error:
        MedicalTextConditioner.from_text_encoder(half)
    assert str(error.value) == (
        "encoder: found no weights 'encoder.layer.0.output.dense.weight'; expected a whole text encoder; name another"
    )
